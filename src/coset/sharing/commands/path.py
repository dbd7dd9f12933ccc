"""``coset sharing path``: how many distinct values each strength leaves, and what merges last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import DomainError, FileFormatError, UnknownNameError
from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.sharing.commands.checkpoints import (
    check_output,
    first_unsound,
    inspect_dense,
    open_checkpoint,
)

if TYPE_CHECKING:
    from torch import Tensor

    from coset.sharing.path import SharingPath

__all__ = ["path"]

Row = dict[str, Any]

_STRENGTHS = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
_BAR = 22  # columns of a full bar
_LEAVES, _TREE = 14, 52  # leaves and columns of the tree in the terminal
_LINES = 60  # leaves of the tree in the picture
_SLOW = 2_000_000  # merges that may take two seconds
_TINY = math.ulp(0.0)  # ties what is equal, and no more


@dataclass(frozen=True)
class _Seen:
    """A tensor's path, computed on its weights times `scale`, and their standard deviation."""

    path: SharingPath
    scale: float
    sigma: float
    critical: float
    squared_density: float


def path(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    tensor: str | None = None,
    strength: tuple[float, ...] = (),
    output: Path | None = None,
    json: bool = False,
) -> int:
    """Show the whole path of one tensor of a checkpoint: what merges at which strength.

    A table of the clusters that are left at some strengths, beside the law of many independent
    weights up to g_c, where one cluster begins to take up the others; and the tree of the last
    merges. Strengths count in standard deviations σ of the tensor. Values of 8 bits are read as
    float32. The file is only read.

    Example: coset sharing path model.safetensors --tensor layer.weight --output tree.svg

    Args:
        file: a safetensors file.
        tensor: the name of the tensor; by default the one with the most weights.
        strength: strengths in standard deviations of the tensor, instead of the usual ones.
        output: write the dendrogram to this SVG file.
        json: print JSON.
    """
    wrong = [g for g in strength if not (math.isfinite(g) and g >= 0)]
    if wrong:
        raise DomainError(f"each strength must be a finite number ≥ 0; given {wrong[0]:g}")
    if output is not None:
        check_output(file, output)
    name, w = _read_tensor(file, tensor)
    seen = _look(name, w)
    if output is not None:
        _write_picture(output, name, seen)
    rows = _rows(seen, strength)
    if json:
        print(dump_json(_as_json(name, w, seen, rows)), end="")
        return 0
    _print(name, w, seen, rows)
    if output is not None:
        print(f"written: {output}")
    return 0


def _read_tensor(file: Path, name: str | None) -> tuple[str, Tensor]:
    """Return the name and the weights of the tensor asked for, or of the largest one."""
    summary = inspect_dense(file)
    sizes = {t.name: math.prod(t.shape) for t in summary.tensors if "F" in t.dtype}
    known = [known for known, size in sizes.items() if size >= 2]
    if not known:
        raise FileFormatError(f"{file} holds no floating-point tensor with at least two weights")
    if name is not None and name not in known and name in {t.name for t in summary.tensors}:
        raise DomainError(
            f"--tensor must name at least two floating-point weights; {name} in {file} holds "
            f"integers or fewer than two"
        )
    if name is not None and name not in known:
        raise UnknownNameError.of(f"tensor with two floating-point weights in {file}", name, known)
    name = max(known, key=sizes.__getitem__) if name is None else name
    with open_checkpoint(file) as stored:
        w: Tensor = stored.get_tensor(name)
    w = w.float() if w.element_size() == 1 else w
    if unsound := first_unsound(w):
        raise DomainError(
            f"weights must be finite; {name} {unsound}; name another tensor with --tensor"
        )
    return name, w


def _look(name: str, w: Tensor) -> _Seen:
    from coset.sharing.magnitude import DOWN, HUGE
    from coset.sharing.optimizer.groups import deviation
    from coset.sharing.strengths import critical_strength, predicted_unique_fraction

    # Strengths in units of a deviation near the ends of float64 neither overflow nor vanish on
    # weights that are scaled by a power of two, which is exact.
    largest = float(w.abs().max())
    scale = DOWN if largest >= HUGE else 1 / DOWN if largest <= 1 / HUGE else 1.0
    w = w if scale == 1.0 else w * scale
    whole = _whole_path(name, w)
    if whole.all_merge_strength == 0:  # equal weights have no density
        return _Seen(whole, scale, 0.0, 0.0, math.inf)
    sigma = float(deviation(w, correction=1))
    squared = (1.0 - predicted_unique_fraction(w, sigma)) / (2.0 * sigma)
    return _Seen(whole, scale, sigma, critical_strength(w), squared)


def _whole_path(name: str, w: Tensor) -> SharingPath:
    """Return the path, with a bar on standard error if it takes its time."""
    from coset.lab.progress import Progress
    from coset.sharing.path import sharing_path

    if w.numel() < _SLOW:
        return sharing_path(w)
    with Progress(f"path of {printable(name)}", w.numel() - 1, unit="merges") as progress:
        found = sharing_path(w, progress=lambda done, _: progress.update(done))
        progress.update(w.numel() - 1)
    return found


def _rows(seen: _Seen, strengths: Sequence[float]) -> list[Row]:
    """Return a row a strength, the two at which something happens among them."""
    sigma, end = seen.sigma, seen.path.all_merge_strength
    if end == 0:
        return []
    usual = [g for g in _STRENGTHS if g * sigma < end]
    marks = [(g * sigma, g, "") for g in strengths or usual]
    marks += [(seen.critical, seen.critical / sigma, "g_c"), (end, end / sigma, "all equal")]
    rows = []
    for g, in_sigma, note in sorted(marks):
        # At 0 the distinct values of the tensor itself are counted.
        count = seen.path.num_unique(max(g, _TINY))
        law = 1.0 - 2.0 * g * seen.squared_density
        row: Row = {"strength_in_sigma": in_sigma, "strength": _finite(g / seen.scale)}
        row |= {"num_unique": count, "fraction": count / seen.path.num_weights, "note": note}
        row["predicted_fraction"] = law if g <= seen.critical and law >= 0 else None
        rows.append(row)
    return rows


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _as_json(name: str, w: Tensor, seen: _Seen, rows: list[Row]) -> Row:
    return {
        "tensor": name,
        "shape": list(w.shape),
        "dtype": str(w.dtype).removeprefix("torch."),
        "num_weights": w.numel(),
        "num_distinct": seen.path.num_unique(_TINY),
        "sigma": _finite(seen.sigma / seen.scale),
        "critical_strength": _finite(seen.critical / seen.scale),
        "all_merge_strength": _finite(seen.path.all_merge_strength / seen.scale),
        "rows": rows,
    }


def _write_picture(output: Path, name: str, seen: _Seen) -> None:
    """Write the dendrogram and the counts, with strengths in units of σ."""
    from coset.lab.figure_style import save_svg
    from coset.sharing.figures.path import dendrogram
    from coset.sharing.merge_tree import count_rows, tree_rows

    if seen.sigma == 0:
        raise DomainError(f"a dendrogram needs weights that differ; those of {name} are all equal")
    rows = tree_rows(seen.path, _LINES)
    rows += count_rows(seen.path, seen.squared_density, seen.critical)
    for row in rows:
        row.update({key: row[key] / seen.sigma for key in row if key.endswith("strength")})
    save_svg(dendrogram(rows, [], unit="σ"), output)


def _print(name: str, w: Tensor, seen: _Seen, rows: list[Row]) -> None:
    shape = " × ".join(str(size) for size in w.shape)
    console = Console(highlight=False)
    dtype = str(w.dtype).removeprefix("torch.")
    sigma = seen.sigma / seen.scale
    spread = f"σ = {sigma:.4g}" if math.isfinite(sigma) else "σ beyond 1.8e308"
    distinct = seen.path.num_unique(_TINY)
    console.print(f"{escape(printable(name))}: {shape} {dtype}")
    console.print(f"{w.numel():,} weights, {distinct:,} distinct, {spread}")
    if not rows:
        console.print("all weights are equal")
        return
    table = Table(box=None, padding=(0, 1))
    for heading in ("g / σ", "strength", "clusters", "left", "law"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    print("left: clusters ÷ weights; law: 1 − 2 g ∫p² up to g_c (sharing.C16)")
    _print_tree(seen)


def _cells(row: Row) -> list[str]:
    law, bar = row["predicted_fraction"], _bar(row["fraction"])
    return [
        f"{row['strength_in_sigma']:.3g}",
        "–" if row["strength"] is None else f"{row['strength']:.3g}",
        f"{row['num_unique']:,}",
        f"{100 * row['fraction']:.3g} %",
        "–" if law is None else f"{100 * law:.3g} %",
        f"{bar} ← {row['note']}" if row["note"] else bar,
    ]


def _bar(fraction: float) -> str:
    """Return a bar in eighths of a column; what is not zero shows."""
    full, eighths = divmod(max(1, round(8 * _BAR * fraction)), 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[eighths].strip()


def _print_tree(seen: _Seen) -> None:
    """Print the tree of the last merges, a line a cluster, with its mean and its weights."""
    from coset.sharing.commands.tree import draw_tree
    from coset.sharing.merge_tree import tree_rows

    rows = tree_rows(seen.path, _LEAVES)
    leaves = [row for row in rows if row["kind"] == "leaf"]
    joins = [row["strength"] / seen.sigma for row in rows if row["kind"] == "join"]
    if not joins:
        return
    begin = leaves[0]["strength"] / seen.sigma
    print(f"\nThe last merges, from {begin:.3g} σ to {joins[-1]:.3g} σ:")
    print(f"{'mean':>10} {'weights':>13}")
    for leaf, line in zip(leaves, draw_tree(rows, _TREE), strict=True):
        print(f"{leaf['value'] / seen.scale:>10.3g} {leaf['mass']:>13,} {line}")
