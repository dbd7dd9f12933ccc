"""Run a claim's judge and its mutants, and compare what is seen with what was expected."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from coset.core.claims import Claim, ClaimResult
from coset.core.errors import UnavailableError
from coset.core.seeds import generator_for

__all__ = ["FALSE_ALARM", "Judged", "MutantOutcome", "Seen", "judge", "judge_mutants"]

Seen = Literal["holds", "refuted", "open", "unavailable", "error"]
Rows = Sequence[dict[str, Any]]

FALSE_ALARM = 1e-6


@dataclass(frozen=True)
class MutantOutcome:
    """What became of one mutant.

    Attributes:
        name: the changed term, in words.
        caught: the judge decided otherwise than expected of the right code.
        near_miss: it equals the right code on at least one stored input.
        detail: what was seen.
    """

    name: str
    caught: bool
    near_miss: bool
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the mutant is a near miss and was caught."""
        return self.caught and self.near_miss

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as a dictionary of JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """A claim's verdict: what was expected, what was seen, and what was measured.

    Attributes:
        claim: the claim's id.
        expected: the verdict committed before the run.
        seen: the verdict of this run; "error" if the judge raised.
        preset: the size at which it ran.
        seed: the seed its generator derives from.
        duration_s: wall-clock seconds of the judge.
        result: what the judge returned.
        mutants: the mutants that were tried with it; empty if they were not.
        problem: why the verdict cannot count (a traceback, a broken contract), else "".
    """

    claim: str
    expected: str
    seen: Seen
    preset: str
    seed: int
    duration_s: float
    result: ClaimResult | None
    mutants: tuple[MutantOutcome, ...] = ()
    problem: str = ""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the expected one and every mutant that was tried was caught."""
        return (
            self.seen == self.expected
            and not self.problem
            and all(mutant.passed for mutant in self.mutants)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a dictionary of JSON values."""
        record = asdict(self)
        record["result"] = _finite(self.result.to_json()) if self.result else None
        record["as_expected"] = self.as_expected
        return record


def _finite(value: Any) -> Any:
    # JSON has no NaN and no infinity: they are written as text, never dropped.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def judge(
    item: Claim,
    *,
    preset: str = "smoke",
    seed: int = 0,
    rows: Rows | None = None,
    mutants: bool = True,
) -> Judged:
    """Run a claim's judge, and by default its mutants, at a preset.

    Args:
        item: the claim.
        preset: "smoke", "cpu" or "paper": how many and how large the cases are.
        seed: stream of random cases; the generator derives from (claim, preset, seed).
        rows: for an empirical claim, the rows of its experiment.
        mutants: also run the mutants.

    Returns:
        The verdict; a judge that raises gives "error" ("unavailable" for `UnavailableError`).
    """
    start = time.perf_counter()
    under_test = item.subject_under_test if item.experiment is None else list(rows or ())
    seen, result, problem = _call(item, under_test, preset, seed)
    duration = time.perf_counter() - start
    outcomes = judge_mutants(item, preset=preset, seed=seed, rows=rows) if mutants else ()
    return Judged(
        claim=item.id,
        expected=item.expected,
        seen=seen,
        preset=preset,
        seed=seed,
        duration_s=duration,
        result=result,
        mutants=tuple(outcomes),
        problem=problem,
    )


def _call(
    item: Claim, under_test: Any, preset: str, seed: int
) -> tuple[Seen, ClaimResult | None, str]:
    try:
        if item.experiment is not None:
            if not under_test:
                return "error", None, f"no rows of {item.experiment} at preset {preset!r} to judge"
            result = item.judge(under_test)
        else:
            generator = generator_for(item.id, preset, seed)
            result = item.judge(under_test, preset=preset, generator=generator)
    except UnavailableError as error:
        return "unavailable", None, "" if item.expected == "unavailable" else str(error)
    except Exception:  # a judge that raises is a verdict of its own, shown with its traceback
        return "error", None, traceback.format_exc(limit=-4)
    if not isinstance(result, ClaimResult):
        return "error", None, f"the judge must return a ClaimResult; it returned {type(result)}"
    seen: Seen = "open" if result.holds is None else "holds" if result.holds else "refuted"
    return seen, result, _contract(item, seen, result)


def _contract(item: Claim, seen: Seen, result: ClaimResult) -> str:
    """Return what the result lacks for its verdict to count, or ''."""
    if seen == "refuted" and item.expected == "refuted" and result.counterexample is None:
        return "a refuted claim must store a counterexample that replays; none was given"
    if seen == "open" and result.interval is None:
        return "an open claim must show the interval of what was measured; none was given"
    unsure = result.false_alarm is None or not result.false_alarm <= FALSE_ALARM
    if item.kind == "statistical" and seen == "holds" and unsure:
        return f"a statistical claim must state a false-alarm rate of at most {FALSE_ALARM}"
    if seen == "holds" and result.sample_size < 1:
        return "a claim that holds must have been checked on at least one case"
    return ""


def judge_mutants(
    item: Claim, *, preset: str = "smoke", seed: int = 0, rows: Rows | None = None
) -> tuple[MutantOutcome, ...]:
    """Run the judge on every mutant: each must change the verdict, and each must be a near miss.

    A mutant of a claim that holds must be refuted; one of a refuted claim must hold; one of an open
    claim must be decided either way.

    Args:
        item: the claim.
        preset: as in `judge`.
        seed: the same stream of cases as for the right code.
        rows: for an empirical claim, the rows that the mutants change.

    Returns:
        One outcome a mutant, in the order of registration.
    """
    outcomes = []
    for name, mutant in item.mutants.items():
        try:
            near = _near_rows(mutant, rows) if item.experiment else _is_near_miss(item, mutant)
            under_test = mutant([dict(r) for r in rows or ()]) if item.experiment else mutant
        except Exception:  # a mutant that cannot run is a broken mutant, not a crash
            outcomes.append(MutantOutcome(name, False, False, traceback.format_exc(limit=-2)))
            continue
        seen, result, problem = _call(item, under_test, preset, seed)
        # A mutant is caught by a decision other than the expected verdict; a crash decides nothing.
        caught = seen in ("holds", "refuted") and seen != item.expected
        detail = problem or (result.detail if result else "")
        outcomes.append(MutantOutcome(name, caught, near, f"seen {seen}: {detail}"))
    return tuple(outcomes)


def _near_rows(mutant: Callable[..., Any], rows: Rows | None) -> bool:
    """Tell whether the changed rows still look like rows: same columns, some row unchanged."""
    before = [dict(row) for row in rows or ()]
    after = mutant([dict(row) for row in before])
    if [set(row) for row in after] != [set(row) for row in before]:
        return False
    return any(a == b for a, b in zip(after, before, strict=True)) or len(before) == 1


def _is_near_miss(item: Claim, mutant: Callable[..., Any]) -> bool:
    assert item.subject_under_test is not None
    return any(_same(item.subject_under_test(*case), mutant(*case)) for case in item.near_misses())


def _same(a: Any, b: Any) -> bool:
    """Compare two results: tensors to rounding, containers element by element, the rest by ==."""
    import torch

    from coset.core.numerics import tolerance

    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if not a.is_floating_point():
            return bool(torch.equal(a, b))
        scale = max(1.0, float(a.abs().max()) if a.numel() else 1.0)
        atol = tolerance(a.dtype, a.numel(), "mean", scale=scale)
        return bool(torch.allclose(a, b, rtol=0.0, atol=atol, equal_nan=True))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
    return bool(a == b)
