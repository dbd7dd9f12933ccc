"""What a solution says about each action of a state."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import RangeError, ShapeError
from coset.core.results import Record, Status
from coset.decisions.solvers.solution import MDPSolution, TieStatus


@pytest.fixture
def solution():
    return MDPSolution(
        torch.tensor([[1.0, 4.0], [0.0, 0.0]], dtype=torch.float64),
        Status.SOLVED,
        error_bound=1e-9,
        policy=torch.tensor([1, -1]),
        tie_set=torch.tensor([[False, True, True], [False] * 3]),
        tie_status=torch.tensor([[1, 2], [-1, -1]], dtype=torch.int8),
        lost_at=torch.tensor([[0, 2, 2], [-1, -1, -1]], dtype=torch.int8),
        loss=torch.tensor([[0.25, 0.0, 0.0], [0.0] * 3], dtype=torch.float64),
    )


def test_each_action_has_its_fate(solution):
    assert solution.explain(0).splitlines() == [
        "state 0: objective 1 1, objective 2 4",
        "  action 0: lost at objective 1 (priority 1), by 0.25",
        "  action 1: optimal, a tie (within the error, not proved)",
        "  action 2: optimal, a tie (within the error, not proved)",
    ]
    named = solution.explain(0, ["left", "stay", "right"], ["safety", "time"])
    assert "left: lost at safety (priority 1), by 0.25" in named
    assert solution.explain(1).endswith("the process has ended here")


def test_counts_and_print(solution):
    assert solution.num_unproved_ties == 1
    assert solution.action_counts().tolist() == [2, 0]
    assert "within 1e-09, 1 states with unproved ties" in repr(solution)
    assert TieStatus(int(solution.tie_status[0, 0])) is TieStatus.PROVED


def test_names_and_states_are_checked(solution):
    with pytest.raises(RangeError):
        solution.explain(2)
    with pytest.raises(ShapeError, match="3 names"):
        solution.explain(0, ["left"])


def test_it_survives_json(solution):
    again = Record.from_json(solution.to_json())
    assert again.explain(0) == solution.explain(0)
