"""Graphs in files: what is written is read again, and bad files are named by field."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from beliefs.pdg_file_cases import BAD, GOOD
from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.pdg import pdg_file
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.pdg_file import read_beliefs, read_pdg, write_pdg
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, DtypeError, FileFormatError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "beliefs"


def written(value, tmp_path):
    path = tmp_path / "rain.json"
    path.write_text(json.dumps(value))
    return path


def numbers(arc):
    return arc.cpd.logits if isinstance(arc.cpd, LogitTable) else arc.cpd


def assert_same(pdg, other):
    assert list(pdg.variables.values()) == list(other.variables.values())
    assert list(pdg.arcs) == list(other.arcs)
    for arc, twin in zip(pdg.arcs.values(), other.arcs.values(), strict=True):
        assert (arc.sources, arc.targets) == (twin.sources, twin.targets)
        assert (arc.alpha, arc.beta, arc.is_log) == (twin.alpha, twin.beta, twin.is_log)
        assert type(arc.cpd) is type(twin.cpd)
        assert numbers(arc).dtype == numbers(twin).dtype
        assert torch.equal(numbers(arc), numbers(twin))


def rich_graph():
    """Return a graph with every kind of arc: batched, hard, log, learned, float32, a cycle."""
    generator = torch.Generator().manual_seed(7)

    def table(*shape, num_targets=1, dtype=torch.float64):
        rows = torch.rand(shape, generator=generator, dtype=dtype)
        return rows / rows.sum(tuple(range(-num_targets, 0)), keepdim=True)

    pdg = PDG({"ä b": ["x", 'y "z"\n'], "n": 3, "one": 1})
    pdg.add("p", "n", "ä b", cpd=table(2, 3), alpha=-0.5, beta=1 / 3)
    pdg.add("back", ("ä b", "one"), "n", cpd=table(3, 2, 1, num_targets=2), beta=-1.0)
    pdg.add("narrow", "n", cpd=table(3, dtype=torch.float32))
    pdg.add("batch", "n", cpd=table(5, 3))
    pdg.add("learned", "n", "ä b", cpd=table(2, 3), learnable=True)
    pdg.cost("cost", "n", torch.tensor([0.0, 0.7, 800.0], dtype=torch.float64))
    pdg.observe("ä b", "x")
    return pdg


@pytest.mark.parametrize("ending", [".json", ".safetensors", ".JSON"])
def test_what_is_written_is_read_again(ending, tmp_path):
    pdg = rich_graph()
    path = tmp_path / f"graph{ending}"
    write_pdg(pdg, path)
    found = read_pdg(path)
    assert_same(found, pdg)
    assert found.parameters().keys() == {"learned"}
    assert_same(read_beliefs(path), pdg)
    write_pdg(found, tmp_path / f"again{ending}")
    assert (tmp_path / f"again{ending}").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_an_empty_graph(ending, tmp_path):
    write_pdg(PDG(), tmp_path / f"a{ending}")
    assert_same(read_pdg(tmp_path / f"a{ending}"), PDG())


def test_a_file_by_hand(tmp_path):
    pdg = read_pdg(written(GOOD, tmp_path))
    assert pdg.variables["rain"].values == ("no", "yes")
    assert (pdg.variables["drops"].card, pdg.variables["drops"].values) == (3, ())
    radio, gauge, sure, free = pdg.arcs.values()
    assert (radio.alpha, radio.beta, radio.sources, radio.targets) == (1, 2.5, (), ("rain",))
    assert (gauge.alpha, gauge.beta, gauge.sources) == (0, 1, ("rain",))
    assert gauge.cpd.tolist() == [[1, 0, 0], [0.125, 0.5, 0.375]]
    assert gauge.cpd.dtype == torch.float64
    assert sure.is_hard
    assert sure.probabilities().tolist() == [0, 1]
    assert free.probabilities().tolist() == [1, 0]
    assert free.parameters[0].requires_grad


def test_people_can_read_what_is_written(tmp_path):
    pdg = PDG({"rain": ["no", "yes"]})
    pdg.add("radio", "rain", cpd=torch.tensor([0.2, 0.8], dtype=torch.float64))
    write_pdg(pdg, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text().splitlines() == [
        "{",
        '  "format": "coset pdg 1",',
        '  "variables": [',
        '    {"name": "rain", "values": ["no", "yes"]}',
        "  ],",
        '  "arcs": [',
        '    {"name": "radio", "sources": [], "targets": ["rain"], "alpha": 1.0, "beta": 1.0, '
        '"dtype": "float64", "cpd": [0.2, 0.8]}',
        "  ]",
        "}",
    ]


@pytest.mark.parametrize("case", BAD)
def test_bad_fields_are_named(case, tmp_path):
    value, message = BAD[case]
    path = written(value, tmp_path)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_pdg(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1"),
        ('{"format": "coset pdg 1",', "must be JSON; line 1, column 26"),
        ('{"format": 1, "format": 2}', "names 'format' twice"),
        ('{"format": NaN}', "NaN is not a JSON number"),
        ('{"format": 1e999}', "1e999 is too large"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_what_is_no_strict_json_is_refused(text, message, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_pdg(tmp_path / "a.json")


def test_endings_and_sizes(tmp_path, monkeypatch):
    for read in (read_pdg, read_beliefs):
        with pytest.raises(FileFormatError, match=r"a file ending in .*; given .*a\.yaml"):
            read(tmp_path / "a.yaml")
        for name in ("a.json", "a.safetensors"):
            with pytest.raises(FileFormatError, match=r"a\.(json|safetensors) cannot be read"):
                read(tmp_path / name)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_beliefs(tmp_path / "a.bif.gz")
    with pytest.raises(FileFormatError, match=r"written to \.json or \.safetensors"):
        write_pdg(PDG(), tmp_path / "a.bif")
    pdg = rich_graph()
    write_pdg(pdg, tmp_path / "a.json")
    monkeypatch.setattr(pdg_file, "_MAX_JSON_BYTES", 100)
    with pytest.raises(FileFormatError, match="may have 100 bytes; it has more; use safetensors"):
        read_pdg(tmp_path / "a.json")
    with pytest.raises(DomainError, match=r"has more: write it to \.safetensors"):
        write_pdg(pdg, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
    write_pdg(pdg, tmp_path / "a.safetensors")
    monkeypatch.setattr(pdg_file, "_MAX_TENSOR_BYTES", 100)
    with pytest.raises(FileFormatError, match="may hold 100 bytes of tensors; it has"):
        read_pdg(tmp_path / "a.safetensors")


HALF = torch.full((2,), 0.5, dtype=torch.float64)
UNWRITABLE = {
    "function": ({"cpd": lambda: HALF}, DomainError, "'arc' is made by a function: add the arc"),
    "module": ({"cpd": torch.nn.Softmax(0)}, DomainError, "'arc' is made by a function"),
    "parameters": ({"cpd": HALF, "parameters": (HALF,)}, DomainError, "a tensor with parameters"),
    "half": ({"cpd": torch.full((2,), 0.5).half()}, DtypeError, "'arc' is torch.float16: convert"),
}


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_a_file_cannot_hold_is_refused(case, ending, tmp_path):
    fields, kind, message = UNWRITABLE[case]
    pdg = PDG({"x": 2})
    pdg.add("arc", "x", **fields)
    with pytest.raises(kind, match=message):
        write_pdg(pdg, tmp_path / f"a{ending}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_tables_and_names_that_were_spoiled_are_refused(ending, tmp_path):
    table = HALF.clone()
    pdg = PDG({"x": 2})
    pdg.add("arc", "x", cpd=table)
    table[0] = math.nan
    with pytest.raises(DomainError, match="must be numbers"):
        write_pdg(pdg, tmp_path / f"a{ending}")
    table[0] = 0.6
    with pytest.raises(NotNormalizedError, match=r"sums to 1\.1"):
        write_pdg(pdg, tmp_path / f"a{ending}")
    for graph in (PDG({"\ud800": 2}), PDG({"x": ["a", "b" * 1001]})):
        with pytest.raises(DomainError, match="a name in a file is text of 1 to 1,000 characters"):
            write_pdg(graph, tmp_path / f"a{ending}")


def tensor_file(tmp_path, change_tensors=None, change_document=None):
    """Write a graph as safetensors, some of it changed."""
    path = tmp_path / "a.safetensors"
    write_pdg(rich_graph(), path)
    tensors = load_file(path)
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    document = json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["coset_pdg"])
    if change_tensors:
        change_tensors(tensors)
    if change_document:
        change_document(document)
    save_file(tensors, path, metadata={"coset_pdg": json.dumps(document)})
    return path


def test_a_tensor_belongs_to_one_arc(tmp_path):
    with pytest.raises(FileFormatError, match="tensor 'more' belongs to no arc"):
        read_pdg(tensor_file(tmp_path, lambda tensors: tensors.update(more=HALF)))
    path = tensor_file(tmp_path, None, lambda d: d["arcs"][1].update(cpd="arcs.0"))
    with pytest.raises(
        FileFormatError, match=r"arcs\[1\] \('back'\)\.cpd must be the name of a te"
    ):
        read_pdg(path)
    for value in ([0.5], None, "none"):
        path = tensor_file(tmp_path, None, lambda d, v=value: d["arcs"][1].update(cpd=v))
        with pytest.raises(FileFormatError, match=r"\.cpd must be the name of a tensor"):
            read_pdg(path)
    path = tensor_file(tmp_path, None, lambda d: d["arcs"][1].update(dtype="float64"))
    with pytest.raises(FileFormatError, match="and dtype is not given"):
        read_pdg(path)


def test_stored_tensors_are_checked(tmp_path):
    path = tensor_file(tmp_path, lambda t: t.update({"arcs.0": t["arcs.0"].half()}))
    with pytest.raises(FileFormatError, match=r"'p'\)\.cpd must be F64 or F32; given F16"):
        read_pdg(path)
    path = tensor_file(tmp_path, lambda t: t["arcs.0"].mul_(2))
    with pytest.raises(FileFormatError, match=r"'p'\): each row of 'p' must sum to 1"):
        read_pdg(path)
    path = tensor_file(tmp_path, lambda t: t["arcs.4"].fill_(math.nan))
    with pytest.raises(FileFormatError, match=r"'learned'\): .*negative or NaN"):
        read_pdg(path)
    path = tensor_file(tmp_path, lambda t: t.update({"arcs.4": torch.tensor(0.0)}))
    with pytest.raises(FileFormatError, match=r"'learned'\)\.logits must have 2 axes or more"):
        read_pdg(path)


def test_other_safetensors_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": HALF}, path)
    with pytest.raises(FileFormatError, match="metadata coset_pdg is missing"):
        read_pdg(path)
    save_file({}, path, metadata={"coset_pdg": "{"})
    with pytest.raises(FileFormatError, match="metadata or tensors cannot be read"):
        read_pdg(path)
    save_file({}, path, metadata={"coset_pdg": "{}"})
    with pytest.raises(FileFormatError, match="format is missing"):
        read_pdg(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(FileFormatError, match="is not a safetensors file"):
        read_pdg(path)


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_damaged_files_are_read_or_refused(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    write_pdg(rich_graph(), path)
    whole = path.read_bytes()
    rng = random.Random(3)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(content))
            if rng.random() < 0.5:
                content[place] = rng.choice(b'"[]{},:019.-e \\\xff\x00')
            else:
                del content[place : place + rng.choice([1, 1, 2, 8])]
        path.write_bytes(bytes(content))
        try:
            read_pdg(path)
        except FileFormatError:
            refused += 1
    assert 100 < refused < 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sensor.json", -math.log(0.98 * 0.001 + 0.02 * 0.95)),
        (
            "two_experts.json",
            -3 * math.log(0.98 ** (2 / 3) * 0.5 ** (1 / 3) + 0.02 ** (2 / 3) * 0.5 ** (1 / 3)),
        ),
        ("cycle.json", math.log(10 / 3) + 2 * math.log(20 / 27)),
        ("cookies.bif", 0.0),
    ],
)
def test_the_examples_are_as_inconsistent_as_they_say(name, value):
    assert solve(read_beliefs(EXAMPLES / name)).value == pytest.approx(value, abs=1e-8)
    assert name in (EXAMPLES / "README.md").read_text()
    assert f"{value:.4f}".rstrip("0").rstrip(".") in (EXAMPLES / "README.md").read_text()


def test_all_examples_are_tested():
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "README.md", "cookies.bif", "cycle.json", "sensor.json", "two_experts.json",
    }  # fmt: skip
