"""What the commands share: beliefs from a file, with what is observed besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coset.core.errors import ConfigError

if TYPE_CHECKING:
    from coset.beliefs.pdg.graph import PDG

__all__ = [
    "named_values",
    "parse_gamma",
    "parse_names",
    "parse_values",
    "read_observed",
    "summary",
    "without_rounding",
]


def parse_names(text: str, what: str) -> list[str]:
    """Split names at commas.

    Args:
        text: "A,B".
        what: the option, for messages.

    Returns:
        The names.

    Raises:
        ConfigError: if one is empty or repeats.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"{what} takes different names with commas between; given {text!r}")
    return names


def parse_values(text: str, what: str) -> dict[str, str]:
    """Read "A=a,B=b"; an empty text is no value.

    Args:
        text: names of variables with values or positions.
        what: the option, for messages.

    Returns:
        The value of each.

    Raises:
        ConfigError: if it is anything else, or a variable repeats.
    """
    found: dict[str, str] = {}
    for item in parse_names(text, what) if text else []:
        name, equals, value = item.partition("=")
        if not equals or not name or not value or name in found:
            raise ConfigError(
                f"{what} takes NAME=VALUE with commas between, each name once; given {text!r}"
            )
        found[name] = value
    return found


def parse_gamma(text: str) -> float | str:
    """Read γ: a number, or "0+".

    Raises:
        ConfigError: if it is neither.
    """
    if text == "0+":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f'--gamma takes a number ≥ 0, or "0+"; given {text!r}') from None


def read_observed(path: str, observe: str) -> PDG:
    """Read beliefs and observe some variables.

    Args:
        path: a .json, .safetensors, .bif or .bif.gz file.
        observe: "A=a,B=b".

    Returns:
        The graph.

    Raises:
        FileFormatError: if the file is not what its name says.
        CosetError: if a variable or a value is unknown.
    """
    from coset.beliefs.pdg.pdg_file import read_beliefs

    pdg = read_beliefs(path)
    return pdg.condition(named_values(pdg, parse_values(observe, "--observe")))


def named_values(pdg: PDG, values: dict[str, str]) -> dict[str, int | str]:
    """Take the position of a value for its number where values have no such name."""
    found: dict[str, int | str] = {}
    for name, value in values.items():
        known = name in pdg.variables and value in pdg.variables[name].values
        found[name] = int(value) if value.isdecimal() and not known else value
    return found


def summary(pdg: PDG) -> str:
    """Return how many beliefs, variables and worlds there are, in words."""
    digits = len(str(pdg.num_worlds)) - 1
    worlds = f"{pdg.num_worlds:,}" if digits < 9 else f"about 10^{digits}"
    beliefs = "1 belief" if len(pdg.arcs) == 1 else f"{len(pdg.arcs):,} beliefs"
    variables = "1 variable" if len(pdg.variables) == 1 else f"{len(pdg.variables):,} variables"
    return f"{beliefs} about {variables}, {worlds} world{'s' if pdg.num_worlds > 1 else ''}"


def without_rounding(amount: float) -> float:
    """Return 0 for what rounding leaves of 0, as −1e−17 for beliefs that agree."""
    return amount if abs(amount) > 1e-12 else 0.0
