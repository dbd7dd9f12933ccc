"""A table of how far models learned, beside the published lengths and what theory allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.registry import published
from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["learnability_gap"]

Rows = Sequence[dict[str, Any]]

_CAN, _CANNOT = COLORS[2], COLORS[4]
_NAMES = {
    "mamba": "Mamba",
    "negative-mamba": "Negative\nMamba",
    "simple-aussm": "Simple\nAUSSM",
    "aussm": "AUSSM",
    "s4d": "S4D",
    "rnn": "tanh RNN",
    "gru": "GRU",
}


def learnability_gap(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the longest length with an accuracy above 90 %, ours over the published one.

    Args:
        rows: of `ssm.learnability`.
        folders: not used.

    Returns:
        The figure: a table of groups by models for each number of layers; green: layers of these
        classes can track the group, red: they cannot. The upper number is ours (largest over
        seeds, "–": none), the lower the published one (✘: below 100, empty: not published).
    """
    from matplotlib.figure import Figure

    outcomes = [row for row in rows if row["kind"] == "outcome"]
    groups = list(dict.fromkeys(row["group"] for row in outcomes))
    models = [name for name in _NAMES if any(row["model"] == name for row in outcomes)]
    depths = sorted({row["num_layers"] for row in outcomes})
    theirs = _published()
    with style():
        size = (max(5.0, 1.0 + 0.85 * len(models)), 1.0 + len(depths) * (0.9 + 0.5 * len(groups)))
        figure = Figure(figsize=size)
        panels = figure.subplots(len(depths), 1, squeeze=False)[:, 0]
        for axes, depth in zip(panels, depths, strict=True):
            for line, group in enumerate(groups):
                for column, model in enumerate(models):
                    key = (group, model, depth)
                    own = [r for r in outcomes if _key(r) == key]
                    _cell(axes, column, line, own, theirs.get(key))
            _frame(axes, groups, models)
            axes.set_title(f"{depth} layer{'s' * (depth > 1)}: ours over published")
    return figure


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["group"], row["model"], row["num_layers"]


def _published() -> dict[tuple[str, str, int], float]:
    found = {}
    for number in published("ssm").get("numbers", []):
        query = number.get("ours") or {}
        if query.get("experiment") == "ssm.learnability" and number["source"].startswith("[paper]"):
            found[_key(query["select"])] = float(number["value"])
    return found


def _cell(axes: Any, column: int, line: int, own: Rows, theirs: float | None) -> None:
    from matplotlib.patches import Rectangle

    if not own:
        return
    color = _CAN if own[0]["is_trackable"] else _CANNOT
    axes.add_patch(Rectangle((column - 0.5, line - 0.5), 1, 1, color=color, alpha=0.18))
    longest = max(row["longest_length"] for row in own)
    look = {"ha": "center", "va": "center", "fontsize": 11}
    axes.text(column, line - 0.2, f"{longest:,}" if longest else "–", **look)
    if theirs is not None:
        text = f"{theirs:,.0f}" if theirs else "✘"
        axes.text(column, line + 0.24, text, style="italic", **look)


def _frame(axes: Any, groups: Sequence[str], models: Sequence[str]) -> None:
    axes.set_xticks(range(len(models)), [_NAMES[name] for name in models])
    axes.set_yticks(range(len(groups)), groups)
    axes.set(xlim=(-0.5, len(models) - 0.5), ylim=(len(groups) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.tick_params(colors=INK, length=0)
