"""``coset sharing prox``: a few numbers, moved and tied."""

from __future__ import annotations

from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from coset.core.errors import DomainError
from coset.core.files import dump_json

__all__ = ["prox"]


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
        values: the numbers, at least one.
        strength: how far they are pulled, at least 0.
        l1: soft threshold afterwards, at least 0.
        json: print JSON.
    """
    import torch

    from coset.sharing.prox import prox_sharing

    if not values:
        raise DomainError(
            "prox needs at least one value; given none; "
            "write: coset sharing prox 0 1 10 11 --strength 0.75"
        )
    w = torch.tensor(values, dtype=torch.float64)
    out, info = prox_sharing(w, strength, l1=l1, return_info=True)
    # The soft threshold makes clusters equal without tying them, and strength 0 ties no equals.
    counts = {"num_distinct": len(set(out.tolist())), "num_clusters": info.num_clusters}
    if json:
        print(dump_json({"values": out.tolist(), **counts}), end="")
        return 0
    table = Table(box=None, padding=(0, 1))
    for heading in ("value", "becomes", "cluster"):
        table.add_column(heading, justify="right")
    for before, after, cluster in zip(values, out.tolist(), info.index.tolist(), strict=True):
        table.add_row(f"{before:g}", f"{after:.6g}", str(cluster))
    console = Console(highlight=False)
    console.print(table)
    summary = f"{len(values)} values, {counts['num_distinct']} distinct"
    if counts["num_distinct"] != counts["num_clusters"]:
        summary += f" in {counts['num_clusters']} clusters"
    console.print(summary)
    return 0
