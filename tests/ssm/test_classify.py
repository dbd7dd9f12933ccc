"""classify: classes read off from multipliers, for stacks, blocks and hand-made layers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DomainError, UnsupportedError
from coset.core.results import Record
from coset.ssm.blocks import BlockStack
from coset.ssm.classify import classify, seen_letters
from coset.ssm.stack import SSMStack


class Tables(nn.Module):
    """Layers whose multipliers are tables over tokens; b = 0."""

    def __init__(self, *tables):
        super().__init__()
        self.tables = [torch.as_tensor(table) for table in tables]
        self.num_tokens = len(self.tables[0])

    def start_state(self, batch):
        return [torch.ones(batch, t.shape[1], dtype=t.dtype) for t in self.tables]

    def layer_transition(self, index, lower, tokens):
        assert len(lower) == index
        a = self.tables[index][tokens]
        return a, torch.zeros_like(a)


@pytest.mark.parametrize("letters", ["t", "p", "r", "c", "tprc", "crpt", "cccc"])
def test_a_stack_is_what_it_was_built_as(letters, generator):
    reports = classify(SSMStack(5, 4, letters), generator=generator)
    assert seen_letters(reports) == letters
    assert [r.declared for r in reports] == list(letters)
    assert [r.index for r in reports] == list(range(len(letters)))
    assert [r.exhaustive for r in reports] == [True] + [False] * (len(letters) - 1)


def test_published_blocks(generator):
    model = BlockStack(5, 4, "s|m|a|u", d_model=8, d_state=3)
    reports = classify(model, generator=generator)
    assert seen_letters(reports) == model.letters == "tpcc"
    assert not any(r.exhaustive for r in reports)
    # A fresh Negative Mamba has small steps: no multiplier below 0 is seen, and that is reported.
    fresh = classify(BlockStack(5, 4, "n", d_model=8, d_state=3), generator=generator)
    assert (fresh[0].letter, fresh[0].declared) == ("p", "r")


def test_hand_made_tables(generator):
    turn = math.tau / 3
    model = Tables(
        [[1.0, 0.5], [-1.0, 0.5]],
        [[0.0, 0.25], [1.0, 0.75]],
        [[1j, 1 + 0j], [1j, complex(math.cos(turn), math.sin(turn))]],
        [[-2.0 + 0j, 3.0 + 0j], [-2.0 + 0j, 3.0 + 0j]],
    )
    first, second, third, fourth = classify(model, generator=generator)
    assert (first.coordinates, first.letter) == ("rt", "r")
    assert (second.coordinates, second.letter) == ("pp", "p")
    assert (third.coordinates, third.letter) == ("tc", "c")
    assert (fourth.coordinates, fourth.letter) == ("tt", "t")
    assert not fourth.input_dependent
    assert first.input_dependent
    assert (second.least_radius, second.largest_radius) == (0.0, 1.0)
    assert first.least_real == -1.0
    assert first.largest_angle == pytest.approx(math.pi)
    assert second.largest_angle == 0.0
    assert third.largest_angle == pytest.approx(turn, abs=1e-6)
    assert fourth.largest_radius == 3.0


def test_every_token_is_read(generator):
    # One token of a thousand turns the state: a sample of 32 words alone would often miss it.
    table = torch.ones(1000, 1)
    table[617] = -1
    (report,) = classify(Tables(table), num_words=1, length=8, generator=generator)
    assert report.letter == "r"
    assert report.exhaustive
    assert report.num_multipliers == 1000


def test_rounding_is_no_class(generator):
    noise = 1e-7 * torch.randn(50, 3, generator=generator)
    near = torch.complex(1 + noise, noise)
    (report,) = classify(Tables(near), generator=generator)
    assert report.coordinates == "ttt"
    far = torch.complex(1 + 100 * noise, torch.zeros(50, 3))
    (report,) = classify(Tables(far), generator=generator)
    assert report.coordinates == "ppp"


def test_a_report_becomes_json_and_text(generator):
    (report,) = classify(SSMStack(2, 2, "r", d_state=3), generator=generator)
    assert Record.from_json(report.to_json()) == report
    assert str(report).startswith(f"layer 0: class {report.letter}")


def test_bad_models_and_arguments(generator):
    with pytest.raises(UnsupportedError, match=r"Linear lacks them; .* to_module\('complex'\)"):
        classify(nn.Linear(2, 2))
    with pytest.raises(DomainError, match="layer 0 has"):
        classify(Tables([[math.nan], [1.0]]), generator=generator)
    with pytest.raises(ConfigError, match="num_words"):
        classify(SSMStack(2, 2), num_words=0)
    with pytest.raises(ConfigError, match="length"):
        classify(SSMStack(2, 2), length=0)
