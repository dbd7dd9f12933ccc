"""``coset beliefs …``: what a person sees, what a machine reads, and how wrong use ends."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from coset.beliefs.pdg.pdg_file import read_pdg
from coset.beliefs.solvers.solve import solve
from coset.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "beliefs"
SENSOR, CYCLE = str(EXAMPLES / "sensor.json"), str(EXAMPLES / "cycle.json")
EXPERTS, COOKIES = str(EXAMPLES / "two_experts.json"), str(EXAMPLES / "cookies.bif")


def run(capsys, *words: str) -> tuple[int, str]:
    code = main(["beliefs", *words])
    return code, capsys.readouterr().out


def test_inspect_names_the_belief_to_blame(capsys):
    code, out = run(capsys, "inspect", SENSOR)
    assert code == 0
    assert "3.91302 nats, proved" in out
    assert out.index("engineers") < out.index("maker") < out.index("today")
    assert "90 %" in out


def test_inspect_for_machines(capsys):
    code, out = run(capsys, "inspect", EXPERTS, "--units", "bits", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["inconsistency"] == pytest.approx(0.5175 / math.log(2), abs=1e-4)
    assert [row["arc"] for row in report["blame"]] == ["botanist", "forager"]
    assert sum(row["conflict"] for row in report["blame"]) == pytest.approx(report["inconsistency"])


def test_inspect_takes_gamma_and_observations(capsys):
    _, out = run(capsys, "inspect", CYCLE, "--gamma", "1", "--json")
    assert json.loads(out)["inconsistency"] == pytest.approx(solve(read_pdg(CYCLE), 1.0).value)
    _, out = run(capsys, "inspect", COOKIES, "--observe", "oven=off,timer=1", "--json")
    assert json.loads(out)["inconsistency"] == pytest.approx(-math.log(0.05 * 0.7))


def test_too_much_inconsistency_is_an_exit_code(capsys):
    assert run(capsys, "inspect", CYCLE, "--at-most", "0.7")[0] == 0
    code, out = run(capsys, "inspect", CYCLE, "--at-most", "0.6")
    assert code == 1
    assert "✗ more than 0.6 nats" in out


def test_contradictory_certainties_are_named(capsys):
    code, out = run(capsys, "inspect", SENSOR, "--observe", "sensor=quiet")
    assert code == 1
    assert "today, sensor=quiet cannot all hold" in out
    code, out = run(capsys, "inspect", SENSOR, "--observe", "sensor=quiet", "--json")
    report = json.loads(out)
    assert (code, report["inconsistency"]) == (1, None)
    assert set(report["conflicts"]) == {"today", "sensor=quiet"}


def test_a_network_agrees_with_itself_and_says_so_without_noise(capsys):
    code, out = run(capsys, "inspect", COOKIES)
    assert code == 0
    assert "inconsistency 0 nats" in out
    assert "e-1" not in out.split("proved")[1].split("\n", 1)[1], "rounding is no conflict"


def test_few_are_listed_and_the_rest_is_counted(capsys):
    _, out = run(capsys, "inspect", CYCLE, "--top", "1")
    assert "and 2 more with less conflict" in out


def test_the_parts_of_structure_and_entropy_are_shown_when_they_count(capsys):
    _, out = run(capsys, "inspect", CYCLE, "--gamma", "0.5")
    words = out.split("\nconflict ")[1].replace(",", "").split()
    parts = [float(word) for word in words if word[0].isdigit()]
    assert parts[0] + parts[1] - parts[2] == pytest.approx(
        solve(read_pdg(CYCLE), 0.5).value, abs=1e-3
    )
    assert "entropy" not in run(capsys, "inspect", CYCLE)[1]


def test_infer_lists_the_most_probable_first(capsys):
    code, out = run(capsys, "infer", SENSOR, "--query", "pump")
    assert code == 0
    assert out.index("failed") < out.index("runs")
    assert f"{0.02 * 0.95 / (0.02 * 0.95 + 0.98 * 0.001):.6f}" in out
    _, out = run(
        capsys, "infer", COOKIES, "--query", "oven,timer", "--given", "cookie=burnt", "--json"
    )
    rows = json.loads(out)["distribution"]
    assert sum(row["probability"] for row in rows) == pytest.approx(1.0)
    assert rows[0]["values"][0] in ("on", "off")


def test_resolve_moves_what_it_may_and_writes_it(capsys, tmp_path):
    path = tmp_path / "moved.json"
    code, out = run(
        capsys, "resolve", CYCLE, "--learn", "worry", "--steps", "20", "--out", str(path)
    )
    assert code == 0
    assert "0.603764 →" in out
    assert "0.100 → 0.7" in out
    moved, before = read_pdg(path), read_pdg(CYCLE)
    assert solve(moved).value < 0.02
    assert (moved.arcs["rest"].probabilities() == before.arcs["rest"].probabilities()).all()


def test_movement_is_said_as_the_mean_over_rows(capsys):
    words = ("resolve", CYCLE, "--learn", "worry", "--rate", "inf", "--steps", "2")
    _, out = run(capsys, *words)
    assert "moved by 0.72 (total variation, mean over rows)" in out
    assert "0.100 → 0.820" in out
    assert "→ 0 nats" in out, "rounding is no inconsistency"
    report = json.loads(run(capsys, *words, "--json")[1])
    assert report["moved"]["worry"] == pytest.approx(0.72, abs=1e-6)


def test_what_was_observed_can_be_observed_again(capsys, tmp_path):
    path = str(tmp_path / "seen.json")
    run(capsys, "resolve", CYCLE, "--learn", "worry", "--observe", "anxious=yes", "--out", path)
    assert run(capsys, "inspect", path, "--observe", "anxious=yes")[0] == 0


def test_contradictory_certainties_are_drawn_and_cannot_be_resolved(capsys, tmp_path):
    path = tmp_path / "conflict.svg"
    words = (SENSOR, "--observe", "sensor=quiet")
    assert run(capsys, "inspect", *words, "--picture", str(path))[0] == 1
    assert "no beliefs to show" not in path.read_text()
    for more in ((), ("--json",)):
        assert main(["beliefs", "resolve", *words, "--learn", "maker", *more]) == 2
        assert "today, sensor=quiet cannot all hold" in capsys.readouterr().err


def test_beliefs_that_agree_are_accepted_at_0(capsys):
    for gamma in ("0", "0.5", "1"):
        code, out = run(capsys, "inspect", COOKIES, "--at-most", "0", "--gamma", gamma)
        assert code == 0
        assert out.count("  0 %") == 3, "what a solver leaves is nobody's fault"


def test_resolve_at_infinite_rate_ends_in_one_step(capsys):
    code, out = run(
        capsys, "resolve", EXPERTS, "--learn", "forager", "--rate", "inf", "--steps", "1", "--json"
    )
    report = json.loads(out)
    assert code == 0
    assert report["inconsistency"][1] == pytest.approx(0.0, abs=1e-9)
    assert report["moved"]["forager"] > 0.1


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "missing.json"),
        ("inspect", SENSOR, "--observe", "sensor"),
        ("inspect", SENSOR, "--observe", "pump=runs,pump=failed"),
        ("resolve", COOKIES, "--learn", "cookie"),
        ("inspect", SENSOR, "--observe", "sensor=loud"),
        ("inspect", SENSOR, "--observe", "nothing=1"),
        ("inspect", SENSOR, "--gamma", "-1"),
        ("inspect", SENSOR, "--gamma", "much"),
        ("inspect", SENSOR, "--at-most", "nan"),
        ("inspect", SENSOR, "--picture", "out.txt"),
        ("infer", SENSOR, "--query", "nothing"),
        ("infer", SENSOR, "--query", "pump,pump"),
        ("infer", SENSOR, "--query", "pump", "--given", "pump=9"),
        ("resolve", SENSOR, "--learn", "nobody"),
        ("resolve", SENSOR, "--learn", "today"),
        ("resolve", CYCLE, "--learn", "worry", "--steps", "0"),
        ("resolve", CYCLE, "--learn", "worry", "--out", "x.txt"),
    ],
)
def test_wrong_use_ends_with_code_2_and_a_reason(capsys, words):
    assert main(["beliefs", *words]) == 2
    assert capsys.readouterr().err.startswith("coset: ")
