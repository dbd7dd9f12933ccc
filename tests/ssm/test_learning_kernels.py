"""The kernels of learning: gradients by hand against autograd, Adam against torch's, counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.ssm.learning.kernels import adam_step, add_gradients, count_labels, run_table
from coset.ssm.learning.recipe import LANES
from coset.ssm.learning.reference import stage_loss_reference


def stage(cells, tokens, labels, d, words, length, seed=0):
    g = torch.Generator().manual_seed(seed)
    after = torch.stack([torch.randperm(cells, generator=g) for _ in range(tokens)], 1)
    angles = 7 * torch.rand((cells, tokens, d, LANES), generator=g)
    readout = torch.randn((cells, labels, 1 + 2 * d, LANES), generator=g)
    x = torch.randint(tokens, (words, length), generator=g)
    y = torch.randint(labels, (words, length), generator=g)
    return x, y, after, angles, readout


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("cells", "tokens", "labels", "d", "words", "length"),
    [(1, 1, 1, 1, 1, 1), (1, 3, 2, 2, 2, 5), (4, 3, 7, 1, 3, 9), (6, 5, 24, 3, 2, 12)],
)
def test_gradients_equal_those_of_autograd(cells, tokens, labels, d, words, length):
    x, y, after, angles, readout = stage(cells, tokens, labels, d, words, length)
    g_angles = np.zeros(angles.numel(), dtype=np.float32)
    g_readout = np.zeros(readout.numel(), dtype=np.float32)
    flat = angles.numpy().ravel(), readout.numpy().ravel()
    add_gradients(x.numpy(), y.numpy(), after.numpy(), *flat, g_angles, g_readout, d)
    for lane in (0, 7, LANES - 1):
        theta = angles[..., lane].double().requires_grad_()
        w = readout[..., lane].double().requires_grad_()
        stage_loss_reference(theta, w, x, y, after).backward()
        found = torch.from_numpy(g_angles).reshape(angles.shape)[..., lane]
        torch.testing.assert_close(found.double(), theta.grad, atol=2e-4, rtol=2e-4)
        found = torch.from_numpy(g_readout).reshape(readout.shape)[..., lane]
        torch.testing.assert_close(found.double(), w.grad, atol=2e-4, rtol=2e-4)


def test_gradients_stay_finite_where_scores_are_far_apart():
    x, y, after, angles, readout = stage(2, 2, 3, 1, 2, 6)
    g_angles = np.zeros(angles.numel(), dtype=np.float32)
    g_readout = np.zeros(readout.numel(), dtype=np.float32)
    flat = angles.numpy().ravel(), (1e4 * readout).numpy().ravel()
    add_gradients(x.numpy(), y.numpy(), after.numpy(), *flat, g_angles, g_readout, 1)
    assert np.isfinite(g_angles).all()
    assert np.abs(g_readout).max() <= 12.01  # each of 12 tokens pulls by at most 1


@pytest.mark.oracle
def test_steps_equal_those_of_torch():
    g = torch.Generator().manual_seed(1)
    start = torch.randn((5, LANES), generator=g)
    right = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([right], lr=0.03)
    mine = start.numpy().copy()
    first, second = np.zeros_like(mine), np.zeros_like(mine)
    scale = torch.rand(LANES, generator=g)
    for step in range(1, 6):
        gradient = torch.randn((5, LANES), generator=g)
        right.grad = gradient * scale
        optimizer.step()
        given = gradient.numpy().copy()
        adam_step(mine, given, first, second, scale.numpy(), 0.03, step)
        assert not given.any()
    np.testing.assert_allclose(mine, right.detach().numpy(), atol=1e-5)


def test_counting_equals_a_loop():
    r = np.random.default_rng(0)
    after = np.stack([r.permutation(3) for _ in range(4)], 1)
    tables = r.integers(0, 2, (2, 3, 4))
    tables[1] = r.integers(0, 3, (3, 4))
    tokens, labels = r.integers(0, 4, (5, 9)), r.integers(0, 6, (5, 9))
    counts = np.zeros((3, 6, 6), dtype=np.int64)
    count_labels(tokens, labels, after, tables, np.array([2, 3]), 4, counts)
    right = np.zeros_like(counts)
    for word, seen in zip(tokens, labels, strict=True):
        q, s = 0, [0, 0]
        for t, (x, y) in enumerate(zip(word, seen, strict=True)):
            s = [(s[0] + tables[0, q, x]) % 2, (s[1] + tables[1, q, x]) % 3]
            q = after[q, x]
            if t >= 4:
                right[q, 3 * s[0] + s[1], y] += 1
    np.testing.assert_array_equal(counts, right)
    assert counts.sum() == 25


def test_running_a_table():
    table = np.array([[1, 0], [2, 1], [0, 2]])
    tokens = np.array([[0, 0, 1, 0], [1, 0, 0, 0]])
    states = np.empty_like(tokens)
    run_table(table, tokens, 0, states)
    assert states.tolist() == [[1, 2, 2, 0], [0, 1, 2, 0]]
