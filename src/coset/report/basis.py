"""On what the verdict rests: presets, seeds, the paper's size, and how many subjects are built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coset.report.formats import as_text, plural
from coset.report.verdicts import ClaimRow

__all__ = ["basis"]

PAPER_PRESET = "paper"


def basis(rows: Sequence[ClaimRow], num_built: int, num_subjects: int) -> str:
    """Say in one sentence which runs the verdicts come from and how far they reach.

    Args:
        rows: the matrix.
        num_built: how many subjects are built.
        num_subjects: how many there are, the planned ones included.

    Returns:
        The sentence, made of the stored records only.
    """
    checked = [row.record for row in rows if row.record is not None]
    verb = "is" if num_built == 1 else "are"
    built = f"{num_built} of {plural(num_subjects, 'subject')} {verb} built"
    if not checked:
        return f"No verdict is stored; {built}."
    presets = _listed("preset", [record["preset"] for record in checked])
    seeds = _listed("seed", [record["seed"] for record in checked])
    at_size = sum(record["preset"] == PAPER_PRESET for record in checked)
    size = f"{at_size} of {plural(len(rows), 'claim')}" if at_size else "nothing"
    return f"Verdicts from {presets}, {seeds}; {size} checked at the paper's size; {built}."


def _listed(noun: str, values: Sequence[Any]) -> str:
    """Return a noun with the distinct values behind it, each with its count if there are several.

    A value that was not stored is called unknown.
    """
    texts = ["unknown" if value in (None, "") else as_text(value) for value in values]
    counts = {text: texts.count(text) for text in dict.fromkeys(texts)}
    if len(counts) == 1:
        return f"{noun} {texts[0]}"
    shown = ", ".join(f"{text} ({plural(count, 'claim')})" for text, count in counts.items())
    return f"{noun}s {shown}"
