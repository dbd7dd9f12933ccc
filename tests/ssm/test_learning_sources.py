"""Where labeled words come from, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from coset.core.errors import ConfigError, DomainError, DtypeError, RangeError, ShapeError
from coset.groups import parse_group
from coset.ssm.learning import GroupWords, MachineWords, StoredWords, WordSource
from coset.ssm.learning.sources import as_source, draw_words


def test_words_of_a_group_are_labeled_by_running_products(generator):
    group = parse_group("S4")
    source = GroupWords(group, "generators")
    tokens, labels = source.sample(5, 40, generator)
    assert source.num_tokens == len(group.generators)
    assert source.num_labels == 24
    assert torch.equal(labels, group.prefix_products(tokens, alphabet=source.alphabet))


def test_a_name_is_a_group():
    assert isinstance(as_source("Q8"), GroupWords)
    assert as_source(parse_group("S3")).num_labels == 6


def test_the_trivial_group_has_one_token_and_one_label(generator):
    tokens, labels = GroupWords("Z1").sample(2, 3, generator)
    assert tokens.sum() == labels.sum() == 0


def test_a_machine_shows_the_labels_of_its_states(generator):
    table = np.array([[1, 2], [2, 0], [0, 1]])
    tokens, labels = MachineWords(table, np.array([0, 1, 1]), start=2).sample(3, 20, generator)
    for word, seen in zip(tokens.tolist(), labels.tolist(), strict=True):
        state = 2
        for x, y in zip(word, seen, strict=True):
            state = table[state][x]
            assert y == min(state, 1)


def test_stored_words_keep_some_for_choosing(generator):
    tokens = torch.arange(10)[:, None].expand(10, 6)
    source = StoredWords(tokens, tokens % 3)
    assert isinstance(source, WordSource)
    assert (source.num_tokens, source.num_labels, source.max_length) == (10, 3, 6)
    seen, labels = source.sample(500, 4, generator)
    assert set(seen[:, 0].tolist()) == set(range(8))
    assert torch.equal(labels, seen % 3)
    fresh, _ = source.sample(500, 6, generator, fresh=True)
    assert fresh[:, 0].tolist() == [8, 9]
    assert StoredWords(tokens, tokens, num_held_out=4).num_held_out == 4


@pytest.mark.parametrize(
    ("table", "labels", "start", "error"),
    [
        (np.zeros((2, 2)), None, 0, DtypeError),
        (np.zeros((2, 0), dtype=int), None, 0, ShapeError),
        (np.zeros(3, dtype=int), None, 0, ShapeError),
        (np.array([[2], [0]]), None, 0, RangeError),
        (np.array([[1], [0]]), None, 2, RangeError),
        (np.array([[1], [0]]), np.array([0, -1]), 0, RangeError),
        (np.array([[1], [0]]), np.array([0]), 0, ShapeError),
    ],
)
def test_machines_that_are_none(table, labels, start, error):
    with pytest.raises(error):
        MachineWords(table, labels, start)


def test_words_that_are_none():
    words = torch.zeros((4, 3), dtype=torch.int64)
    with pytest.raises(ShapeError, match="words, length"):
        StoredWords(words, words[:, :2])
    with pytest.raises(ShapeError):
        StoredWords(words[:0], words[:0])
    with pytest.raises(DtypeError):
        StoredWords(words.double(), words)
    with pytest.raises(RangeError):
        StoredWords(words - 1, words)
    for held_out in (0, 4):
        with pytest.raises(DomainError, match="held out"):
            StoredWords(words, words, held_out)
    with pytest.raises(DtypeError, match="WordSource"):
        as_source([1, 2, 3])
    with pytest.raises(RangeError):
        GroupWords("S3").label(torch.tensor([[6]]))


class Foreign:
    """A source of a user, which returns whatever `words` makes of a size."""

    num_tokens, num_labels, max_length = 2, 2, None

    def __init__(self, words):
        self.words = words

    def sample(self, num_words, length, generator, *, fresh=False):
        return self.words(num_words, length)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        # Compiled code would write outside of its arrays.
        (lambda n, t: (torch.zeros((n, t)).long(), torch.full((n, t), 2)), RangeError),
        (lambda n, t: (torch.full((n, t), -1), torch.zeros((n, t)).long()), RangeError),
        (lambda n, t: (torch.zeros((n, t)).long(), torch.zeros((n, t))), DtypeError),
        (lambda n, t: (torch.zeros((n, t)).long(), torch.zeros((n, t + 1)).long()), ShapeError),
        (lambda n, t: (torch.zeros(t).long(), torch.zeros(t).long()), ShapeError),
        (lambda n, t: (torch.zeros((0, t)).long(), torch.zeros((0, t)).long()), ShapeError),
        (lambda n, t: (np.zeros((n, t), int), np.zeros((n, t), int)), DtypeError),
    ],
)
def test_words_of_foreign_sources_are_checked(words, error):
    with pytest.raises(error):
        draw_words(Foreign(words), 3, 5, None)
    with pytest.raises(error):
        draw_words(Foreign(words), 3, 5, None, fresh=True)


def test_only_fresh_words_may_be_fewer_than_asked_for():
    few = Foreign(lambda n, t: (torch.zeros((1, t), dtype=torch.int32),) * 2)
    tokens, labels = draw_words(few, 3, 5, None, fresh=True)
    assert tokens.dtype == labels.dtype == np.int64
    assert tokens.shape == labels.shape == (1, 5)
    with pytest.raises(ShapeError, match=r"\(3, 5\)"):
        draw_words(few, 3, 5, None)


def test_machines_label_words_of_any_shape():
    parity = MachineWords([[0, 1], [1, 0]])
    words = torch.tensor([[[0, 1, 1], [1, 1, 1]]])
    assert parity.label(words).tolist() == [[[0, 1, 0], [1, 0, 1]]]
    assert parity.label(words[0, 0]).tolist() == [0, 1, 0]
    assert parity.label(words[..., :0]).shape == (1, 2, 0)
    with pytest.raises(ShapeError, match="single number"):
        parity.label(torch.tensor(1))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"table": [[0, 1], [1]]}, ShapeError),
        ({"table": 3}, ShapeError),
        ({"table": [[0, 1], [1, 0]], "labels": [0, 10**12]}, RangeError),
        ({"table": [[0, 1], [1, 0]], "start": None}, DtypeError),
        ({"table": [[0, 1], [1, 0]], "start": 0.5}, DtypeError),
        ({"table": [[0, 1], [1, 0]], "start": True}, DtypeError),
    ],
)
def test_impossible_machines_are_refused(arguments, error):
    with pytest.raises(error):
        MachineWords(**arguments)


def test_stored_words_are_not_cut_silently():
    tokens = torch.zeros((4, 6), dtype=torch.int64)
    with pytest.raises(DomainError, match="at most the 6 tokens"):
        StoredWords(tokens, tokens).sample(2, 7, None)
    with pytest.raises(ConfigError, match="num_words"):
        StoredWords(tokens, tokens).sample(-1, 2, None)
