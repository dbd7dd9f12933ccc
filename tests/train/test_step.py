"""One step: precision, clipping, and a refusal of everything that would spoil the weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.numerics import tolerance
from coset.train import Callback, TrainConfig, fit

from .training_run import Run


class Snapshots(Callback):
    """Keeps the state after each step."""

    def __init__(self):
        self.states = []

    def on_step(self, state):
        self.states.append(state)


def linear(**config):
    """Return the arguments of a fit of 2 examples in one batch."""
    torch.manual_seed(1)
    model = nn.Linear(3, 2, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    data = (torch.randn(2, 3, dtype=torch.float64),)
    return [
        model,
        optimizer,
        square,
        data,
        TrainConfig(**{"num_epochs": 1, "batch_size": 2} | config),
    ]


def square(model, batch):
    return model(batch[0]).square().mean()


@pytest.mark.parametrize("clip_norm", [None, 1e-3, 0.1, 1e6])
@pytest.mark.oracle
def test_step_equals_one_written_by_hand(clip_norm):
    arguments = linear(clip_norm=clip_norm)
    expected = copy.deepcopy(arguments[0])
    seen = Snapshots()
    fit(*arguments, callbacks=[seen])

    # The sum over the two examples does not depend on their order, up to rounding.
    square(expected, arguments[3]).backward()
    norm = nn.utils.clip_grad_norm_(expected.parameters(), clip_norm or float("inf"))
    bound = tolerance("float64", 10, "sum", scale=10)
    for old, new in zip(expected.parameters(), arguments[0].parameters(), strict=True):
        assert torch.allclose(old - 0.5 * old.grad, new, rtol=0, atol=bound)
    assert seen.states[0].gradient_norm == pytest.approx(float(norm), abs=bound)


def test_norm_counts_real_and_complex_and_mixed_dtypes():
    model = nn.ParameterList(
        [
            nn.Parameter(torch.zeros(2, dtype=torch.float32)),
            nn.Parameter(torch.zeros(1, dtype=torch.float64)),
            nn.Parameter(torch.zeros(1, dtype=torch.complex64)),
        ]
    )

    def loss(model, batch):
        return (3 * model[0]).sum() + 4 * model[1].sum() + (5 * model[2]).real.sum()

    seen = Snapshots()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    config = TrainConfig(1, 1, clip_norm=1.0)
    fit(model, optimizer, loss, (torch.ones(1, 1),), config, callbacks=[seen])
    norm = (2 * 9 + 16 + 25) ** 0.5
    assert seen.states[0].gradient_norm == pytest.approx(norm)
    assert model[1].item() == pytest.approx(-4 / norm, abs=1e-5)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_precision_is_that_of_the_products(precision, dtype):
    seen = []

    def loss(model, batch):
        output = model(batch[0])
        seen.append(output.dtype)
        return output.float().square().mean()

    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    state = fit(model, optimizer, loss, (torch.ones(2, 4),), TrainConfig(1, 2, precision=precision))
    assert seen == [dtype]
    assert model.weight.dtype == torch.float32
    assert state.num_skipped == 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_resumes_to_the_same_bits(tmp_path, precision):
    whole, half = Run(precision=precision), Run(precision=precision, num_epochs=1)
    whole.fit()
    half.fit(tmp_path / "last.pt")
    resumed = Run(precision=precision)
    resumed.fit(tmp_path / "last.pt")
    assert resumed.digest() == whole.digest()


def test_float16_step_with_overflow_is_skipped_with_its_hooks(tmp_path):
    """Gradients near 1 overflow at scale 65536 where they pass through float16."""

    def loss(model, batch):
        return model(batch[0]).sum().float()

    def train(num_epochs):
        torch.manual_seed(0)
        model, steps, seen = nn.Linear(1, 1), [], Snapshots()
        before = model.weight.detach().clone()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(
            model,
            optimizer,
            loss,
            (torch.full((1, 1), 3.0),),
            TrainConfig(num_epochs, 1, precision="float16"),
            after_step=[lambda: steps.append(1)],
            callbacks=[seen],
            checkpoint=tmp_path / "last.pt",
        )
        return model, before, steps, seen.states

    model, before, steps, states = train(1)
    assert torch.equal(model.weight, before)
    assert (steps, states[-1].num_skipped, states[-1].step) == ([], 1, 1)
    model, before, steps, states = train(6)  # the loss scale comes from the checkpoint
    assert not torch.equal(model.weight, before)
    assert len(steps) + states[-1].num_skipped == 6
    assert 0 < len(steps) <= 5


def test_float16_that_overflows_at_every_scale_is_an_error():
    def loss(model, batch):
        return (model(batch[0]).float() - model(batch[0]).float()).abs().sqrt().sum()

    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    config = TrainConfig(100, 1, precision="float16")
    with pytest.raises(DomainError, match="bfloat16"):
        fit(model, optimizer, loss, (torch.ones(1, 1),), config)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_loss_that_is_not_finite_names_the_step_and_spares_the_weights(tmp_path, bad):
    run = Run()
    kept = []

    def loss(model, batch):
        if run.shrink.count == 8:  # the ninth step: epoch 1, batch 2
            kept.append(copy.deepcopy(model.state_dict()))
            return Run.loss(model, batch) * bad
        return Run.loss(model, batch)

    with pytest.raises(DomainError, match=r"step 8 \(epoch 1, batch 2\).*learning rate"):
        run.fit(tmp_path / "last.pt", loss=loss)
    for name, parameter in run.model.named_parameters():
        assert torch.equal(parameter, kept[0][name])


def test_gradient_that_is_not_finite_is_refused_though_the_loss_is():
    arguments = linear()
    before = arguments[0].weight.detach().clone()
    arguments[2] = lambda model, batch: (model.weight * 0).abs().sqrt().sum()
    with pytest.raises(DomainError, match=r"gradients must be finite; step 0 .* norm nan"):
        fit(*arguments)
    assert torch.equal(arguments[0].weight, before)


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        (lambda model, batch: model(batch[0]), ShapeError, "add .mean()"),
        (lambda model, batch: 1.0, DtypeError, "float"),
        (lambda model, batch: model(batch[0]).sum().long(), ShapeError, "int64"),
        (lambda model, batch: model(batch[0]).sum().detach(), DomainError, "requires a gradient"),
        (lambda model, batch: batch[0].sum(), DomainError, "requires a gradient"),
    ],
)
def test_loss_of_the_wrong_kind_is_refused(loss, error, text):
    arguments = linear()
    arguments[2] = loss
    with pytest.raises(error, match=text):
        fit(*arguments)


def test_loss_that_misses_the_optimizer_is_refused():
    arguments = linear()
    arguments[1] = torch.optim.SGD([arguments[0].bias], lr=0.1)
    arguments[2] = lambda model, batch: model.weight.sum()
    with pytest.raises(DomainError, match="parameter of the optimizer"):
        fit(*arguments)
