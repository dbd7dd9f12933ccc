"""What learning was seen to reach, judged by the rows of experiments."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from coset.core.claims import ClaimResult, changed_rows, claim

__all__ = ["C13", "C15"]

Rows = Sequence[dict[str, Any]]

# What counts: stated before the seeds were run.
ROUNDING = 1e-6  # of exact evaluations
LARGEST_UNSAFE_SHARE = 0.1  # twice the slack of the learners
LEAST_GAIN = 4.0  # times the length of an episode of random actions


def _last(row: dict[str, Any]) -> bool:
    """Tell whether a row is of the longest training of the study."""
    return bool(row["kind"] == "policy" and row["num_steps"] >= 4_000_000)


def _steps(row: dict[str, Any]) -> float:
    return float("inf") if row["expected_steps"] is None else float(row["expected_steps"])


@claim(
    "decisions.C13",
    title="lexicographic Q-learning ends at the exact optimum, in the median",
    statement="""On the slippery cliff, with safety first and then few steps, the greedy policy of
        tabular lexicographic Q-learning never falls after 4,000,000 steps, and the median over
        seeds of its expected steps, evaluated exactly, is that of the proved optimum (64.7092 for
        ten cells of cliff). No policy that never falls and always arrives is quicker than the
        optimum at any checkpoint. (We first stated that none falls at any checkpoint: one of 15
        seeds does after 50,000 steps.)""",
    hypotheses="""slack 0.01 at the first level; all levels bootstrap at one action; learning rate
        (1 + 0.05 n)^−0.75; a random action with probability 0.3; uniform restarts; at least three
        seeds""",
    source="[derived]; measured by us",
    kind="empirical",
    expected="holds",
    experiment="decisions.q-learning",
    mutants={
        "one state's action is wrong in most seeds": changed_rows(
            _last, expected_steps=64.843875, is_optimal=False
        ),
        "one seed falls sometimes": changed_rows(
            lambda row: _last(row) and row["seed"] == 0, goal_chance=0.999, danger_chance=0.001
        ),
        "a policy beats the optimum": changed_rows(
            lambda row: _last(row) and row["seed"] == 0, expected_steps=64.7
        ),
        "a policy beats the optimum on the way": changed_rows(
            lambda row: row["num_steps"] < 4_000_000 and row["seed"] == 1,
            expected_steps=64.7,
            goal_chance=1.0,
        ),
    },
)
def C13(rows: Rows) -> ClaimResult:
    """Judge decisions.C13: nobody falls in the end, the median is optimal, nobody beats it."""
    table = [row for row in rows if row["kind"] == "policy"]
    most = max((row["num_steps"] for row in table), default=0)
    final = [row for row in table if row["num_steps"] == most]
    unsafe = [row for row in final if row["danger_chance"] > ROUNDING]
    early = sum(row["danger_chance"] > ROUNDING for row in table) - len(unsafe)
    arriving = [row for row in table if row["goal_chance"] > 1 - ROUNDING]
    quicker = [row for row in arriving if _steps(row) < row["optimal_steps"] - ROUNDING]
    excess = [_steps(row) - row["optimal_steps"] for row in final]
    middle = statistics.median(excess) if excess else float("inf")
    right = sum(bool(row["is_optimal"]) for row in final)
    holds = len(final) >= 3 and abs(middle) <= ROUNDING and not unsafe and not quicker
    broken = unsafe + quicker + [row for row in final if not row["is_optimal"]]
    return ClaimResult(
        holds=holds,
        measured=middle,
        bound=ROUNDING,
        detail=(
            f"after {most:,} steps the median of {len(final)} seeds needs "
            f"{_median(final):.4f} steps, the optimum {_optimum(final):.4f}; {right} seeds have an "
            f"optimal action in every state; {len(unsafe)} can fall, and {early} of the "
            f"{len(table) - len(final)} policies before; {len(quicker)} are quicker than the "
            f"optimum"
        ),
        sample_size=len(table),
        counterexample=None if holds or not broken else broken[0],
        evidence={**_medians(table), "num_optimal": right},
    )


def _median(rows: Rows) -> float:
    return statistics.median(map(_steps, rows)) if rows else float("nan")


def _optimum(rows: Rows) -> float:
    return float(rows[0]["optimal_steps"]) if rows else float("nan")


def _medians(rows: Rows) -> dict[str, list[float]]:
    points = sorted({row["num_steps"] for row in rows})
    medians = [_median([row for row in rows if row["num_steps"] == n]) for n in points]
    return {"num_steps": points, "median_steps": medians}


def _is_lexicographic(row: dict[str, Any]) -> bool:
    return bool(row["kind"] == "outcome" and row["method"].startswith("lexicographic"))


@claim(
    "decisions.C15",
    title="deep learners hold the first objective and gain in the second",
    statement="""On CartPole, with |x| < 1 first and the time upright second, each agent of
        lexicographic DQN or PPO leaves |x| < 1 in at most a tenth of its episodes, and the median
        agent stays upright at least four times as long as random actions do.""",
    hypotheses="""greedy policy of the best weights by evaluation; slack 0.05; fresh episodes; not a
        claim that the optimum (never unsafe, 500 steps) is reached: how often it is, is shown""",
    source="[derived]; measured by us",
    kind="empirical",
    expected="holds",
    experiment="decisions.deep",
    mutants={
        "an agent is often unsafe": changed_rows(_is_lexicographic, unsafe_share=0.25),
        "agents are safe because they fall at once": changed_rows(
            _is_lexicographic, mean_length=30.0
        ),
    },
)
def C15(rows: Rows) -> ClaimResult:
    """Judge decisions.C15: safety of each agent, and the median length."""
    agents = [row for row in rows if _is_lexicographic(row)]
    unsafe = [row for row in agents if row["unsafe_share"] > LARGEST_UNSAFE_SHARE]
    gains = [row["mean_length"] / row["random_length"] for row in agents]
    gain = statistics.median(gains) if gains else 0.0
    reached = sum(row["full_share"] >= 0.95 for row in agents)
    control = [row for row in rows if row["kind"] == "outcome" and not _is_lexicographic(row)]
    worst = max((row["unsafe_share"] for row in control), default=None)
    return ClaimResult(
        holds=bool(agents and not unsafe and gain >= LEAST_GAIN),
        measured=gain,
        bound=LEAST_GAIN,
        detail=(
            f"{len(unsafe)} of {len(agents)} agents are unsafe in more than a tenth of episodes; "
            f"the median stays upright {gain:.1f} times as long as random actions; {reached} are "
            f"safe for all 500 steps in 95 % of episodes"
            + (f"; without the first objective up to {worst:.2f} are unsafe" if control else "")
        ),
        sample_size=len(agents),
        counterexample=unsafe[0] if unsafe else None,
        evidence={"gains": gains, "num_reached": reached},
    )
