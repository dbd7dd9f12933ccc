"""Recurrent baselines: torch's cells behind the interface of the stacks."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import ConfigError, DtypeError, RangeError, ShapeError
from coset.core.numerics import tolerance
from coset.ssm.baselines import RecurrentBaseline


@pytest.mark.parametrize("cell", ["rnn", "gru"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_streaming_gives_what_forward_gives(cell, num_layers, generator):
    model = RecurrentBaseline(5, 4, cell=cell, hidden=8, num_layers=num_layers)
    tokens = torch.randint(5, (2, 3, 7), generator=generator)
    logits, state = model(tokens), model.start_state(2, 3)
    assert logits.shape == (2, 3, 7, 4)
    for t in range(7):
        out, state = model.step(tokens[..., t], state)
        assert (out - logits[..., t, :]).abs().max() < tolerance("float32", 64, "sum")


def test_the_rnn_is_its_formula(generator):
    model = RecurrentBaseline(5, 4, hidden=8)
    cell = model.recurrence
    h = torch.zeros(8)
    tokens = torch.randint(5, (6,), generator=generator)
    for x in tokens:
        h = torch.tanh(
            cell.weight_ih_l0 @ model.embedding.weight[x]
            + cell.bias_ih_l0
            + cell.weight_hh_l0 @ h
            + cell.bias_hh_l0
        )
    expected = model.head(h)
    assert (model(tokens)[-1] - expected).abs().max() < tolerance("float32", 64, "sum")


def test_arguments_build_it_again(generator):
    model = RecurrentBaseline(5, 4, cell="gru", hidden=8, num_layers=2)
    again = RecurrentBaseline(**model.arguments)
    again.load_state_dict(model.state_dict())
    tokens = torch.randint(5, (2, 7), generator=generator)
    assert again(tokens).equal(model(tokens))
    assert "cell='gru'" in repr(model)


def test_empty_words_and_bad_input():
    model = RecurrentBaseline(5, 4, hidden=8)
    assert model(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 4)
    with pytest.raises(RangeError, match="given 5"):
        model(torch.tensor([5]))
    with pytest.raises(ShapeError, match="single number"):
        model(torch.tensor(0))
    for wrong in ({"cell": "lstm"}, {"hidden": 0}, {"num_layers": 0}, {"num_tokens": 0}):
        with pytest.raises(ConfigError):
            RecurrentBaseline(**{"num_tokens": 2, "num_labels": 2, **wrong})


def test_states_of_another_depth_and_lists_are_refused():
    model = RecurrentBaseline(2, 2, hidden=4, num_layers=2)
    with pytest.raises(ShapeError, match="each of 2 layers"):
        model.step(torch.tensor([0]), model.start_state(1)[:1])
    with pytest.raises(DtypeError, match="given list"):
        model([0, 1])
