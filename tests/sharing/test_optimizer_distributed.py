"""ProxSharing under DistributedDataParallel, with a schedule: replicas stay equal to the bit."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from coset.core.errors import UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing import ProxSharing

NUM_STEPS = 12


def train(wrap, rank, size, options):
    """Train a layer on this rank's share of each batch; return its weights and the steps done."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(11)
    layer = nn.Linear(6, 4, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 6, generator=generator, dtype=torch.float64))
    inputs = torch.randn(NUM_STEPS, 8, 6, generator=generator, dtype=torch.float64)
    target = torch.randn(NUM_STEPS, 8, 4, generator=generator, dtype=torch.float64)
    model = wrap(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05, momentum=0.5)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * NUM_STEPS)
    group = {"params": layer.weight} | ({} if "mode" in options else {"strength": 2.0})
    sharing = ProxSharing(optimizer, [group], **options)
    sharing.attach()
    for x, y in zip(inputs, target, strict=True):
        optimizer.zero_grad()
        (model(x[rank::size]) - y[rank::size]).square().mean().backward()
        optimizer.step()
        scheduler.step()
    return layer.weight.detach().clone(), sharing.state_dict()["num_steps"]


OPTIONS = ({"momentum": "average"}, {"mode": "dual_averaging", "kappa": 1.0, "ramp_steps": 4})


def work(rank, folder):
    importlib.import_module("torch.distributed.nn")  # else the group outlives its end
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    results = [train(nn.parallel.DistributedDataParallel, rank, 2, options) for options in OPTIONS]
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_replicas_are_equal_to_the_bit_and_follow_one_process(results, number):
    (first, steps), (second, _) = results[0][number], results[1][number]
    alone, right = train(lambda layer: layer, 0, 1, OPTIONS[number])
    assert first.equal(second)
    assert steps == right == NUM_STEPS
    assert (first - alone).abs().max() <= tolerance("float64", 1000, "sum")
    assert first.unique().numel() == alone.unique().numel() < 24


def test_a_flat_parameter_of_fsdp_is_refused():
    flat = importlib.import_module("torch.distributed.fsdp._flat_param").FlatParameter
    w = nn.Parameter(torch.zeros(4))
    sharded = torch.Tensor._make_subclass(nn.Parameter, torch.zeros(4))
    sharded._is_flat_param = True
    assert isinstance(sharded, flat)
    with pytest.raises(UnsupportedError, match=r"given a FlatParameter of shape \(4,\)"):
        ProxSharing(torch.optim.SGD([w], lr=0.1), [dict(params=sharded)])
