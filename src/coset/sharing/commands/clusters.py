"""``coset sharing clusters``: how many distinct values some strengths would leave."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import DomainError, FileFormatError
from coset.core.files import dump_json
from coset.sharing.commands.checkpoints import first_unsound, inspect_dense, open_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["clusters"]


def clusters(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    strength: tuple[float, ...] = (1e-4, 1e-3, 1e-2),
    json: bool = False,
) -> int:
    """Show, for each tensor of a checkpoint, how many distinct values some strengths would leave.

    The strength counts in units of the tensor's standard deviation. Values of 8 bits are read as
    float32. A tensor that holds NaN or infinity is skipped, and the exit code is then 1. The file
    is only read.

    Example: coset sharing clusters model.safetensors --strength 0.01 0.1 1.0

    Args:
        file: a safetensors file.
        strength: strengths in units of each tensor's standard deviation.
        json: print JSON.
    """
    wrong = [g for g in strength if not (math.isfinite(g) and g >= 0)]
    if wrong or not strength:
        given = f"{wrong[0]:g}" if wrong else "none"
        raise DomainError(f"each strength must be a finite number ≥ 0; given {given}")
    rows = _cluster_rows(file, strength)
    if json:
        print(dump_json(rows), end="")
    else:
        _print_rows(rows, strength)
    skipped = [f"{row['tensor']} {row['skipped']}" for row in rows if row["skipped"]]
    if skipped:
        print(f"{len(skipped)} of {len(rows)} skipped: {'; '.join(skipped)}", file=sys.stderr)
    return 1 if skipped else 0


def _print_rows(rows: list[dict[str, Any]], strengths: tuple[float, ...]) -> None:
    table = Table(box=None, padding=(0, 1))
    table.add_column("tensor", overflow="fold")
    for heading in ("weights", "distinct", *(f"g = {g:g} σ" for g in strengths)):
        table.add_column(heading, justify="right")
    for row in rows:
        if row["skipped"]:
            counts = ["skipped", *("–" for _ in strengths)]
        else:
            counts = [f"{count:,}" for count in (row["num_distinct"], *row["distinct_after"])]
        table.add_row(escape(row["tensor"]), f"{row['num_weights']:,}", *counts)
    Console(highlight=False).print(table)


def _cluster_rows(file: Path, strengths: tuple[float, ...]) -> list[dict[str, Any]]:
    inspect_dense(file)
    rows = []
    with open_checkpoint(file) as stored:
        for name in sorted(stored.keys()):
            w = stored.get_tensor(name)
            if w.is_floating_point() and w.numel() >= 2:
                rows.append({"tensor": name, "num_weights": w.numel(), **_count(w, strengths)})
    if not rows:
        raise FileFormatError(f"{file} holds no floating-point tensor with at least two weights")
    return rows


def _num_distinct(w: Any) -> int:
    count: int = w.unique().numel()
    return count


def _count(w: Tensor, strengths: tuple[float, ...]) -> dict[str, Any]:
    """Return what one tensor's row says beside its name and size."""
    from coset.sharing.magnitude import DOWN, HUGE
    from coset.sharing.optimizer.groups import deviation
    from coset.sharing.prox import prox_sharing

    row: dict[str, Any] = dict.fromkeys(
        ("num_distinct", "strengths", "num_clusters", "distinct_after", "skipped")
    )
    try:
        w = w.float() if w.element_size() == 1 else w
        unsound = first_unsound(w)
    except NotImplementedError:  # less than 8 bits
        return {**row, "skipped": f"is of {w.dtype}, which torch cannot convert"}
    if unsound:
        return {**row, "skipped": unsound}
    # Strengths near the end of float64 stay finite on scaled weights; powers of two are exact.
    scale = DOWN if float(w.abs().max()) >= HUGE else 1.0
    sigma = float(deviation(w * scale, correction=1))
    row.update(num_distinct=_num_distinct(w), strengths=[], num_clusters=[], distinct_after=[])
    for g in strengths:
        out, info = prox_sharing(w * scale, g * sigma, return_info=True)
        given = g * sigma / scale
        row["strengths"].append(given if math.isfinite(given) else None)
        # Equal weights are one cluster at every strength in units of their deviation, 0.
        row["num_clusters"].append(info.num_clusters if sigma else 1)
        row["distinct_after"].append(_num_distinct(out))
    return row
