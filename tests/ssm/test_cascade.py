"""Cascades of phase layers: literal loops as the oracle, chunks, codes, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.ssm import cascade as cascade_module
from coset.ssm.cascade import Cascade, PhaseLayer, check_tokens, walk_table
from coset.ssm.certificate import merged_values
from coset.ssm.reference import run_reference


def random_cascade(shape, num_tokens, *, resets=False, seed=0):
    rng = np.random.default_rng(seed)
    cells, layers = 1, []
    for moduli in shape:
        size = (cells, num_tokens)
        added = np.stack([rng.integers(0, m, size) for m in moduli], -1)
        fixed = None
        if resets:
            fixed = np.stack([rng.integers(-2 * m, m, size).clip(-1) for m in moduli], -1)
        layers.append(PhaseLayer(moduli, added, fixed))
        cells *= int(np.prod(moduli))
    return Cascade(tuple(layers), num_tokens)


SHAPES = [[(5,)], [(2,), (3,)], [(4, 2), (3,), (2, 2)], [(1,), (6,)], []]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("small", [True, False])
def test_run_is_the_literal_loop(shape, resets, small, monkeypatch):
    monkeypatch.setattr(cascade_module, "SMALL_TABLE", 2**20 if small else -1)
    cascade = random_cascade(shape, 4, resets=resets, seed=len(shape))
    words = torch.randint(0, 4, (3, 2, 50), generator=torch.Generator().manual_seed(1))
    codes = cascade.run(words)
    assert codes.shape == words.shape
    assert codes.dtype == torch.int64
    for i in range(3):
        for j in range(2):
            assert codes[i, j].tolist() == run_reference(cascade, words[i, j].tolist())


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("resets", [False, True])
def test_chunks_continue_a_word(small, resets, monkeypatch):
    monkeypatch.setattr(cascade_module, "SMALL_TABLE", 2**20 if small else -1)
    cascade = random_cascade([(3,), (2, 4)], 5, resets=resets)
    words = torch.randint(0, 5, (4, 60), generator=torch.Generator().manual_seed(2))
    whole = cascade.run(words)
    state, parts = torch.zeros(4, dtype=torch.int64), []
    for part in words.split([1, 20, 0, 38, 1], -1):
        codes = cascade.run(part, state)
        parts.append(codes)
        state = codes[:, -1] if part.shape[-1] else state
    assert torch.equal(torch.cat(parts, -1), whole)
    assert torch.equal(cascade.run(words, 0), whole)
    transposed = words.T.contiguous().T
    assert torch.equal(cascade.run(transposed), whole)


def test_codes_are_mixed_radix_numbers():
    cascade = random_cascade([(2,), (3, 4)], 2)
    assert cascade.num_codes == 24
    assert cascade.moduli == (2, 3, 4)
    assert cascade.encode(np.array([1, 2, 3])) == 1 * 12 + 2 * 4 + 3
    codes = np.arange(24)
    assert np.array_equal(cascade.encode(cascade.decode(codes)), codes)


def test_the_table_holds_every_step():
    cascade = random_cascade([(2,), (3, 2)], 3, resets=True)
    table = cascade.transition_table()
    assert table.shape == (12, 3)
    assert not table.flags.writeable
    for code in range(12):
        for x in range(3):
            assert table[code, x] == cascade.step(np.array(code), np.array(x))


def test_reachable_codes_by_hand():
    # Two phases that always move together: 3 of 9 codes; a reset to 2 opens no other.
    increments = np.ones((1, 1, 2), dtype=np.int64)
    cascade = Cascade((PhaseLayer((3, 3), increments),), 1)
    assert cascade.reachable().tolist() == [0, 4, 8]


def test_current_gates_give_the_same_actions():
    cascade = random_cascade([(2,), (3,), (2, 2)], 5)
    for place in range(3):
        current = cascade.current_increments(place)
        below = cascade.below(place)
        for code in below.reachable():
            for x in range(5):
                after = below.step(np.array(code), np.array(x))
                expected = cascade.layers[place].increments[code, x]
                assert np.array_equal(current[after, x], expected)


def test_current_gates_differ_from_previous_ones_somewhere():
    cascade = random_cascade([(2,), (3,)], 5)
    assert not np.array_equal(cascade.current_increments(1), cascade.layers[1].increments)


def test_merged_states_below_are_refused_unless_they_agree():
    reset = np.array([[[-1], [0]]])
    below = PhaseLayer((2,), np.array([[[1], [0]]]), reset)
    differ = PhaseLayer((3,), np.array([[[1], [1]], [[1], [2]]]))
    with pytest.raises(UnsupportedError, match="layer 1 acts differently"):
        Cascade((below, differ), 2).current_increments(1)
    fixed = np.array([[[-1], [2]], [[-1], [2]]])  # the same reset hides the increments
    agree = Cascade((below, PhaseLayer((3,), differ.increments, fixed)), 2)
    assert agree.current_increments(1)[:, 0, 0].tolist() == [1, 1]
    assert agree.current_resets(1)[0, 1, 0] == 2
    assert agree.current_resets(0).tolist() == reset.tolist()
    assert Cascade((below,), 2).below(0).num_codes == 1


def test_empty_words_and_single_tokens():
    cascade = random_cascade([(2,), (3,)], 2)
    assert cascade.run(torch.zeros(3, 0, dtype=torch.int64)).shape == (3, 0)
    assert cascade.run(torch.zeros(0, 4, dtype=torch.int64)).shape == (0, 4)
    one = cascade.run(torch.tensor([1]))
    assert one.tolist() == [int(cascade.step(np.array(0), np.array(1)))]
    assert cascade.run(torch.tensor([1], dtype=torch.int16)).tolist() == one.tolist()


@pytest.mark.parametrize("small", [True, False])
def test_sums_beyond_32_bits_are_exact(small, monkeypatch):
    monkeypatch.setattr(cascade_module, "SMALL_TABLE", 2**20 if small else -1)
    m = 10_007  # T · m = 3·10⁹ > 2³¹
    cascade = Cascade((PhaseLayer((m,), np.array([[[m - 1]]])),), 1)
    codes = cascade.run(torch.zeros(300_000, dtype=torch.int64))
    times = torch.arange(1, 300_001)
    assert torch.equal(codes, (-times) % m)


@pytest.mark.parametrize(
    ("tokens", "error", "match"),
    [
        (torch.tensor([0, 5]), RangeError, "given 5 at \\(1,\\)"),
        (torch.tensor([-1]), RangeError, "given -1"),
        (torch.tensor([0.5]), DtypeError, "float32"),
        (torch.tensor([float("nan")]), DtypeError, "integers"),
        (torch.tensor([True]), DtypeError, "bool"),
        ([0, 1], DtypeError, "list"),
        (torch.tensor(1), ShapeError, "time last"),
    ],
)
def test_bad_tokens_are_refused(tokens, error, match):
    with pytest.raises(error, match=match):
        random_cascade([(2,)], 3).run(tokens)
    if not isinstance(tokens, torch.Tensor) or tokens.ndim:
        with pytest.raises(error):
            check_tokens(tokens, 3)


def test_bad_starts_are_refused():
    cascade, words = random_cascade([(2,)], 3), torch.zeros(4, 3, dtype=torch.int64)
    with pytest.raises(RangeError, match="0 … 1"):
        cascade.run(words, 2)
    with pytest.raises(RangeError):
        cascade.run(words, torch.tensor([0, 1, -1, 0]))
    with pytest.raises(ShapeError, match="shape"):
        cascade.run(words, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(DtypeError, match="float32"):
        cascade.run(words, torch.zeros(4))


def test_a_damaged_table_is_refused_and_not_followed():
    table = torch.tensor([[1], [7]])
    with pytest.raises(RangeError, match="word 1"):
        walk_table(table, torch.zeros(2, 1, dtype=torch.int64), torch.tensor([0, 2]))
    with pytest.raises(RangeError, match="word 0"):
        walk_table(table, torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("moduli", "increments", "resets", "error"),
    [
        ((0,), np.zeros((1, 2, 1), dtype=int), None, DomainError),
        ((3,), np.full((1, 2, 1), 3), None, DomainError),
        ((3,), np.full((1, 2, 1), -1), None, DomainError),
        ((3,), np.zeros((1, 2, 2), dtype=int), None, ShapeError),
        ((3,), np.zeros((2, 1), dtype=int), None, ShapeError),
        ((3,), np.zeros((1, 2, 1)), None, DtypeError),
        ((3,), np.zeros((1, 2, 1), dtype=int), np.full((1, 2, 1), 3), DomainError),
        ((3,), np.zeros((1, 2, 1), dtype=int), np.full((1, 1, 1), 0), ShapeError),
    ],
)
def test_bad_layers_are_refused(moduli, increments, resets, error):
    with pytest.raises(error):
        PhaseLayer(moduli, increments, resets)


def test_layers_must_fit_each_other_and_64_bits():
    layer = PhaseLayer((2,), np.zeros((1, 2, 1), dtype=int))
    with pytest.raises(ShapeError, match="layer 1 must have increments for 2 cells"):
        Cascade((layer, layer), 2)
    wide = PhaseLayer((2**40, 2**40), np.zeros((1, 1, 2), dtype=int))
    with pytest.raises(UnsupportedError, match="2\\^62"):
        Cascade((wide,), 1)
    many = PhaseLayer((2**30,), np.zeros((1, 1, 1), dtype=int))
    with pytest.raises(UnsupportedError, match="entries"):
        Cascade((many,), 1).transition_table()
    assert Cascade((many,), 1).run(torch.zeros(3, dtype=torch.int64)).tolist() == [0, 0, 0]
    with pytest.raises(UnsupportedError, match="entries"):
        Cascade((many,), 1).reachable()
    with pytest.raises(UnsupportedError, match="entries"):
        merged_values(Cascade((many,), 1), np.zeros((1, 1), dtype=int), 0)


@pytest.mark.parametrize(
    ("moduli", "error", "match"),
    [
        ((2**62 + 1,), DomainError, "2\\^62"),
        ((2**70,), DomainError, "2\\^62"),
        ((2.5,), DtypeError, "integers"),
        ((float("nan"),), DtypeError, "integers"),
        (2, DtypeError, "integers"),
    ],
)
def test_moduli_that_no_phase_can_have(moduli, error, match):
    with pytest.raises(error, match=match):
        PhaseLayer(moduli, np.zeros((1, 1, 1), dtype=np.int64))


def test_the_largest_modulus_is_exact():
    m = 2**62
    layer = PhaseLayer((m,), np.array([[[m - 1], [m // 2 + 3]]]))
    word = [0, 1, 1, 0, 1] * 40
    expected = np.cumsum([(-1, m // 2 + 3)[x] for x in word], dtype=object) % m
    assert Cascade((layer,), 2).run(torch.tensor(word)).tolist() == expected.tolist()


def test_odd_starts_and_counts_are_refused():
    cascade = random_cascade([(3,)], 2)
    word = torch.tensor([[0, 1]])
    for start, error in [
        (2**70, RangeError),
        ("a", DtypeError),
        (None, DtypeError),
        (True, DtypeError),
        (0.5, DtypeError),
    ]:
        with pytest.raises(error, match="start must be"):
            cascade.run(word, start)
    assert torch.equal(cascade.run(word, np.int64(1)), cascade.run(word, 1))
    for count in (-1, 2.0, None):
        with pytest.raises(DomainError, match="num_tokens"):
            Cascade((), count)


def test_cascades_print_in_one_line():
    cascade = random_cascade([(4, 2), (3,)], 2, resets=True)
    assert repr(cascade) == "Cascade([4, 2][3], 2 tokens)"
    assert repr(cascade.layers[1]) == "PhaseLayer([3], 8 cells, 2 tokens, with resets)"
