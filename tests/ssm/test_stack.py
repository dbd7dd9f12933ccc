"""SSMStack: what each layer sees, streaming, files, compilation, bad input, and parity learned."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from coset.core import registry
from coset.core.errors import ConfigError, DtypeError, RangeError, ShapeError
from coset.core.model_files import load_model, save_model
from coset.core.numerics import tolerance
from coset.ssm.stack import SSMStack, parse_kinds

LOOSE = tolerance("float32", 200, "sum")
STACKS = ["t", "p", "r", "c", "tprc", ["complex", "signed"]]


def words(generator, num_tokens=5, size=(3, 12)):
    return torch.randint(num_tokens, size, generator=generator)


def streamed(model, tokens):
    state, logits = model.start_state(*tokens.shape[:-1]), []
    for x in tokens.unbind(-1):
        out, state = model.step(x, state)
        logits.append(out)
    return torch.stack(logits, -2), state


@pytest.mark.parametrize("kinds", STACKS)
@pytest.mark.parametrize("see_tokens", [True, False])
def test_streaming_gives_what_forward_gives(kinds, see_tokens, generator):
    model = SSMStack(5, 4, kinds, d_state=3, see_tokens=see_tokens)
    tokens = words(generator, size=(2, 3, 12))
    logits, state = streamed(model, tokens)
    assert (logits - model(tokens)).abs().max() < LOOSE
    for mine, all_states in zip(state, model.states(tokens), strict=True):
        assert (mine - all_states[..., -1, :]).abs().max() < LOOSE


@pytest.mark.parametrize("kinds", STACKS)
def test_layer_transitions_rebuild_the_states(kinds, generator):
    model = SSMStack(5, 4, kinds, d_state=3, start="learned")
    tokens = words(generator)
    states = model.states(tokens)
    for index, (layer, mine) in enumerate(zip(model.layers, states, strict=True)):
        a, b = model.layer_transition(index, states[:index], tokens)
        h = layer.start_state(len(tokens))
        for t in range(tokens.shape[1]):
            h = a[:, t] * h + b[:, t]
            assert (h - mine[:, t]).abs().max() < LOOSE


def test_the_first_layers_table_is_its_network(generator):
    model = SSMStack(5, 4, "c", d_state=3)
    tokens = words(generator)
    direct = model.layers[0].transition(model.embedding(tokens))
    for got, expected in zip(model.layer_transition(0, [], tokens), direct, strict=True):
        assert (got - expected).abs().max() < tolerance("float32", 64, "sum")


def test_many_models_run_as_one(generator):
    models = [SSMStack(5, 4, "rc", d_state=3) for _ in range(3)]
    tokens = words(generator)
    parameters, buffers = torch.func.stack_module_state(models)

    def run(weights, states):
        return torch.func.functional_call(models[0], (weights, states), (tokens,))

    together = torch.func.vmap(run)(parameters, buffers)
    for got, model in zip(together, models, strict=True):
        assert (got - model(tokens)).abs().max() < LOOSE


def test_the_model_is_causal(generator):
    model = SSMStack(5, 4, "rc", d_state=3)
    tokens = words(generator)
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 5
    before, after = model(tokens), model(changed)
    assert (before[:, :7] - after[:, :7]).abs().max() == 0
    assert (before[:, 7:] - after[:, 7:]).abs().amax((0, 2)).min() > 0


def test_upper_layers_see_current_lower_states_and_tokens(generator):
    tokens = words(generator)
    seeing = SSMStack(5, 4, "rc", d_state=3)
    blind = SSMStack(5, 4, "rc", d_state=3, see_tokens=False)
    lower = [torch.randn(3, 12, 3, generator=generator)]
    other = (tokens + 1) % 5
    for model, sees in ((seeing, True), (blind, False)):
        a, _ = model.layer_transition(1, lower, tokens)
        assert (model.layer_transition(1, lower, other)[0].equal(a)) is not sees
        assert not model.layer_transition(1, [lower[0] + 1], tokens)[0].equal(a)


@pytest.mark.parametrize("kinds", STACKS)
def test_every_parameter_gets_a_gradient(kinds, generator):
    model = SSMStack(5, 4, kinds, d_state=3)
    model(words(generator)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_empty_and_single_words():
    model = SSMStack(5, 4, "tprc", d_state=3)
    empty = torch.zeros(2, 0, dtype=torch.int64)
    assert model(empty).shape == (2, 0, 4)
    assert model(torch.tensor([3])).shape == (1, 4)
    assert model(torch.zeros(0, 7, dtype=torch.int64)).shape == (0, 7, 4)
    assert SSMStack(1, 1, "c")(torch.zeros(1, 3, dtype=torch.int32)).shape == (1, 3, 1)


def test_letters_and_kinds():
    assert SSMStack(2, 2, "tprc").letters == "tprc"
    assert SSMStack(2, 2, "complex").letters == "c"
    assert parse_kinds("nonneg") == ("nonneg",)
    assert parse_kinds(("unitary", "r")[:1]) == ("unitary",)
    for wrong in ("", "x", "tq", [], ["t"], ["mamba"]):
        with pytest.raises(ConfigError, match="kinds must be"):
            parse_kinds(wrong)


def test_bad_tokens_and_layers_are_named():
    model = SSMStack(5, 4, "rc", d_state=3)
    with pytest.raises(RangeError, match=r"given 5 at \(0, 1\)"):
        model(torch.tensor([[0, 5]]))
    with pytest.raises(RangeError, match="-1"):
        model.step(torch.tensor([-1]), model.start_state(1))
    with pytest.raises(DtypeError, match="float32"):
        model(torch.zeros(1, 2))
    with pytest.raises(ShapeError, match="single number"):
        model(torch.tensor(0))
    with pytest.raises(RangeError, match=r"0 … 1; given 2"):
        model.layer_transition(2, [], torch.tensor([0]))
    with pytest.raises(ShapeError, match="1 layers below; given 0"):
        model.layer_transition(1, [], torch.tensor([0]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_tokens": 0},
        {"num_labels": 0},
        {"d_state": 0},
        {"gate_width": -1},
        {"decoder_width": -1},
        {"embedding_width": 0},
        {"input_term": False, "start": "zeros"},
    ],
)
def test_impossible_stacks_are_refused(arguments):
    with pytest.raises(ConfigError):
        SSMStack(**{"num_tokens": 2, "num_labels": 2, "kinds": "r", **arguments})


@pytest.mark.parametrize("widths", [(0, 0), (4, 0), (0, 4)])
def test_linear_gates_and_decoders(widths, generator):
    model = SSMStack(5, 4, "rc", gate_width=widths[0], decoder_width=widths[1])
    assert sum(isinstance(m, torch.nn.ReLU) for m in model.modules()) == (
        (4 if widths[0] else 0) + (1 if widths[1] else 0)
    )
    assert model(words(generator)).isfinite().all()


@pytest.mark.parametrize("start", [None, "ones", "learned"])
def test_a_model_file_builds_the_same_model(start, generator, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.MODEL_CLASSES, "ssm.SSMStack", "coset.ssm.stack:SSMStack")
    model = SSMStack(5, 4, ["lti", "unitary"], d_state=3, start=start, see_tokens=False)
    path = tmp_path / "stack.safetensors"
    save_model(model, path, name="ssm.SSMStack", arguments=model.arguments)
    again = load_model(path)
    tokens = words(generator)
    assert again(tokens).equal(model(tokens))
    assert again.arguments == model.arguments
    assert "kinds=('lti', 'unitary')" in repr(again)


@pytest.mark.parametrize("kinds", ["rp", "tc"])
def test_half_precision(kinds, generator):
    tokens = words(generator)
    model = SSMStack(5, 4, kinds, d_state=3)
    exact = model(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        cast = model(tokens)
    whole = model.bfloat16()(tokens)
    for got in (cast, whole):
        assert got.dtype == torch.bfloat16
        assert (got - exact).abs().max() < 0.2
    assert whole.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["rp", "tc"])
def test_one_graph_compiles(kinds, generator):
    model = SSMStack(5, 4, kinds, d_state=3)
    tokens = words(generator)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert (compiled(tokens) - model(tokens)).abs().max() < LOOSE


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["r", "c"])
def test_parity_is_learned_beyond_the_training_length(kinds):
    # The recipe of the parity study, shortened: 300 steps, words of up to 16 bits.
    torch.manual_seed(0)
    model = SSMStack(2, 2, kinds)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for step in range(300):
        bits = torch.randint(2, (128, min(16, 2 + step // 12)))
        loss = torch.nn.functional.cross_entropy(
            model(bits).flatten(0, 1), (bits.cumsum(1) % 2).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    bits = torch.randint(2, (256, 24))
    assert (model(bits).argmax(-1) == bits.cumsum(1) % 2).float().mean() > 0.9


def test_plausible_mistakes_are_named():
    model = SSMStack(2, 2, "cr", d_state=4)
    tokens = torch.tensor([0, 1])
    for state in ((), model.start_state(2)[:1], model.start_state(2) * 2):
        with pytest.raises(ShapeError, match="each of 2 layers"):
            model.step(tokens, state)
    with pytest.raises(DtypeError, match="given list"):
        model([0, 1])
    for kinds in (3, None, [["c"]], ["c", 1]):
        with pytest.raises(ConfigError, match="kinds must be"):
            SSMStack(2, 2, kinds)


def test_numpy_sizes_become_arguments_of_a_model_file():
    model = SSMStack(np.int64(2), np.int64(3), "c", d_state=np.int64(4), gate_width=np.int64(8))
    again = SSMStack(**json.loads(json.dumps(model.arguments)))
    again.load_state_dict(model.state_dict())
    words = torch.tensor([[0, 1, 1]])
    assert torch.equal(model(words), again(words))
