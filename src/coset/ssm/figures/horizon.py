"""Pictures of how long a rotor in floating point counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["horizon_margins", "horizons"]

Rows = Sequence[dict[str, Any]]

_DTYPES = ("bfloat16", "float16", "float32")
_MARKERS = dict(zip(_DTYPES, "os^", strict=True))
# Green: proved for ever; gray: not seen to fail; red: fails.
_FOR_EVER, _UNDECIDED, _FAILS = COLORS[2], INK, COLORS[4]


def _present(rows: Rows, key: str) -> list[Any]:
    found = {row[key] for row in rows}
    return [d for d in _DTYPES if d in found] if key == "dtype" else sorted(found)


def horizon_margins(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how much of the margin is left by time, and when a random walk would use it up.

    Args:
        rows: of `ssm.horizon`.
        folders: not used.

    Returns:
        The figure: a panel for the largest modulus, and one for the modulus whose closed orbit has
        the most states; a line a dtype, the median over words, a band down to the worst word;
        dotted: the predicted median of first failures.
    """
    from matplotlib.figure import Figure

    closed = [r for r in rows if r.get("is_closed")]
    shown = [_present(rows, "modulus")[-1]]
    if closed:
        shown.append(max(closed, key=lambda r: r["num_states"])["modulus"])
    with style():
        figure = Figure(figsize=(5.0, 1.4 + 2.5 * len(shown)))
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, modulus in zip(panels, shown, strict=True):
            own = [r for r in rows if r["modulus"] == modulus]
            for dtype in _present(own, "dtype"):
                _margin_line(axes, [r for r in own if r["dtype"] == dtype], dtype)
            axes.axhline(0, color=INK, linestyle="-", marker="", linewidth=1)
            axes.set(xscale="log", ylim=(-0.05, 1.05), ylabel="margin left")
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.set_title(f"a rotor of {modulus} positions")
        panels[-1].set_xlabel("tokens read")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _margin_line(axes: Any, rows: Rows, dtype: str) -> None:
    seed = min(r["seed"] for r in rows)
    points = [r for r in rows if r["kind"] == "margin" and r["seed"] == seed]
    times = [r["time"] for r in points]
    median = [max(0.0, r["median_margin"]) for r in points]
    color = COLORS[_DTYPES.index(dtype)]
    axes.plot(
        times, median, color=color, marker=_MARKERS[dtype], markersize=4, linestyle="-", label=dtype
    )
    worst = [max(0.0, r["least_margin"]) for r in points]
    axes.fill_between(times, worst, median, color=color, alpha=0.15, linewidth=0)
    for r in rows:
        predicted = r.get("predicted_median")
        if r["seed"] == seed and predicted and predicted <= 2 * r["length"]:
            axes.axvline(
                predicted, color=color, linestyle=":", marker="", label=f"{dtype}: predicted"
            )


def horizons(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show for each modulus and dtype how long the rotor counts.

    Args:
        rows: of `ssm.horizon`.
        folders: not used.

    Returns:
        The figure: a table. "∞ (27)": proved at every length, by 27 float states; "1,108": half of
        the words failed by then; "> 20,000": no word failed; "3 % fail": fewer than half of the
        words failed within the length.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    table = [r for r in rows if r["kind"] == "horizon"]
    moduli, dtypes = _present(table, "modulus"), _present(table, "dtype")
    with style():
        figure = Figure(figsize=(5.0, 1.3 + 0.34 * len(moduli)))
        axes = figure.subplots()
        for place, modulus in enumerate(moduli):
            for column, dtype in enumerate(dtypes):
                own = [r for r in table if (r["modulus"], r["dtype"]) == (modulus, dtype)]
                if not own:
                    continue
                text, color = _verdict(own)
                axes.add_patch(Rectangle((column - 0.5, place - 0.5), 1, 1, color=color, alpha=0.2))
                axes.text(column, place, text, ha="center", va="center", fontsize=11)
        axes.set_xticks(range(len(dtypes)), dtypes)
        axes.set_yticks(range(len(moduli)), [str(m) for m in moduli])
        axes.set(xlim=(-0.5, len(dtypes) - 0.5), ylim=(len(moduli) - 0.5, -0.5))
        axes.grid(visible=False)
        axes.set_title("Tokens until half of the words fail")
        axes.set_ylabel("positions m of the rotor")
        axes.set_xlabel("∞ (s): exact for ever, s float states")
    return figure


def _verdict(rows: Rows) -> tuple[str, str]:
    if any(r["is_closed"] for r in rows):
        return f"∞ ({max(r['num_states'] for r in rows)})", _FOR_EVER
    failed = sum(r["num_failed"] for r in rows) / sum(r["num_words"] for r in rows)
    medians = [r["median_failure"] for r in rows if r["median_failure"] is not None]
    if medians:
        return f"{min(medians):,}", _FAILS
    if failed:
        return f"{failed:.0%} fail", _FAILS
    return f"> {max(r['length'] for r in rows):,}", _UNDECIDED
