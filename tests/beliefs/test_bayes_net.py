"""Bayesian networks become graphs, and graphs that are Bayesian networks become files."""

from __future__ import annotations

import gzip
import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from beliefs.bif_cases import CASES, COOKIES, pgmpy_networks
from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.pdg.bayes_net import from_bayes_net, read_bif, write_bif
from coset.beliefs.pdg.bif import parse_bif, read_bayesian_network
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError, DtypeError, FileFormatError, ShapeError

PGMPY = pgmpy_networks()


def assert_same(pdg, other):
    assert list(pdg.variables.values()) == list(other.variables.values())
    assert list(pdg.arcs) == list(other.arcs)
    for name, arc in pdg.arcs.items():
        twin = other.arcs[name]
        assert (arc.sources, arc.targets) == (twin.sources, twin.targets)
        assert (arc.alpha, arc.beta) == (twin.alpha, twin.beta)
        assert torch.equal(arc.cpd, twin.cpd)


@pytest.fixture
def cookies(tmp_path):
    path = tmp_path / "cookies.bif"
    path.write_text(COOKIES)
    return read_bif(path)


def test_one_arc_a_variable(cookies):
    assert list(cookies.arcs) == ["oven", "timer", "cookie"]
    arc = cookies.arcs["cookie"]
    assert (arc.sources, arc.targets) == (("oven", "timer"), ("cookie",))
    assert (arc.alpha, arc.beta) == (1.0, 1.0)
    assert arc.cpd[0, 1].tolist() == [0.05, 0.9, 0.05]
    assert cookies.variables["timer"].values == ("short", "right", "long")


def joint(pdg):
    axes = {name: axis for axis, name in enumerate(pdg.variables)}
    product = torch.ones(pdg.cards(pdg.variables), dtype=torch.float64)
    for arc in pdg.arcs.values():
        product = torch.einsum(
            product, list(axes.values()), arc.cpd, [axes[v] for v in (*arc.sources, *arc.targets)],
            list(axes.values()),
        )  # fmt: skip
    return product


def test_the_arcs_multiply_to_a_distribution(cookies):
    product = joint(cookies)
    assert float(product.sum()) == pytest.approx(1.0, abs=1e-15)
    assert float(product[0, 1, 1]) == pytest.approx(0.95 * 0.7 * 0.9, rel=1e-15)


@pytest.mark.parametrize("ending", [".bif", ".bif.gz", ".BIF"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read_again(name, ending, tmp_path):
    network = parse_bif(CASES[name])
    write_bif(network, tmp_path / f"a{ending}")
    pdg = read_bif(tmp_path / f"a{ending}")
    write_bif(pdg, tmp_path / f"b{ending}")
    assert_same(read_bif(tmp_path / f"b{ending}"), pdg)
    for table in network.tables:
        assert torch.equal(pdg.arcs[table.target].cpd, table.probability)
    assert read_bayesian_network(tmp_path / f"a{ending}").name == network.name


def test_the_same_network_gives_the_same_bytes(cookies, tmp_path):
    write_bif(cookies, tmp_path / "a.bif.gz")
    write_bif(cookies, tmp_path / "b.bif.gz")
    assert (tmp_path / "a.bif.gz").read_bytes() == (tmp_path / "b.bif.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.bif.gz").read_bytes()).startswith(b"network unknown {")


def test_unnamed_values_logarithms_and_functions_are_written(tmp_path):
    pdg = PDG({"x": 2, "y": 3})
    uneven = torch.tensor([0.125, 0.875], dtype=torch.float64)
    pdg.add("x", "x", cpd=uneven.log(), is_log=True)
    pdg.add("any name", "y", "x", cpd=lambda: torch.full((2, 3), 1 / 3, dtype=torch.float64))
    write_bif(pdg, tmp_path / "a.bif")
    found = read_bif(tmp_path / "a.bif")
    assert found.variables["y"].values == ("0", "1", "2")
    torch.testing.assert_close(found.arcs["x"].cpd, uneven, rtol=1e-15, atol=0)
    assert found.arcs["y"].cpd.flatten().tolist() == [1 / 3] * 6


def test_float32_tables_are_written(tmp_path):
    pdg = PDG({"x": 3})
    table = torch.tensor([0.1, 0.2, 0.7])
    pdg.add("x", "x", cpd=table)
    write_bif(pdg, tmp_path / "a.bif")
    found = read_bif(tmp_path / "a.bif").arcs["x"].cpd
    assert float(found.sum()) == pytest.approx(1, abs=1e-15)
    torch.testing.assert_close(found, table.double(), rtol=1e-7, atol=0)


HALF = torch.full((2,), 0.5, dtype=torch.float64)
RULE = r"one arc to each variable, with alpha = beta = 1; given "
NOT_NETWORKS = {
    "two arcs": (("p", "x", (), HALF), {}, RULE + r"p: p\(x\) with alpha=1, beta=1"),
    "two targets": (("p", ("x", "y"), (), torch.full((2, 2), 0.25)), {}, RULE + r"p: p\(x, y\)"),
    "beta": (
        ("y", "y", "x", torch.eye(2)),
        {"beta": math.inf},
        RULE + r"y: p\(y \| x\) .*beta=inf",
    ),
    "alpha": (
        ("y", "y", "x", torch.eye(2)),
        {"alpha": 0.5},
        RULE + r"y: p\(y \| x\) with alpha=0.5",
    ),
}


@pytest.mark.parametrize("case", NOT_NETWORKS)
def test_graphs_that_are_no_networks_are_refused(case, tmp_path):
    (name, target, given, table), confidences, message = NOT_NETWORKS[case]
    pdg = PDG({"x": 2, "y": 2})
    pdg.add("x", "x", cpd=HALF)
    pdg.add(name, target, given, cpd=table, **confidences)
    with pytest.raises(DomainError, match=message):
        write_bif(pdg, tmp_path / "a.bif")
    assert not list(tmp_path.iterdir())


def test_other_graphs_and_endings_are_refused(tmp_path):
    pdg = PDG({"x": 2, "y": 2})
    pdg.add("x", "x", cpd=HALF)
    with pytest.raises(DomainError, match="'y' has none"):
        write_bif(pdg, tmp_path / "a.bif")
    with pytest.raises(FileFormatError, match=r"written to \.bif or \.bif\.gz; given .*a\.xml"):
        write_bif(pdg, tmp_path / "a.xml")
    batch = PDG({"x": 2})
    batch.add("x", "x", cpd=HALF.expand(3, 2))
    with pytest.raises(ShapeError, match=r"'x' has batch axes, \(3, 2\)"):
        write_bif(batch, tmp_path / "a.bif")


def model(**changes):
    """Return a network of two variables in pgmpy's form, some of it changed."""
    weather = {
        "variables": ["w"],
        "values": np.array([0.3, 0.7]),
        "state_names": {"w": [True, 1.5]},
    }
    mood = {
        "variables": [2, "w"],
        "values": np.array([[0.1, 0.2], [0.3, 0.3], [0.6, 0.5]]),
        "state_names": {2: ["bad", "so", "good"], "w": [True, 1.5]},
    }
    cpds = [SimpleNamespace(**weather), SimpleNamespace(**mood | changes)]
    return SimpleNamespace(nodes=lambda: [2, "w"], get_cpds=lambda: cpds)


def test_a_model_in_memory_becomes_a_graph():
    pdg = from_bayes_net(model())
    assert list(pdg.variables) == ["2", "w"]
    assert pdg.variables["w"].values == ("True", "1.5")
    assert pdg.arcs["2"].sources == ("w",)
    assert pdg.arcs["2"].cpd.tolist() == [[0.1, 0.3, 0.6], [0.2, 0.3, 0.5]]


def test_rounded_models_are_mended_and_others_are_not():
    rounded = np.array([[0.3333333, 0.2], [0.3333333, 0.3], [0.3333333, 0.5]])
    pdg = from_bayes_net(model(values=rounded))
    assert pdg.arcs["2"].cpd[0].tolist() == pytest.approx([1 / 3] * 3, rel=1e-15)
    rounded[0, 0] = 0.3334
    with pytest.raises(NotNormalizedError, match=r"row \(0,\) sums to 1\.0000666") as caught:
        from_bayes_net(model(values=rounded))
    assert (caught.value.arc, caught.value.row) == ("2", (0,))


def test_what_is_no_model_is_refused():
    with pytest.raises(DtypeError, match=r"has nodes\(\) and get_cpds\(\).*given int"):
        from_bayes_net(3)
    missing = SimpleNamespace(nodes=lambda: ["a", "b"], get_cpds=list)
    with pytest.raises(DomainError, match=r"each of the 2 variables must have one .* see 'a'"):
        from_bayes_net(missing)
    with pytest.raises(DomainError, match="given 2, see '2'"):
        from_bayes_net(model(variables=["w"]))


@pytest.mark.skipif(not PGMPY, reason="pgmpy is not installed")
@pytest.mark.parametrize("name", ["asia", "insurance", "alarm"])
def test_pgmpy_reads_the_same(name):
    text = gzip.decompress(PGMPY[name].read_bytes()).decode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pgmpy deprecates in itself
        from pgmpy.readwrite import BIFReader

        theirs = from_bayes_net(BIFReader(string=text).get_model())
    ours = read_bif(PGMPY[name])
    assert set(ours.variables) == set(theirs.variables)
    for variable in ours.variables.values():
        assert theirs.variables[variable.name] == variable
        arc, twin = ours.arcs[variable.name], theirs.arcs[variable.name]
        assert sorted(arc.sources) == sorted(twin.sources)
        order = [twin.sources.index(source) for source in arc.sources]
        torch.testing.assert_close(
            arc.cpd, twin.cpd.permute(*order, len(order)), rtol=1e-15, atol=0
        )
