"""Tests of coset.beliefs.solvers.anderson on affine maps, where it must be exact."""

from __future__ import annotations

import torch

from coset.beliefs.solvers.anderson import FARTHEST, AndersonWindow


def iterate(matrix, shift, steps, clear=None, depth=8):
    window = AndersonWindow(depth)
    x = torch.zeros_like(shift)
    for step in range(steps):
        image = (matrix @ x[:, :, None]).squeeze(-1) + shift
        x = window.extrapolate(image, image - x, torch.ones_like(x))
        if clear is not None and step == clear:
            window.clear(torch.tensor([True] + [False] * (len(x) - 1)))
    return x


def maps(batch=3, size=5):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(batch, size, size, generator=generator, dtype=torch.float64)
    matrix = 0.9 * matrix / torch.linalg.matrix_norm(matrix, 2)[:, None, None]
    shift = torch.randn(batch, size, generator=generator, dtype=torch.float64)
    fixed = torch.linalg.solve(torch.eye(size, dtype=torch.float64) - matrix, shift)
    return matrix, shift, fixed


def test_an_affine_map_is_solved_in_as_many_steps_as_it_has_dimensions():
    matrix, shift, fixed = maps()
    assert torch.allclose(iterate(matrix, shift, 7), fixed, atol=1e-6)
    assert not torch.allclose(iterate(matrix, shift, 3), fixed, atol=1e-3)
    # A window too short for that forgets
    assert not torch.allclose(iterate(matrix, shift, 7, depth=2), fixed, atol=1e-6)


def test_clearing_concerns_one_of_the_batch_only():
    matrix, shift, _ = maps()
    plain, cleared = iterate(matrix, shift, 6), iterate(matrix, shift, 6, clear=3)
    assert torch.equal(plain[1:], cleared[1:])
    assert not torch.allclose(plain[0], cleared[0])


def test_selecting_keeps_the_rest_going():
    matrix, shift, fixed = maps()
    window, x = AndersonWindow(), torch.zeros_like(shift)
    for step in range(8):
        image = (matrix @ x[:, :, None]).squeeze(-1) + shift
        x = window.extrapolate(image, image - x, torch.ones_like(x))
        if step == 3:
            kept = torch.tensor([2, 0])
            window.select(kept)
            matrix, shift, x, fixed = matrix[kept], shift[kept], x[kept], fixed[kept]
    assert torch.allclose(x, fixed, atol=1e-6)


def test_no_entry_moves_far_from_the_image():
    window = AndersonWindow()
    first, second = torch.zeros(1, 2), torch.tensor([[1000.0, 0.0]])
    residual = torch.tensor([[1.0, 0.0]])
    window.extrapolate(first, residual, torch.ones(1, 2))
    moved = window.extrapolate(second, 1.001 * residual, torch.ones(1, 2))
    assert float((moved - second).abs().max()) <= FARTHEST + 1e-4


def test_equal_pairs_change_nothing():
    window = AndersonWindow()
    image, residual = torch.ones(2, 3), torch.zeros(2, 3)
    for _ in range(3):
        assert torch.equal(window.extrapolate(image, residual, torch.ones(2, 3)), image)
