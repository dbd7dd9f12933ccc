"""One look for all figures: readable on a phone, on a light and on a dark page, equal bytes.

Colors have a contrast of at least 3 with white and with near-black; backgrounds are transparent;
text stays text. Matplotlib is loaded at the first use.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLORS", "INK", "save_svg", "style"]

# Mid-tones: relative luminance near 0.18, where white and black contrast alike.
COLORS = ("#2f7fc1", "#c8641b", "#2b8a57", "#a45cb5", "#c24f56", "#7d7a2c", "#16888c", "#8a6d5c")

# For text, axes and grid.
INK = "#767676"

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINES = ("-", "--", "-.", ":", (0, (6, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2)))


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Set the figure style inside a ``with`` block; nothing outside changes.

    Series differ by color and by line and marker, so that no reader needs to tell colors apart.

    Yields:
        Nothing.

    Example:
        >>> import matplotlib.figure
        >>> with style():
        ...     figure = matplotlib.figure.Figure()
        >>> figure.get_facecolor()
        (0.0, 0.0, 0.0, 0.0)
    """
    import matplotlib
    from cycler import cycler

    cycle = cycler(color=COLORS) + cycler(linestyle=_LINES) + cycler(marker=_MARKERS)
    settings: dict[Any, Any] = {
        "axes.edgecolor": INK,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelsize": 12,
        "axes.prop_cycle": cycle,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlesize": 13,
        "figure.constrained_layout.use": True,
        "figure.edgecolor": "none",
        "figure.facecolor": "none",
        "figure.figsize": (5.0, 3.6),
        "font.family": "sans-serif",
        "font.size": 12,
        "grid.alpha": 0.3,
        "grid.color": INK,
        "image.cmap": "viridis",
        "legend.fontsize": 11,
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "lines.linewidth": 2.0,
        "lines.markersize": 5.0,
        "savefig.facecolor": "none",
        "savefig.transparent": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "coset",
        "text.color": INK,
        "xtick.color": INK,
        "xtick.labelsize": 11,
        "ytick.color": INK,
        "ytick.labelsize": 11,
    }
    with matplotlib.rc_context(settings):
        yield


def save_svg(figure: Figure, path: Path) -> Path:
    """Write a figure as SVG, whole or not at all; equal figures give equal bytes.

    Args:
        figure: the figure; it needs no display and is not closed.
        path: the file; missing folders are made.

    Returns:
        The path.

    Raises:
        StorageError: if it cannot be written.
    """
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    write_atomic(path, buffer.getvalue())
    return path
