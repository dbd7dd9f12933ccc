"""``coset ssm harden``: an exact model out of a trained one, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import ConfigError
from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.ssm.commands.loading import check_reads_tokens, check_tracks, open_model

if TYPE_CHECKING:
    from coset.ssm.harden import HardenedTracker

__all__ = ["harden"]


def harden(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    group: str,
    out: Path | None = None,
    mode: Literal["int", "table", "complex", "real", "mlp"] = "int",
    alphabet: Literal["all", "generators"] | None = None,
    moduli: tuple[int, ...] = (),
    max_residual: float = 0.4,
    like: str | None = None,
    json: bool = False,
) -> int:
    """Snap a trained model's phases to roots of unity, and check whether it is then exact.

    The check covers every pair of a state and a token, so an exact result is right on words of any
    length; it is written to --out. If it is not exact, nothing is written; what was not kept and
    two words that the hardened layers confuse are shown, and the exit code is 1.

    Example: coset ssm harden model.safetensors --group S3 --out exact.safetensors

    Args:
        file: a model file of an SSMStack, or of a compiled tracker in complex, real or mlp form; it
            is only read.
        group: a name such as S4, A5, Z60, SL(2,3), S4xZ2.
        out: the new model file.
        mode: the form of the new file, as in `coset ssm compile`.
        alphabet: what the tokens are, if the model does not say.
        moduli: orders of roots of unity to try; by default the divisors of the group's exponent.
        max_residual: how far a phase may be from its root, in steps from one root to the next;
            less than 0.5.
        like: builds a model whose file does not say how, as package.module:factory.
        json: print JSON.
    """
    if out is not None and out.resolve() == file.resolve():
        raise ConfigError(f"--out must be another file than the model; given {out} for both")
    model = open_model(file, like)
    check_reads_tokens(model, file)
    from coset.ssm.alphabet import as_group
    from coset.ssm.harden import harden as harden_model

    named = as_group(group)
    check_tracks(model, named, file, alphabet)
    found = harden_model(
        model, named, moduli=moduli or None, alphabet=alphabet, max_residual=max_residual
    )
    if found.certified and out is not None:
        found.save(out, mode)
    report = _report(found, file, out, mode)
    if json:
        print(dump_json(report), end="")
    else:
        _print(report)
    return 0 if found.certified else 1


def _report(found: HardenedTracker, file: Path, out: Path | None, mode: str) -> dict[str, Any]:
    certificate = found.certificate() if found.certified else None
    return {
        "file": str(file),
        "group": found.group.name,
        "certified": certificate is not None and certificate.verify(),
        "num_pairs": 0 if certificate is None else certificate.num_pairs,
        "entropy": found.entropy,
        "layers": [
            {
                "layer": layer.index + 1,
                "coordinates": list(layer.coordinates),
                "moduli": list(layer.moduli),
                "residual": layer.residual,
                "radius_error": layer.radius_error,
            }
            for layer in found.layers
        ],
        "dropped": list(found.dropped),
        "explanation": found.explain(),
        "out": str(out) if out is not None and found.certified else None,
        "mode": mode,
    }


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 1))
    for heading in ("layer", "kept", "phases"):
        table.add_column(heading)
    for heading in ("off, of a step", "||a| − 1|"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in report["layers"]:
        table.add_row(
            str(layer["layer"]),
            ", ".join(map(str, layer["coordinates"])),
            "×".join(f"Z{m}" for m in layer["moduli"]),
            f"{layer['residual']:.3g}",
            f"{layer['radius_error']:.2g}",
        )
    if report["layers"]:
        console.print(table)
    if report["certified"]:
        console.print(
            f"[green]✓[/green] {report['num_pairs']:,} pairs of state and token checked: tracks "
            f"{escape(report['group'])}, right at every length"
        )
    else:
        console.print(escape(f"✗ not exact: {printable(report['explanation'])}"))
    if report["out"] is not None:
        console.print(escape(f"written: {printable(report['out'])} ({report['mode']})"))
