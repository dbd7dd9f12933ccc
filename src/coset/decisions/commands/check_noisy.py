"""``coset decisions check --noisy``: the likeliest utility of noisy choices, and if it fits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from coset.core.files import dump_json
from coset.core.terminal import printable

if TYPE_CHECKING:
    from coset.decisions.axioms.preference_file import PreferenceFile

__all__ = ["check_noisy"]

_SHOWN = 40
_NUM_BOOTSTRAP = 999
# Beyond so many operations a step the chi-squared law has to do.
_LARGEST_WORK = 10**9


def check_noisy(file: Path, data: PreferenceFile, false_alarm: float, json: bool) -> int:
    """Fit a utility to noisy choices, test it, and print both.

    Args:
        file: where the preferences come from, for the text.
        data: what it holds.
        false_alarm: how often a true utility may be rejected.
        json: print JSON.

    Returns:
        0 if a utility fits, 1 if not.
    """
    import torch

    from coset.decisions.axioms.noisy import choice_counts, fit_noisy, likelihood_ratio_test

    rows, chosen, asked = choice_counts(data.preferences, data.counts)
    fit = fit_noisy(rows, chosen, asked)
    work = _NUM_BOOTSTRAP * rows.shape[0] * rows.shape[1] ** 2
    test = likelihood_ratio_test(
        rows,
        chosen,
        asked,
        false_alarm=false_alarm,
        num_bootstrap=_NUM_BOOTSTRAP if work <= _LARGEST_WORK else 0,
        generator=torch.Generator().manual_seed(0),
    )
    names = [str(o) for o in data.preferences.outcomes]
    values, errors = fit.utility[0].tolist(), fit.standard_error[0].tolist()
    listed = sorted(zip(names, values, errors, strict=True), key=lambda row: -row[1])
    report: dict[str, Any] = {
        "file": str(file),
        "num_answers": int(asked.sum()),
        "num_questions": len(asked),
        "fits": test.holds,
        "converged": bool(fit.converged[0]),
        "p_value": test.p_value,
        "statistic": test.statistic,
        "degrees_of_freedom": test.degrees_of_freedom,
        "false_alarm": test.false_alarm,
        "method": test.method,
        "utility": [
            {"outcome": o, "value": u, "standard_error": e if math.isfinite(e) else None}
            for o, u, e in listed
        ],
    }
    if json:
        print(dump_json(report), end="")
    else:
        _print(report)
    return 0 if test.holds else 1


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(escape(printable(text)))

    say(
        f"{report['file']}: {report['num_answers']:,} noisy answers to "
        f"{report['num_questions']:,} questions"
    )
    mark = "[green]✓[/green] a utility fits" if report["fits"] else "[red]✗[/red] no utility fits"
    console.print(
        f"{mark}: p = {report['p_value']:.3g} (likelihood ratio {report['statistic']:.3g}, "
        f"{report['degrees_of_freedom']} degrees of freedom, {report['method']}; a true utility is "
        f"rejected with probability {report['false_alarm']:g})"
    )
    if not report["converged"]:
        say(
            "The answers to some question are all alike, or nearly, so that the likeliest utility "
            "is infinite; check without --noisy tells whether a finite one explains them all."
        )
        return
    if not report["degrees_of_freedom"]:
        say("So few questions fit some utility whatever the answers: nothing was tested.")
    say("The likeliest utility, in units of the answers' noise (mean 0):")
    rows = report["utility"][:_SHOWN]
    width = max((len(printable(row["outcome"])) for row in rows), default=0)
    for row in rows:
        error = "not settled" if row["standard_error"] is None else f"± {row['standard_error']:.3f}"
        say(f"  {printable(row['outcome']):<{width}}  {row['value']:+.3f}  {error}")
