"""Least squares with sharing: optimality by brute force and by SciPy, the gap, faults."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    NotConvergedError,
    ShapeError,
    UnsupportedError,
)
from coset.core.results import Record, Status
from coset.sharing import pairwise_penalty, prox_sharing
from coset.sharing.polar import sharing_polar
from coset.sharing.proximal_gradient import largest_alpha, shared_least_squares

RATIOS = (0.0, 0.4, 1.0)


def problem(generator, n=12, p=6, outputs=1):
    x = torch.randn(n, p, generator=generator, dtype=torch.float64)
    w = torch.randint(-1, 2, (outputs, p), generator=generator).double()
    noise = torch.randn(n, outputs, generator=generator, dtype=torch.float64)
    return x, x @ w.T + 0.3 * noise


def penalty(w, ratio):
    return (1 - ratio) * float(pairwise_penalty(w)) + ratio * float(w.abs().sum())


def objective(w, x, y, alpha, ratio):
    loss = float((y.reshape(len(x), -1) - x @ w.reshape(-1, x.shape[1]).T).square().sum())
    return loss / (2 * len(x)) + alpha * penalty(w, ratio)


@pytest.mark.claim
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("share", [0.003, 0.1, 0.5])
def test_c9_the_gradient_is_a_subgradient_of_the_penalty(ratio, share, generator):
    """sharing.C9: −∇f/α lies in the polar body, and ⟨−∇f/α, w⟩ = Ω(w): nothing else is optimal."""
    for outputs, n in itertools.product((1, 3), (4, 30)):
        x, y = problem(generator, n=n, outputs=outputs)
        alpha = share * largest_alpha(x, y, l1_ratio=ratio)
        solution = shared_least_squares(x, y, alpha, l1_ratio=ratio, tol=1e-13)
        w = solution.value
        z = ((y - x @ w.T).T @ x / n).reshape(-1) / alpha
        assert float(sharing_polar(z, ratio)) == pytest.approx(1.0, abs=1e-5)
        assert float(z @ w.reshape(-1)) == pytest.approx(penalty(w, ratio), rel=1e-5)
        if ratio == 0:
            assert abs(float(z.sum())) < 1e-5
        # A nearby map is not optimal: the same conditions tell.
        other = w + 0.01 * torch.randn(w.shape, generator=generator, dtype=torch.float64)
        z = ((y - x @ other.T).T @ x / n).reshape(-1) / alpha
        misfit = abs(float(z @ other.reshape(-1)) - penalty(other, ratio))
        assert max(misfit, float(sharing_polar(z, ratio)) - 1) > 1e-4


def by_slsqp(x, y, alpha, ratio):
    """Solve the smooth program with one bound for each |w_i − w_j| and |w_i|."""
    x, y = x.numpy(), y.numpy().reshape(-1)
    n, p = x.shape
    pairs = list(itertools.combinations(range(p), 2))
    rows = np.zeros((len(pairs) + p, p))
    for k, (i, j) in enumerate(pairs):
        rows[k, i], rows[k, j] = 1, -1
    rows[len(pairs) :] = np.eye(p)
    cost = np.r_[np.full(len(pairs), (1 - ratio) / (p - 1)), np.full(p, ratio)] * alpha

    def value(v):
        r = x @ v[:p] - y
        return r @ r / (2 * n) + cost @ v[p:]

    def slope(v):
        return np.r_[x.T @ (x @ v[:p] - y) / n, cost]

    eye = np.eye(len(rows))
    bound = np.vstack([np.hstack([-rows, eye]), np.hstack([rows, eye])])
    start = np.r_[np.zeros(p), np.ones(len(rows))]
    limits = [{"type": "ineq", "fun": lambda v: bound @ v, "jac": lambda v: bound}]
    found = minimize(
        value,
        start,
        jac=slope,
        constraints=limits,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 2000},
    )
    assert found.success
    return found.x[:p]


@pytest.mark.oracle
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("p", [2, 3, 4])
def test_scipy_finds_the_same_minimum(p, ratio, generator):
    for share in (0.02, 0.3):
        x, y = problem(generator, n=10, p=p)
        alpha = share * largest_alpha(x, y, l1_ratio=ratio)
        ours = shared_least_squares(x, y, alpha, l1_ratio=ratio, tol=1e-14).value
        theirs = torch.from_numpy(by_slsqp(x, y, alpha, ratio))
        assert float((ours - theirs).abs().max()) < 1e-5
        ours_at, theirs_at = (objective(w, x, y, alpha, ratio) for w in (ours, theirs))
        assert ours_at <= theirs_at + 1e-9


@pytest.mark.oracle
@pytest.mark.parametrize("ratio", RATIOS)
def test_an_orthogonal_design_is_one_prox(ratio, generator):
    y = torch.randn(40, generator=generator, dtype=torch.float64)
    found = shared_least_squares(torch.eye(40).double(), y, 0.01, l1_ratio=ratio, tol=1e-14)
    wanted = prox_sharing(y, 0.4 * (1 - ratio), l1=0.4 * ratio)
    assert float((found.value - wanted).abs().max()) < 1e-7
    assert found.value.unique().numel() == wanted.unique().numel()


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("group", ["tensor", "row"])
def test_the_gap_bounds_the_error_at_every_step(ratio, group, generator):
    x, y = problem(generator, n=8, p=12, outputs=3)
    alpha = 0.05 * largest_alpha(x, y, l1_ratio=ratio, group=group)
    settings = {"l1_ratio": ratio, "group": group}
    best = shared_least_squares(x, y, alpha, tol=1e-14, max_iter=50_000, **settings)
    assert best.status is Status.SOLVED

    def value(w):
        rows = [w] if group == "tensor" else list(w)
        return objective(w, x, y, 0.0, 0.0) + alpha * sum(penalty(row, ratio) for row in rows)

    for steps in (1, 2, 5, 20, 100):
        early = shared_least_squares(x, y, alpha, tol=0.0, max_iter=steps, **settings)
        assert early.iterations == steps
        excess = value(early.value) - value(best.value)
        assert excess + best.error_bound >= -1e-12
        assert excess <= early.error_bound + 1e-12
        assert early.certificate.verify()


def test_a_certificate_is_checked_from_its_own_data(generator):
    x, y = problem(generator)
    solution = shared_least_squares(x, y, 0.1 * largest_alpha(x, y))
    proof = solution.certificate
    assert proof.verify()
    assert "at most" in proof.explain()
    assert Record.from_json(proof.to_json()).verify()
    assert not replace(proof, weights=proof.weights + 0.1).verify()
    assert not replace(proof, dual=proof.dual * 2).verify()
    assert not replace(proof, dual=proof.dual + 1).verify()
    assert not replace(proof, gap=-1.0).verify()
    assert not replace(proof, gap=proof.gap - 1e-8 * float(y.square().sum())).verify()


def test_no_strength_makes_an_infeasible_dual_point_pass(generator):
    """With ρ = 0 its slope must sum to 0 however large alpha is; the target itself does not."""
    x, y = problem(generator)
    best = shared_least_squares(x, y, 1e12).certificate
    assert best.verify()
    zero = torch.zeros(1, 6, dtype=torch.float64)
    assert best.weights.abs().max() > 1e-3  # 0 is not the answer
    assert not replace(best, weights=zero, dual=y, gap=0.0).verify()


@pytest.mark.parametrize("ratio", RATIOS)
def test_certificates_of_badly_scaled_data_hold(ratio, generator):
    x, y = problem(generator)
    for scale in (1e-100, 1e-8, 1e8, 1e140):
        column = torch.ones(6, dtype=torch.float64)
        column[0] = scale
        for alpha in (1e-9, 1e-3, 10.0):
            found = shared_least_squares(x * column, y, alpha, l1_ratio=ratio, max_iter=100)
            assert found.certificate.verify()


def test_the_largest_strength_is_where_the_fit_becomes_trivial(generator):
    x, y = problem(generator, n=9, p=7, outputs=2)
    for ratio, group in itertools.product(RATIOS, ("tensor", "row")):
        top = largest_alpha(x, y, l1_ratio=ratio, group=group)
        settings = {"l1_ratio": ratio, "group": group, "tol": 1e-14}
        above = shared_least_squares(x, y, top * 1.001, **settings).value
        below = shared_least_squares(x, y, top * 0.98, **settings).value
        rows = (lambda w: [w]) if group == "tensor" else list
        assert all(row.unique().numel() == 1 for row in rows(above))
        assert any(row.unique().numel() > 1 for row in rows(below))
        assert bool((above == 0).all()) == (ratio > 0)


def test_a_start_near_the_answer_saves_steps(generator):
    x, y = problem(generator, n=30, p=20)
    alpha = 0.01 * largest_alpha(x, y)
    cold = shared_least_squares(x, y, alpha, tol=1e-10)
    warm = shared_least_squares(x, y, alpha, tol=1e-10, start=cold.value)
    flat = shared_least_squares(x, y[:, 0], alpha, tol=1e-10, start=cold.value[0])
    assert flat.value.equal(warm.value[0])
    assert warm.iterations < cold.iterations
    assert float((warm.value - cold.value).abs().max()) < 1e-4


def test_the_order_of_features_does_not_matter(generator):
    x, y = problem(generator, n=9, p=11, outputs=2)
    order = torch.randperm(11, generator=generator)
    plain = shared_least_squares(x, y, 0.05, tol=1e-13, max_iter=50_000).value
    mixed = shared_least_squares(x[:, order], y, 0.05, tol=1e-13, max_iter=50_000).value
    assert float((mixed - plain[:, order]).abs().max()) < 1e-5


def test_nothing_to_fit_and_nothing_to_fit_with():
    zero = shared_least_squares(torch.ones(3, 2), torch.zeros(3), 1.0, start=torch.ones(1, 2))
    assert zero.value.tolist() == [0.0, 0.0]
    blind = shared_least_squares(torch.zeros(3, 2), torch.ones(3), 1.0)
    assert blind.value.tolist() == [0.0, 0.0]
    assert blind.status is Status.SOLVED
    assert shared_least_squares(torch.zeros(3, 2), torch.ones(3), 0.0).value.tolist() == [0, 0]
    alone = shared_least_squares(torch.ones(3, 1), torch.full((3, 1), 2.0), 5.0)
    assert float(alone.value) == pytest.approx(2.0)


@pytest.mark.parametrize("ratio", RATIOS)
def test_any_finite_strength_is_fine(ratio, generator):
    x, y = problem(generator)
    for scale in (1.0, 2.0**-400):
        found = shared_least_squares(x * scale, y, 1e308, l1_ratio=ratio)
        assert found.status is Status.SOLVED
        assert found.value.unique().numel() == 1
        assert bool((found.value == 0).all()) == (ratio > 0)
    tiny = shared_least_squares(x, y, 5e-324, l1_ratio=ratio, tol=1e-12)
    plain = shared_least_squares(x, y, 0.0)
    assert float((tiny.value - plain.value).abs().max()) < 1e-5


@pytest.mark.parametrize("group", ["tensor", "row"])
def test_features_that_sum_to_zero_but_for_rounding(group, generator):
    """Centered one-hot features: equal weights fit nothing, and the gap must still close."""
    x = torch.eye(5, dtype=torch.float64)[torch.randint(0, 5, (60,), generator=generator)]
    x -= x.mean(0)
    y = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    assert 0 < float(x.sum(1).abs().max()) < 1e-12
    alpha = 0.1 * largest_alpha(x, y, group=group)
    found = shared_least_squares(x, y, alpha, group=group, tol=1e-10)
    assert found.status is Status.SOLVED
    assert found.certificate.verify()


def test_scaling_data_and_strength_scales_the_answer(generator):
    x, y = problem(generator)
    plain = shared_least_squares(x, y, 0.05).value
    for scale in (2.0**-300, 2.0**300):
        moved = shared_least_squares(x * scale, y, 0.05 * scale).value
        assert float((moved * scale - plain).abs().max()) < 1e-9


def test_an_unfinished_solution_says_what_to_do(generator):
    x, y = problem(generator, n=4, p=30)
    solution = shared_least_squares(x, y, 1e-4, max_iter=1, tol=1e-12)
    assert solution.status is Status.MAX_ITERATIONS
    with pytest.raises(NotConvergedError, match="raise max_iter"):
        solution.throw()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x": torch.ones(3)}, ShapeError),
        ({"x": torch.ones(0, 2), "y": torch.ones(0)}, ShapeError),
        ({"x": torch.ones(3, 0)}, ShapeError),
        ({"y": torch.ones(4)}, ShapeError),
        ({"y": torch.ones(3, 0)}, ShapeError),
        ({"start": torch.ones(2, 2)}, ShapeError),
        ({"x": [[1.0]]}, DtypeError),
        ({"x": torch.ones(3, 2, device="meta")}, UnsupportedError),
        ({"y": torch.ones(3).to_sparse()}, UnsupportedError),
        ({"y": torch.ones(3, dtype=torch.int64)}, DtypeError),
        ({"x": torch.full((3, 2), torch.nan)}, DomainError),
        ({"y": torch.full((3,), torch.inf)}, DomainError),
        ({"start": torch.full((1, 2), torch.nan)}, DomainError),
        ({"start": torch.full((1, 2), 1e308, dtype=torch.float64)}, DomainError),
        ({"start": torch.ones(3)}, ShapeError),
        ({"x": torch.full((3, 2), 1e308, dtype=torch.float64)}, DomainError),
        ({"x": torch.full((3, 2), 1e-200, dtype=torch.float64)}, DomainError),
        ({"x": torch.full((3, 2), 1e-158, dtype=torch.float64)}, DomainError),
        ({"y": torch.full((3,), 1e-158, dtype=torch.float64)}, DomainError),
        ({"alpha": -0.1}, DomainError),
        ({"alpha": float("inf")}, DomainError),
        ({"alpha": "1"}, DtypeError),
        ({"l1_ratio": 2}, DomainError),
        ({"group": "all"}, ConfigError),
        ({"max_iter": 0}, DomainError),
        ({"max_iter": True}, DomainError),
        ({"tol": float("nan")}, DomainError),
    ],
)
def test_what_cannot_be_is_refused(change, error):
    arguments = {"x": torch.eye(3)[:, :2], "y": torch.ones(3), "alpha": 0.1, **change}
    x, y, alpha = (arguments.pop(name) for name in ("x", "y", "alpha"))
    with pytest.raises(error):
        shared_least_squares(x, y, alpha, **arguments)
