"""PositionMLP and TorusCNN: shapes, counts, symmetry, and that one contains the other."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import ConfigError, ShapeError
from coset.core.model_files import load_model, save_model
from coset.core.numerics import tolerance
from coset.sharing.models import PositionMLP, TorusCNN, unroll_kernel

TOLERANCE = tolerance("float32", 1000, "mean")


def images(generator, count=5, side=7):
    return torch.randn(count, side, side, generator=generator)


def seen(model, x):
    """Give the batch norms statistics of their own, so that they are not the identity."""
    model.train()
    model(x)
    return model.eval()


@pytest.mark.parametrize("kind", [PositionMLP, TorusCNN])
def test_images_may_have_three_layouts(kind, generator):
    x = images(generator)
    model = seen(kind(side=7, channels=(4, 3), num_classes=6), x)
    expected = model(x)
    assert expected.shape == (5, 6)
    assert model(x[:, None]).equal(expected)
    assert model(x.flatten(1)).equal(expected)


def test_the_published_network_has_the_published_number_of_weights():
    with torch.device("meta"):
        model = PositionMLP(side=14, channels=(32, 64), dropout=0.4)
    assert model.layers[1].weight.numel() == 78_675_968


def test_the_weight_counts_of_one_layer():
    assert PositionMLP(side=7, channels=(16,)).layers[0].weight.numel() == 38_416
    assert TorusCNN(side=7, channels=(16,), kernel_size=3).layers[0].weight.numel() == 144


def test_the_cnn_does_not_see_cyclic_shifts_and_the_mlp_does(generator):
    x = images(generator)
    moved = x.roll((2, 5), (-2, -1))
    cnn = seen(TorusCNN(side=7, channels=(4, 3)), x)
    assert (cnn(x) - cnn(moved)).abs().max() < TOLERANCE
    mlp = seen(PositionMLP(side=7, channels=(4, 3)), x)
    assert (mlp(x) - mlp(moved)).abs().max() > 1e-3


def test_the_mlp_does_not_see_the_order_of_a_channels_units(generator):
    x = images(generator)
    model = seen(PositionMLP(side=7, channels=(3,)), x)
    expected = model(x)
    order = torch.randperm(49, generator=generator)
    index = torch.cat([order + 49 * c for c in range(3)])
    with torch.no_grad():
        for module in (model.layers[0], model.norms[0]):
            for tensor in module.state_dict().values():
                if tensor.ndim:
                    tensor.copy_(tensor[index])
    assert (model(x) - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_a_one_layer_cnn_is_a_circulant_mlp(kernel_size, generator):
    x = images(generator)
    cnn = seen(TorusCNN(side=7, channels=(4,), kernel_size=kernel_size), x)
    twin = PositionMLP.from_convolution(cnn)
    assert (twin(x) - cnn(x)).abs().max() < TOLERANCE
    assert twin.filters().equal(cnn.filters())
    with pytest.raises(ShapeError, match="one layer"):
        PositionMLP.from_convolution(TorusCNN(side=7, channels=(4, 4)))


def test_unrolling_a_kernel_is_the_convolution(generator):
    kernel = torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)
    x = torch.randn(3, 7, 7, generator=generator, dtype=torch.float64)
    padded = torch.nn.functional.pad(x[:, None], (2, 2, 2, 2), mode="circular")
    expected = torch.nn.functional.conv2d(padded, kernel[:, None]).flatten(1)
    got = x.flatten(1) @ unroll_kernel(kernel, 7).T
    assert (got - expected).abs().max() < tolerance("float64", 25, "sum")


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 9, 9), (2, 3, 5), (3, 3)])
def test_kernels_that_do_not_fit_are_refused(shape):
    with pytest.raises(ShapeError):
        unroll_kernel(torch.zeros(shape), 7)


@pytest.mark.parametrize("kind", [PositionMLP, TorusCNN])
@pytest.mark.parametrize(
    "arguments",
    [{"side": 0}, {"channels": ()}, {"channels": (0,)}, {"num_classes": 0}, {"dropout": 1.0}],
)
def test_impossible_sizes_are_refused(kind, arguments):
    with pytest.raises(ConfigError):
        kind(**arguments)


@pytest.mark.parametrize("kernel_size", [2, 9])
def test_impossible_kernels_are_refused(kernel_size):
    with pytest.raises(ConfigError, match="odd and ≤ side = 7"):
        TorusCNN(side=7, kernel_size=kernel_size)


def test_a_wrong_image_size_is_named():
    with pytest.raises(ShapeError, match=r"given \(2, 8, 8\)"):
        PositionMLP(side=7)(torch.zeros(2, 8, 8))


@pytest.mark.parametrize("kind", [PositionMLP, TorusCNN])
def test_a_model_file_builds_the_same_model(kind, generator, tmp_path):
    x = images(generator)
    model = seen(kind(side=7, channels=(3,)), x)
    arguments = {"side": 7, "channels": [3]}
    save_model(
        model, tmp_path / "net.safetensors", name=f"sharing.{kind.__name__}", arguments=arguments
    )
    again = load_model(tmp_path / "net.safetensors")
    assert again(x).equal(model(x))
    assert "side=7, channels=(3,)" in repr(again)
