"""Two layers trained together: what the model computes, how it is snapped, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError
from coset.ssm.learning import GroupWords, Recipe, certify
from coset.ssm.learning.joint import JointRestarts, harden_restarts, train_jointly


def exact_s3(gate="quantized"):
    """Return one restart with the angles of an exact net: sign below, rotation above, M = 6."""
    source = GroupWords("S3")
    restarts = JointRestarts(
        6, 6, modulus=6, gate=gate, num_restarts=1, readout_scale=0.3, generator=None
    )
    from coset.ssm.compile import compile_group

    cascade = compile_group("S3").cascade
    sign = cascade.layers[0].increments[0, :, 0]
    current = cascade.current_increments(1)[:, :, 0]
    with torch.no_grad():
        restarts.first[0] = torch.from_numpy(math.pi * sign)
        for k in (0, 3):  # the states +1 and −1
            restarts.second[0, k] = torch.from_numpy(2 * math.pi / 3 * current[k // 3])
    return source, restarts


def test_an_exact_net_is_snapped_to_an_exact_cascade():
    source, restarts = exact_s3()
    with torch.no_grad():
        restarts.first += 0.1 * (2 * torch.rand(1, 6) - 1)
        restarts.second += 0.1 * (2 * torch.rand(1, 6, 6) - 1)
    (found,) = harden_restarts(restarts, source, Recipe(), torch.Generator().manual_seed(0))
    assert found.entropy == 0
    assert certify(found.cascade, found.decoder, source.table, source.labels, source.start).holds


def test_a_wrong_angle_is_not_snapped_away():
    source, restarts = exact_s3()
    with torch.no_grad():
        restarts.second[0, 3, 2] += math.pi / 3
    (found,) = harden_restarts(restarts, source, Recipe(), torch.Generator().manual_seed(0))
    assert found.entropy > 0.1
    assert not certify(
        found.cascade, found.decoder, source.table, source.labels, source.start
    ).holds


@pytest.mark.parametrize("gate", ["quantized", "raw"])
def test_training_changes_every_parameter_and_lowers_the_loss(gate):
    source = GroupWords("Z2")
    start, _ = train_jointly(
        source,
        gate,
        Recipe(num_iterations=1),
        num_restarts=2,
        generator=torch.Generator().manual_seed(0),
    )
    trained, losses = train_jointly(
        source,
        gate,
        Recipe(num_iterations=80, tokens_per_batch=96),
        num_restarts=2,
        generator=torch.Generator().manual_seed(0),
    )
    for before, after in zip(start.parameters(), trained.parameters(), strict=True):
        assert (before != after).any()
    assert losses.shape == (2,)
    assert float(losses.min()) < math.log(2) - 0.05


def test_restarts_do_not_touch_each_other():
    torch.manual_seed(0)
    restarts = JointRestarts(3, 4, modulus=4, gate="raw", num_restarts=3, readout_scale=0.3)
    tokens = torch.randint(3, (2, 5))
    logits, angles = restarts(tokens)
    assert logits.shape == (3, 2, 5, 4)
    assert angles.shape == (3, 2, 5)
    logits[1].sum().backward()
    for parameter in restarts.parameters():
        assert not parameter.grad[[0, 2]].any()
        assert parameter.grad[1].any()


@pytest.mark.parametrize("gate", ["quantized", "raw"])
def test_the_tables_are_the_angles_at_clean_states(gate):
    torch.manual_seed(0)
    restarts = JointRestarts(3, 4, modulus=4, gate=gate, num_restarts=2, readout_scale=0.3)
    with torch.no_grad():
        restarts.first.copy_(torch.tensor([0.0, 0.5, 1.5]) * math.pi)
    tokens = torch.tensor([[1, 0, 2, 1]])
    _, angles = restarts(tokens)
    first, second = restarts.tables()
    np.testing.assert_allclose(first[0], [0, 0.25, 0.75], atol=1e-6)
    states = np.cumsum([1, 0, 3, 1]) % 4
    expected = 2 * math.pi * second[:, states, tokens[0].numpy()]
    np.testing.assert_allclose(angles[:, 0].detach().numpy(), expected, atol=1e-5)


def test_impossible_models_are_refused():
    with pytest.raises(DomainError, match="gate"):
        JointRestarts(2, 2, modulus=6, gate="soft", num_restarts=1, readout_scale=0.3)
    with pytest.raises(DomainError, match="modulus"):
        JointRestarts(2, 2, modulus=1, gate="raw", num_restarts=1, readout_scale=0.3)
