"""Several processes follow the path of one, whatever the sizes of the shares."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, UnavailableError, UnsupportedError
from coset.core.numerics import tolerance
from coset.core.seeds import generator_for
from coset.train import Callback, History, TrainConfig, fit
from coset.train.distributed import Processes, _leave, resolve_device

NUM_EXAMPLES = 21  # batches of 5, 5, 5, 5, 1: uneven shares, and a process without an example


class Recorder(Callback):
    def __init__(self):
        self.steps = []

    def on_step(self, state):
        self.steps.append(state.step)


def train(checkpoint=None, num_epochs=2, width=4, callbacks=()):
    """Train a small net in float64; return its parameters, the state and the history."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = generator_for("distributed")
    inputs = torch.randn(NUM_EXAMPLES, 3, generator=generator, dtype=torch.float64)
    history = History()

    def shrink():
        with torch.no_grad():
            model[0].weight.mul_(0.99)

    def loss(model, batch):
        # The loss sees the model itself: a wrapper has no item 0.
        return (model(batch[0]) - batch[1]).square().mean() + 0 * model[0].bias.sum()

    state = fit(
        model,
        optimizer,
        loss,
        (inputs, inputs.prod(1, keepdim=True)),
        TrainConfig(num_epochs, batch_size=5, clip_norm=0.5),
        scheduler=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
        after_step=[shrink],
        callbacks=[history, *callbacks],
        checkpoint=checkpoint,
        evaluate=lambda model: {"mean": model(inputs).mean()},
        extra_state={"history": history},
    )
    return nn.utils.parameters_to_vector(model.parameters()).detach(), state, history.rows


def assert_follows(several, one):
    bound = tolerance("float64", 1000, "sum")
    assert torch.allclose(several[0], one[0], rtol=0, atol=bound)
    assert (several[1].epoch, several[1].step) == (one[1].epoch, one[1].step)
    assert several[1].loss == pytest.approx(one[1].loss, abs=bound)
    assert several[1].metrics == pytest.approx(one[1].metrics, abs=bound)


def join(rank, folder):
    torch.set_num_threads(1)
    importlib.import_module("torch.distributed.nn")  # else the group outlives its end
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )


def work(rank, folder):
    """Train whole, and again with an interruption; store what each process ended with."""
    join(rank, folder)
    record = Recorder()
    whole = train(callbacks=[record])
    train(Path(folder) / "last.pt", num_epochs=1)
    resumed = train(Path(folder) / "last.pt")
    torch.save((whole, resumed, record.steps), f"{folder}/{rank}.pt")
    _refuse_unused(rank, folder)
    _leave()
    assert_no_thread_is_left()


def assert_no_thread_is_left():
    """A thread of the group that outlives it can abort the process at its end."""
    gc.collect()
    if Path("/proc/self/task").exists():
        names = [thread.read_text() for thread in Path("/proc/self/task").glob("*/comm")]
        assert not [name for name in names if "gloo" in name]


def _refuse_unused(rank, folder):
    model = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
    arguments = (
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        lambda model, batch: model[0](batch[0]).mean(),
        (torch.ones(4, 1),),
    )
    fit(*arguments, TrainConfig(2, 2, unused_parameters=True))
    with pytest.raises(ConfigError, match="unused_parameters=True"):
        fit(*arguments, TrainConfig(2, 2))
    Path(folder, f"{rank}.refused").touch()


def check(folder):
    one = train()
    results = [torch.load(f"{folder}/{rank}.pt", weights_only=False) for rank in range(2)]
    for whole, resumed, _ in results:
        assert_follows(whole, one)
        assert torch.equal(resumed[0], whole[0])
        assert torch.equal(results[0][0][0], whole[0])
    assert [steps for _, _, steps in results] == [list(range(1, 11)), []]
    assert results[0][1][2] == results[0][0][2]
    assert len(results[0][0][2]) == 2


def test_two_processes_follow_one_and_resume_to_the_same_bits(tmp_path):
    torch.multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)
    check(tmp_path)
    assert all((tmp_path / f"{rank}.refused").exists() for rank in range(2))


@pytest.mark.slow
def test_torchrun_starts_the_same_run(tmp_path):
    """Two calls of `fit` in one program too: the group is made once."""
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *(__file__, str(tmp_path)),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    check(tmp_path)


def test_cpu_and_wrong_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="'gpu'"):
        resolve_device("gpu")
    with pytest.raises(UnsupportedError, match="'meta'"):
        resolve_device("meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_cuda_is_refused_before_training():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    config = TrainConfig(1, 1, device="cuda")
    with pytest.raises(UnavailableError, match='set device="cpu"'):
        fit(model, optimizer, lambda model, batch: None, (torch.ones(1, 1),), config)


def test_gpu_number_must_exist_and_is_not_given_to_several(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda") == torch.device("cuda:0")
    assert resolve_device("cuda", local_rank=1) == torch.device("cuda:1")
    with pytest.raises(UnavailableError, match="means GPU 5, but there are 2"):
        resolve_device("cuda:5")
    with pytest.raises(ConfigError, match="several processes"):
        resolve_device("cuda:0", local_rank=0)


def test_one_process_passes_values_through():
    alone = Processes(0, 1, torch.device("cpu"))
    assert alone.total(2.5) == 2.5
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.from_first(lambda: "x") == "x"
    module = nn.Linear(1, 1)
    assert alone.wrap(module, unused_parameters=False) is module


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_cuda_follows_cpu(precision):
    ends = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(3)
        model = nn.Linear(8, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs = torch.randn(64, 8, generator=generator_for("cuda"))
        fit(
            model,
            optimizer,
            lambda model, batch: (model(batch[0]) - batch[1]).float().square().mean(),
            (inputs, inputs.sum(1, keepdim=True)),
            TrainConfig(3, 16, device=device, precision=precision),
        )
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach().cpu())
    assert torch.allclose(*ends, rtol=0, atol=tolerance(precision, 64, "mean", scale=10))


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, rank = sys.argv[1], os.environ["RANK"]
    record = Recorder()
    whole = train(callbacks=[record])
    train(Path(folder) / "last.pt", num_epochs=1)
    torch.save((whole, train(Path(folder) / "last.pt"), record.steps), f"{folder}/{rank}.pt")
    _leave()
    assert_no_thread_is_left()
