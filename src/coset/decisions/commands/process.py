"""Open the decision process that a command is about: an environment's name, or a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, DomainError, UnknownNameError

if TYPE_CHECKING:
    import gymnasium

    from coset.decisions.envs.toy_text import ToyText
    from coset.decisions.processes.named_mdp import NamedMDP
    from coset.decisions.processes.rational import RationalMDP

__all__ = ["PLAIN", "Problem", "ProcessOptions", "open_process", "place_of"]


@dataclass(frozen=True)
class ProcessOptions:
    """What is asked of the process.

    Attributes:
        objectives: the first priority first, joined by commas. Of an environment: safety, goal,
            steps, reward, each with a discount if wanted, as in goal@0.99 (by default reward). Of a
            file: some of its own names, in any order that its multipliers allow (by default all).
        gamma: discount of the objectives of an environment that name none; safety never has one.
        map: 4x4, 8x8, or rows such as SFFF/FHFH/FFFH/HFFG (FrozenLake).
        slippery: moves may go astray; FrozenLake's do in any case, unless firm.
        firm: moves go as meant.
        falls_end: an unsafe move ends the episode, as it does for safety in any case.
        unsafe_earns_nothing: what comes after safety counts only in episodes that stay safe.
    """

    objectives: str | None = None
    gamma: float = 1.0
    map: str | None = None
    slippery: bool = False
    firm: bool = False
    falls_end: bool = False
    unsafe_earns_nothing: bool = False


PLAIN = ProcessOptions()


@dataclass(frozen=True)
class Problem:
    """A process to be solved.

    Attributes:
        named: the process with its names.
        model: the environment that it comes from, or ``None``.
    """

    named: NamedMDP
    model: ToyText | None = None

    def start_chances(self) -> dict[int, Fraction]:
        """Return the first states and their chances; a file has one, Taxi has 300.

        Returns:
            Chances > 0 that sum to 1.
        """
        if self.model is None:
            return {self.named.start: Fraction(1)}
        chances = {
            s: Fraction(chance).limit_denominator(1_000_000)
            for s, chance in enumerate(self.model.start.tolist())
            if chance > 0
        }
        total = sum(chances.values(), Fraction(0))
        return {s: chance / total for s, chance in chances.items() if chance}

    def rational(self) -> RationalMDP:
        """Return the process in exact numbers.

        Returns:
            The outcomes of a JSON file as written; of an environment the simplest fractions, with
            denominators up to 10,000; of an npz file the fractions that its floats are.
        """
        from coset.decisions.processes.mdp_outcomes import outcomes_of

        if self.model is None or self.named.outcomes is not None:
            return self.named.exact()
        return replace(self.named, outcomes=outcomes_of(self.named.mdp)).exact()


def open_process(process: str, options: ProcessOptions) -> Problem:
    """Open an environment or a file.

    Args:
        process: an environment's name, such as FrozenLake-v1, or a file ending in .json or .npz.
        options: what is asked of it.

    Returns:
        The problem.

    Raises:
        ConfigError: if options contradict each other, or do not fit the process.
        CosetError: as `read_mdp`, `from_toy_text` and `objectives`.
    """
    if options.slippery and options.firm:
        raise ConfigError("--slippery and --firm contradict each other; give one")
    if Path(process).suffix.lower() in (".json", ".npz"):
        return _open_file(Path(process), options)
    if Path(process).is_dir():
        raise ConfigError(
            f"a process is an environment's name or a file ending in .json or .npz; {process} is a "
            f"folder"
        )
    return _open_environment(process, options)


def _open_file(path: Path, options: ProcessOptions) -> Problem:
    from coset.decisions.processes.mdp_file import read_mdp

    plain = ProcessOptions(objectives=options.objectives)
    if options != plain:
        raise ConfigError(
            f"a file names its own multipliers and moves: only --objectives can be given with "
            f"{path}; change the file, or leave the other options out"
        )
    named = read_mdp(path)
    if options.objectives is None:
        return Problem(named)
    names = [name.strip() for name in options.objectives.split(",") if name.strip()]
    return Problem(named.with_objectives(names))


def _open_environment(name: str, options: ProcessOptions) -> Problem:
    from coset.decisions.envs.toy_text import from_toy_text
    from coset.decisions.processes.named_mdp import NamedMDP
    from coset.decisions.processes.objectives import objectives, parse_objectives

    names = "reward" if options.objectives is None else options.objectives
    wanted = parse_objectives(names, options.gamma)
    is_safe = any(objective.name == "safety" for objective in wanted)
    model = from_toy_text(_environment(name, options), unsafe_ends=options.falls_end or is_safe)
    mdp = objectives(
        model,
        [f"{o.name}@{o.discount!r}" for o in wanted],
        unsafe_earns_nothing=options.unsafe_earns_nothing,
    )
    labels = tuple(str(objective) for objective in wanted)
    states = tuple(model.label(s) for s in range(model.num_states))
    named = NamedMDP(mdp, states, model.actions, labels, model.start_state, model.name)
    return Problem(named, model)


def _environment(name: str, options: ProcessOptions) -> gymnasium.Env[Any, Any]:
    import gymnasium

    given: dict[str, Any] = {}
    if options.slippery or options.firm:
        given["is_slippery"] = options.slippery
    if options.map is not None:
        given |= _map(options.map)
    try:
        return gymnasium.make(name, **given)
    except gymnasium.error.UnregisteredEnv as error:
        known = [n for n, spec in gymnasium.registry.items() if "toy_text" in str(spec.entry_point)]
        raise UnknownNameError.of("environment or .json or .npz file", name, known) from error
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ConfigError(f"the environment {name!r} cannot be made: {error}") from error
    except TypeError as error:
        raise ConfigError(
            f"{name} does not take {' and '.join(given)}: {error}; leave --map, --slippery and "
            f"--firm out"
        ) from error


def _map(text: str) -> dict[str, Any]:
    """Return the option of FrozenLake for a map's name or its rows."""
    if "/" not in text:
        if text not in ("4x4", "8x8"):
            raise ConfigError(
                f"a map must be 4x4, 8x8, or rows such as SFFF/FHFH/FFFH/HFFG; given {text[:60]!r}"
            )
        return {"map_name": text}
    rows = text.upper().split("/")
    letters = "".join(rows)
    if len({len(row) for row in rows}) != 1 or set(letters) - set("SFHG") or len(letters) > 10_000:
        raise ConfigError(
            f"the rows of a map must be of one length, at most 10,000 letters S, F, H and G in "
            f"all; given {text[:60]!r}"
        )
    if len(rows[0]) < 2:
        raise ConfigError(f"a map needs two columns at least; given {text[:60]!r}")
    if not ("S" in letters and "G" in letters):
        raise ConfigError(f"a map needs a start S and a goal G; given {text[:60]!r}")
    return {"desc": rows}


def place_of(problem: Problem, text: str | None) -> int:
    """Return the state that a text names.

    Args:
        problem: the process.
        text: a state's name, its number, or "row,column" on a grid; ``None`` for the start.

    Returns:
        The state's number.

    Raises:
        DomainError: if there is no such state.
    """
    named = problem.named
    if text is None:
        return named.start
    if text in named.states:
        return named.states.index(text)
    numbers = text.split(",")
    if all(part.strip().isascii() and part.strip().isdigit() for part in numbers):
        found = [int(part) for part in numbers if len(part) < 12]
        if len(found) == len(numbers) == 1 and found[0] < len(named.states):
            return found[0]
        layout = problem.model.layout if problem.model else None
        if layout and len(found) == len(numbers) == 2:
            row, column = found
            if row < len(layout) and column < len(layout[0]):
                return row * len(layout[0]) + column
    raise DomainError(
        f"a state is a number 0…{len(named.states) - 1}, on a grid also row,column, or a name such "
        f"as {named.states[0]!r}; given {text[:60]!r}"
    )
