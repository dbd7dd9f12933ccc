"""Witnesses against torch modules: trained or not, compiled, with and without a visible state."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.groups import parse_group
from coset.ssm.blocks import BlockStack
from coset.ssm.compile import compile_group
from coset.ssm.harden import harden
from coset.ssm.stack import SSMStack
from coset.ssm.witness import runners, search_witness, witness
from coset.ssm.witness.black_box import probe_lengths
from coset.ssm.witness.runners import ModuleRunner, flat_state, map_tensors
from coset.ssm.witness.task import task_of
from coset.ssm.witness.words import Word

# Nothing may be found against any of these: twenty with the exact ones of test_witness_exact.
TRACKERS = [("Z6", "complex"), ("S3", "int"), ("S3", "mlp"), ("S4", "table"), ("Q8", "real")]


@pytest.mark.parametrize(("kinds", "level"), [("p", "B"), ("r", "B"), ("c", "B"), ("t", "B")])
def test_one_layer_stacks_are_read_coordinate_by_coordinate(kinds, level):
    group = parse_group("S3")
    search = search_witness(SSMStack(6, 6, kinds, d_state=4), group)
    assert search.witness.level == level
    assert search.witness.kind in ("too close", "unbounded")
    assert search.probe.first_failing_length is not None


@pytest.mark.parametrize(
    ("kinds", "input_term"), [("pp", True), ("cc", False), ("cc", True), ("rc", False)]
)
def test_untrained_stacks_are_fooled(kinds, input_term):
    group = parse_group("S4")
    model = SSMStack(2, 24, kinds, d_state=4, input_term=input_term)
    search = search_witness(model, group, max_length=2000)
    assert search.witness.replay(model, group)
    assert search.witness.values[0] != search.witness.values[1] or (
        search.witness.kind == "unbounded"
    )


def test_published_blocks_are_fooled():
    group = parse_group("Z2")
    for layers in ("m", "s|m"):
        model = BlockStack(2, 2, layers, d_model=8)
        found = witness(model, group, max_length=500)
        assert found is not None
        assert found.replay(model, group)


@pytest.mark.parametrize(("name", "mode"), TRACKERS)
def test_compiled_modules_have_no_witness(name, mode):
    model = compile_group(name).to_module(mode)
    search = search_witness(model, name)
    assert search.witness is None
    assert search.proved == (mode in ("int", "table"))
    assert search.probe.accuracies[-1] == 1.0
    assert search.probe.first_failing_length is None
    assert search.probe.margin > 0
    nested = search_witness(model, name, levels="BCD", max_length=300)
    assert nested.witness is None


def test_exact_states_prove_nothing_if_the_answers_are_wrong():
    model = compile_group("S3").to_module("int")
    model.elements.copy_(model.elements.roll(1))
    for levels in ("A", "AD"):
        search = search_witness(model, "S3", levels=levels)
        assert not search.proved
        assert "with wrong answers" in search.tried[0]
    # A grid that joins states cannot prove anything, either.
    coarse = search_witness(compile_group("Z1").to_module("int"), "Z1", resolution=1.0, levels="A")
    assert not coarse.proved


def test_words_against_modules_are_no_longer_than_allowed():
    model = SSMStack(2, 24, "cc", d_state=4)
    for max_length in (1, 6, 40):
        found = witness(model, "S4", max_length=max_length)
        assert found is None or found.length <= max_length


def test_a_module_of_too_few_labels_or_layers_is_refused():
    model = SSMStack(2, 6, "c", d_state=4)
    with pytest.raises(ShapeError, match="24 elements of S4; it has 6"):
        search_witness(model, "S4", max_length=20)
    with pytest.raises(DomainError, match="num_layers"):
        search_witness(model, "S3", num_layers=0)


def test_a_diverged_module_is_said_to_be_unbounded():
    model = SSMStack(6, 6, "cc", d_state=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    found = witness(model, "S3", max_length=100)
    assert found.kind == "unbounded"
    assert math.isnan(found.growth)
    assert found.reason == "layer 1 is NaN from the first token on, token 1"
    assert "After w the state is NaN: layer 1 is NaN" in found.explain()
    assert found.replay(model)
    hard = harden(model, "S3")
    assert (hard.certified, hard.layers) == (False, ())


@pytest.mark.parametrize("kinds", ["c", "cc"])
def test_the_layer_and_the_token_that_become_nan_are_named(kinds):
    class Broken(SSMStack):
        def layer_transition(self, index, lower, tokens):
            a, b = super().layer_transition(index, lower, tokens)
            bad = (tokens == 3)[..., None] & (index == len(kinds) - 1)
            return torch.where(bad, torch.nan, a), b

    found = witness(Broken(6, 6, kinds, d_state=4), "S3", max_length=100)
    assert math.isnan(found.growth)
    assert found.reason.startswith(f"layer {len(kinds)} is NaN from")
    assert found.reason.endswith(", token 3")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"max_length": 1.5}, DomainError),
        ({"num_layers": "a"}, DomainError),
        ({"resolution": "x"}, DomainError),
        ({"radius": None}, DomainError),
        ({"generator": 3}, DtypeError),
    ],
)
def test_wrong_arguments_are_named(wrong, kind):
    with pytest.raises(kind, match=next(iter(wrong))):
        witness(SSMStack(6, 6, "c", d_state=4), "S3", **wrong)


@pytest.mark.parametrize("model", [nn.Linear(3, 3), nn.GRU(3, 3), nn.Flatten(0)])
def test_modules_that_map_no_tokens_to_logits_are_refused(model):
    with pytest.raises(DtypeError, match="must map tokens"):
        witness(model, "S3")


def test_a_tracker_of_another_group_is_fooled_by_commutators():
    # Phases of S4's first two layers alone: what they miss, commutators of depth 2 show.
    class LowerLayers(nn.Module):
        letters, num_tokens = "cc", 24

        def __init__(self):
            super().__init__()
            self.whole = compile_group("S4").to_module("complex")

        def start_state(self, *batch):
            return self.whole.start_state(*batch)[:2]

        def step(self, tokens, state):
            full = (*state, self.whole.start_state(*tokens.shape)[2])
            logits, after = self.whole.step(tokens, full)
            return logits, after[:2]

        def forward(self, tokens):
            state, logits = self.start_state(len(tokens)), []
            for column in tokens.unbind(1):
                answer, state = self.step(column, state)
                logits.append(answer)
            return torch.stack(logits, 1)

    group = parse_group("S4")
    model = LowerLayers()
    for level in "AC":
        found = search_witness(model, group, levels=level).witness
        assert found.level == level
        assert found.kind in ("same state", "too close")
        assert found.distance < 1e-4
        assert found.replay(model, group)


class Answers(nn.Module):
    """Answers without a state that could be seen; wrong from a position on."""

    num_tokens = 3

    def __init__(self, since):
        super().__init__()
        self.since = since

    def forward(self, tokens):
        right = tokens.cumsum(-1) % 3
        right[:, self.since :] = 0
        return nn.functional.one_hot(right, 3).float()


def test_a_model_without_state_is_judged_by_its_answers():
    group = parse_group("Z3")
    model = Answers(since=50)
    search = search_witness(model, group, alphabet="all")
    found = search.witness
    assert (found.level, found.kind) == ("D", "same answer")
    assert found.replay(model, group)
    assert found.distance is None
    assert "same answer" in found.explain()
    assert search.probe.first_failing_length == 51
    assert search.probe.accuracies[:5] == (1.0,) * 5
    assert search.probe.margin < 0
    assert "give num_layers" in " ".join(search.tried)
    assert witness(Answers(since=10**6), group, alphabet="all") is None


def test_the_probe_reads_rearrangements():
    class Counts(nn.Module):
        num_tokens = 2

        def forward(self, tokens):
            self.tokens = tokens
            return torch.zeros(*tokens.shape, 6)

    model = Counts()
    task = task_of("S3", "generators", 2, 1e-3, 1e3, 100)
    probe, words = probe_lengths(
        ModuleRunner(model), task, length=20, num_words=10, generator=torch.Generator()
    )
    half, other = model.tokens.chunk(2)
    assert torch.equal(half.sum(1), other.sum(1))
    assert not torch.equal(half, other)
    assert probe.num_words == 10
    assert words[0].last == words[1].last


def test_long_words_are_stepped_and_short_ones_read_at_once(monkeypatch):
    model = compile_group("S3").to_module("complex")
    runner = ModuleRunner(model)
    word = Word.of([1, 3, 5, 2, 4])
    short = runner.ends([word, word**2])
    monkeypatch.setattr(runners, "_MAX_PARALLEL", 100)
    long = runner.ends([word**60])[0]
    value = word.value(parse_group("S3").mul, range(6), 0)
    assert short[0].answer == value
    assert long.answer == 0
    assert runner.ends([Word()])[0].answer is None


def test_states_may_be_nested():
    state = {"a": (torch.ones(2, 3), [torch.zeros(2, dtype=torch.int64)]), "b": 7}
    doubled = map_tensors(lambda t: 2 * t, state)
    assert doubled["a"][0].sum() == 12
    assert doubled["b"] == 7
    assert flat_state(state).shape == (2, 4)


def test_a_model_must_say_how_many_tokens_it_reads():
    with pytest.raises(DtypeError, match="num_tokens"):
        ModuleRunner(nn.Linear(1, 1))
