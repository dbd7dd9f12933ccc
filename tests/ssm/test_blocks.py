"""Published blocks: each against a literal loop of its formula, streaming, classes, bad input."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import gelu, glu, silu, softplus

from coset.core import registry
from coset.core.errors import ConfigError, DtypeError, RangeError, ShapeError
from coset.core.model_files import load_model, save_model
from coset.core.numerics import tolerance
from coset.ssm.blocks import (
    BLOCKS,
    AUSSMBlock,
    BlockStack,
    CausalConvolution,
    MambaBlock,
    NegativeMambaBlock,
    S4DBlock,
    SimpleAUSSMBlock,
)

LETTERS = list(BLOCKS)
EXACT = tolerance("float64", 1000, "sum")


def shaken(block, generator):
    """Return the block in float64, every parameter moved: initial values may hide a wrong term."""
    block = block.double()
    with torch.no_grad():
        for parameter in block.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise)
    return block


def sequence(generator, d_model=4, time=9):
    return torch.randn(2, time, d_model, generator=generator, dtype=torch.float64)


def convolved(convolution, x):
    """Return Σ_k weight[k] x_{t−3+k} + bias, position by position."""
    out = torch.zeros_like(x)
    for t in range(x.shape[1]):
        for k in range(convolution.width):
            source = t - convolution.width + 1 + k
            if source >= 0:
                out[:, t] += convolution.weight[:, k] * x[:, source]
        out[:, t] += convolution.bias
    return out


def loop(a, b):
    h, states = torch.zeros_like(b[:, 0]), []
    for t in range(b.shape[1]):
        h = a[:, t] * h + b[:, t]
        states.append(h)
    return torch.stack(states, 1)


@pytest.mark.parametrize("kind", [MambaBlock, NegativeMambaBlock])
def test_mamba_is_its_formula(kind, generator):
    block = shaken(kind(4, d_state=3, step_rank=2), generator)
    u = sequence(generator)
    x, z = block.into(u).split(8, -1)
    x = silu(convolved(block.convolution, x))
    selected = block.select(x)
    dt, B, C = selected[..., :2], selected[..., 2:5], selected[..., 5:]
    dt = softplus(block.to_step(dt))
    A = -block.log_decay.exp()
    a = torch.exp(torch.einsum("btc,cn->btcn", dt, A))
    if kind is NegativeMambaBlock:
        a = 2 * a - 1
    h = loop(a, torch.einsum("btc,btn,btc->btcn", dt, B, x))
    y = torch.einsum("btcn,btn->btc", h, C) + block.skip * x
    expected = block.out(y * silu(z))
    got, multipliers = block.forward_with_multipliers(u)
    assert (got - expected).abs().max() < EXACT
    assert (multipliers - a.flatten(-2)).abs().max() < EXACT


@pytest.mark.parametrize("scale_angle", [False, True])
def test_aussm_is_its_formula(scale_angle, generator):
    block = shaken(AUSSMBlock(4, d_state=3, step_rank=2, scale_angle=scale_angle), generator)
    inputs = sequence(generator)
    u, z = block.into(inputs).split(4, -1)
    u = convolved(block.convolution, u)
    dt = softplus(block.to_step(u))
    angle = (block.angle.weight @ u[..., None])[..., 0] / math.sqrt(4) + block.angle.bias
    angle = angle.reshape(2, 9, 4, 3)
    if scale_angle:
        angle = angle * dt[..., None]
    B = softplus(block.write[:, 0]) * torch.exp(1j * block.write[:, 1])
    C = softplus(block.read[:, 0]) * torch.exp(1j * block.read[:, 1])
    x = silu(u)
    h = loop(torch.exp(1j * angle), (dt * x)[..., None] * B)
    y = (h * C).sum(-1).real + block.skip * x
    assert (block(inputs) - block.out(y * silu(z))).abs().max() < EXACT


def test_simple_aussm_is_its_formula(generator):
    block = shaken(SimpleAUSSMBlock(4, d_state=3), generator)
    x = sequence(generator)
    angle = x @ block.angle.weight.T / 2 + block.angle.bias
    B = softplus(block.write[:, 0]) * torch.exp(1j * block.write[:, 1])
    C = softplus(block.read[:, 0]) * torch.exp(1j * block.read[:, 1])
    h = loop(torch.exp(1j * angle.reshape(2, 9, 4, 3)), x[..., None] * B)
    assert (block(x) - block.out((h * C).sum(-1).real)).abs().max() < EXACT


def test_s4d_is_a_convolution_with_its_kernel(generator):
    block = shaken(S4DBlock(4, d_state=3), generator)
    x = sequence(generator)
    A = -block.log_decay.exp() + 1j * block.frequency
    dt = block.log_step.exp()[:, None]
    B = (torch.exp(dt * A) - 1) / A
    powers = torch.exp(dt * A)[..., None] ** torch.arange(9)
    kernel = 2 * (torch.view_as_complex(block.read)[..., None] * B[..., None] * powers).sum(1).real
    y = torch.zeros_like(x)
    for t in range(9):
        for s in range(t + 1):
            y[:, t] += kernel[:, t - s] * x[:, s]
    expected = glu(block.out(gelu(y + block.skip * x)), -1)
    assert (block(x) - expected).abs().max() < EXACT


@pytest.mark.parametrize("letter", LETTERS)
def test_a_block_streams(letter, generator):
    block = shaken(BLOCKS[letter](4, d_state=3), generator)
    x = sequence(generator)
    whole, state = block(x), block.start_state(2)
    for t in range(9):
        y, state = block.step(x[:, t], state)
        assert (y - whole[:, t]).abs().max() < EXACT


@pytest.mark.parametrize(
    ("letter", "low", "high"), [("m", 0, 1), ("n", -1, 1), ("a", -1, 1), ("u", -1, 1), ("s", -1, 1)]
)
def test_the_multipliers_stay_in_their_class(letter, low, high, generator):
    block = BLOCKS[letter](6, d_state=3)
    x = 300 * torch.randn(4, 30, 6, generator=generator)
    _, a = block.forward_with_multipliers(x)
    if block.letter in "tc":
        assert a.is_complex()
        radius = a.abs()
        expected = radius <= 1 if block.letter == "t" else (radius - 1).abs() < tolerance("float32")
        assert expected.all()
    else:
        assert not a.is_complex()
        assert ((a >= low) & (a <= high)).all()
    if block.letter == "t":
        assert (a == a[0, 0]).all()
    else:
        assert (a != a[0, 0]).any()
    if letter == "n":
        assert a.min() < -0.5


def test_initial_steps_are_those_of_the_paper():
    dt = softplus(MambaBlock(64).to_step.bias.detach())
    assert 0.99e-3 < float(dt.min()) < 5e-3
    assert 0.02 < float(dt.max()) < 0.101
    assert (MambaBlock(4, d_state=5).log_decay[0].exp() - torch.arange(1.0, 6)).abs().max() < 1e-5
    a = S4DBlock(64).forward_with_multipliers(torch.zeros(1, 1, 64))[1].detach().abs()
    assert math.exp(-0.05) - 1e-4 < float(a.min()) < float(a.max()) < math.exp(-0.0005) + 1e-4


def test_convolution_sees_the_past_only(generator):
    convolution = CausalConvolution(3, 4)
    x = torch.randn(2, 8, 3, generator=generator)
    y = convolution(x)
    assert (y - convolved(convolution, x)).abs().max() < tolerance("float32", 4, "sum", scale=4)
    x[:, 4] += 1
    changed = (convolution(x) - y).abs().amax((0, 2)) > 0
    assert changed.tolist() == [False] * 4 + [True] * 4
    assert CausalConvolution(3, 1)(x).shape == x.shape
    assert CausalConvolution(3, 1).start_state(2).shape == (2, 0, 3)


@pytest.mark.parametrize("layout", [*LETTERS, "a|m|a", "m | n | s | u"])
def test_a_stack_streams(layout, generator):
    model = BlockStack(5, 4, layout, d_model=8, d_state=3)
    tokens = torch.randint(5, (2, 3, 9), generator=generator)
    logits, state = model(tokens), model.start_state(2, 3)
    for t in range(9):
        out, state = model.step(tokens[..., t], state)
        assert (out - logits[..., t, :]).abs().max() < tolerance("float32", 200, "sum")
    assert [a.shape[:-1] for a in model.multipliers(tokens)] == [(2, 3, 9)] * len(model.blocks)


def test_letters_of_a_stack():
    model = BlockStack(2, 2, "a|u|m|n|s", d_model=4, d_state=2)
    assert model.letters == "ccprt"
    assert model.layout == "a|u|m|n|s"


@pytest.mark.parametrize("layout", LETTERS)
def test_every_parameter_of_a_stack_gets_a_gradient(layout, generator):
    model = BlockStack(5, 4, layout, d_model=8, d_state=3)
    tokens = torch.randint(5, (2, 9), generator=generator)
    model(tokens).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("layout", LETTERS)
def test_half_precision(layout, generator):
    model = BlockStack(5, 4, layout, d_model=8, d_state=3)
    tokens = torch.randint(5, (2, 9), generator=generator)
    exact = model(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        cast = model(tokens)
    whole = model.bfloat16()(tokens)
    for got in (cast, whole):
        assert got.dtype == torch.bfloat16
        assert (got - exact).abs().max() < 0.3


def test_a_model_file_builds_the_same_stack(generator, tmp_path, monkeypatch):
    monkeypatch.setitem(
        registry.MODEL_CLASSES, "ssm.BlockStack", "coset.ssm.blocks.stack:BlockStack"
    )
    model = BlockStack(5, 4, "a|m|s", d_model=8, d_state=3)
    path = tmp_path / "blocks.safetensors"
    save_model(model, path, name="ssm.BlockStack", arguments=model.arguments)
    tokens = torch.randint(5, (2, 9), generator=generator)
    again = load_model(path)
    assert again(tokens).equal(model(tokens))
    assert "layout='a|m|s'" in repr(again)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["m", "a"])
def test_one_graph_compiles(layout, generator):
    model = BlockStack(5, 4, layout, d_model=8, d_state=3)
    tokens = torch.randint(5, (2, 9), generator=generator)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert (compiled(tokens) - model(tokens)).abs().max() < tolerance("float32", 200, "sum")


@pytest.mark.parametrize("letter", LETTERS)
def test_empty_sequences(letter):
    block = BLOCKS[letter](4, d_state=3)
    assert block(torch.zeros(2, 0, 4)).shape == (2, 0, 4)
    assert block(torch.zeros(1, 4)).shape == (1, 4)


@pytest.mark.parametrize("layout", ["", "x", "am", "a|", "a||m", 3])
def test_impossible_layouts_are_refused(layout):
    with pytest.raises(ConfigError, match="layout must be letters"):
        BlockStack(2, 2, layout)


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="d_model"):
        AUSSMBlock(0)
    with pytest.raises(ConfigError, match="step_rank"):
        MambaBlock(4, step_rank=0)
    with pytest.raises(ConfigError, match="width"):
        CausalConvolution(4, 0)
    with pytest.raises(ShapeError, match=r"\(…, T, 4\); given \(2, 5, 3\)"):
        S4DBlock(4)(torch.zeros(2, 5, 3))
    block = S4DBlock(4)
    with pytest.raises(ShapeError, match=r"\(…, 4\)"):
        block.step(torch.zeros(3), block.start_state())
    model = BlockStack(2, 2, "u", d_model=4, d_state=2)
    with pytest.raises(RangeError, match="given 2"):
        model(torch.tensor([[0, 2]]))
    with pytest.raises(ShapeError, match="single number"):
        model(torch.tensor(1))


def test_integers_lists_and_short_states_are_refused():
    with pytest.raises(DtypeError, match="embed tokens"):
        MambaBlock(8)(torch.zeros((1, 3, 8), dtype=torch.int64))
    model = BlockStack(2, 2, "a|m", d_model=8, d_state=2)
    with pytest.raises(ShapeError, match="each of 2 layers"):
        model.step(torch.tensor([0]), model.start_state(1)[:1])
    with pytest.raises(DtypeError, match="given list"):
        model([0, 1])
