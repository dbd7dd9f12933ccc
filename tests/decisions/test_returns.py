"""Returns with multipliers: by hand, against the loop and the closed form, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from coset.decisions.processes.returns import (
    multiplier_advantages,
    multiplier_returns,
    multiplier_returns_reference,
)

F64 = torch.float64


def lower(generator, *shape, d):
    return torch.rand(*shape, d, d, generator=generator, dtype=F64).tril()


@pytest.mark.parametrize("num_steps", [0, 1, 2, 63, 64, 65, 1000])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_matrices_equal_the_loop(num_steps, d, generator):
    reward = torch.randn(2, num_steps, d, generator=generator, dtype=F64)
    gamma = lower(generator, 2, num_steps, d=d)
    last = torch.randn(2, d, generator=generator, dtype=F64)
    expected = multiplier_returns_reference(reward, gamma, last)
    torch.testing.assert_close(multiplier_returns(reward, gamma, last), expected)
    assert expected.shape == (2, num_steps, d)


def test_the_closed_form_of_products(generator):
    # G_0 = Σ_t (Γ_0 … Γ_{t−1}) r_t + Γ_0 … Γ_{T−1} b: products from the left, not the right.
    reward = torch.randn(5, 2, generator=generator, dtype=F64)
    gamma = lower(generator, 5, d=2)
    last = torch.randn(2, generator=generator, dtype=F64)
    total, product = torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64)
    for t in range(5):
        total = total + product @ reward[t]
        product = product @ gamma[t]
    found = multiplier_returns(reward, gamma, last)[0]
    torch.testing.assert_close(found, total + product @ last)


def test_safety_first_sequences_by_hand():
    # Events a (r=2, γ=.9), b (r=1, γ=.5), a safe end s (r=3) and an unsafe end x: spec T5.
    def event(r, gamma):
        return [0.0, r], [[1.0, 0.0], [r, gamma]]

    zero = [[0.0, 0.0], [0.0, 0.0]]
    a, b, s, x = event(2.0, 0.9), event(1.0, 0.5), ([0.0, 3.0], zero), ([-1.0, 0.0], zero)
    for events, expected in (
        ((a, b), (0, 2.9)),
        ((a, b, s), (0, 4.25)),
        ((a, b, x), (-1, 0)),
        ((a, s), (0, 4.7)),
        ((s, x), (0, 3)),
    ):
        reward, gamma = (torch.tensor(part, dtype=F64) for part in zip(*events, strict=True))
        found = multiplier_returns(reward, gamma)[0]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=F64))


def test_diagonal_shared_and_number_forms_agree(generator):
    reward = torch.randn(3, 7, 2, generator=generator, dtype=F64)
    factors = torch.tensor([0.5, 1.0], dtype=F64)
    expected = multiplier_returns_reference(reward, torch.diag(factors).expand(3, 7, 2, 2))
    torch.testing.assert_close(multiplier_returns(reward, factors), expected)
    shared = torch.diag(factors).reshape(1, 1, 2, 2)
    torch.testing.assert_close(multiplier_returns(reward, shared), expected)
    by_time = factors.expand(7, 2)
    torch.testing.assert_close(multiplier_returns(reward, by_time), expected)
    number = multiplier_returns(reward, 0.5)
    torch.testing.assert_close(number[..., 0], expected[..., 0])


def test_a_step_that_ends_hides_what_follows():
    found = multiplier_returns([1.0, 1.0, 1e300, 2.0], [0.5, 0.0, 1.0, 1.0], 7.0)
    assert found.tolist() == [1.5, 1.0, 1e300, 9.0]
    # What is not finite is not hidden: 0 · NaN is NaN, as in the formula.
    assert multiplier_returns([1.0, torch.nan], [0.0, 1.0]).isnan().all()


def test_dtypes_and_inputs():
    single = torch.ones(3, 1)
    assert multiplier_returns(single, 0.5).dtype == torch.float32
    assert multiplier_returns(single, torch.tensor([0.5], dtype=F64)).dtype == F64
    assert multiplier_returns([1, 2, 3], 1).tolist() == [6, 5, 3]
    assert multiplier_returns(np.ones(3, np.float32), 0.5).dtype == torch.float32
    assert multiplier_returns([], 0.5).shape == (0,)
    view = torch.ones(4, 6, 2, dtype=F64)[::2, ::3]
    torch.testing.assert_close(
        multiplier_returns(view, 0.5)[0, 0], torch.tensor([1.5, 1.5]).to(F64)
    )


def test_it_is_differentiable(generator):
    reward = torch.randn(4, 2, generator=generator, dtype=F64, requires_grad=True)
    gamma = lower(generator, 4, d=2).requires_grad_()
    last = torch.randn(2, generator=generator, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(multiplier_returns, (reward, gamma, last))


def reference_advantages(reward, gamma, value, after, trace, ended):
    out, later = torch.zeros_like(reward), torch.zeros(reward.shape[-1], dtype=F64)
    for t in reversed(range(len(reward))):
        delta = reward[t] + gamma[t] @ after[t] - value[t]
        later = delta + (0 if ended[t] else trace) * (gamma[t] @ later)
        out[t] = later
    return out


@pytest.mark.parametrize("trace", [0.0, 0.9, 1.0])
def test_advantages_equal_the_loop(trace, generator):
    reward, value, after = torch.randn(3, 20, 2, generator=generator, dtype=F64)
    gamma = lower(generator, 20, d=2)
    ended = torch.rand(20, generator=generator) < 0.2
    assert ended.any()
    found = multiplier_advantages(reward, gamma, value, after, trace=trace, ended=ended)
    expected = reference_advantages(reward, gamma, value, after, trace, ended)
    torch.testing.assert_close(found, expected)
    # A truncated step bootstraps from the state it led to; only a multiplier of 0 does not.
    (t,) = ended.nonzero()[0]
    assert not torch.equal(found[t], reward[t] - value[t])


def test_with_a_full_trace_they_are_returns_minus_values(generator):
    reward, value = torch.randn(2, 9, 2, generator=generator, dtype=F64)
    gamma = lower(generator, 9, d=2)
    last = torch.randn(2, generator=generator, dtype=F64)
    after = torch.cat([value[1:], last[None]])
    found = multiplier_advantages(reward, gamma, value, after, trace=1.0)
    torch.testing.assert_close(found, multiplier_returns(reward, gamma, last) - value)


@pytest.mark.parametrize("shape", [(0,), (0, 2), (3, 0, 2)])
def test_advantages_of_no_steps_are_empty(shape):
    none = torch.zeros(shape, dtype=F64)
    ended = torch.zeros(shape[:1] if len(shape) == 1 else shape[:-1], dtype=torch.bool)
    assert multiplier_advantages(none, 0.5, none, none, ended=ended).shape == shape


def test_advantages_are_differentiable(generator):
    reward, value = torch.randn(2, 2, 4, 2, generator=generator, dtype=F64).requires_grad_()
    gamma = lower(generator, 2, 4, d=2).requires_grad_()
    ended = torch.tensor([False, True, False, False])

    def advantages(r, g, v):
        return multiplier_advantages(r, g, v, v.flip(1), ended=ended)

    assert torch.autograd.gradcheck(advantages, (reward, gamma, value))


def test_advantages_of_numbers_and_batches(generator):
    reward, value, after = torch.randn(3, 2, 6, 1, generator=generator, dtype=F64)
    ended = torch.zeros(6, dtype=torch.bool)
    ended[3] = True
    batch = multiplier_advantages(reward, 0.9, value, after, ended=ended)
    for i in range(2):
        parts = (x[i, :, 0] for x in (value, after))
        alone = multiplier_advantages(reward[i, :, 0], 0.9, *parts, ended=ended)
        torch.testing.assert_close(batch[i, :, 0], alone)


@pytest.mark.parametrize(
    ("reward", "multiplier", "bootstrap"),
    [
        (1.0, 0.5, None),
        ([1.0, 2.0], [0.5, 0.5, 0.5], None),
        ([1.0, 2.0], [[0.5, 0.0], [0.0, 0.5]], None),
        ([1.0, 2.0], 0.5, [1.0, 2.0]),
        (torch.ones(4, 2), torch.ones(3, 2), None),
        (torch.ones(4, 2), torch.ones(4, 1, 1), None),
        (torch.ones(4, 2), torch.ones(1, 4, 2, 2), None),
        (torch.ones(4, 2), 0.5, torch.ones(3)),
    ],
)
def test_shapes_that_do_not_fit(reward, multiplier, bootstrap):
    for function in (multiplier_returns, multiplier_returns_reference):
        with pytest.raises(ShapeError):
            function(reward, multiplier, bootstrap)


def test_what_is_refused():
    with pytest.raises(DtypeError, match="reward"):
        multiplier_returns(["a"], 0.5)
    with pytest.raises(DtypeError, match="multiplier"):
        multiplier_returns([1.0], torch.ones(1, dtype=torch.complex64))
    for trace in (-0.1, 1.1, float("nan"), "all", None):
        with pytest.raises(DomainError, match="trace"):
            multiplier_advantages([1.0], 0.5, [0.0], [0.0], trace=trace)
    for ended in ([1], "no", [None]):
        with pytest.raises(DtypeError, match="ended must be"):
            multiplier_advantages([1.0], 0.5, [0.0], [0.0], ended=ended)
    far = torch.zeros(1, device="meta", dtype=F64)
    with pytest.raises(UnsupportedError, match="value must lie on the device of the rewards, cpu"):
        multiplier_advantages([1.0], 0.5, far, [0.0])
    with pytest.raises(UnsupportedError, match="multiplier must lie on the device"):
        multiplier_returns([1.0], far)
    for value, after, name in (([0.0, 0.0], [0.0], "value"), ([0.0], [0.0, 0.0], "next_value")):
        with pytest.raises(ShapeError, match=name):
            multiplier_advantages([1.0], 0.5, value, after)


def test_backends_agree(generator):
    reward = torch.randn(8, 3, generator=generator, dtype=F64)
    gamma = lower(generator, 8, d=3)
    names = ("numba", "eager", "reference")
    found = [multiplier_returns(reward, gamma, backend=name) for name in names]
    for a, b in itertools.pairwise(found):
        torch.testing.assert_close(a, b)
