"""Penalties in place of priorities, and the figures of the lake and the cliff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coset.core.claims import ClaimResult, changed_rows, claim

Rows = Sequence[dict[str, Any]]


def _is(kind: str, **values: object) -> Callable[[dict[str, Any]], bool]:
    """Return a test of a row: its kind and columns."""

    def fits(row: dict[str, Any]) -> bool:
        return row["kind"] == kind and all(row[name] == v for name, v in values.items())

    return fits


def _longest(rows: Rows) -> Rows:
    """Return the rows as if the largest penalty were enough on the longest cliff."""
    length = max(row["length"] for row in rows)
    penalty = max(row["penalty"] or 0.0 for row in rows if row["kind"] == "policy")
    chosen = _is("policy", length=length, penalty=penalty)
    return changed_rows(chosen, agrees=True, goal_chance=1.0)(rows)


def _penalties_that_fail(policies: Rows) -> tuple[list[float], list[float]]:
    """Return the penalties of the sweep, and those that fail on some cliff."""
    swept = sorted({row["penalty"] for row in policies if row["penalty"] is not None})
    failed = {row["penalty"] for row in policies if row["penalty"] is not None and _jumps(row)}
    return swept, sorted(failed)


def _jumps(row: dict[str, Any]) -> bool:
    return not row["agrees"] and row["goal_chance"] < 0.5


@claim(
    "decisions.C10b",
    title="no penalty makes a scalar agent safe on every cliff",
    statement="""On a cliff of n cells a scalar agent that loses 1 a step and c by a fall walks as
        the goal-first agent does iff c exceeds a threshold c*(n), and c*(n) ≥ n: for each cliff a
        penalty works, and for each penalty there is a cliff on which the agent jumps off.""",
    hypotheses="""slippery cliff walks, undiscounted, from the start; the safe way takes T ≥ n + 3
        steps, to jump off at once 3 on average, so that c < n makes the fall the cheaper end;
        thresholds by Dinkelbach's iteration, checked at 1 % more and 1 % less""",
    source="[paper] lexicographic, Example 5; mazes and numbers [derived]",
    kind="empirical",
    expected="holds",
    experiment="decisions.cliff",
    mutants={
        "the largest penalty works on the longest cliff": _longest,
        "thresholds do not grow": changed_rows(_is("threshold"), penalty=30.0),
        "just below the threshold the agent is safe": changed_rows(
            _is("threshold"), agrees_below=True
        ),
        "no penalty works on some cliff": changed_rows(
            lambda row: row["kind"] == "threshold" and row["length"] == 10, agrees_above=False
        ),
    },
)
def C10b(rows: Rows) -> ClaimResult:
    """Judge decisions.C10b: every penalty fails somewhere, every cliff has a threshold ≥ n."""
    policies = [row for row in rows if row["kind"] == "policy"]
    thresholds = [row for row in rows if row["kind"] == "threshold"]
    swept, failed = _penalties_that_fail(policies)
    wrong = [
        row
        for row in thresholds
        if not (row["agrees_above"] and not row["agrees_below"] and row["penalty"] >= row["length"])
    ]
    by_length = {row["length"]: row["penalty"] for row in thresholds}
    # The sweep must say the same as the thresholds.
    wrong += [
        row
        for row in policies
        if row["penalty"] is not None
        and row["agrees"] != (row["penalty"] > by_length.get(row["length"], 0.0))
    ]
    largest = max(by_length.values(), default=0.0)
    holds = bool(swept) and failed == swept and not wrong and len(by_length) > 1
    return ClaimResult(
        holds=holds,
        measured=largest,
        bound=float(max(by_length, default=0)),
        detail=(
            f"{len(failed)} of {len(swept)} penalties, up to {max(swept, default=0):g}, make the "
            f"agent jump off some cliff; thresholds of {len(by_length)} cliffs of up to "
            f"{max(by_length, default=0)} cells: "
            f"{', '.join(f'{n}: {c:.2f}' for n, c in sorted(by_length.items()))}"
        ),
        sample_size=len(policies),
        counterexample=wrong[0] if wrong else None,
        evidence={"thresholds": [[n, c] for n, c in sorted(by_length.items())]},
    )


# Figures with the digits to which they are given: (map, agent): column to value and tolerance.
_LAKE: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
    ("4x4", "safety > goal@0.99"): {"danger_chance": (0.0, 1e-12), "value_2": (0.0, 1e-9)},
    ("4x4", "goal > steps"): {
        "goal_chance": (14 / 17, 1e-10),
        "value_1": (14 / 17, 1e-9),
        "expected_steps": (48.705882, 5e-7),
        "value_2": (-48.705882, 5e-7),
    },
    ("4x4", "goal@0.9"): {"goal_chance": (0.780488, 5e-7), "expected_steps": (43.463415, 5e-7)},
    ("4x4", "goal@0.95"): {"goal_chance": (0.780488, 5e-7), "expected_steps": (43.463415, 5e-7)},
    ("4x4", "goal@0.99"): {
        "goal_chance": (0.823529, 5e-7),
        "expected_steps": (48.705882, 5e-7),
        "value_1": (0.542026, 5e-7),
    },
    ("8x8", "safety > goal@0.99"): {"danger_chance": (0.0, 1e-12), "value_2": (0.374656, 5e-7)},
    ("8x8", "goal > steps"): {
        "goal_chance": (1.0, 1e-9),
        "expected_steps": (116.965074, 5e-7),
        "value_2": (-116.965074, 5e-7),
    },
    ("8x8", "goal@0.9"): {"goal_chance": (0.748790, 5e-7), "expected_steps": (71.814985, 5e-7)},
    ("8x8", "goal@0.99"): {
        "goal_chance": (0.893841, 5e-7),
        "expected_steps": (85.872491, 5e-7),
        "value_1": (0.414640, 5e-7),
    },
    ("8x8", "goal@0.999"): {"goal_chance": (1.0, 1e-9), "expected_steps": (116.965074, 5e-7)},
}
# The goal-first policy of the 4 × 4 lake: 0 left, 1 down, 2 right, 3 up.
_POLICY = "0,3,3,3,0,.,0,.,3,1,0,.,.,2,1,."


def _misses(row: dict[str, Any], wanted: dict[str, tuple[float, float]]) -> list[str]:
    return [
        f"{name} {row[name]}, not {value:g}"
        for name, (value, tolerance) in wanted.items()
        if row[name] is None or abs(row[name] - value) > tolerance
    ]


def _figures(rows: Rows, key: Callable[[dict[str, Any]], Any], wanted: dict[Any, Any]) -> Any:
    """Compare rows with figures: how many figures were checked, and the rows that miss one."""
    seen = {key(row): row for row in rows if row["kind"] == "policy" and key(row) in wanted}
    wrong = [
        {**seen[name], "misses": "; ".join(missed)}
        for name, figures in wanted.items()
        if name in seen and (missed := _misses(seen[name], figures))
    ]
    absent = [name for name in wanted if name not in seen]
    return sum(len(figures) for figures in wanted.values()), wrong, absent


@claim(
    "decisions.C16",
    title="frozen lake: safety first hides, goal first is slow and sure, a discount gambles",
    statement="""On the slippery 4 × 4 lake safety first never falls and never arrives (4 of 11
        live cells are safe for ever); goal first arrives with chance 14/17 after 48.705882 steps;
        a scalar agent of γ = .9 or .95 is quicker (43.463415) and arrives with chance .780488
        only; γ = .99 finds the goal-first policy. On 8 × 8 both priorities never fall and take
        116.965074 steps; γ = .9 falls in a quarter of episodes, γ = .999 in none.""",
    hypotheses="""Gymnasium's maps, slips with chance 1/3 each; policies followed exactly, without
        time limit; each figure to the digits given""",
    source="[derived]",
    kind="empirical",
    expected="holds",
    experiment="decisions.frozen-lake",
    mutants={
        "goal first is a little less sure": changed_rows(
            _is("policy", map="4x4", agent="goal > steps"), goal_chance=0.8235
        ),
        "safety first dares": changed_rows(
            _is("policy", map="4x4", agent="safety > goal@0.99"), danger_chance=1e-6
        ),
        "one action of the policy": changed_rows(
            _is("policy", map="4x4", agent="goal > steps"), ties=_POLICY.replace("2,1", "2,2")
        ),
        "γ = .9 as γ = .99": changed_rows(
            _is("policy", map="8x8", agent="goal@0.9"), expected_steps=85.872491
        ),
    },
)
def C16(rows: Rows) -> ClaimResult:
    """Judge decisions.C16: each figure, the safe cells, and the policy as one of the best."""
    count, wrong, absent = _figures(rows, lambda row: (row["map"], row["agent"]), _LAKE)
    policies = {(row["map"], row["agent"]): row for row in rows if row["kind"] == "policy"}
    ties = policies.get(("4x4", "goal > steps"), {"ties": ""})["ties"].split(",")
    named = _POLICY.split(",")
    is_best = len(ties) == len(named) and all(a in t for a, t in zip(named, ties, strict=True))
    safe = policies.get(("4x4", "safety > goal@0.99"), {"num_safe": 0, "num_live": 0})
    cells = (safe["num_safe"], safe["num_live"])
    return ClaimResult(
        holds=not wrong and not absent and is_best and cells == (4, 11),
        measured=float(len(wrong)),
        bound=0.0,
        detail=(
            f"{count} figures of {len(_LAKE)} policies, {len(wrong)} policies miss one, "
            f"{len(absent)} are absent; the policy named is {'' if is_best else 'not '}among the "
            f"best; {cells[0]} of {cells[1]} live cells are safe"
        ),
        sample_size=count + len(named) + 2,
        counterexample=wrong[0] if wrong else None,
    )


_CLIFF: dict[float | str, dict[str, tuple[float, float]]] = {
    "goal > steps": {
        "goal_chance": (1.0, 1e-9),
        "expected_steps": (64.7092, 5e-5),
        "value_2": (-64.70918, 5e-6),
    },
    "safety > steps": {"danger_chance": (0.0, 1e-12), "expected_steps": (64.7092, 5e-5)},
    10.0: {"goal_chance": (0.0, 1e-12), "expected_steps": (3.0, 1e-9), "value_1": (-13.0, 1e-6)},
    100.0: {"goal_chance": (1.0, 1e-9), "expected_steps": (64.7092, 5e-5)},
    1000.0: {"goal_chance": (1.0, 1e-9), "expected_steps": (64.7092, 5e-5)},
}


def _cliff_key(row: dict[str, Any]) -> Any:
    if row["length"] != 10 or (row["num_rows"], row["slippery"]) != (4, True):
        return None
    return row["agent"] if row["penalty"] is None else row["penalty"]


@claim(
    "decisions.C16b",
    title="cliff walking: with a penalty of 10 the optimal agent jumps off",
    statement="""On the slippery cliff of Gymnasium's size, where a fall ends the episode, goal
        first never falls and takes 64.7092 steps, and so does safety first; the optimal agent that
        loses 1 a step and 10 by a fall jumps off at once (3 steps on average, never at the goal);
        from 100 on it walks as the goal-first agent does.""",
    hypotheses="""4 rows, 10 cells of cliff, undiscounted; policies followed exactly; each figure
        to the digits given""",
    source="[derived]",
    kind="empirical",
    expected="holds",
    experiment="decisions.cliff",
    mutants={
        "a penalty of 10 is enough": changed_rows(
            _is("policy", penalty=10.0, length=10), goal_chance=1.0, expected_steps=64.70918
        ),
        "goal first one step quicker": changed_rows(
            _is("policy", agent="goal > steps", length=10), expected_steps=63.70918
        ),
        "a penalty of 100 risks a little": changed_rows(
            _is("policy", penalty=100.0, length=10), goal_chance=0.9999
        ),
    },
)
def C16b(rows: Rows) -> ClaimResult:
    """Judge decisions.C16b: the figures of the cliff of ten cells."""
    count, wrong, absent = _figures(rows, _cliff_key, _CLIFF)
    return ClaimResult(
        holds=not wrong and not absent,
        measured=float(len(wrong)),
        bound=0.0,
        detail=(
            f"{count} figures of {len(_CLIFF)} agents, {len(wrong)} agents miss one, "
            f"{len(absent)} are absent"
        ),
        sample_size=count,
        counterexample=wrong[0] if wrong else None,
    )
