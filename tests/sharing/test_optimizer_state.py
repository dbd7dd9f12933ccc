"""ProxSharing.load_state_dict is all or nothing; settings changed later are checked by mode."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, CosetError, UnsupportedError
from coset.sharing import ProxSharing

DUAL = dict(mode="dual_averaging", kappa=0.9, ramp_steps=3)
MODES = {"prox": dict(every=3, momentum="average"), "dual averaging": DUAL}


def trained(num_steps, **options):
    """Return weights and a sharing of two groups after some steps."""
    generator = torch.Generator().manual_seed(5)
    a, b = (nn.Parameter(torch.randn(2, 6, generator=generator)) for _ in range(2))
    optimizer = torch.optim.SGD([a, b], lr=0.1)
    groups = [dict(params=[a], rewind=0.25), dict(params=[b], group="row")]
    sharing = ProxSharing(optimizer, groups, **options)
    for _ in range(num_steps):
        for p in (a, b):
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()
        sharing.step()
    return (a, b), sharing


def plain(value):
    """Return a state as plain values, to compare it."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def set_at(path, value):
    """Return a change of one place of a state."""

    def change(state):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


def drop(key):
    return lambda state: state.pop(key)


COMMON = [
    (drop("num_steps"), "num_steps is missing"),
    (drop("iterates"), "iterates is missing"),
    (set_at(["version"], 2), "version must be 1; given 2"),
    (set_at(["mode"], "other"), "given mode 'other'"),
    (set_at(["num_steps"], -1), "num_steps of the state must be an integer ≥ 0; given -1"),
    (set_at(["num_steps"], 1.5), "num_steps of the state must be an integer"),
    (set_at(["summed_lr"], 3), "summed_lr of the state must be a list of lists"),
    (set_at(["summed_lr", 1], [0.1, 0.2]), r"groups of \[1, 1\] parameters; .* with \[1, 2\]"),
    (set_at(["summed_lr", 1, 0], "a"), "each of summed_lr of the state must be a real number"),
    (set_at(["summed_lr", 1, 0], math.nan), "each of summed_lr of the state must be finite"),
    (set_at(["summed_lr", 1, 0], -0.5), "each of summed_lr of the state must be finite and ≥ 0"),
    (set_at(["param_groups"], None), "must hold the settings of 2 groups; given None"),
    (lambda state: state["param_groups"].pop(), "must hold the settings of 2 groups; given 1"),
    (set_at(["param_groups", 1], 3), "group 1 of the state: a group's settings must be"),
    (set_at(["param_groups", 1, "lambda"], 1.0), "group 1 of the state: .* given .*lambda"),
    (lambda state: state["param_groups"][1].pop("rewind"), "group 1 of the state: a group's"),
    (set_at(["param_groups", 1, "rewind"], 2.0), "group 1 of the state: rewind must lie"),
    (set_at(["param_groups", 1, "l1"], math.nan), "group 1 of the state: l1 must be a finite"),
    (set_at(["param_groups", 1, "group"], "column"), "group 1 of the state: group must be one"),
]
OWN = {
    "prox": [
        (set_at(["param_groups", 1, "strength"], -1.0), "group 1 of the state: strength must"),
        (set_at(["param_groups", 1, "kappa"], 1.0), "group 1 of the state: kappa belongs to"),
        (set_at(["iterates"], [[{}]]), r"iterates of the state must hold \[\] entries"),
    ],
    "dual averaging": [
        (set_at(["param_groups", 1, "kappa"], None), "group 1 of the state: .* needs kappa"),
        (set_at(["param_groups", 1, "strength"], 1.0), "group 1 of the state: .* takes its str"),
        (lambda state: state["iterates"].pop(), r"must hold \[1, 1\] entries; given \[1\]"),
        (set_at(["iterates", 1, 0], 7), "z of each iterate of the state must be a real"),
        (lambda state: state["iterates"][1][0].pop("shown"), "shown of each iterate"),
        (set_at(["iterates", 1, 0, "z"], torch.zeros(2, 6).int()), "z of each iterate"),
        (set_at(["iterates", 1, 0, "shown"], torch.zeros(6)), r"shape \(6,\) on cpu for a"),
        (set_at(["iterates", 1, 0, "z"], torch.zeros(2, 6, device="meta")), "on meta for a"),
    ],
}
CASES = [(mode, *case) for mode in MODES for case in COMMON + OWN[mode]]


@pytest.mark.parametrize(("mode", "change", "match"), CASES)
def test_a_refused_state_changes_nothing(mode, change, match):
    # What is wrong lies in the last group, so that the first would have been set before it.
    _, donor = trained(4, **MODES[mode])
    state = copy.deepcopy(donor.state_dict())
    change(state)
    (a, _), sharing = trained(2, **MODES[mode])
    before, weights = plain(sharing.state_dict()), a.tolist()
    with pytest.raises(ConfigError, match=match):
        sharing.load_state_dict(state)
    assert plain(sharing.state_dict()) == before
    assert a.tolist() == weights
    sharing.load_state_dict(donor.state_dict())
    assert plain(sharing.state_dict()) == plain(donor.state_dict()) != before


@pytest.mark.parametrize("state", [None, [], torch.zeros(2), {}])
def test_what_is_no_state_is_refused(state):
    _, sharing = trained(0)
    with pytest.raises(ConfigError, match="the state must"):
        sharing.load_state_dict(state)


def test_a_loaded_state_is_a_copy():
    _, donor = trained(3, **DUAL)
    _, sharing = trained(0, **DUAL)
    state = donor.state_dict()
    sharing.load_state_dict(state)
    loaded = plain(sharing.state_dict())
    state["iterates"][0][0]["z"].fill_(9)
    state["param_groups"][0]["rewind"] = 1.0
    state["summed_lr"][0][0] = 5.0
    assert plain(sharing.state_dict()) == loaded


def test_a_state_keeps_the_precision_of_its_iterates():
    _, donor = trained(3, **DUAL)
    state = donor.state_dict()
    for entries in state["iterates"]:
        for entry in entries:
            entry["z"] = entry["z"].double()
    _, sharing = trained(0, **DUAL)
    sharing.load_state_dict(state)
    assert sharing.state_dict()["iterates"][0][0]["z"].dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "change", "error", "match"),
    [
        (DUAL, {"kappa": None}, ConfigError, "needs kappa"),
        (DUAL, {"kappa": -1.0}, ConfigError, "kappa must be a finite number"),
        (DUAL, {"strength": 0.5}, UnsupportedError, "remove strength"),
        (DUAL, {"l1": 0.5}, UnsupportedError, "remove l1"),
        ({}, {"kappa": 1.0}, ConfigError, "kappa belongs to"),
        ({}, {"strength": None}, ConfigError, "strength must be a real number"),
    ],
)
def test_a_setting_that_does_not_fit_the_mode_stops_the_step(options, change, error, match):
    (a, b), sharing = trained(1, **options)
    before = plain([sharing.state_dict()["num_steps"], a, b])
    sharing.param_groups[1].update(change)
    with pytest.raises(error, match=match):
        sharing.step()
    assert plain([sharing.state_dict()["num_steps"], a, b]) == before


def test_a_setting_that_was_taken_away_is_named():
    _, sharing = trained(1)
    del sharing.param_groups[0]["rewind"]
    with pytest.raises(ConfigError, match="rewind is missing"):
        sharing.step()


def test_kappa_of_zero_is_a_setting_too():
    (a, _), sharing = trained(1, **DUAL)
    sharing.param_groups[0]["kappa"] = 0.0
    try:
        sharing.step()
    except CosetError as error:  # pragma: no cover
        pytest.fail(str(error))
    assert a.unique().numel() == 12
