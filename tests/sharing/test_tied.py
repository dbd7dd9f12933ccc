"""Tied tensors, and parameters that are tied while they are trained."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.numerics import tolerance
from coset.sharing.optimizer import ProxSharing
from coset.sharing.parametrize import TiedWeight, tie, tied_tensor, untie
from coset.sharing.prox import prox_sharing
from coset.sharing.tied import TiedTensor, index_bits, index_dtype


@pytest.mark.parametrize(
    ("count", "dtype"),
    [(256, torch.uint8), (257, torch.uint16), (65536, torch.uint16), (65537, torch.int32)],
)
def test_the_index_is_as_small_as_the_values_allow(count, dtype):
    w = torch.arange(float(count)).flip(0)
    tied = TiedTensor.from_dense(w)
    assert (tied.num_unique, tied.index.dtype, index_dtype(count)) == (count, dtype, dtype)
    assert tied.dense().equal(w)
    assert tied.num_bits() == count * 32 + count * math.ceil(math.log2(count))
    assert tied.entropy() == pytest.approx(math.log2(count), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (0,), (4, 0), (1,), (3, 5, 2)])
def test_dense_gives_back_what_was_stored(shape, dtype, generator):
    w = torch.randint(-3, 4, shape, generator=generator).to(dtype) / 4
    tied = TiedTensor.from_dense(w)
    assert tied.dense().equal(w)
    assert (tied.dense().dtype, tied.shape, tied.num_weights) == (dtype, shape, w.numel())
    assert tied.values.equal(w.unique())


def test_bits_and_entropy_by_hand():
    tied = TiedTensor.from_dense(torch.tensor([1.0] * 6 + [2.0, 3.0], dtype=torch.float16))
    assert tied.num_bits() == 3 * 16 + 8 * 2
    assert tied.entropy() == pytest.approx(0.75 * math.log2(4 / 3) + 2 * 0.125 * 3)
    one = TiedTensor.from_dense(torch.full((9,), 0.5))
    assert (one.num_bits(), one.entropy()) == (32, 0.0)
    empty = TiedTensor.from_dense(torch.zeros(0))
    assert (empty.num_bits(), empty.entropy(), empty.num_unique) == (0, 0.0, 0)
    assert [index_bits(n) for n in (0, 1, 2, 4, 5, 65536)] == [0, 0, 1, 2, 3, 16]


def test_both_zeros_are_one_value():
    tied = TiedTensor.from_dense(torch.tensor([-0.0, 0.0, 1.0]))
    assert tied.num_unique == 2
    assert math.copysign(1, tied.values[0]) == 1


def test_what_is_given_is_copied_and_gives_no_gradient():
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    index = torch.tensor([0, 1, 1], dtype=torch.uint8)
    tied = TiedTensor(values, index, (3,))
    with torch.no_grad():
        values += 1
    index += 1
    assert tied.dense().tolist() == [1.0, 2.0, 2.0]
    assert not tied.dense().requires_grad
    assert TiedTensor(torch.ones(1), torch.zeros(2, 3, dtype=torch.int64), (2, 3)).shape == (2, 3)


def test_clusters_become_their_means():
    w = torch.tensor([[1000.001, 1000.002], [7.0, 1000.003]], dtype=torch.float64)
    tied = TiedTensor.from_clusters(w, torch.tensor([[5, 5], [0, 5]]))
    assert tied.values.tolist() == pytest.approx([7.0, 1000.002], rel=1e-15)
    assert tied.index.tolist() == [1, 1, 0, 1]
    far = TiedTensor.from_clusters(torch.tensor([1.0, 2.0]), torch.tensor([2**62, 2**62]))
    assert far.values.tolist() == [1.5]
    huge = torch.tensor([-1.7e308, 1.7e308, 1.6e308], dtype=torch.float64)
    assert TiedTensor.from_clusters(huge, torch.tensor([0, 1, 1])).values.tolist() == pytest.approx(
        [-1.7e308, 1.65e308]
    )
    # Means that round to one number of the dtype are one value.
    half = torch.tensor([2048.0, 2050.0, 2050.0], dtype=torch.float16)
    assert TiedTensor.from_clusters(half, torch.tensor([0, 1, 2])).num_unique == 2


def test_the_mean_of_a_large_cluster_is_accurate(generator):
    w = 1000 + 1e-3 * torch.randn(100_000, generator=generator, dtype=torch.float64)
    tied = TiedTensor.from_clusters(w, torch.zeros(100_000, dtype=torch.int32))
    exact = math.fsum(w.tolist()) / len(w)
    assert abs(float(tied.values[0]) - exact) <= tolerance("float64", 1, scale=1000.0)


def test_unused_values_go_and_the_others_are_sorted():
    tied = TiedTensor.from_values(
        torch.tensor([4.0, math.nan, -1.0, 4.0]), torch.tensor([[3, 2], [0, 2]])
    )
    assert tied.values.tolist() == [-1.0, 4.0]
    assert tied.dense().tolist() == [[4.0, -1.0], [4.0, -1.0]]


ZEROS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("values", "index", "shape", "error", "message"),
    [
        ([1.0], ZEROS, (2,), DtypeError, "list"),
        (torch.ones(1, dtype=torch.int32), ZEROS, (2,), DtypeError, "floating"),
        (torch.ones(1).to_sparse(), ZEROS, (2,), UnsupportedError, "dense"),
        (torch.ones(1, 1), ZEROS, (2,), ShapeError, "vector"),
        (torch.tensor([math.nan]), ZEROS, (2,), DomainError, "given nan at position 0"),
        (torch.ones(1), [0, 0], (2,), DtypeError, "list"),
        (torch.ones(1), torch.zeros(2), (2,), DtypeError, "float32"),
        (torch.ones(1), torch.zeros(2, dtype=torch.bool), (2,), DtypeError, "bool"),
        (torch.ones(1), ZEROS, (3,), ShapeError, "3 entries"),
        (torch.ones(1), ZEROS.reshape(1, 2), (2, 1), ShapeError, r"shape \(1, 2\)"),
        (torch.ones(1), ZEROS, (2.0,), DtypeError, "integers"),
        (torch.ones(1), ZEROS, 2, DtypeError, "integers; given 2"),
        (torch.ones(1), ZEROS, (-1, -2), ShapeError, "≥ 0"),
        (torch.ones(1), ZEROS, (2,) + (1,) * 64, ShapeError, "at most 64 sizes"),
        (torch.ones(1), ZEROS[:0], (0, 2**60), ShapeError, r"2\^56"),
        (torch.ones(1), torch.tensor([0, 1]), (2,), RangeError, "given 1 at position 1"),
        (torch.ones(1), torch.tensor([0, -1]), (2,), RangeError, "given -1 at position 1"),
        (torch.ones(0), ZEROS, (2,), RangeError, "0 values"),
    ],
)
def test_unsound_tied_tensors_are_refused(values, index, shape, error, message):
    with pytest.raises(error, match=message):
        TiedTensor(values, index, shape)


def test_unsound_weights_are_refused():
    with pytest.raises(DomainError, match="given inf at position 1"):
        TiedTensor.from_dense(torch.tensor([0.0, math.inf]))
    with pytest.raises(DtypeError, match="int64"):
        TiedTensor.from_dense(torch.tensor([1]))
    with pytest.raises(ShapeError, match="shape of the weights"):
        TiedTensor.from_clusters(torch.ones(2), torch.zeros(3, dtype=torch.int64))
    for index in ([0, 0], None):
        with pytest.raises(DtypeError, match="index must be a tensor of integers"):
            TiedTensor.from_clusters(torch.ones(2), index)
    with pytest.raises(RangeError, match="≥ 0; given -1"):
        TiedTensor.from_clusters(torch.ones(2), torch.tensor([-1, 0]))


def linear(generator, dtype=torch.float32):
    layer = nn.Linear(6, 4, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 6, generator=generator))
    return layer


def test_a_tied_layer_computes_with_its_few_values(generator):
    layer = linear(generator)
    before = layer.weight.detach().clone()
    parameter = layer.weight
    tied = tie(layer, "weight", num_unique=5)
    assert tied.num_unique == 5
    assert layer.weight.equal(tied.dense())
    assert layer.parametrizations.weight.original is parameter
    assert parameter.shape == (5,)
    assert isinstance(layer.parametrizations.weight[0], TiedWeight)
    x = torch.randn(3, 6, generator=generator)
    assert layer(x).equal(nn.functional.linear(x, tied.dense(), layer.bias))
    assert (layer.weight - before).norm() < before.norm()
    untie(layer, "weight")
    assert layer.weight is parameter
    assert type(layer) is nn.Linear
    assert layer.weight.equal(tied.dense())


def test_the_gradient_of_a_value_is_the_sum_over_its_weights(generator):
    layer = linear(generator, torch.float64)
    tied = tie(layer, "weight", num_unique=3)
    weight = layer.weight
    (weight**3).sum().backward()
    masses = torch.bincount(tied.index.int(), minlength=3)
    grad = layer.parametrizations.weight.original.grad
    assert torch.allclose(grad, 3 * tied.values**2 * masses, rtol=1e-14)
    values = tied.values.clone().requires_grad_()
    spread = layer.parametrizations.weight[0]
    assert torch.autograd.gradcheck(spread, (values,))
    assert torch.autograd.gradgradcheck(lambda v: spread(v) ** 2, (values,))
    jacobian = torch.func.jacrev(spread)(tied.values).reshape(24, 3)
    assert jacobian.equal(nn.functional.one_hot(tied.index.long(), 3).double())
    curvature = torch.func.hessian(lambda v: (spread(v) ** 3).sum())(tied.values)
    assert torch.allclose(curvature, torch.diag(6 * tied.values * masses), rtol=1e-14)
    assert torch.func.vmap(spread)(torch.stack([tied.values] * 2)).shape == (2, 4, 6)


def test_the_gradient_of_a_large_cluster_is_summed_accurately():
    layer = nn.Linear(2**20, 1, bias=False)
    tie(layer, "weight", num_unique=1)
    layer.weight.backward(torch.full((1, 2**20), 0.1))
    assert float(layer.parametrizations.weight.original.grad) == pytest.approx(
        0.1 * 2**20, rel=1e-6
    )


def test_ties_stay_through_training(generator):
    layer = linear(generator)
    tie(layer, "weight", num_unique=4)
    index = layer.parametrizations.weight[0].index.clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    x, y = torch.randn(30, 6, generator=generator), torch.randn(30, 4, generator=generator)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    now = tied_tensor(layer, "weight")
    assert now.index.int().equal(index)
    assert layer.weight.unique().numel() == 4
    assert now.dense().equal(layer.weight)


def test_the_ways_to_say_what_is_tied(generator):
    weight = torch.randn(8, 8, generator=generator)
    layer = nn.Linear(8, 8)
    layer.weight.data = weight.clone()
    _, info = prox_sharing(weight, 0.3, return_info=True)
    assert (
        tie(layer, "weight", strength=0.3)
        .dense()
        .equal(TiedTensor.from_clusters(weight, info.index).dense())
    )
    assert layer.weight.unique().numel() == info.num_clusters < 64
    untie(layer, "weight")
    # With nothing given the ties are those that are there.
    before = layer.weight.detach().clone()
    assert tie(layer, "weight").num_unique == info.num_clusters
    assert layer.weight.equal(before)
    other = nn.Linear(8, 8)
    tie(other, "weight", tied=tied_tensor(layer, "weight"))
    assert other.weight.equal(before)


def test_weights_tied_in_training_can_be_frozen_into_their_ties(generator):
    layer = linear(generator)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    sharing = ProxSharing(optimizer, [{"params": layer.weight, "strength": 1.0}])
    sharing.step()
    distinct = layer.weight.unique().numel()
    assert tie(layer, "weight").num_unique == distinct < 24


def test_states_go_round(generator):
    first, second = linear(generator), linear(generator)
    tied = tie(first, "weight", num_unique=4)
    state = first.state_dict()
    assert set(state) == {
        "bias",
        "parametrizations.weight.original",
        "parametrizations.weight.0.index",
    }
    tie(second, "weight", num_unique=4)
    assert not second.weight.equal(first.weight)
    second.load_state_dict(state)
    assert second.weight.equal(first.weight)
    twin = copy.deepcopy(first)
    assert twin.weight.equal(tied.dense())
    assert first.double().weight.dtype == torch.float64


def test_an_assigned_weight_is_averaged_over_the_ties():
    layer = nn.Linear(4, 1, bias=False)
    tie(layer, "weight", tied=TiedTensor(torch.zeros(3), torch.tensor([0, 0, 2, 2]), (1, 4)))
    layer.weight = torch.tensor([[1.0, 2.0, 5.0, 9.0]])
    assert layer.weight.tolist() == [[1.5, 1.5, 7.0, 7.0]]
    assert layer.parametrizations.weight.original[1] == 0  # a value that no weight has
    for wrong in (torch.ones(4), torch.ones(1), torch.ones(2, 2)):
        with pytest.raises(ShapeError, match=r"\(1, 4\)"):
            layer.weight = wrong
    with pytest.raises(DtypeError, match="list"):
        layer.weight = [1.0]


def test_a_weight_with_the_same_ties_is_assigned_exactly(generator):
    layer = linear(generator, torch.float64)
    tie(layer, "weight", num_unique=3)
    for _ in range(20):
        values = torch.randn(3, generator=generator, dtype=torch.float64)
        weight = layer.parametrizations.weight[0](values)
        layer.weight = weight
        assert layer.weight.equal(weight)


def test_a_parameter_of_two_names_or_without_data_is_refused(generator):
    layer = nn.Linear(4, 4)
    layer.twin = layer.weight
    model = nn.ModuleDict({"inside": nn.Linear(4, 4)})
    model.weight = model["inside"].weight
    for module, other in ((layer, "twin"), (model, "inside.weight")):
        with pytest.raises(ConfigError, match=f"as {other}, too"):
            tie(module, "weight", num_unique=2)
        assert module.weight.shape == (4, 4)
    for module in (nn.LazyLinear(3), nn.Linear(2, 3, device="meta")):
        with pytest.raises(UnsupportedError, match="must have data"):
            tie(module, "weight", num_unique=2)


def test_a_gradient_of_the_old_shape_goes(generator):
    layer = linear(generator)
    layer.weight.sum().backward()
    tie(layer, "weight", num_unique=2)
    layer.weight.sum().backward()
    assert layer.parametrizations.weight.original.grad.sum() == 24
    untie(layer, "weight")
    assert layer.weight.grad is None
    layer(torch.ones(6)).sum().backward()
    assert layer.weight.grad.shape == (4, 6)


def test_a_frozen_parameter_stays_frozen(generator):
    layer = linear(generator)
    layer.weight.requires_grad_(False)
    tie(layer, "weight", num_unique=2)
    assert not layer.weight.requires_grad


def test_tied_layers_compile(generator):
    layer = linear(generator)
    tie(layer, "weight", num_unique=3)
    x = torch.randn(2, 6, generator=generator)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    assert compiled(x).equal(layer(x))


def test_wrong_use_of_tie_is_refused(generator):
    layer = linear(generator)
    with pytest.raises(ConfigError, match="known: weight, bias"):
        tie(layer, "wight")
    with pytest.raises(ConfigError, match=r"given strength, num_unique"):
        tie(layer, "weight", strength=0.1, num_unique=3)
    with pytest.raises(ConfigError, match=r"nn\.Module; given Parameter"):
        tie(layer.weight, "weight")
    with pytest.raises(DomainError, match="≥ 1"):
        tie(layer, "weight", num_unique=0)
    with pytest.raises(DomainError, match="≥ 0"):
        tie(layer, "weight", strength=-1.0)
    wrong = TiedTensor.from_dense(torch.ones(6, 4))
    with pytest.raises(ShapeError, match=r"\(4, 6\); given \(6, 4\)"):
        tie(layer, "weight", tied=wrong)
    with pytest.raises(DtypeError, match=r"float32; given torch\.float64"):
        tie(layer, "weight", tied=TiedTensor.from_dense(torch.ones(4, 6).double()))
    with pytest.raises(DtypeError, match="must be a TiedTensor; given Tensor"):
        tie(layer, "weight", tied=torch.ones(4, 6))
    for function in (untie, tied_tensor):
        with pytest.raises(ConfigError, match="must be tied by"):
            function(layer, "weight")
    # Nothing of that changed the layer.
    assert type(layer) is nn.Linear
    tie(layer, "weight", num_unique=3)
    with pytest.raises(ConfigError, match="parametrized already"):
        tie(layer, "weight", num_unique=2)
    spectral = nn.utils.parametrizations.spectral_norm(linear(generator))
    with pytest.raises(ConfigError, match="parametrized already"):
        tie(spectral, "weight", num_unique=2)
    with pytest.raises(ConfigError, match="must be tied by"):
        untie(spectral, "weight")
    with torch.no_grad():
        layer.bias[0] = math.nan
    with pytest.raises(DomainError, match="holds nan"):
        tie(layer, "bias", num_unique=2)
