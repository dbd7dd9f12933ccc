from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest
import torch

from coset.core.errors import FileFormatError, NotConvergedError
from coset.core.results import Certificate, Record, Solution, Status, Verdict, Witness


@dataclass(frozen=True)
class SumCertificate(Certificate):
    parts: tuple[int, ...]
    total: int

    def verify(self) -> bool:
        return sum(self.parts) == self.total

    def explain(self) -> str:
        return f"{self.parts} add up to {self.total}"


@dataclass(frozen=True)
class NumberWitness(Witness):
    x: float

    def replay(self, model) -> bool:
        return model(self.x) != self.x

    def explain(self) -> str:
        return f"the model changes {self.x}"


def test_a_solution_survives_json():
    value = torch.tensor([[1.5, -0.0], [math.inf, 2**-1074]], dtype=torch.float64)
    solution = Solution(value, Status.SOLVED, "", 1e-9, SumCertificate((1, 2), 3), 7)
    again = Solution.from_json(json.loads(json.dumps(solution.to_json(), allow_nan=False)))
    assert torch.equal(again.value, value)
    assert math.copysign(1, float(again.value[0, 1])) == -1
    assert again.certificate == solution.certificate
    assert again.certificate.verify()
    assert (again.status, again.iterations) == (Status.SOLVED, 7)


def test_integers_booleans_and_tuple_keys_survive():
    evidence = {(1, 2): torch.tensor([True, False]), "n": torch.arange(3), "x": (1, [2.0, "a"])}
    again = Verdict.from_json(json.loads(json.dumps(Verdict(True, "r", evidence).to_json())))
    assert torch.equal(again.evidence[(1, 2)], torch.tensor([True, False]))
    assert again.evidence["n"].dtype == torch.int64
    assert again.evidence["x"] == (1, [2.0, "a"])
    assert again


def test_throw_names_status_and_advice():
    stalled = Solution(0.0, Status.STALLED, "raise max_iterations", iterations=9)
    with pytest.raises(NotConvergedError, match="stalled after 9 iterations; raise max_iter"):
        stalled.throw()
    assert Solution(0.0, Status.SOLVED).throw().value == 0.0


def test_a_witness_replays():
    witness = NumberWitness.from_json(NumberWitness(2.0).to_json())
    assert witness.replay(lambda x: x + 1)
    assert not witness.replay(lambda x: x)


@pytest.mark.parametrize(
    "stored",
    [
        {"class": "os:system", "fields": {}},
        {"class": None},
        {},
        {"class": f"{__name__}:NumberWitness", "fields": {"y": 1}},
        {"class": f"{__name__}:NumberWitness"},
    ],
)
def test_foreign_records_are_refused(stored):
    with pytest.raises(FileFormatError):
        Record.from_json(stored)


def test_a_record_of_another_kind_is_refused():
    with pytest.raises(FileFormatError, match="Solution"):
        Solution.from_json(NumberWitness(1.0).to_json())


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="JSON values"):
        Verdict(True, "", {"f": print}).to_json()


def test_a_record_without_eq_is_equal_to_itself_only():
    @dataclass(frozen=True, eq=False)
    class Plain(Certificate):
        value: int = 0

    one = Plain(1)
    assert one == one
    assert one != Plain(1)
    assert Verdict(True, "a") == Verdict(True, "a") != Verdict(False, "a")
