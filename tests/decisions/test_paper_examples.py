"""The worked examples are the printed numbers."""

from __future__ import annotations

import pytest

from coset.core.registry import published
from coset.decisions.experiments.paper_examples import PaperExamplesConfig, paper_examples

pytestmark = pytest.mark.experiment


def test_each_printed_number_is_ours():
    rows = list(paper_examples(PaperExamplesConfig(), None))
    ours = {(row["example"], row["quantity"]): row["value"] for row in rows}
    printed = [n for n in published("decisions")["numbers"] if n["ours"]]
    assert len(printed) == len(ours) == 11
    for number in printed:
        select = number["ours"]["select"]
        assert ours[select["example"], select["quantity"]] == number["value"], number["id"]
