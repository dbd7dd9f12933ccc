"""Claims C6 to C13 and the laws: verdicts, mutants, and the study that shows the identities."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.claims import identities, laws, loss_identities
from coset.beliefs.claims.identities import agreement
from coset.beliefs.claims.identity_cases import IDENTITIES, gaussian_table
from coset.beliefs.claims.laws import consistent_graph
from coset.beliefs.experiments.identities import IdentitiesConfig
from coset.beliefs.experiments.identities import identities as study
from coset.beliefs.figures.identities import divergence_map, identity_errors
from coset.beliefs.pdg.random_graphs import random_graph
from coset.beliefs.solvers.solve import solve
from coset.core import claims
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg

IDS = [
    f"beliefs.{number}"
    for module in (identities, loss_identities, laws)
    for number in vars(module)
    if number[0] == "C" and number[1].isdigit()
]


def test_all_claims_are_here():
    wanted = [f"C{n}" for n in range(6, 14)] + ["C6b", "C7b", "C9b", "C9c", "C9d", "C9e", "C12b"]
    assert sorted(IDS) == sorted(f"beliefs.{number}" for number in wanted)


@pytest.mark.parametrize("id", IDS)
def test_claims_hold_and_mutants_are_caught(id):
    judged = judge(claims._CLAIMS[id])
    assert judged.problem == ""
    assert judged.seen == "holds"
    assert len(judged.mutants) >= 2
    for mutant in judged.mutants:
        assert mutant.near_miss, mutant.name
        assert mutant.caught, mutant.name


def test_a_difference_that_is_no_number_is_an_error():
    case = (torch.tensor([0.5, 0.5]), 1.0)
    result = agreement([(0.0, case), (math.nan, case), (1e-3, case)], 1e-8, "x")
    assert not result.holds
    assert result.counterexample is not None
    assert result.counterexample["case"] == [[0.5, 0.5], 1.0]


def test_cases_depend_on_the_generator_alone():
    for identity in IDENTITIES.values():
        one, two = (
            [identity.closed(*c) for c in identity.cases(4, torch.Generator().manual_seed(0))]
            for _ in range(2)
        )
        assert one == two
        assert all(math.isfinite(value) for value in one)


def test_gaussian_tables_are_densities():
    cells = torch.linspace(-8, 8, 81, dtype=torch.float64)
    table = gaussian_table(0.5, 1.2, cells)
    assert float(table.sum()) == pytest.approx(1.0)
    assert float(table @ cells) == pytest.approx(0.5)
    assert float(table @ (cells - 0.5) ** 2) == pytest.approx(1.44)


def test_conditionals_of_one_joint_are_consistent():
    generator = torch.Generator().manual_seed(5)
    drawn = random_graph(4, 9, num_sources=(0, 2), generator=generator)
    assert solve(drawn).value > 0.01
    assert solve(consistent_graph(drawn, generator)).value == pytest.approx(0.0, abs=1e-9)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    config = IdentitiesConfig(3, 5)
    folder = tmp_path_factory.mktemp("run")
    return list(study(config, RunContext("beliefs.identities", config, folder)))


def test_the_study_covers_every_identity(rows):
    found = [row for row in rows if row["kind"] == "identity"]
    assert {row["claim"].split(".")[1] for row in found} == set(
        ["C4", "C5", "C6", "C6b", "C7", "C7b", "C8", "C9", "C10", "C11", "C12", "C12b", "C13"]
    )
    assert all(row["difference"] < 1e-8 for row in found)
    assert all(row["gap"] < 1e-8 for row in found)
    assert {row["gamma"] for row in found if row["claim"] == "beliefs.C4"} == {0.0, 0.5, 1.0}
    assert len(found) == 3 * 13


def test_the_map_is_of_the_divergence_of_two_beliefs(rows):
    cells = {(row["r"], row["s"]): row for row in rows if row["kind"] == "map"}
    assert len(cells) == 25
    middle = cells[1.0, 1.0]
    assert middle["inconsistency"] == pytest.approx(0.5634713622301675)
    assert middle["renyi"] == middle["inconsistency"]


def test_the_study_depends_on_the_seed_alone(tmp_path, rows):
    config = IdentitiesConfig(3, 3)
    again = list(study(config, RunContext("beliefs.identities", config, tmp_path)))
    first = [row for row in rows if row["kind"] == "identity"]
    assert [row for row in again if row["kind"] == "identity"] == first
    other = IdentitiesConfig(3, 3, seed=1)
    changed = list(study(other, RunContext("beliefs.identities", other, tmp_path)))
    assert changed[5]["inconsistency"] != again[5]["inconsistency"]


@pytest.mark.parametrize("wrong", [{"num_cases": 0}, {"num_confidences": 1}])
def test_wrong_settings_are_refused(tmp_path, wrong):
    config = IdentitiesConfig(**wrong)
    with pytest.raises(ConfigError, match="num_cases must be ≥ 1"):
        list(study(config, RunContext("beliefs.identities", config, tmp_path)))


def test_pictures_show_the_rows_with_equal_bytes(rows, tmp_path):
    for draw, words in (
        (identity_errors, ("surprisal  C7", "two Gaussians  C13", "accepted")),
        (divergence_map, ("Chernoff", "Bhattacharyya", "confidence r in p")),
    ):
        first = save_svg(draw(rows, []), tmp_path / "a.svg").read_bytes()
        assert first == save_svg(draw(rows, []), tmp_path / "b.svg").read_bytes()
        for word in words:
            assert word in first.decode()


def test_the_map_divides_by_the_smaller_confidence(rows):
    figure = divergence_map(rows, [])
    mesh = figure.axes[0].collections[0].get_array()
    cells = {(row["r"], row["s"]): row["inconsistency"] for row in rows if row["kind"] == "map"}
    side = sorted({r for r, _ in cells})
    assert mesh[0, -1] == pytest.approx(cells[side[-1], side[0]] / side[0])
