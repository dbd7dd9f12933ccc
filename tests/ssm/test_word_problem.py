"""WordProblem: labels against products by the table, disjoint splits, uniform draws, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coset.core.errors import ConfigError, DomainError, DtypeError, RangeError, ShapeError
from coset.groups import cyclic, symmetric
from coset.ssm.word_problem import WordProblem


def products(problem, tokens):
    """Multiply each word out, letter by letter, by the group's table."""
    group, labels = problem.group, torch.empty_like(tokens)
    for n, word in enumerate(tokens.tolist()):
        y = group.identity
        for t, x in enumerate(word):
            y = int(group.mul[y, problem.alphabet[x]])
            labels[n, t] = y
    return labels


@pytest.mark.parametrize("alphabet", ["all", "generators", [3, 1, 3]])
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_labels_are_running_products(alphabet, split, generator):
    problem = WordProblem("S4", 12, alphabet=alphabet, split=split)
    tokens, labels = problem.sample(50, generator=generator)
    assert tokens.shape == labels.shape == (50, 12)
    assert tokens.dtype == labels.dtype == torch.int64
    assert labels.equal(products(problem, tokens))
    assert problem.contains(tokens).all()
    assert problem.num_labels == 24
    assert problem.num_tokens == {"all": 24, "generators": len(problem.group.generators)}.get(
        str(alphabet), 3
    )


@pytest.mark.parametrize("length", [3, 8, 40])
def test_the_splits_share_no_word_and_cover_all(length, generator):
    words = torch.randint(3, (4000, length), generator=generator)
    train = WordProblem("Z3", length, split="train").contains(words)
    test = WordProblem("Z3", length, split="test").contains(words)
    assert (train ^ test).all()
    if length > 3:  # 4,000 different words: the share is 0.2 up to five standard errors
        assert abs(float(test.double().mean()) - 0.2) < 5 * (0.16 / 4000) ** 0.5


def test_the_share_of_the_test_split_is_as_asked(generator):
    words = torch.randint(3, (4000, 30), generator=generator)
    share = WordProblem("Z3", 30, split="test", test_fraction=0.7).contains(words)
    assert abs(float(share.double().mean()) - 0.7) < 5 * (0.21 / 4000) ** 0.5


def test_the_split_depends_on_every_letter_and_place(generator):
    problem = WordProblem("S3", 30, split="test")
    words = torch.randint(6, (500, 30), generator=generator)
    before = problem.contains(words)
    for t in (0, 13, 29):
        changed = words.clone()
        changed[:, t] = (changed[:, t] + 1) % 6
        assert 0.2 < float((problem.contains(changed) != before).double().mean()) < 0.45
    assert 0.2 < float((problem.contains(words.flip(-1)) != before).double().mean()) < 0.45


def test_the_split_is_the_same_in_every_run():
    words = torch.tensor(list(itertools.product(range(3), repeat=5)))
    test = WordProblem("Z3", 5, split="test", seed=7).contains(words)
    assert test.equal(WordProblem("Z3", 5, split="test", seed=7).contains(words))
    assert not test.equal(WordProblem("Z3", 5, split="test", seed=8).contains(words))
    # Stored: a change of the hash would let old test words into new training sets.
    assert test.nonzero()[:5, 0].tolist() == [1, 10, 17, 26, 30]


@pytest.mark.parametrize(("length", "split"), [(4, "train"), (4, "test"), (9, "train")])
def test_draws_are_uniform_over_the_split(length, split, generator):
    problem = WordProblem("Z2", length, split=split)
    tokens, _ = problem.sample(20_000, generator=generator)
    codes = (tokens * 2 ** torch.arange(length)).sum(-1)
    everything = torch.tensor(list(itertools.product((0, 1), repeat=length)))
    size = int(problem.contains(everything).sum())
    counts = torch.bincount(codes, minlength=2**length)
    assert int((counts > 0).sum()) == size
    expected = 20_000 / size
    chi_square = float(((counts[counts > 0] - expected) ** 2 / expected).sum())
    # A chi-square variable exceeds its mean by six standard deviations with probability < 1e-6
    # at these degrees of freedom, up to the skewness that the factor 8 allows for.
    assert chi_square < size + 8 * (2 * size) ** 0.5


def test_one_generator_one_sample():
    problem = WordProblem("S3", 20)
    draws = [problem.sample(5, generator=torch.Generator().manual_seed(3))[0] for _ in range(2)]
    assert draws[0].equal(draws[1])
    other, _ = problem.sample(5, generator=torch.Generator().manual_seed(4))
    assert not draws[0].equal(other)


def test_batches_feed_training(generator):
    source = WordProblem("S3", 6).batches(3, 4)
    batches = list(source(torch.Generator().manual_seed(1)))
    again = list(source(torch.Generator().manual_seed(1)))
    assert len(batches) == 3
    for (tokens, labels), (same, _) in zip(batches, again, strict=True):
        assert tokens.shape == labels.shape == (4, 6)
        assert tokens.equal(same)
    assert not batches[0][0].equal(batches[1][0])


def test_other_lengths_keep_the_rest():
    problem = WordProblem("S3", 6, alphabet=[1, 2], seed=5, split="test", test_fraction=0.5)
    longer = problem.with_length(9)
    assert longer.length == 9
    assert longer.alphabet.tolist() == [1, 2]
    assert (longer.seed, longer.split, longer.test_fraction) == (5, "test", 0.5)


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_empty_words_and_no_words(split, generator):
    tokens, labels = WordProblem("S3", 0, split=split).sample(4, generator=generator)
    assert tokens.shape == labels.shape == (4, 0)
    tokens, labels = WordProblem("S3", 9, split=split).sample(0, generator=generator)
    assert tokens.shape == labels.shape == (0, 9)


def test_the_trivial_group(generator):
    for alphabet in ("all", "generators"):
        problem = WordProblem(cyclic(1), 5, alphabet=alphabet, split="all")
        tokens, labels = problem.sample(3, generator=generator)
        assert (tokens == 0).all()
        assert (labels == 0).all()
    with pytest.raises(DomainError, match="of the 1 words of length 5 over 1 tokens it has none"):
        WordProblem(cyclic(1), 5, split="test")


def test_the_alphabet_cannot_be_changed():
    problem = WordProblem(symmetric(3), 4)
    with pytest.raises(ValueError, match="read-only"):
        problem.alphabet[0] = 2
    assert "('S3', length=4, num_tokens=6, split='train')" in repr(problem)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"length": -1}, ConfigError, "length"),
        ({"length": 2.5}, ConfigError, "length"),
        ({"split": "valid"}, ConfigError, "split must be"),
        ({"test_fraction": 0.0}, ConfigError, "test_fraction"),
        ({"test_fraction": float("nan")}, ConfigError, "test_fraction"),
        ({"alphabet": []}, DomainError, "at least one"),
        ({"alphabet": "some"}, DomainError, "some"),
        ({"alphabet": [6]}, RangeError, "0 … 5; given 6"),
        ({"alphabet": np.array([0.5])}, DtypeError, "integer"),
        ({"group": 5}, DtypeError, "must be a coset.groups.Group"),
        ({"group": "S"}, DomainError, "S"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        WordProblem(**{"group": "S3", "length": 4, **arguments})


def test_bad_tokens_and_counts():
    problem = WordProblem("S3", 4, alphabet="generators")
    with pytest.raises(RangeError):
        problem.label(torch.tensor([[0, problem.num_tokens]]))
    with pytest.raises(ConfigError, match="num_words"):
        problem.sample(-1)
    with pytest.raises(ConfigError, match="batch_size"):
        problem.batches(1, 0)


@pytest.mark.parametrize("fraction", [1e-300, 0.001, 0.9999])
def test_fractions_that_may_leave_a_split_empty_are_refused(fraction):
    with pytest.raises(ConfigError, match="test_fraction"):
        WordProblem("S3", 50, test_fraction=fraction, split="test")


@pytest.mark.parametrize("seed", [1.7, "a", None, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ConfigError, match="seed"):
        WordProblem("S3", 5, seed=seed)


@pytest.mark.filterwarnings("error")
def test_words_of_a_split_are_checked_and_a_single_one_is_looked_up_quietly():
    problem = WordProblem("S3", 8)
    words, _ = problem.sample(np.int64(3))
    assert problem.contains(words[0]).shape == ()
    assert bool(problem.contains(words[0]))
    assert problem.contains(words[:0]).shape == (0,)
    for wrong, error in [
        (torch.tensor([0.5, 1.0]), DtypeError),
        (torch.tensor([-1, 0]), RangeError),
        (torch.tensor([99, 0]), RangeError),
        (torch.tensor(1), ShapeError),
        ([0, 1], DtypeError),
    ]:
        with pytest.raises(error):
            problem.contains(wrong)
