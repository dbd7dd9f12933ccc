"""``coset decisions check``: a utility for stated preferences, or the bet that drains them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape

from coset.core.errors import ConfigError
from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.lab.progress import Progress

if TYPE_CHECKING:
    from coset.decisions.axioms.checking import Report
    from coset.decisions.axioms.preference_file import PreferenceFile
    from coset.decisions.preferences.lottery import Lottery

__all__ = ["check"]

_SIGNS = {"strict": "≻", "weak": "≿", "indifferent": "≈"}
_SHOWN = 40  # outcomes and preferences listed in the terminal
_EXTREME = 1000
# A file from which on reading and checking takes seconds.
_LARGE = 2**20
_DIGITS = 60


def check(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    fee: str = "1/100",
    noisy: bool = False,
    false_alarm: float = 0.05,
    json: bool = False,
) -> int:
    """Decide whether any utility explains preferences; if none does, show the Dutch book.

    The file is CSV with the columns relation, preferred, other, and if wanted count and note. A
    relation is > (better), >= (at least as good) or = (as good). A lottery is an outcome's name, or
    terms such as "1/2 win + 1/2 nothing"; decimals, fractions and percentages are read exactly.

    Preferences that have a utility: exit code 0, and the utility is listed. Preferences that
    contradict each other: exit code 1, with some that do, all of them needed, the compound lottery
    that is preferred to itself, and the trades that cost money and change nothing.

    Example: coset decisions check examples/preferences/allais.csv

    Args:
        file: the preferences; it is only read.
        fee: what the money pump asks for a preferred swap, such as 1/100 or 0.5.
        noisy: take answers as noisy choices: fit the likeliest utility and test whether it fits.
        false_alarm: with --noisy, how often a true utility may be rejected.
        json: print JSON.
    """
    price = _fee(fee)
    if noisy:
        from coset.decisions.axioms.preference_file import read_preferences
        from coset.decisions.commands.check_noisy import check_noisy

        return check_noisy(file, read_preferences(file), false_alarm, json)
    data, found = _read_and_check(file)
    report = _describe(file, data, found, price)
    if json:
        print(dump_json(report), end="")
    else:
        _print(report, found, price)
    return 0 if found.status == "representable" else 1


def _read_and_check(file: Path) -> tuple[PreferenceFile, Report]:
    """Read and judge the preferences; show progress if that takes its time."""
    from coset.decisions.axioms.checking import check as check_preferences
    from coset.decisions.axioms.preference_file import read_preferences

    if not file.is_file() or file.stat().st_size < _LARGE:
        data = read_preferences(file)
        return data, check_preferences(data.preferences)
    with Progress(f"check {printable(file.name)}", 1, unit="lines") as progress:
        data = read_preferences(
            file, progress=lambda done, total: progress.update(done, total, "reading")
        )
        progress.update(progress.total, note="looking for a utility")
        return data, check_preferences(data.preferences)


def _fee(text: str) -> Fraction:
    try:
        fee = Fraction(text) if len(text) <= _DIGITS and "e" not in text.lower() else Fraction(0)
    except (ValueError, ZeroDivisionError):
        fee = Fraction(0)
    if fee <= 0:
        raise ConfigError(f"--fee must be a number > 0, such as 1/100 or 0.5; given {text!r}")
    return fee


def _describe(file: Path, data: PreferenceFile, found: Report, fee: Fraction) -> dict[str, Any]:
    """Return the verdict as JSON values."""
    from coset.decisions.axioms.certificate import PreferenceCertificate
    from coset.decisions.axioms.order import completeness

    preferences = data.preferences
    coverage = completeness(preferences)
    report: dict[str, Any] = {
        "file": str(file),
        "status": found.status,
        "reason": found.reason,
        "num_preferences": preferences.num_pairs,
        "num_outcomes": preferences.num_outcomes,
        "num_lotteries": coverage.num_lotteries,
        "num_compared": coverage.num_compared,
        "num_possible": coverage.num_possible,
        "num_islands": coverage.num_islands,
        "margin": _number(found.margin),
        "resolution": _number(found.resolution),
        "utility": None,
        "contradiction": None,
    }
    if found.utility is not None:
        report["utility"] = [
            {"outcome": str(o), "exact": str(u), "value": float(u)}
            for o, u in sorted(found.utility.items(), key=lambda item: -item[1])
        ]
    if isinstance(found.certificate, PreferenceCertificate):
        report["contradiction"] = _contradiction(data, found.certificate, fee)
    return report


def _number(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        return {"exact": str(value), "value": float(value)}
    except OverflowError:
        return {"exact": str(value), "value": None}


def _contradiction(data: PreferenceFile, book: Any, fee: Fraction) -> dict[str, Any]:
    pump = book.money_pump(fee)
    return {
        "named": book.name,
        "verified": book.verify(),
        "preferences": [
            {
                "line": data.lines[i],
                "weight": str(w),
                "relation": relation,
                "preferred": str(p),
                "other": str(q),
                "note": data.notes[i],
            }
            for i, w, relation, p, q in zip(
                book.support, book.weights, book.relations, book.preferred, book.other, strict=True
            )
        ],
        "compound_preferred": str(book.P),
        "compound_other": str(book.Q),
        "money_pump": {
            "fee": str(fee),
            "expected_loss": str(pump.expected_loss),
            "trades": [
                {
                    "line": data.lines[step.pair],
                    "probability": str(step.probability),
                    "gives": str(step.gives),
                    "gets": str(step.gets),
                    "fee": str(step.fee),
                }
                for step in pump.steps
            ],
        },
    }


def _print(report: dict[str, Any], found: Report, fee: Fraction) -> None:
    console = Console(highlight=False)
    _say(
        console,
        f"{report['file']}: {report['num_preferences']:,} preferences between "
        f"{report['num_lotteries']:,} lotteries over {report['num_outcomes']:,} outcomes",
    )
    islands = report["num_islands"]
    _say(
        console,
        f"{report['num_compared']:,} of {report['num_possible']:,} pairs of lotteries were compared"
        + (f", in {islands:,} groups that nothing joins" if islands > 1 else ""),
    )
    if report["contradiction"] is not None:
        _print_contradiction(console, report["contradiction"], found, fee)
    else:
        _print_utility(console, report, found)


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(escape(printable(text)), style=style)


def _print_utility(console: Console, report: dict[str, Any], found: Report) -> None:
    from coset.decisions.axioms.preferences import number_text

    margin = "" if found.margin is None else f", with margin {number_text(found.margin)}"
    console.print(f"[green]✓[/green] a utility explains them all{margin} (proved exactly)")
    listed = report["utility"]
    width = max([len("outcome"), *(len(printable(row["outcome"])) for row in listed[:_SHOWN])])
    if listed:
        _say(console, f"  {'outcome':<{width}}  utility", "bold")
    for row in listed[:_SHOWN]:
        _say(console, f"  {printable(row['outcome']):<{width}}  {_near_one(row['exact'])}")
    if len(listed) > _SHOWN:
        _say(console, f"  and {len(listed) - _SHOWN:,} more: --json lists all")
    if found.resolution is not None:
        _say(
            console,
            f"To count the least strict difference as 1, a utility must span at least "
            f"{number_text(found.resolution)}.",
        )
        if found.resolution >= _EXTREME:
            _say(
                console,
                "That is extreme: if one outcome is to come first at any odds, no number says so. "
                "A lexicographic utility does; no finite list of preferences can tell the two.",
            )


def _near_one(exact: str) -> str:
    """Return a utility in [−1, 1]; one that is nearly an end says by how much it is not."""
    from coset.decisions.axioms.preferences import number_text

    value = Fraction(exact)
    for end in (1, -1):
        gap = end - value
        if len(exact) > 16 and 0 < abs(gap) < Fraction(1, 10**5):
            return f"{end} {'-' if gap > 0 else '+'} {number_text(abs(gap))}"
    return number_text(value)


def _print_contradiction(
    console: Console, book: dict[str, Any], found: Report, fee: Fraction
) -> None:
    from coset.decisions.axioms.naming import NAMES

    console.print(f"[red]✗[/red] {escape(found.reason)}: {book['named']}")
    _say(console, f"{NAMES[book['named']]}:")
    for row in book["preferences"][:_SHOWN]:
        note = f"   ({row['note']})" if row["note"] else ""
        sides = f"{row['preferred']}  {_SIGNS[row['relation']]}  {row['other']}"
        _say(console, f"  line {row['line']}, weight {_brief(row['weight'])}:  {sides}{note}")
    if len(book["preferences"]) > _SHOWN:
        _say(console, f"  and {len(book['preferences']) - _SHOWN:,} more: --json lists all")
    certificate: Any = found.certificate
    _say(console, "Mixed with these weights, both sides are one and the same lottery:")
    _say(console, f"  {_short(certificate.P)}")
    _say(console, "By Independence it would be strictly preferred to itself. So no utility fits.")
    _print_pump(console, book["money_pump"], certificate, fee)
    if book["named"] == "weak-order violation":
        _say(console, "If one question was answered more than once, with errors: --noisy.")


def _print_pump(console: Console, pump: dict[str, Any], certificate: Any, fee: Fraction) -> None:
    _say(console, f"The money pump, at {fee} a preferred swap:", "bold")
    _say(console, f"  You hold {_short(certificate.Q)}.")
    for row in pump["trades"][:_SHOWN]:
        price = f"pay {row['fee']}" if row["fee"] != "0" else "pay nothing"
        _say(
            console,
            f"  With probability {_brief(row['probability'])} it turns out to be {row['gives']}: "
            f"swap it for {row['gets']}, {price} (line {row['line']}).",
        )
    loss = Fraction(pump["expected_loss"])
    _say(
        console,
        f"  You hold what you held, and have paid {_brief(str(loss))} on average. Again?",
    )


def _brief(number: str) -> str:
    return number if len(number) <= 16 else f"{float(Fraction(number)):.6g}"


def _short(lottery: Lottery) -> str:
    from coset.decisions.axioms.certificate import short

    return short(lottery)
