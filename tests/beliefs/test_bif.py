"""The BIF reader: every dialect in use is read, and bad files are named by line."""

from __future__ import annotations

import gzip
import random

import pytest
import torch

from beliefs.bif_cases import CASES, CLINIC, COOKIES, GARDEN, pgmpy_networks
from coset.beliefs.pdg import bif
from coset.beliefs.pdg.bif import bif_text, parse_bif, read_bayesian_network
from coset.beliefs.pdg.bif_tokens import Tokens, quoted
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, FileFormatError

PGMPY = pgmpy_networks()
needs_pgmpy = pytest.mark.skipif(not PGMPY, reason="pgmpy is not installed")
NAMES = (
    *("alarm", "andes", "asia", "barley", "cancer", "child", "diabetes", "earthquake"),
    *("hailfinder", "hepar2", "insurance", "link", "mildew", "munin", "munin1", "munin2"),
    *("munin3", "munin4", "pathfinder", "pigs", "sachs", "survey", "water", "win95pts"),
)


def tables(network):
    return {table.target: table for table in network.tables}


def test_rows_are_found_by_their_names():
    network = parse_bif(COOKIES)
    assert network.name == "cookies"
    assert network.variables[1] == Variable("timer", 3, ("short", "right", "long"))
    cookie = tables(network)["cookie"]
    assert cookie.parents == ("oven", "timer")
    assert cookie.probability.dtype == torch.float64
    assert cookie.probability[0].tolist() == [
        [0.6, 0.35, 0.05],
        [0.05, 0.9, 0.05],
        [0.01, 0.29, 0.7],
    ]
    assert cookie.probability[1].tolist() == [[1.0, 0, 0], [0.99, 0.01, 0], [0.98, 0.02, 0]]
    assert tables(network)["oven"].probability.tolist() == [0.95, 0.05]


def test_a_conditional_table_has_the_target_slowest():
    network = parse_bif(GARDEN)
    assert network.name == "The garden"
    assert [variable.name for variable in network.variables] == ["rain", "wet grass", "sprinkler"]
    wet = tables(network)["wet grass"]
    assert wet.parents == ("sprinkler", "rain")
    # p(wet | sprinkler, rain) = 0.99, p(wet | sprinkler, no rain) = 0.9, …
    assert wet.probability[..., 0].tolist() == [[0.99, 0.9], [0.8, 0.0]]
    assert tables(network)["sprinkler"].probability.tolist() == [[0.01, 0.99], [0.4, 0.6]]


def test_odd_names_defaults_and_rounded_rows():
    network = parse_bif(CLINIC)
    found = tables(network)
    dose = found["dose:mg"]
    assert dose.parents == ("<5y", "Asy/Patch")
    assert dose.probability[1, 0].tolist() == [0.1, 0.2, 0.7]
    assert dose.probability[0, 2].tolist() == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert dose.largest_deviation == pytest.approx(1e-7, rel=1e-6)
    assert network.largest_deviation == dose.largest_deviation
    assert found["constant"].probability.tolist() == [1.0]
    values = {variable.name: variable.values for variable in network.variables}
    assert values["Asy/Patch"] == ("0-3_days", "4+", "a, (b) // c")
    assert values["dose:mg"] == ("0", "2.5", "5")


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_read_again(name):
    network = parse_bif(CASES[name])
    again = parse_bif(bif_text(network))
    assert again.name == network.name
    assert again.variables == network.variables
    for table, other in zip(network.tables, again.tables, strict=True):
        assert (table.target, table.parents) == (other.target, other.parents)
        assert torch.equal(table.probability, other.probability)


def test_rows_within_float_error_stay_as_they_are():
    text = COOKIES.replace("table 0.2, 0.7, 0.1", "table 0.1, 0.7, 0.20000000000000004")
    assert tables(parse_bif(text))["timer"].probability.tolist() == [0.1, 0.7, 0.20000000000000004]


@needs_pgmpy
@pytest.mark.parametrize("name", NAMES)
def test_published_networks_are_read(name):
    network = read_bayesian_network(PGMPY[name])
    assert {table.target for table in network.tables} == {v.name for v in network.variables}
    assert network.largest_deviation <= 3.1e-7  # the evidence for the tolerance
    cards = {variable.name: variable.card for variable in network.variables}
    for table in network.tables:
        assert table.probability.shape == tuple(cards[v] for v in (*table.parents, table.target))
        assert float((table.probability.sum(-1) - 1).abs().max()) < 1e-12
    if max(cards.values()) < 20:
        again = parse_bif(bif_text(network))
        assert all(
            torch.equal(a.probability, b.probability)
            for a, b in zip(network.tables, again.tables, strict=True)
        )


@needs_pgmpy
def test_all_published_networks_are_there():
    assert set(NAMES) <= set(PGMPY)


BAD = {
    "empty": ("", "", "1: here must be 'network'; the file ends here"),
    "no network": (
        "network cookies",
        "belief cookies",
        "1: here must be 'network'; given 'belief'",
    ),
    "no name": ("network cookies {", "network {", "1: here must be the network's name"),
    "text between blocks": ("}\nvariable oven", "}\nhello variable oven", "3: a block must begin"),
    "variable twice": (
        "variable timer",
        "variable oven",
        "6: a variable must be there once; 'oven'",
    ),
    "value twice": ("{ on, off }", "{ on, on }", "4: a value of 'oven' must be there once; 'on'"),
    "wrong count": ("[ 2 ]", "[ 3 ]", "4: 'oven' must have the values that it declares"),
    "no count": ("[ 2 ]", "[ two ]", "4: here must be the number of values"),
    "huge count": ("[ 2 ]", "[ 99999999999999999999 ]", "4: here must be the number of values"),
    "no values": ("[ 2 ] { on, off }", "[ 0 ] { }", "4: 'oven' must have the values"),
    "comma missing": (
        "{ short, right, long }",
        "{ short, right long }",
        "7: a list must have one c",
    ),
    "comma too much": ("{ short, right,", "{ short, right,,", "7: a list must have one comma"),
    "other type": ("type discrete [ 2 ]", "type continuous [ 2 ]", "4: here must be 'discrete'"),
    "no type": ("type discrete [ 2 ] { on, off };", "", "5: variable 'oven' must have 'type"),
    "two types": ("off };", "off }; type discrete [ 1 ] { a };", "4: here must be 'property'"),
    "quote open": ("{ on, off }", '{ on, "off }', "4: a list must have one comma"),
    "comment open": ("  table 0.95", "  /* table 0.95", "13: a comment /* … must end with */"),
    "target unknown": ("( oven )", "( stove )", "12: here must be names of variables; 'stove'"),
    "parent unknown": ("| oven,", "| stove,", "18: here must be names of variables; 'stove'"),
    "parent twice": ("| oven, timer", "| oven, oven", "18: a parent's name must be there once"),
    "own parent": ("| oven,", "| cookie,", "18: each variable must have one distribution"),
    "no parent": ("( oven )", "( oven | )", "12: here must be 1 to 32 parents; given 0"),
    "two targets": (
        "( cookie | oven, timer )",
        "( cookie, oven | timer )",
        "18: here must be a pa",
    ),
    "distribution twice": ("( timer )", "( oven )", "15: each variable must have one distribution"),
    "distribution missing": (
        COOKIES[COOKIES.index("probability ( timer") :],
        "",
        "15: each variable",
    ),
    "not closed": ("0.02, 0.0;\n}", "0.02, 0.0;\n", "18: a '}' must follow; the file ends"),
    "semicolon missing": ("0.95, 0.05;", "0.95, 0.05", "13: a ';' must follow before any brace"),
    "too few": ("0.95, 0.05;", "1.0;", "13: here must be 2 probabilities for 'oven'; given 1"),
    "too many": ("(on, short) 0.6,", "(on, short) 0.0, 0.6,", "19: here must be 3 probabilities"),
    "no number": ("0.95, 0.05;", "0.95, x;", "13: here must be numbers up to ';'; given 'x'"),
    "nan": ("0.95, 0.05;", "nan, 0.05;", "13: here must be numbers up to ';'; given 'nan'"),
    "underscore": ("0.95, 0.05;", "0.9_5, 0.05;", "13: here must be numbers up to ';'"),
    "other digits": ("0.95, 0.05;", "٠.95, 0.05;", "13: here must be numbers up to ';'"),
    "malformed number": (
        "0.95, 0.05;",
        "0.9.5, 0.05;",
        "13: here must be numbers up to ';'; given '0",
    ),
    "infinite": (
        "0.95, 0.05;",
        "1e999, 0.05;",
        "13: the table of 'oven' must have numbers of 0 to",
    ),
    "negative": (
        "0.6, 0.35, 0.05",
        "1.6, -0.65, 0.05",
        "19: row (on, short) of 'cookie' must have",
    ),
    "sum": ("0.05, 0.9, 0.05", "0.05, 0.9, 0.06", "21: row (on, right) of 'cookie' must sum to 1"),
    "sum of a table": ("0.95, 0.05;", "0.95, 0.06;", "13: the table of 'oven' must sum to 1"),
    "row twice": ("(off, long)", "(on, long)", "24: a row must be there once; (on, long)"),
    "row missing": (
        "  (off, right) 0.99, 0.01, 0.0;\n",
        "",
        "18: 'cookie' must have 6 rows or a de",
    ),
    "row unknown": ("(off, long)", "(none, long)", "24: a row of 'cookie' must begin with a value"),
    "row short": ("(off, long)", "(off)", "24: a row of 'cookie' must begin with a value of each"),
    "row and table": ("(on, short)", "table 1; (on, short)", "19: here must be 18 probabilities"),
    "table and row": ("0.95, 0.05;", "0.95, 0.05; () 0.5, 0.5;", "13: here must be one table, or"),
    "two tables": ("0.95, 0.05;", "0.95, 0.05; table 0.5, 0.5;", "13: here must be one table, or"),
    "two defaults": (
        "table 0.95, 0.05;",
        "default 1,0; default 0,1;",
        "13: here must be one table",
    ),
    "unknown statement": ("table 0.95", "entries 0.95", "13: here must be one table, or rows"),
    "cycle": (
        "probability ( oven ) {\n  table 0.95, 0.05;",
        "probability ( oven | cookie ) {\n  default 0.5, 0.5;",
        "26: the arrows of a Bayesian network must make no cycle",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_by_line(case, tmp_path):
    old, new, message = BAD[case]
    text = COOKIES.replace(old, new, 1) if old else new
    path = tmp_path / "cookies.bif"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError) as caught:
        read_bayesian_network(path)
    assert str(caught.value).startswith(f"{path}:{message}")


def test_a_row_off_by_more_than_rounding_says_its_sum():
    text = COOKIES.replace("0.05, 0.9, 0.05", "0.05, 0.9, 0.050004")
    with pytest.raises(FileFormatError, match=r"sum to 1 within 3\.0e-06; .*given 1\.000004"):
        parse_bif(text)
    text = COOKIES.replace("0.05, 0.9, 0.05", "0.05, 0.9, 0.0500029")
    assert parse_bif(text).largest_deviation == pytest.approx(2.9e-6, rel=1e-6)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "a.bif"
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_bayesian_network(path)
    path.write_bytes(b"network \xff")
    with pytest.raises(FileFormatError, match="byte 8 is not"):
        read_bayesian_network(path)
    path.write_bytes(b"\xef\xbb\xbf" + COOKIES.encode())
    assert read_bayesian_network(path).name == "cookies"
    path.write_bytes(COOKIES.replace("\n", "\r\n").encode())
    assert read_bayesian_network(path).name == "cookies"


def test_packed_files(tmp_path, monkeypatch):
    path = tmp_path / "a.bif.gz"
    packed = gzip.compress(COOKIES.encode())
    path.write_bytes(packed)
    assert read_bayesian_network(path).name == "cookies"
    for content in (b"", packed[:-9], b"no gzip", packed[:30] + b"\xff" * 9 + packed[39:]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"must be|here must"):
            read_bayesian_network(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_bayesian_network(tmp_path / "none.bif.gz")
    path.write_bytes(gzip.compress("network ä".encode("latin-1")))
    with pytest.raises(FileFormatError, match="UTF-8 text; byte 8"):
        read_bayesian_network(path)
    monkeypatch.setattr(bif, "_MAX_BYTES", 1000)
    path.write_bytes(gzip.compress(b" " * 10**7))
    with pytest.raises(FileFormatError, match="may unpack to 1,000 bytes; it unpacks to more"):
        read_bayesian_network(path)


def test_limits(monkeypatch):
    many = "network n {}" + "".join(
        f"variable v{i} {{ type discrete[9] {{ 1 2 3 4 5 6 7 8 9 }}; }}" for i in range(40)
    )
    parents = ", ".join(f"v{i}" for i in range(1, 30))
    bomb = f"{many} probability ( v0 | {parents} ) {{ default 1 0 0 0 0 0 0 0 0; }}"
    with pytest.raises(
        FileFormatError, match="may have 16,777,216 probabilities; with those of 'v0'"
    ):
        parse_bif(bomb)
    with pytest.raises(FileFormatError, match="1 to 32 parents; given 39"):
        parse_bif(f"{many} probability ( v0 {' '.join(f'v{i}' for i in range(1, 40))} ) {{ }}")
    with pytest.raises(FileFormatError, match="1 to 1,000 characters"):
        parse_bif(f"network {'n' * 1001} {{}}")
    monkeypatch.setattr(bif, "_MAX_VARIABLES", 39)
    with pytest.raises(FileFormatError, match="may have 39 variables; it has more"):
        parse_bif(many)
    monkeypatch.setattr(bif, "_MAX_VALUES", 8)
    with pytest.raises(FileFormatError, match="1 to 8; it declares 9 and has 9"):
        parse_bif(many)


def test_an_empty_network():
    network = parse_bif("network nothing {}")
    assert (network.variables, network.tables, network.largest_deviation) == ((), (), 0.0)


@pytest.mark.parametrize("name", ["", 'a"b', "a\nb", "a" * 1001, "\ud800"])
def test_names_that_cannot_be_written(name):
    assert quoted(name) == ""
    network = bif.BayesianNetworkFile(name, (), ())
    with pytest.raises(DomainError, match="a name in BIF"):
        bif_text(network)


@pytest.mark.parametrize(
    "name", ["a b", "a//b", "a/*b", "a|b", "(", ",", " ", "\t", "é/<5", "a;b", "\r"]
)
def test_names_are_written_so_that_they_are_read(name):
    assert Tokens(f"{quoted(name)} {{", "here").name("a name") == name


def mutated(text, rng):
    """Return the text with a few pieces cut out, doubled, swapped or replaced."""
    marks = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        ",",
        "|",
        '"',
        "/*",
        "//",
        "\n",
        "-",
        "1e9",
        "nan",
        "table",
    ]
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text))
        stop = min(len(text), start + rng.choice([0, 1, 1, 2, 5, 30]))
        piece = rng.choice(
            [*marks, "", text[start:stop] * 2, text[stop : stop + 9], chr(rng.randrange(0xD7FF))]
        )
        text = text[:start] + piece + text[stop:]
    return text


@pytest.mark.parametrize("name", CASES)
def test_damaged_files_are_read_or_refused(name):
    rng = random.Random(name)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1500):
        try:
            network = parse_bif(mutated(CASES[name], rng))
        except FileFormatError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert all(
                float((t.probability.sum(-1) - 1).abs().max()) < 1e-12 for t in network.tables
            )
    assert min(outcomes.values()) > 10


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        "/*",
        "//",
        "{",
        "(",
        "network n { property ",
        "1" * 9,
        "a,",
        "\n",
        '"a',
        "network n{} variable a{type discrete[1]{",
    ],
)
def test_hostile_repetitions_are_refused(piece):
    # In a quadratic scan 4 MB would take hours, which the tests' time limit ends.
    with pytest.raises(FileFormatError):
        parse_bif(piece * (4_000_000 // len(piece)))
