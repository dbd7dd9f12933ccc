from __future__ import annotations

import pytest

from coset.bench import Limit
from coset.bench.probes import make_probe
from coset.core.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "needed", "amount"),
    [
        ("copy", 8000, 8000),
        ("copy", 1, 2),
        ("gather", 1000, 1000),
        ("gemm", 2 * 10**3, 2 * 10**3),
        ("gemm", 10**12, 2 * 1024**3),
    ],
)
def test_a_probe_does_what_it_counts(kind, needed, amount):
    probe = make_probe(Limit(kind, lambda inputs: inputs, "all of it"), needed)
    probe.run()
    assert (probe.needed, probe.amount) == (needed, amount)
    assert probe.seconds(3.0) == pytest.approx(3.0 * needed / amount)
    assert probe.unit.endswith("/s")
    assert probe.method


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least 1; got 0"):
        make_probe(Limit("copy", lambda inputs: 0, "nothing"), None)
