"""Integrators: orders of accuracy, the adaptive error, and wrong use."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.resolve.integrators import State, integrate
from coset.core.errors import DomainError, NotConvergedError


def rotation(state: State) -> State:
    x, y = state
    return [-3.0 * y, 3.0 * x]


START = [torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64)]


def error(**options: object) -> float:
    x, y = integrate(rotation, START, **options)  # type: ignore[arg-type]
    return math.hypot(float(x) - math.cos(3.0), float(y) - math.sin(3.0))


@pytest.mark.parametrize(("integrator", "order"), [("euler", 1), ("rk4", 4)])
def test_halving_the_step_divides_the_error_by_the_order(integrator: str, order: int) -> None:
    ratio = error(integrator=integrator, substeps=64) / error(integrator=integrator, substeps=128)
    assert math.log2(ratio) == pytest.approx(order, abs=0.15)


def test_the_adaptive_error_follows_the_tolerance() -> None:
    rough, fine = (error(integrator="adaptive", tolerance=t) for t in (1e-3, 1e-9))
    assert fine < 1e-7 < rough < 1e-1


def test_it_chooses_small_steps_where_the_field_is_steep() -> None:
    calls = []

    def steep(state: State) -> State:
        calls.append(1)
        return [-200.0 * (state[0] - 1.0)]

    (end,) = integrate(steep, [torch.zeros(())], integrator="adaptive")
    assert float(end) == pytest.approx(1.0, abs=1e-4)
    assert len(calls) > 100


def test_nothing_to_move() -> None:
    assert integrate(lambda state: [], [], integrator="adaptive") == []
    (empty,) = integrate(lambda s: [s[0]], [torch.zeros(0)], integrator="adaptive")
    assert empty.shape == (0,)


def test_wrong_use() -> None:
    for options in ({"integrator": "midpoint"}, {"substeps": 0}, {"tolerance": 0.0}):
        with pytest.raises(DomainError):
            error(**options)
    with pytest.raises(NotConvergedError, match="10,000 steps"):
        integrate(lambda s: [s[0] * math.nan], [torch.ones(())], integrator="adaptive")
