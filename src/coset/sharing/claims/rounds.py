"""Claims about the parallel algorithms: how many rounds, how long a chain, how much work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from scipy.stats import binom
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.judging import FALSE_ALARM
from coset.sharing.claims.blocks import block_starts
from coset.sharing.claims.cases import (
    as_json,
    near_misses,
    plow,
    random_cases,
    sized_cases,
    touching_cases,
)
from coset.sharing.claims.counted import (
    BridgeFlaw,
    ImminentFlaw,
    SearchFlaw,
    counted_bridge,
    counted_imminent,
    counted_search,
)
from coset.sharing.claims.verdicts import largest_error
from coset.sharing.collisions.bridge import bridge_starts
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference


def imminent_run(w: Tensor, strength: float) -> tuple[int, list[int]]:
    """Return the rounds that merged something, and the first ranks of the blocks.

    Args:
        w: (d,) float64.
        strength: g > 0.

    Returns:
        Rounds and starts of imminent collisions.

    Claims: sharing.C13, sharing.C18.
    """
    _, info = prox_sharing(w, strength, method="imminent", return_info=True)
    return info.rounds, info.starts.tolist()


def imminent_rounds(w: Tensor, strength: float) -> int:
    """Return the rounds of imminent collisions that merged something.

    Args:
        w: (d,) float64.
        strength: g > 0.

    Returns:
        The number of rounds.

    Claims: sharing.C18.
    """
    return imminent_run(w, strength)[0]


def search_run(w: Tensor, strength: float) -> tuple[list[int], int, int]:
    """Return the first ranks of the blocks, depth and work of search collisions.

    Args:
        w: (d,) float64.
        strength: g > 0.

    Returns:
        Starts, depth, work.

    Claims: sharing.C14.
    """
    _, info = prox_sharing(w, strength, method="search", return_info=True)
    return info.starts.tolist(), info.depth, info.work


def bridge_run(w: Tensor, strength: float) -> tuple[list[int], int, int]:
    """Return the first ranks of the blocks, depth and probes of bridge merges from ranks up.

    Args:
        w: (d,) float64, d ≥ 2.
        strength: g > 0.

    Returns:
        Starts; the most probes of a merge, summed over levels; all probes.

    Claims: sharing.C15.
    """
    g = torch.tensor([strength], dtype=torch.float64)
    starts, counts = bridge_starts(w.sort().values[None], g, leaf=1)
    return starts[0].nonzero().flatten().tolist(), int(counts[0, 1]), int(counts[0, 2])


def _exact_starts(w: Tensor, strength: float) -> list[int]:
    x = [Fraction(v) for v in w.sort().values.tolist()]
    return [a for a, _ in sharing_blocks_reference(x, Fraction(strength))]


def _cases(
    preset: str, sizes: tuple[int, ...], generator: torch.Generator
) -> Iterator[tuple[dict[str, object], Tensor, float, list[int]]]:
    """Yield (what it is, weights, strength, right first ranks): small, touching, and large."""
    for w, g in random_cases(preset, generator):
        if w.numel() > 1:
            yield as_json(w, g), w, g, block_starts(w, g)
    for w, g in touching_cases(preset, generator):
        yield as_json(w, g), w, g, _exact_starts(w, g)
    for d in sizes:
        for what, w, g in sized_cases(d, generator):
            yield what, w, g, block_starts(w, g)


def _worst(found: list[tuple[float, dict[str, object]]], what: str) -> ClaimResult:
    """Judge (measured ÷ bound, case), infinite where a result is wrong: all at most 1."""
    wrong = sum(math.isinf(r) for r, _ in found)
    result = largest_error(found, what)
    detail = (
        f"{what}: at most {result.measured:.3g} of the bound; {wrong} inputs with wrong results"
    )
    return replace(result, detail=detail)


def _rounds_with(**flaw: Any) -> Callable[[Tensor, float], tuple[int, list[int]]]:
    return partial(_imminent_with, ImminentFlaw(**flaw))


def _imminent_with(flaw: ImminentFlaw, w: Tensor, strength: float) -> tuple[int, list[int]]:
    return counted_imminent(w, strength, flaw)


@claim(
    "sharing.C13",
    title="imminent collisions: O(d) rounds in the worst case",
    statement="""Merging every run of touching neighbors at once ends after at most d − 1 rounds
        that merge something, and there are inputs of d/2 + 1 rounds: half of the particles at one
        place, the others a hair farther apart than 2g/(d−1).""",
    hypotheses="d ≥ 2; even d ≥ 4 for the bad input; positions exact or in float64",
    source="[paper] for O(d); the bad input is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "a block that grew merges on in the same round": _rounds_with(cascade=True),
        "one merge a round": _rounds_with(one_merge=True),
        "one mass instead of two in the merge rule": _rounds_with(full_mass=False),
        "positions in float32": _rounds_with(single_precision=True),
    },
    near_misses=near_misses,
)
def C13(
    run: Callable[[Tensor, float], tuple[int, list[int]]] = imminent_run,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C13: at most d − 1 rounds to the right blocks, and exactly d/2 + 1 if bad."""
    found: list[tuple[float, dict[str, object]]] = []
    for case, w, g, right in _cases(preset, (), generator):
        rounds, starts = run(w, g)
        found.append((rounds / (w.numel() - 1) if starts == right else math.inf, case))
    sizes = {"smoke": (4, 100, 1000), "cpu": (4, 100, 1000, 10_000), "paper": (100, 10_000, 30_000)}
    seen = {}
    for d in sizes[preset]:
        rounds, starts = run(plow(d, 1.0), 1.0)
        seen[str(d)] = rounds
        is_right = rounds == d // 2 + 1 and starts == [0]
        case = {"input": "plow", "d": d, "strength": 1.0, "rounds": rounds}
        found.append((0.0 if is_right else math.inf, case))
    return _worst(found, f"rounds, d − 1 being allowed; on the bad input of d weights: {seen}")


def _search_with(flaw: SearchFlaw, w: Tensor, strength: float) -> tuple[list[int], int, int]:
    return counted_search(w, strength, flaw)


@claim(
    "sharing.C14",
    title="search collisions: a chain of O(log³ d)",
    statement="""Joining solved halves by a binary search of scans finds the blocks in
        depth O(log³ d) and work O(d log² d). Here, with L = ⌈log2 d⌉, a scan or a minimum over 2^l
        slots being l + 1 deep: depth ≤ ⅔ (L+2)³, work ≤ d L (L+3).""",
    hypotheses="d ≥ 2, any g > 0; the minimum takes the last minimizer of positive mass",
    source="[paper], [code]; the constants are [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "linear instead of binary search": partial(_search_with, SearchFlaw(linear=True)),
        "the first minimizer": partial(_search_with, SearchFlaw(first_minimum=True)),
        "blocks begin at their slots": partial(_search_with, SearchFlaw(dead_slots=True)),
    },
    near_misses=near_misses,
)
def C14(
    run: Callable[[Tensor, float], tuple[list[int], int, int]] = search_run,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C14: the right blocks, within the bounds on depth and work."""
    sizes = {"smoke": (1025, 4096), "cpu": (16_385, 65_536), "paper": (65_536, 2**18)}
    found = []
    for case, w, g, right in _cases(preset, sizes[preset], generator):
        starts, depth, work = run(w, g)
        d, levels = w.numel(), (w.numel() - 1).bit_length()
        ratio = max(depth / (2 / 3 * (levels + 2) ** 3), work / (d * levels * (levels + 3)))
        found.append((ratio if starts == right else math.inf, case))
    return _worst(found, f"depth and work, up to d = {max(sizes[preset]):,}")


def _bridge_with(flaw: BridgeFlaw, w: Tensor, strength: float) -> tuple[list[int], int, int]:
    return counted_bridge(w, strength, flaw)


# A merge of two hulls of 2^l ranks probes once; up to l times for the bridge's left end, each time
# with l + 2 probes; and l + 1 times for its right end: (l+1)(l+2) in all, no more if the right hull
# is shorter. Of d = 2^k ranks d/2^(l+1) merges are of level l: at most 8 d − (k² + 5k + 8) probes,
# as Σ_l (l+1)(l+2)/2^(l+1) = 8. Of 2^k < d < 2^(k+1) ranks the first 2^k make a hull, the rest by
# induction one of at most 8 (d − 2^k) probes, and (k+1)(k+2) < k² + 5k + 8 join them.
PROBES_PER_WEIGHT = 8


@claim(
    "sharing.C15",
    title="bridge merges: O(d) work in all",
    statement="""Joining neighboring hulls of 1, 2, 4, … ranks by their bridge, found by a binary
        search inside a binary search on prefix sums, takes at most (l+1)(l+2) probes for hulls of
        2^l ranks: at most 8 d in all, in a chain of at most L(L+1)(L+2)/3, L = ⌈log2 d⌉.""",
    hypotheses="""d ≥ 2, any g > 0; a probe compares the means of two ranges of ranks; following a
        rank to its block is not counted""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "left blocks are tried one by one": partial(_bridge_with, BridgeFlaw(linear=True)),
        "a merge that pools sums its ranks anew": partial(
            _bridge_with, BridgeFlaw(fresh_sums=True)
        ),
        "only the last left block absorbs": partial(_bridge_with, BridgeFlaw(right_only=True)),
    },
    near_misses=near_misses,
)
def C15(
    run: Callable[[Tensor, float], tuple[list[int], int, int]] = bridge_run,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C15: the right blocks, within the bounds on probes and on their chain."""
    sizes = {
        "smoke": (2**10, 2**14),
        "cpu": (2**10, 2**14, 2**17),
        "paper": (2**10, 2**14, 2**17, 2**20),
    }[preset]
    found: list[tuple[float, dict[str, object]]] = []
    per_weight: dict[int, float] = {}
    for case, w, g, right in _cases(preset, sizes, generator):
        starts, depth, probes = run(w, g)
        d, levels = w.numel(), (w.numel() - 1).bit_length()
        per_weight[d] = max(per_weight.get(d, 0.0), probes / d)
        chain = depth / (levels * (levels + 1) * (levels + 2) / 3)
        ratio = max(chain, probes / (PROBES_PER_WEIGHT * d))
        found.append((ratio if starts == right else math.inf, case))
    seen = ", ".join(f"{per_weight[d]:.2f} at d = {d:,}" for d in sizes)
    return _worst(found, f"probes a weight: {seen}")


def _few_below(rounds: int, d: int) -> bool:
    return rounds <= 8


def _linear_above(rounds: int, d: int) -> bool:
    return d / 100 <= rounds <= d / 20


# Strength in standard deviations, what the claim says of the rounds; g_c is 1.2533.
_REGIMES = ((0.5, _few_below), (1.5, _linear_above))
_NUM_SAMPLES, _SHARE = 20, 0.9


def allowed_failures(num_tests: int) -> tuple[int, float]:
    """Return how many of 20 samples may fail, and the false-alarm rate of all tests together.

    Args:
        num_tests: how often 20 samples are judged.

    Returns:
        The least k with num_tests · P(Binomial(20, 0.1) > k) ≤ 1e-6, and the left side.
    """
    for k in range(_NUM_SAMPLES + 1):
        false_alarm = num_tests * float(binom.sf(k, _NUM_SAMPLES, 1 - _SHARE))
        if false_alarm <= FALSE_ALARM:
            return k, false_alarm
    raise AssertionError("the last k cannot be exceeded")


def _rounds_only(flaw: ImminentFlaw, w: Tensor, strength: float) -> int:
    return counted_imminent(w, strength, flaw)[0]


def _rounds_at_half(w: Tensor, strength: float) -> int:
    return counted_imminent(w, strength / 2, ImminentFlaw())[0]


@claim(
    "sharing.C18",
    title="few rounds below the critical strength, linearly many above",
    statement="""For independent standard normal weights, each with probability at least 0.9,
        imminent collisions take at most 8 rounds at g = 0.5, and between d/100 and d/20 rounds at
        g = 1.5 (the critical strength is 1.2533): large clusters are their bad case.""",
    hypotheses="d = 1,000 … 64,000, the sizes tried; below, rounds grow slowly with d",
    source="[derived]",
    kind="statistical",
    expected="holds",
    mutants={
        "a block that grew merges on in the same round": partial(
            _rounds_only, ImminentFlaw(cascade=True)
        ),
        "one merge a round": partial(_rounds_only, ImminentFlaw(one_merge=True)),
        "half of the strength": _rounds_at_half,
    },
    near_misses=lambda: [*near_misses(), (torch.zeros(5, dtype=torch.float64), 1.0)],
)
def C18(
    rounds_of: Callable[[Tensor, float], int] = imminent_rounds,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge sharing.C18: of 20 samples a size, so many must be as claimed that chance is ruled out.

    If each sample is as claimed with probability 0.9, more failures than allowed in any of the
    tests have a probability of at most 1e-6.
    """
    sizes = {"smoke": (1000, 4000), "cpu": (1000, 8000), "paper": (1000, 8000, 64_000)}
    num_tests = len(_REGIMES) * len(sizes[preset])
    allowed, false_alarm = allowed_failures(num_tests)
    most, case, seen = 0, {}, {}
    for d in sizes[preset]:
        for g, is_as_claimed in _REGIMES:
            rounds = [
                rounds_of(torch.randn(d, generator=generator, dtype=torch.float64), g)
                for _ in range(_NUM_SAMPLES)
            ]
            failures = sum(not is_as_claimed(r, d) for r in rounds)
            seen[f"d = {d}, g = {g}"] = sorted(rounds)
            if failures > most:
                most, case = failures, {"d": d, "strength": g, "rounds": sorted(rounds)}
    holds = most <= allowed
    return ClaimResult(
        holds=holds,
        measured=float(most),
        bound=float(allowed),
        detail=f"at most {most} of {_NUM_SAMPLES} samples a size and strength are not as claimed",
        sample_size=num_tests * _NUM_SAMPLES,
        false_alarm=false_alarm,
        counterexample=None if holds else case,
        evidence=seen,
    )
