"""Decision processes in files: what is written is read again, and bad files are named exactly."""

from __future__ import annotations

import copy
import json
import zipfile
from fractions import Fraction
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, FileFormatError
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.mdp_file import read_mdp, write_mdp
from coset.decisions.processes.mdp_json import mdp_from_json
from coset.decisions.processes.named_mdp import NamedMDP
from coset.decisions.processes.objectives import objectives

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mdps"

GOOD = {
    "format": "coset mdp 1",
    "name": "two states",
    "objectives": ["u", "v"],
    "states": ["x", "y"],
    "actions": ["a", "b"],
    "start": "x",
    "terminal": ["y"],
    "multiplier": [[0.5, 0], [2, "1/3"]],
    "transitions": [
        {"state": "x", "action": "a", "next": "y", "reward": [1, "2/3"]},
        {
            "state": "x",
            "action": "b",
            "reward": [0, 0.1],
            "outcomes": [
                {"next": "x", "probability": "1/3"},
                {"next": "y", "probability": "2/3", "reward": [3, 4], "multiplier": 0},
            ],
        },
    ],
}


def changed(*path, to=None, drop=False):
    """Return GOOD with one field changed."""
    value = copy.deepcopy(GOOD)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return value


def written(tmp_path, value):
    path = tmp_path / "process.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def same(a: MDP, b: MDP):
    assert torch.equal(a.successor, b.successor)
    assert torch.equal(a.allowed, b.allowed)
    shape = (*a.successor.shape, a.num_objectives)
    assert torch.equal(a.probability, b.probability)
    used = a.probability > 0
    assert torch.equal(a.reward.expand(shape)[used], b.reward.expand(shape)[used])
    for i in range(a.num_objectives):
        for j in range(i + 1):
            mine, theirs = (m.entry(i, j).expand(shape[:3])[used] for m in (a, b))
            assert torch.equal(mine.double(), theirs.double())


def test_numbers_are_read_as_they_are_written(tmp_path):
    named = read_mdp(written(tmp_path, GOOD))
    first, second, third = named.outcomes
    assert (first.state, first.action, first.successor, first.probability) == (0, 0, 1, 1)
    assert first.reward == (1, Fraction(2, 3))
    half = ((Fraction(1, 2), 0), (2, Fraction(1, 3)))
    assert first.multiplier == second.multiplier == half
    assert second.reward == (0, Fraction(1, 10))  # not the double next to 0.1
    assert third.reward == (3, 4)
    assert third.multiplier == ((0, 0), (0, 0))
    assert named.mdp.probability[0, 1].tolist() == [1 / 3, 2 / 3]
    assert named.mdp.multiplier[0, 1, 0].tolist() == [[0.5, 0], [2, 1 / 3]]
    assert named.mdp.terminal.tolist() == [False, True]
    assert (named.name, named.start, named.states) == ("two states", 0, ("x", "y"))


def test_one_objective_may_have_plain_numbers():
    value = changed("objectives", to=["u"])
    value["multiplier"] = 0.9
    value["transitions"] = [{"state": "x", "action": "a", "next": "x", "reward": 2}]
    named = mdp_from_json(value)
    assert named.mdp.reward.flatten().tolist()[0] == 2
    assert named.mdp.multiplier.flatten().tolist() == [0.9]
    assert named.mdp.allowed.tolist() == [[True, False], [False, False]]


def test_floats_of_python_are_accepted_too():
    assert mdp_from_json(GOOD).outcomes[1].reward == (0, Fraction(1, 10))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda p: p.stem)
def test_every_example_is_read_and_comes_back(path, tmp_path):
    named = read_mdp(path)
    for suffix in ("json", "npz"):
        copied = tmp_path / f"copy.{suffix}"
        write_mdp(named, copied)
        back = read_mdp(copied)
        same(named.mdp, back.mdp)
        assert (back.states, back.actions, back.objectives, back.start, back.name) == (
            named.states,
            named.actions,
            named.objectives,
            named.start,
            named.name,
        )
    assert read_mdp(tmp_path / "copy.json").outcomes == named.outcomes


def test_the_hazard_survives_in_exact_numbers():
    named = read_mdp(EXAMPLES / "hazard.json")
    chances = [outcome.probability for outcome in named.outcomes]
    assert chances == [1 - Fraction(1, 2**60), Fraction(1, 2**60), 1]
    assert float(chances[0]) == 1.0  # which floats cannot tell


def test_a_lake_as_json_has_thirds(tmp_path):
    lake = from_toy_text(gymnasium.make("FrozenLake-v1"))
    mdp = objectives(lake, "goal,steps@0.99")
    write_mdp(NamedMDP.of(mdp, "lake"), str(tmp_path / "lake.json"))
    back = read_mdp(tmp_path / "lake.json")
    same(mdp, back.mdp)
    assert {o.probability for o in back.outcomes} == {Fraction(1, 3), Fraction(2, 3)}
    assert {o.multiplier[1][1] for o in back.outcomes} == {Fraction(99, 100)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "must hold a JSON object; given"),
        (changed("format", to="coset mdp 9"), "format must be 'coset mdp 1'"),
        (changed("states", drop=True), "states is missing"),
        (changed("rewards", to=1), "field 'rewards' is unknown"),
        (changed("states", to=[]), "states must be a list of 1 to"),
        (changed("states", to=["x", "x"]), r"states\[1\] 'x' is also states\[0\]"),
        (changed("actions", to=["a", 3]), r"actions\[1\] must be text"),
        (changed("actions", to=["a", "b" * 201]), r"actions\[1\] must be text of at most 200"),
        (changed("start", to="z"), "start must be one of states; given 'z'"),
        (changed("terminal", to="y"), "terminal must be a list"),
        (changed("terminal", to=["z"]), r"terminal\[0\] must be one of states"),
        (changed("terminal", to=[]), "state 'y' has no action"),
        (changed("terminal", to=["x", "y"]), r"transitions\[0\] is action 'a' in state 'x', which"),
        (changed("name", to=3), "name must be text"),
        (changed("multiplier", to=[1, 2, 3]), "multiplier must be a number, or have 2"),
        (changed("multiplier", to=[[1, 1], [0, 1]]), "multiplier must be lower triangular.*row 0"),
        (changed("multiplier", to=[-1, 1]), "not negative on the diagonal"),
        (changed("multiplier", to=[[1, 0], 1]), r"multiplier\[1\] must have one number for each"),
        (changed("transitions", to={}), "transitions must be a list"),
        (changed("transitions", 0, to=3), r"transitions\[0\] must hold a JSON object"),
        (changed("transitions", 0, "state", drop=True), r"transitions\[0\]: state is missing"),
        (changed("transitions", 0, "reward", to=[1]), r"transitions\[0\].reward must have one"),
        (changed("transitions", 0, "reward", to=[1, "x"]), r"reward\[1\] must be a number"),
        (changed("transitions", 0, "reward", to=[1, True]), r"reward\[1\] must be a number"),
        (changed("transitions", 0, "reward", to=[1, "1/0"]), r"reward\[1\] divides by 0"),
        (changed("transitions", 0, "reward", to=[1, "1e999"]), r"reward\[1\] must be below"),
        (changed("transitions", 0, "reward", to=[1, "1e9999"]), "exponent 999"),
        (changed("transitions", 0, "reward", to=[1, "9" * 60]), "at most 50 digits"),
        (changed("transitions", 0, "next", to="z"), r"transitions\[0\].next must be one of states"),
        (changed("transitions", 0, "action", to="c"), r"transitions\[0\].action must be one of"),
        (changed("transitions", 0, "next", drop=True), "either next or outcomes"),
        (changed("transitions", 0, "outcomes", to=[]), "either next or outcomes"),
        (changed("states", to=["a", "b\ud800"]), r"states\[1\] must be text that can be written"),
        (changed("objectives", to=["a\0"]), r"objectives\[0\] must be text that can be written"),
        (changed("transitions", 1, "outcomes", to=[]), r"transitions\[1\].outcomes must be a list"),
        (changed("transitions", 1, "action", to="a"), r"transitions\[1\] is action 'a' in state"),
        (
            changed("transitions", 1, "outcomes", 0, "probability", to=0.3),
            r"the probabilities of transitions\[1\] must sum to 1; they sum to 0.96666",
        ),
        (
            changed("transitions", 1, "outcomes", 0, "probability", to="-1/3"),
            r"transitions\[1\].outcomes\[0\].probability must be in \[0, 1\]",
        ),
        (
            changed("transitions", 1, "outcomes", 1, "weight", to=1),
            r"transitions\[1\].outcomes\[1\]: field 'weight' is unknown",
        ),
    ],
)
def test_a_wrong_field_is_named(tmp_path, value, words):
    path = written(tmp_path, value)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_mdp(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"format": ', "line 1, column 12"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": 1, "a": 2}', "names 'a' twice"),
        ("[" * 100_000, "must be JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "must be JSON"),
    ],
)
def test_what_is_not_strict_json_is_refused(tmp_path, text, words):
    with pytest.raises(FileFormatError, match=words):
        read_mdp(written(tmp_path, text))


def test_probabilities_that_were_rounded_are_made_to_sum_to_one():
    value = changed("transitions", 1, "outcomes", 0, "probability", to="0.3333333")
    chances = [o.probability for o in mdp_from_json(value).outcomes[1:]]
    assert sum(chances) == 1
    assert float(chances[0]) == pytest.approx(1 / 3, abs=1e-6)


def test_a_file_that_would_fill_the_memory_is_refused():
    value = changed("states", to=[f"s{i}" for i in range(60_000)])
    value["terminal"] = value["states"][1:]
    value["start"] = "s0"
    value["transitions"] = [
        {"state": "s0", "action": "a", "outcomes": [{"next": "s1", "probability": 0.001}] * 1000}
    ]
    with pytest.raises(FileFormatError, match="states × actions × outcomes × objectives² may be"):
        mdp_from_json(value)


def test_missing_large_and_foreign_files(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_mdp(tmp_path / "none.json")
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_mdp(tmp_path / "none.npz")
    with pytest.raises(FileFormatError, match=r"ending in .json or .npz; given .*x.csv"):
        read_mdp(tmp_path / "x.csv")
    with pytest.raises(FileFormatError, match=r"written to .json or .npz"):
        write_mdp(mdp_from_json(GOOD), tmp_path / "x.csv")
    with pytest.raises(DtypeError, match="must be an MDP or NamedMDP; given"):
        write_mdp(tmp_path / "x.npz", mdp_from_json(GOOD))
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(FileFormatError, match="UTF-8 text; byte 7"):
        read_mdp(tmp_path / "latin.json")
    monkeypatch.setattr("coset.decisions.processes.mdp_json.MAX_FILE_BYTES", 20)
    with pytest.raises(FileFormatError, match="may have 20 bytes"):
        read_mdp(written(tmp_path, GOOD))


def arrays(**changes):
    """Return the arrays of a small npz file, some changed or (``None``) left out."""
    found = {
        "successor": np.array([[[0], [1]], [[1], [1]]]),
        "probability": np.ones((2, 2, 1)),
        "reward": np.zeros((2, 2)),
        **changes,
    }
    return {name: array for name, array in found.items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reward": None}, "array reward is missing"),
        ({"weights": np.ones(2)}, "array 'weights.npy' is unknown"),
        ({"reward": np.array([[None, 1], [2, 3]])}, "plain arrays"),
        ({"reward": np.array([["a", "b"], ["c", "d"]])}, "must be an array of numbers"),
        ({"probability": np.full((2, 2, 1), 0.5)}, "state 0, action 0 sum to 0.5"),
        ({"probability": np.full((2, 2, 1), np.nan)}, r"probability\[0, 0, 0\] is nan"),
        ({"successor": np.full((2, 2, 1), 7)}, r"successor\[0, 0, 0\] is 7"),
        ({"reward": np.full((2, 2), np.inf)}, r"reward\[0, 0, 0\]"),
        ({"mask": np.zeros((2, 2), dtype=bool)}, "each state needs an action"),
        ({"states": np.array(["a"])}, "states must be 2 distinct names; given 1"),
        ({"states": np.array([1, 2])}, "states must be one row of text"),
        ({"states": np.array(["a", "b" * 300])}, r"states\[1\] must have at most 200"),
        ({"start": np.array(2)}, "start must be a state 0…1; given 2"),
        ({"start": np.array(0.5)}, "start must be a whole number"),
        ({"name": np.array([1])}, "name must be text"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes, words):
    path = tmp_path / "process.npz"
    np.savez(path, **arrays(**changes))
    with pytest.raises(FileFormatError, match=words) as caught:
        read_mdp(path)
    assert str(caught.value).startswith(str(path))


def test_arrays_of_another_machine_are_read(tmp_path):
    np.savez(tmp_path / "p.npz", **arrays())
    wanted = read_mdp(tmp_path / "p.npz")
    swapped = {
        name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays().items()
    }
    swapped["successor"] = swapped["successor"].astype(np.uint64)
    np.savez(tmp_path / "q.npz", **swapped)
    found = read_mdp(tmp_path / "q.npz")
    assert torch.equal(found.mdp.successor, wanted.mdp.successor)
    assert torch.equal(found.mdp.reward, wanted.mdp.reward)
    shown = "MDP(2 states, 2 actions, 1 successor, 1 objective)"
    assert repr(found) == f"NamedMDP(objective 1, {shown})"


def test_names_are_numbers_where_the_file_has_none(tmp_path):
    np.savez(tmp_path / "p.npz", **arrays(multiplier=np.array(0.5), name=np.array("small")))
    named = read_mdp(tmp_path / "p.npz")
    assert (named.states, named.actions, named.objectives) == (
        ("0", "1"),
        ("0", "1"),
        ("objective 1",),
    )
    assert (named.name, named.start, named.outcomes) == ("small", 0, None)


def test_broken_and_hostile_archives_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "p.npz"
    path.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(FileFormatError, match="must be an npz file"):
        read_mdp(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("successor.npy", b"no array")
    with pytest.raises(FileFormatError, match="plain arrays"):
        read_mdp(path)
    np.savez_compressed(path, **arrays(reward=np.zeros((2, 2, 1, 100_000))))
    monkeypatch.setattr("coset.decisions.processes.mdp_npz.MAX_BYTES", 100_000)
    with pytest.raises(FileFormatError, match="may unpack to 100,000 bytes; it declares"):
        read_mdp(path)


def test_names_must_fit_the_process():
    mdp = mdp_from_json(GOOD).mdp
    with pytest.raises(DomainError, match="states must be 2 distinct names"):
        NamedMDP(mdp, ("x", "x"), ("a", "b"), ("u", "v"))
    with pytest.raises(DomainError, match="start must be a state"):
        NamedMDP.of(mdp, start=-1)
