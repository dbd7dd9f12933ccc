"""Prefix products of words of every length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DtypeError, RangeError, ShapeError
from coset.groups import cyclic, general_linear, prefix_products_reference, symmetric

S4 = symmetric(4)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 63, 64, 65, 1000])
def test_all_lengths_equal_the_loop(length, generator):
    words = torch.randint(0, 24, (3, length), generator=generator)
    found = S4.prefix_products(words)
    assert found.dtype == torch.int64
    assert found.shape == words.shape
    for word, values in zip(words.tolist(), found.tolist(), strict=True):
        assert values == prefix_products_reference(S4, word)


@pytest.mark.parametrize("shape", [(5,), (0, 4), (2, 0), (2, 3, 7), (3000, 4), (1, 1)])
def test_all_shapes_equal_the_loop(shape, generator):
    words = torch.randint(0, 24, shape, generator=generator)
    found = S4.prefix_products(words)
    assert found.shape == shape
    for word, values in zip(
        words.reshape(-1, shape[-1]).tolist()[:50] if words.numel() else [],
        found.reshape(-1, shape[-1]).tolist()[:50] if words.numel() else [],
        strict=True,
    ):
        assert values == prefix_products_reference(S4, word)


def test_many_words_at_once_equal_the_loop(generator):
    words = torch.randint(0, 24, (2500, 9), generator=generator)
    found = S4.prefix_products(words)
    last = [prefix_products_reference(S4, word)[-1] for word in words.tolist()]
    assert found[:, -1].tolist() == last


def test_an_alphabet_gives_tokens_their_elements(generator):
    letters = [S4.element((1, 0, 2, 3)), S4.element((1, 2, 3, 0)), S4.identity]
    words = torch.randint(0, 3, (4, 100), generator=generator)
    expected = S4.prefix_products(torch.tensor(letters)[words])
    assert (S4.prefix_products(words, letters) == expected).all()
    assert (S4.prefix_products(words.to(torch.uint8), np.array(letters)) == expected).all()


def test_words_that_are_not_contiguous_are_read_right(generator):
    words = torch.randint(0, 24, (100, 4), generator=generator).T
    assert (S4.prefix_products(words) == S4.prefix_products(words.contiguous())).all()


def test_the_words_are_left_alone(generator):
    words = torch.randint(0, 24, (2, 50), generator=generator)
    before = words.clone()
    S4.prefix_products(words)
    assert (words == before).all()


@pytest.mark.parametrize("token", [-1, 24, 2**40])
def test_tokens_out_of_range_are_named(token):
    with pytest.raises(RangeError, match=f"given {token}"):
        S4.prefix_products(torch.tensor([0, token, 1]))
    with pytest.raises(RangeError, match="0 … 1"):
        S4.prefix_products(torch.tensor([2]), [3, 4])


def test_tokens_of_other_types_are_refused():
    for wrong in (torch.zeros(3), torch.zeros(3, dtype=torch.bool), [0, 1], np.zeros(3, int)):
        with pytest.raises(DtypeError):
            S4.prefix_products(wrong)
    with pytest.raises(ShapeError, match="T"):
        S4.prefix_products(torch.tensor(3))
    with pytest.raises(RangeError):
        S4.prefix_products(torch.tensor([0]), [24])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 47), max_size=80), st.integers(0, 80))
@pytest.mark.property
def test_a_word_may_be_cut_anywhere(word, cut):
    group = general_linear(2, 3)
    whole = group.prefix_products(torch.tensor(word, dtype=torch.int64)).tolist()
    assert whole == prefix_products_reference(group, word)
    cut = min(cut, len(word))
    carry = whole[cut - 1] if cut else group.identity
    rest = group.prefix_products(torch.tensor(word[cut:], dtype=torch.int64)).tolist()
    assert whole[cut:] == [int(group.mul[carry, value]) for value in rest]


def test_an_identity_with_another_number_pads_nothing(generator):
    group = cyclic(7).relabel([3, 0, 1, 2, 4, 5, 6])
    words = torch.randint(0, 7, (2, 130), generator=generator)
    found = group.prefix_products(words).tolist()
    assert found == [prefix_products_reference(group, word) for word in words.tolist()]
