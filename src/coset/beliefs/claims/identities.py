"""Claims C6 to C13: familiar losses and divergences are inconsistencies of small graphs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.claims.identity_cases import IDENTITIES, Identity, pool_graph
from coset.beliefs.divergences import pdg_divergence, pooled, renyi
from coset.beliefs.losses import classifier_graph, surprisal_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.solve import solve
from coset.core.claims import ClaimResult, claim

Value = Callable[..., Any]

# How many random cases by preset.
CASES = {"smoke": 15, "cpu": 150, "paper": 1500}
# Solutions are within 1e-9 nats of the infimum.
TOLERANCE = 1e-8


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def agreement(errors: list[tuple[float, Any]], tolerance: float, what: str) -> ClaimResult:
    """Judge by the largest error.

    Args:
        errors: (error, case as JSON values), one a case.
        tolerance: the largest error that counts as rounding.
        what: what is compared.

    Returns:
        The result; NaN is an error that fails.
    """
    worst, case = max(errors, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])
    holds = worst <= tolerance
    return ClaimResult(
        holds=holds,
        measured=worst,
        bound=tolerance,
        detail=f"{what}: largest difference {worst:.3g} nats in {len(errors)} cases",
        sample_size=len(errors),
        counterexample=None if holds else {"case": _plain(case), "difference": worst},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _off(found: float, wanted: float) -> float:
    return 0.0 if found == wanted else abs(found - wanted)  # ∞ − ∞ is no error


def judge_identity(
    identity: Identity, value: Value, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Compare the solver's values with the formula on random cases.

    Args:
        identity: what is claimed.
        value: the inconsistency of a case: `identity.value`, or a mutant of it.
        preset: how many cases.
        generator: draws them.

    Returns:
        The result.
    """
    cases = identity.cases(CASES[preset], generator)
    errors = [(_off(value(*case), identity.closed(*case)), case) for case in cases]
    return agreement(errors, TOLERANCE, f"inconsistency against {identity.formula}")


P, Q = _tensor([0.7, 0.2, 0.1]), _tensor([0.1, 0.3, 0.6])
_W1 = (
    (1.0, 1.0, 0.5634713622301675, (0.35067538, 0.32466231, 0.32466231)),
    (2.0, 1.0, 0.7585456808800792, (0.4712045, 0.29480702, 0.23398848)),
    (1.0, 3.0, 0.8079550025034137, (0.19906601, 0.33175772, 0.46917627)),
)


def _pair(p: Tensor, q: Tensor, r: float, s: float) -> float:
    return float(pdg_divergence(p, q, r, s))


def _exponents_swapped(p: Tensor, q: Tensor, r: float, s: float) -> float:
    return float(pdg_divergence(q, p, r, s))


def _without_total(p: Tensor, q: Tensor, r: float, s: float) -> float:
    return _pair(p, q, r, s) / (r + s if math.isfinite(r + s) else 1.0)


def _chernoff_only(p: Tensor, q: Tensor, r: float, s: float) -> float:
    return _pair(p, q, 1.0, s) if math.isinf(r) else _pair(p, q, r, s)


@claim(
    "beliefs.C6",
    title="two beliefs are a Rényi divergence apart",
    statement="""Beliefs p and q about one variable with confidences r and s have
        ⟨⟨M⟩⟩₀ = −(r + s) log Σ p^(r/(r+s)) q^(s/(r+s)) = s D_{r/(r+s)}(p ‖ q), attained by the
        normalized weighted geometric mean; for r = ∞ it is s KL(p ‖ q).""",
    hypotheses="""2 to 6 values, some with p = 0; D_a = 1/(a − 1) log Σ p^a q^(1−a) (the thesis
        prints 1/(1 − a)); worked values W1""",
    source="[paper] Loss as the Inconsistency of a PDG; thesis",
    kind="proved",
    expected="holds",
    mutants={
        "exponents swapped": _exponents_swapped,
        "without the factor r + s": _without_total,
        "certainty counts as confidence 1": _chernoff_only,
    },
    near_misses=lambda: [(P, Q, 1.0, 1.0), (P, Q, 0.25, 0.75), (P, Q, 2.0, 3.0)],
)
def C6(divergence: Value = _pair, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C6: the closed form against the solver, loops, Rényi's sum and W1."""
    identity = IDENTITIES["two beliefs"]
    errors = []
    for (p, q), (r, s) in identity.cases(CASES[preset], generator):
        found = divergence(p, q, r, s)
        others = [identity.value([p, q], [r, s]), identity.closed([p, q], [r, s])]
        if math.isfinite(r):
            others.append(s * float(renyi(p, q, r / (r + s))))
        errors += [(_off(found, other), (p, q, r, s)) for other in others]
    for r, s, value, mean in _W1:
        joint = solve(pool_graph([P, Q], [r, s])).joint
        assert joint is not None
        # The printed means have 8 digits.
        off = float((joint.marginal("X") - _tensor(mean)).abs().max())
        errors += [(abs(divergence(P, Q, r, s) - value), (P, Q, r, s)), (off / 2, (P, Q, r, s))]
    return agreement(errors, TOLERANCE, "closed form against solver, loops, Rényi and W1")


def _pool(beliefs: list[Tensor], confidences: list[float]) -> float:
    return float(pooled(beliefs, confidences))


def _pool_in_turn(beliefs: list[Tensor], confidences: list[float]) -> float:
    first, total = beliefs[0], confidences[0]
    value = 0.0
    for belief, weight in zip(beliefs[1:], confidences[1:], strict=True):
        value = float(pdg_divergence(first, belief, total, weight))
        first, total = (first + belief) / 2, total + weight
    return value


def _pool_equally(beliefs: list[Tensor], confidences: list[float]) -> float:
    mean = sum(confidences) / len(confidences)
    return _pool(beliefs, [mean] * len(confidences))


@claim(
    "beliefs.C6b",
    title="several beliefs about one variable",
    statement="""Beliefs p_j about one variable with confidences b_j have
        ⟨⟨M⟩⟩₀ = −B log Σ_x ∏_j p_j(x)^(b_j/B), B = Σ_j b_j.""",
    hypotheses="three to five beliefs over four values, finite confidences",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "only the last belief against the mean of the others": _pool_in_turn,
        "all with the mean confidence": _pool_equally,
    },
    near_misses=lambda: [([P, Q], [1.0, 1.0]), ([P, Q, P], [2.0, 2.0, 2.0])],
)
def C6b(pool: Value = _pool, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C6b: the closed form against the solver."""
    identity = IDENTITIES["several beliefs"]
    cases = identity.cases(CASES[preset], generator)
    errors = [(_off(pool(*case), identity.value(*case)), case) for case in cases]
    return agreement(errors, TOLERANCE, "closed form against solver")


_SURPRISAL = IDENTITIES["surprisal"]


def _likeliest_latent(joint: Tensor, value: int) -> PDG:
    graph = surprisal_graph(joint, value)
    if joint.ndim == 2:
        graph.observe("Z", int(joint[value].argmax()))
    return graph


def _latent_as_before(joint: Tensor, value: int) -> PDG:
    graph = surprisal_graph(joint, value)
    if joint.ndim == 2:
        graph.add("before", "Z", cpd=joint.sum(0), beta=math.inf)
    return graph


@claim(
    "beliefs.C7",
    title="an observation is as inconsistent as it is surprising",
    statement="""A belief p(X), or p(X, Z) of which only X is seen, and X = x have
        ⟨⟨M⟩⟩₀ = −log p(x).""",
    hypotheses="three values of X, up to four of a latent Z",
    source="[paper] Loss as the Inconsistency of a PDG",
    kind="proved",
    expected="holds",
    mutants={
        "the likeliest value of the latent variable": _SURPRISAL.changed(_likeliest_latent),
        "the latent variable stays as it was": _SURPRISAL.changed(_latent_as_before),
    },
    near_misses=lambda: [
        (_tensor([[0.25, 0.0], [0.25, 0.5]]), 0),
        (_tensor([[0.1, 0.3], [0.15, 0.45]]), 1),
    ],
)
def C7(value: Value = _SURPRISAL.value, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C7: the solver against −log p(x)."""
    return judge_identity(_SURPRISAL, value, preset, generator)


_DATA = IDENTITIES["data"]


def _data_believed(model: Tensor, data: Tensor) -> PDG:
    return pool_graph([model, data], [1.0, 1.0])


def _model_certain(model: Tensor, data: Tensor) -> PDG:
    return pool_graph([model, data], [math.inf, 1.0])


@claim(
    "beliefs.C7b",
    title="data that are certain give the cross-entropy",
    statement="""A belief p(X) and certainty (β = ∞) of the frequencies D of data have
        ⟨⟨M⟩⟩₀ = −E_D log p − H(D) = KL(D ‖ p).""",
    hypotheses="four values, some that the data do not have",
    source="[paper] Loss as the Inconsistency of a PDG",
    kind="proved",
    expected="holds",
    mutants={
        "data with confidence 1": _DATA.changed(_data_believed),
        "the model certain, not the data": _DATA.changed(_model_certain),
    },
    near_misses=lambda: [
        (_tensor([0.25, 0.75]), _tensor([1.0, 0.0])),
        (_tensor([0.3, 0.7]), _tensor([0.7, 0.3])),
    ],
)
def C7b(value: Value = _DATA.value, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C7b: the solver against KL(D ‖ p)."""
    return judge_identity(_DATA, value, preset, generator)


_CLASSIFIER = IDENTITIES["log loss"]


def _input_unseen(classifier: Tensor, value: int, label: int) -> PDG:
    graph = classifier_graph(classifier, value, label)
    return graph.subgraph(["classifier", f"Y={label}"])


def _uniform_input(classifier: Tensor, value: int, label: int) -> PDG:
    graph = _input_unseen(classifier, value, label)
    size = classifier.shape[0]
    graph.add("inputs", "X", cpd=torch.full((size,), 1 / size, dtype=torch.float64), beta=math.inf)
    return graph


@claim(
    "beliefs.C8",
    title="the log loss of a classifier",
    statement="A classifier p(Y | X), X = x and Y = y have ⟨⟨M⟩⟩₀ = −log p(y | x).",
    hypotheses="three inputs, four labels",
    source="[paper] Loss as the Inconsistency of a PDG",
    kind="proved",
    expected="holds",
    mutants={
        "the input is not seen": _CLASSIFIER.changed(_input_unseen),
        "the mean over inputs": _CLASSIFIER.changed(_uniform_input),
    },
    near_misses=lambda: [
        (_tensor([[0.2, 0.8], [0.6, 0.4]]), 1, 0),
        (_tensor([[0.2, 0.8], [0.2, 0.8]]), 0, 1),
    ],
)
def C8(value: Value = _CLASSIFIER.value, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C8: the solver against −log p(y | x)."""
    return judge_identity(_CLASSIFIER, value, preset, generator)
