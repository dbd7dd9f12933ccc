from __future__ import annotations

from coset.report.basis import basis
from coset.report.records import read_records
from coset.report.verdicts import claim_rows
from report.synthetic import claim, record, store_records


def _basis(folder, *changes, num_built=1):
    ids = [f"sharing.C{i}" for i in range(1, len(changes) + 2)]
    stored = [record(id, **values) for id, values in zip(ids[1:], changes, strict=True)]
    found, notices = read_records(store_records(folder, *stored))
    assert notices == []
    return basis(claim_rows([claim(id) for id in ids], found, {}), num_built, 7)


def test_one_preset_and_one_seed_are_named(tmp_path):
    assert _basis(tmp_path, {}, {}) == (
        "Verdicts from preset smoke, seed 0; nothing checked at the paper's size; "
        "1 of 7 subjects is built."
    )


def test_several_are_counted_and_the_paper_s_size_is_told(tmp_path):
    found = _basis(tmp_path, {"preset": "paper", "seed": 3}, {}, {"seed": None}, num_built=2)
    assert "presets paper (1 claim), smoke (2 claims)" in found
    assert "seeds 3 (1 claim), 0 (1 claim), unknown (1 claim)" in found
    assert "1 of 4 claims checked at the paper's size; 2 of 7 subjects are built." in found


def test_without_verdicts_no_preset_is_claimed(tmp_path):
    assert _basis(tmp_path) == "No verdict is stored; 1 of 7 subjects is built."
