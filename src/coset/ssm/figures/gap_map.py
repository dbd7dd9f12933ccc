"""Pictures of learning from scratch: which recipe ends in certified trackers, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.files import read_json
from coset.core.registry import published
from coset.lab.figure_style import COLORS, INK, style
from coset.lab.records import read_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gap_map", "learned_trackers"]

Rows = Sequence[dict[str, Any]]

_RECIPES = {
    "joint-raw": "together, raw gate,\nsnapped",
    "joint-quantized": "together, gate at roots\nof unity, snapped",
    "greedy": "one after the other,\nsnapped",
}
_PUBLISHED = "AUSSM, published:\nlongest length > 90 %"


def learned_trackers(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show for each group how many seeds end in a certified tracker, with layers and seconds.

    Args:
        rows: of `ssm.learned-trackers`.
        folders: run folders, whose ``seconds.json`` tell the median processor time.

    Returns:
        The figure: one bar a group, by order of the group.
    """
    from matplotlib.figure import Figure

    keys = sorted({(row["order"], row["group"], row["alphabet"]) for row in rows})
    seconds = _seconds(folders)
    with style():
        figure = Figure(figsize=(5.0, 1.6 + 0.45 * len(keys)))
        axes = figure.subplots()
        for place, (_, group, alphabet) in enumerate(keys):
            own = [r for r in rows if (r["group"], r["alphabet"]) == (group, alphabet)]
            share = sum(bool(r["is_certified"]) for r in own) / len(own)
            color = COLORS[0] if own[0]["derived_length"] is not None else COLORS[4]
            axes.barh(place, share, color=color, alpha=0.45, height=0.7)
            caption = _caption(own, seconds.get((group, alphabet), []))
            axes.text(0.02, place, caption, va="center", fontsize=10)
        axes.set_yticks(range(len(keys)), [_name(g, a) for _, g, a in keys])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.0)
        axes.set_xlabel("share of seeds certified exact")
        axes.set_title("Learned from labeled words alone")
    return figure


def _name(group: str, alphabet: str) -> str:
    return group if alphabet == "all" else f"{group}, gen."


def _caption(own: Rows, times: Sequence[float]) -> str:
    certified = [r for r in own if r["is_certified"]]
    text = f"{len(certified)}/{len(own)}"
    if certified:
        found = [str(r["layers"]) for r in certified]
        text += f"   {max(set(found), key=found.count)}"
    else:
        text += f"   best gain {max(float(r['best_gain']) for r in own):.3f} nat"
    if times:
        text += f"   {sorted(times)[len(times) // 2]:.1f} s"
    return text


def _seconds(folders: Sequence[Path]) -> dict[tuple[str, str], list[float]]:
    """Return the seconds of the runs of each group and alphabet."""
    found: dict[tuple[str, str], list[float]] = {}
    for folder in folders:
        record, path = read_record(folder), folder / "seconds.json"
        if record is not None and path.is_file():
            spent = sum(float(part["seconds"]) for part in read_json(path))
            key = str(record.config["group"]), str(record.config["alphabet"])
            found.setdefault(key, []).append(spent)
    return found


def gap_map(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show recipes against groups: in how many runs the result is certified exact.

    Args:
        rows: of `ssm.joint-training`, of `ssm.learned-trackers`, or of both.
        folders: not used.

    Returns:
        The figure. The first row is what was published of a trained model of other architecture
        and training; it is no recipe of ours.
    """
    from matplotlib.figure import Figure

    groups = [g for _, g in sorted({(row["order"], row["group"]) for row in rows})]
    recipes = [r for r in _RECIPES if any(_recipe(row) == r for row in rows)]
    names = [_PUBLISHED, *(_RECIPES[r] for r in recipes)]
    with style():
        figure = Figure(figsize=(max(5.0, 2.6 + 0.75 * len(groups)), 1.2 + 0.75 * len(names)))
        axes = figure.subplots()
        for column, group in enumerate(groups):
            _cell(axes, column, 0, *_published(group))
            for line, recipe in enumerate(recipes, 1):
                own = [r for r in rows if r["group"] == group and _recipe(r) == recipe]
                right = sum(bool(r["is_certified"]) for r in own)
                share = right / len(own) if own else None
                _cell(axes, column, line, f"{right}/{len(own)}" if own else "not run", share)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.set_title("Runs that end in an exact tracker")
    return figure


def _recipe(row: dict[str, Any]) -> str:
    return str(row.get("recipe", "greedy"))


def _published(group: str) -> tuple[str, float | None]:
    """Return text and share for the published AUSSM: ✘ where no length of 100 was reached."""
    values = []
    for number in published("ssm").get("numbers", []):
        select = (number.get("ours") or {}).get("select", {})
        if (select.get("group"), select.get("model")) == (group, "aussm") and str(
            number["source"]
        ).startswith("[paper]"):
            values.append(float(number["value"]))
    if not values:
        return "not found", None
    best = max(values)
    return ("< 100", 0.0) if best < 100 else (f"{best:g}", best / 1000)


def _cell(axes: Axes, column: int, line: int, text: str, share: float | None) -> None:
    from matplotlib.patches import Rectangle

    color = INK if share is None else COLORS[2] if share >= 0.5 else COLORS[4]
    alpha = 0.06 if share is None else 0.1 + 0.15 * abs(2 * share - 1)
    axes.add_patch(Rectangle((column - 0.48, line - 0.46), 0.96, 0.92, color=color, alpha=alpha))
    axes.text(column, line, text, ha="center", va="center", fontsize=11)
