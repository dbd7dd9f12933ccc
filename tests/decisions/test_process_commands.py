"""What ``coset decisions solve`` and ``explain`` print, write, refuse and return."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coset.cli.dispatch import run_command
from coset.core.errors import (
    ConfigError,
    DomainError,
    FileFormatError,
    UnknownNameError,
    UnsupportedError,
)
from coset.decisions.commands.explain import explain
from coset.decisions.commands.process import PLAIN, ProcessOptions, open_process, place_of
from coset.decisions.commands.solve import solve
from coset.decisions.processes.mdp_file import read_mdp, write_mdp
from coset.decisions.processes.named_mdp import NamedMDP
from coset.decisions.solvers.solving import solve as library_solve

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mdps"
GOAL_FIRST = ProcessOptions(objectives="goal,steps")


def told(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_goal_first_on_the_lake(capsys, narrow):
    assert solve("FrozenLake-v1", options=GOAL_FIRST) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FrozenLake-v1: 16 states, 4 actions; goal > steps"
    words = [" ".join(line.split()) for line in lines]
    assert any(line.startswith("1 goal 0.823529412 ") for line in words)
    assert any(line.startswith("2 steps -48.7058824 ") for line in words)
    assert "chances from the start: goal 0.823529, danger 0.176471; 48.7059 steps expected" in words
    grid = lines.index("  ←   H   ←→? H")
    assert lines[grid + 1 : grid + 3] == ["  ↑   ↓   ←   H", "  H   →   ↓   G"]
    assert words[-1] == "certificate checked again from its own data"
    assert max(map(len, lines)) <= 80


def test_exact_values_are_fractions_and_ties_are_proved(capsys):
    assert solve("FrozenLake-v1", options=GOAL_FIRST, exact=True, json=True) == 0
    report = told(capsys)
    assert report["exact"] == ["14/17", "-828/17"]
    assert report["num_unproved_ties"] == 0
    assert report["certified"] is True
    assert report["grid"][1] == "  ←  H  ←→ H"
    assert report["policy"]["row 1, column 2"] == ["left", "right"]
    assert "row 1, column 1" not in report["policy"]


def test_safety_may_leave_nothing_to_be_found(capsys, narrow):
    endless = ProcessOptions(objectives="safety,steps")
    assert solve("FrozenLake-v1", options=endless) == 1
    out = capsys.readouterr().out
    assert "no: objective 2 must stay finite" in out
    assert solve("FrozenLake-v1", options=endless, json=True) == 1
    assert told(capsys)["solved"] is False
    assert solve(str(EXAMPLES / "no_optimum.json"), json=True) == 1
    assert "not attained" in told(capsys)["reason"]
    assert explain(str(EXAMPLES / "no_optimum.json")) == 1
    assert "no: " in capsys.readouterr().out


def test_safety_ends_episodes_on_the_cliff(capsys):
    options = ProcessOptions(objectives="safety,steps", slippery=True)
    assert solve("CliffWalking-v1", options=options, json=True) == 0
    report = told(capsys)
    assert report["value"]["steps"] == pytest.approx(-64.7091759)
    assert report["danger_chance"] == 0
    # Gymnasium sends the fallen back to the start: then a fall there costs no more than a step.
    back = ProcessOptions(objectives="goal,steps", slippery=True)
    assert solve("CliffWalking-v1", options=back, json=True) == 0
    assert told(capsys)["danger_chance"] > 0
    ends = ProcessOptions(objectives="goal,steps", slippery=True, falls_end=True)
    assert solve("CliffWalking-v1", options=ends, json=True) == 0
    assert told(capsys)["danger_chance"] == 0


def test_a_map_of_ones_own_and_firm_ground(capsys):
    options = ProcessOptions(objectives="goal,steps", map="sff/ffg", firm=True)
    assert solve("FrozenLake-v1", options=options, exact=True, json=True) == 0
    report = told(capsys)
    assert report["exact"] == ["1", "-3"]
    assert report["grid"] == ["  ↓→ ↓→ ↓", "  →  →  G"]


def test_unsafe_trajectories_can_earn_nothing(capsys):
    options = ProcessOptions(objectives="safety,steps@0.99", slippery=True)
    nothing = ProcessOptions(
        objectives="safety,steps@0.99", slippery=True, unsafe_earns_nothing=True
    )
    values = []
    for chosen in (options, nothing):
        assert solve("CliffWalking-v1", options=chosen, json=True) == 0
        values.append(told(capsys)["value"]["steps@0.99"])
    # The safe way exists, so that nobody falls and both say the same.
    assert values[0] == pytest.approx(values[1])
    assert values[0] == pytest.approx(-46.352672, abs=5e-7)


@pytest.mark.parametrize("exact", [False, True])
def test_several_first_states_are_averaged(capsys, narrow, exact):
    two = ProcessOptions(objectives="steps", map="SFG/FFS", firm=True)
    assert solve("FrozenLake-v1", options=two, exact=exact, json=True) == 0
    report = told(capsys)
    assert report["value"]["steps"] == pytest.approx(-(2 + 1) / 2)
    assert report["exact"] == (["-3/2"] if exact else None)
    assert report["expected_steps"] == pytest.approx(1.5)  # of the same starts
    assert report["start"] == "2 states, by their chances"
    assert solve("FrozenLake-v1", options=two, exact=exact) == 0
    assert "mean of the starts" in capsys.readouterr().out


def test_a_file_without_a_grid_gets_a_table(capsys, narrow):
    assert solve(str(EXAMPLES / "delivery.json"), exact=True) == 0
    out = capsys.readouterr().out
    words = [" ".join(line.split()) for line in out.splitlines()]
    assert words[0] == "delivery robot: 7 states, 6 actions; safety > delivered > minutes"
    assert "depot by yard 0 1 -6.55556" in words
    assert "3 minutes -59/9 exact none" in words


def test_the_order_of_a_file_can_be_changed(capsys):
    file = str(EXAMPLES / "delivery.json")
    hasty = ProcessOptions(objectives="minutes, safety")
    assert solve(file, options=hasty, exact=True, json=True) == 0
    report = told(capsys)
    assert report["policy"]["depot"] == ["by street"]
    assert report["objectives"] == ["minutes", "safety"]
    with pytest.raises(DomainError, match="second takes values from first"):
        solve(str(EXAMPLES / "corner.json"), options=ProcessOptions(objectives="second,first"))
    with pytest.raises(UnknownNameError, match="did you mean minutes"):
        solve(file, options=ProcessOptions(objectives="minute"))
    with pytest.raises(DomainError, match="distinct"):
        solve(file, options=ProcessOptions(objectives="minutes,minutes"))


def test_dropping_objectives_keeps_their_multipliers(tmp_path):
    named = read_mdp(EXAMPLES / "no_optimum.json")  # multipliers (1, .9)
    second = named.with_objectives(["second"])
    assert second.mdp.num_objectives == 1
    assert float(second.mdp.entry(0, 0)[0, 0, 0]) == 0.9
    corner = read_mdp(EXAMPLES / "corner.json").with_objectives(["first"])
    assert corner.mdp.num_objectives == 1
    assert float(corner.mdp.entry(0, 0)[0, 0, 0]) == 0.5
    assert len(corner.outcomes[0].multiplier) == 1


@pytest.mark.parametrize(
    ("name", "value", "best"),
    [
        ("corner", ["1/2", "6"], "a"),
        ("safety_first", ["-1/2", "2"], "B"),
        ("hazard", ["0", "1"], "b"),
    ],
)
def test_examples_have_their_exact_values(name, value, best, capsys):
    file = EXAMPLES / f"{name}.json"
    start = read_mdp(file).states[0]
    assert solve(str(file), exact=True, json=True) == 0
    report = told(capsys)
    assert report["exact"] == value
    assert report["policy"][start] == [best]


def test_floats_call_the_hazard_a_tie(capsys, narrow):
    file = str(EXAMPLES / "hazard.json")
    assert solve(file) == 0
    assert "? a tie, here or at a priority above, is assumed" in capsys.readouterr().out
    # Listed on its own the hazard survives in floats: without any tolerance it is found.
    assert solve(file, ties="strict", json=True) == 0
    assert told(capsys)["policy"] == {"now": ["b"]}
    assert solve("FrozenLake-v1", options=GOAL_FIRST, ties="strict", json=True) == 1
    assert "every tie must be proved" in told(capsys)["reason"]
    assert explain(file, exact=True) == 0
    words = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "a lost at safety (priority 1), by 8.67361738e-19" in words
    assert "worth safety 0, money 1" in words


def test_the_policy_is_written_as_arrays(tmp_path, capsys):
    out = tmp_path / "policy.npz"
    assert solve("FrozenLake-v1", options=GOAL_FIRST, out=out, json=True) == 0
    assert told(capsys)["out"] == str(out)
    arrays = np.load(out, allow_pickle=False)
    assert arrays["policy"].tolist()[:4] == [0, 3, 3, 3]
    assert arrays["tie_set"].shape == (16, 4)
    assert arrays["value"][0].tolist() == pytest.approx([14 / 17, -828 / 17])
    assert arrays["actions"].tolist() == ["left", "down", "right", "up"]
    assert arrays["lost_at"][6].tolist() == [2, 0, 2, 0]
    with pytest.raises(ConfigError, match=r"must end in \.npz"):
        solve("FrozenLake-v1", out=tmp_path / "policy.csv")


def test_an_npz_file_is_solved_too(tmp_path, capsys):
    problem = open_process("FrozenLake-v1", ProcessOptions(objectives="goal,steps"))
    write_mdp(problem.named.mdp, tmp_path / "lake.npz")
    for exact in (False, True):
        assert solve(str(tmp_path / "lake.npz"), exact=exact, json=True) == 0
        report = told(capsys)
        assert report["value"]["objective 1"] == pytest.approx(14 / 17)
        assert report["policy"]["0"] == ["0"]


def test_explain_tells_where_and_by_how_much(capsys, narrow):
    assert explain("FrozenLake-v1", "1,2", options=GOAL_FIRST, exact=True) == 0
    words = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert words[0] == "row 1, column 2"
    assert words[1] == "worth goal 9/17, steps -525/17"
    assert "left optimal (with others)" in words
    assert "down lost at goal (priority 1), by 0.274509804" in words
    assert explain("FrozenLake-v1", "5", options=GOAL_FIRST, json=True) == 0
    report = told(capsys)
    assert (report["state"], report["actions"]) == ("row 1, column 1", [])
    assert explain("FrozenLake-v1", "5", options=GOAL_FIRST) == 0
    assert "the process has ended here" in capsys.readouterr().out


def test_explain_starts_at_the_start(capsys):
    assert explain("CliffWalking-v1", options=GOAL_FIRST, json=True) == 0
    report = told(capsys)
    assert report["state"] == "row 3, column 0"
    best = [fate["action"] for fate in report["actions"] if fate["best"]]
    assert best == ["up"]
    lost = {f["action"]: (f["lost_at"], f["priority"]) for f in report["actions"] if not f["best"]}
    assert set(lost) == {"right", "down", "left"}
    assert all(level == ("steps", 2) for level in lost.values())


def test_states_have_numbers_places_and_names():
    lake = open_process("FrozenLake-v1", PLAIN)
    assert [place_of(lake, t) for t in (None, "7", "2,1", "row 2, column 1")] == [0, 7, 9, 9]
    robot = open_process(str(EXAMPLES / "delivery.json"), PLAIN)
    assert place_of(robot, "lift") == 4
    assert place_of(robot, "2") == 2
    for problem, text in (
        (lake, "16"),
        (lake, "4,0"),
        (lake, "1,2,3"),
        (lake, "-1"),
        (robot, "1,1"),
    ):
        with pytest.raises(DomainError, match="a state is a number 0…"):
            place_of(problem, text)
    with pytest.raises(DomainError):
        place_of(lake, "9" * 5000)


@pytest.mark.parametrize(
    ("process", "options", "error", "words"),
    [
        ("FrozenLake-v1", {"slippery": True, "firm": True}, ConfigError, "contradict"),
        ("FrozenLak-v1", {}, UnknownNameError, "did you mean FrozenLake-v1"),
        ("CartPole-v1", {}, UnsupportedError, "carry its transitions"),
        ("FrozenLake-v1", {"map": "S/G"}, ConfigError, "two columns"),
        ("FrozenLake-v1", {"objectives": ""}, DomainError, "at least one objective"),
        ("Taxi-v4", {"map": "4x4"}, ConfigError, "Taxi-v4 does not take map_name"),
        ("FrozenLake-v1", {"map": "9x9"}, ConfigError, "a map must be 4x4, 8x8"),
        ("FrozenLake-v1", {"map": "SF/G"}, ConfigError, "one length"),
        ("FrozenLake-v1", {"map": "SX/FG"}, ConfigError, "letters S, F, H and G"),
        ("FrozenLake-v1", {"map": "SF/FF"}, ConfigError, "a start S and a goal G"),
        ("FrozenLake-v1", {"objectives": "goals"}, UnknownNameError, "did you mean goal"),
        ("FrozenLake-v1", {"gamma": 1.5}, DomainError, r"in \[0, 1\]"),
        ("nothing.json", {}, FileFormatError, "cannot be read"),
        ("nothing.json", {"gamma": 0.9}, ConfigError, "only --objectives"),
        ("no_such_module:Env-v0", {}, ConfigError, "cannot be made"),
    ],
)
def test_wrong_use_is_named(process, options, error, words):
    with pytest.raises(error, match=words):
        open_process(process, ProcessOptions(**options))


def test_a_hostile_name_cannot_steer_the_terminal(tmp_path, capsys):
    value = json.loads((EXAMPLES / "hazard.json").read_text())
    value["name"] = "\x1b[2Jgone [bold]"
    value["actions"] = ["a\x1b[1m", "b"]
    value["transitions"][0]["action"] = "a\x1b[1m"
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(value))
    assert solve(str(path), exact=True) == 0
    assert explain(str(path), exact=True) == 0
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "\\x1b[2Jgone [bold]" in out


def test_a_wide_grid_becomes_a_table(capsys, narrow):
    rows = "S" + "F" * 38 + "G"
    options = ProcessOptions(objectives="goal,steps", map=f"{rows}/{'F' * 40}", firm=True)
    assert solve("FrozenLake-v1", options=options) == 0
    out = capsys.readouterr().out
    assert "row 0, column 0" in out
    assert "more states: --out FILE.npz has them all" in out


def test_the_words_of_the_command_line_are_understood(capsys, tmp_path):
    words = ["decisions", "solve", "CliffWalking-v1", "--objectives", "safety,steps"]
    out = tmp_path / "policy.npz"
    assert run_command([*words, "--slippery", "--json", "--out", str(out)]) == 0
    assert told(capsys)["out"] == str(out)
    explained = ["decisions", "explain", "FrozenLake-v1", "1,2", "--objectives", "goal,steps"]
    assert run_command([*explained, "--map", "4x4", "--exact", "--json"]) == 0
    assert told(capsys)["exact"] == ["9/17", "-525/17"]


def test_what_was_read_is_solved_as_it_is():
    named = read_mdp(EXAMPLES / "corner.json")
    found, exact = library_solve(named), library_solve(named, ties="exact")
    assert exact.exact == library_solve(named.exact()).exact
    assert torch.allclose(found.value, exact.value)
    floats = NamedMDP.of(named.mdp)
    assert library_solve(floats, ties="exact").exact == library_solve(floats.exact()).exact
