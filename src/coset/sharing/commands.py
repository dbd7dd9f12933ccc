"""The front doors of the subject: ``coset sharing prox`` and ``coset sharing clusters``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import FileFormatError
from coset.core.files import dump_json

__all__ = ["COMMANDS"]


def prox(
    values: Annotated[tuple[float, ...], tyro.conf.Positional],
    /,
    strength: float,
    l1: float = 0.0,
    json: bool = False,
) -> int:
    """Move a few numbers together by the proximal map, and show which become equal.

    Example: coset sharing prox 0 1 10 11 --strength 0.75

    Args:
        values: the numbers.
        strength: how far they are pulled, at least 0.
        l1: soft threshold afterwards, at least 0.
        json: print JSON.
    """
    import torch

    from coset.sharing.prox import prox_sharing

    w = torch.tensor(values, dtype=torch.float64)
    out, info = prox_sharing(w, strength, l1=l1, return_info=True)
    if json:
        print(dump_json({"values": out.tolist(), "num_clusters": info.num_clusters}), end="")
        return 0
    table = Table(box=None, padding=(0, 1))
    for heading in ("value", "becomes", "cluster"):
        table.add_column(heading, justify="right")
    for before, after, cluster in zip(values, out.tolist(), info.index.tolist(), strict=True):
        table.add_row(f"{before:g}", f"{after:.6g}", str(cluster))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(values)} values, {info.num_clusters} distinct")
    return 0


def clusters(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    strength: tuple[float, ...] = (1e-4, 1e-3, 1e-2),
    json: bool = False,
) -> int:
    """Show, for each tensor of a checkpoint, how many distinct values some strengths would leave.

    The strength counts in units of the tensor's standard deviation. The file is only read.

    Example: coset sharing clusters model.safetensors --strength 0.01 0.1 1.0

    Args:
        file: a safetensors file.
        strength: strengths in units of each tensor's standard deviation.
        json: print JSON.
    """
    rows = _cluster_rows(file, strength)
    if json:
        print(dump_json(rows), end="")
        return 0
    table = Table(box=None, padding=(0, 1))
    table.add_column("tensor", overflow="fold")
    for heading in ("weights", "distinct", *(f"g = {g:g} σ" for g in strength)):
        table.add_column(heading, justify="right")
    for row in rows:
        counts = [f"{count:,}" for count in row["num_clusters"]]
        table.add_row(
            escape(row["tensor"]), f"{row['num_weights']:,}", f"{row['num_distinct']:,}", *counts
        )
    Console(highlight=False).print(table)
    return 0


def _cluster_rows(file: Path, strengths: tuple[float, ...]) -> list[dict[str, Any]]:
    from safetensors import safe_open

    from coset.core.model_files import inspect_file
    from coset.sharing.prox import prox_sharing

    inspect_file(file)  # refuses damaged files with a message that names the place
    rows = []
    with safe_open(str(file), framework="pt") as stored:
        for name in sorted(stored.keys()):
            w = stored.get_tensor(name)
            if not w.is_floating_point() or w.numel() < 2:
                continue
            scale = float(w.double().std())
            if scale == 0:  # all equal: already one cluster at every strength
                counts = [1 for _ in strengths]
            else:
                infos = [prox_sharing(w, g * scale, return_info=True)[1] for g in strengths]
                counts = [info.num_clusters for info in infos]
            rows.append(
                {
                    "tensor": name,
                    "num_weights": w.numel(),
                    "num_distinct": w.unique().numel(),
                    "strengths": [g * scale for g in strengths],
                    "num_clusters": counts,
                }
            )
    if not rows:
        raise FileFormatError(f"{file} holds no floating-point tensor with at least two weights")
    return rows


COMMANDS = {"prox": prox, "clusters": clusters}
