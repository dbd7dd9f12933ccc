"""Automata in JSON files: the examples, a round trip, and every field that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from coset.core.errors import FileFormatError
from coset.ssm.automata import Automaton
from coset.ssm.automata.json_format import FORMAT, automaton_from_json
from ssm.automata_cases import automata

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples" / "automata").glob("*.json"))


def parity(**changes):
    value = {
        "format": FORMAT,
        "name": "parity",
        "tokens": ["0", "1"],
        "states": ["even", "odd"],
        "start": "even",
        "accepting": ["odd"],
        "transitions": {"even": {"0": "even", "1": "odd"}, "odd": {"0": "odd", "1": "even"}},
    }
    value.update(changes)
    return {key: field for key, field in value.items() if field is not ...}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_judged_and_compiled_or_refused(path):
    automaton = Automaton.from_json_file(path)
    assert automaton.name
    assert automaton.reachable.size == automaton.num_states
    verdict = automaton.verdict()
    assert bool(verdict) == (path.stem != "five_cards")
    if verdict:
        compiled = automaton.compile()
        assert compiled.certificate().verify()
        words = torch.randint(automaton.num_tokens, (3, 300))
        assert compiled.track(words).equal(automaton.run(words))
    # The row of the table in README.md: file, what it is, groups, layers.
    readme = (path.parent / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if f"`{path.name}`" in line).split("|")
    assert row[4].strip() == (compiled.letters if verdict else "no stack")
    assert (row[3].strip() == "none") == (not verdict.groups)


def test_the_bytes_of_utf8_are_judged_as_python_does():
    utf8 = Automaton.from_json_file(next(p for p in EXAMPLES if p.stem == "utf8"))
    classes = np.full(256, -1)
    for x, label in enumerate(utf8.token_labels):
        for part in label.split():
            low, _, high = part.partition("-")
            classes[int(low, 16) : int(high or low, 16) + 1] = x
    assert (classes >= 0).all()
    compiled = utf8.compile()
    random = np.random.default_rng(0)
    texts = ["naïve", "€ 5", "日本語", "🙂 ok", "\U0010ffff\ud7ff\ue000"]
    samples = [text.encode() for text in texts]
    for text in list(samples):
        for _ in range(60):  # one byte changed, cut or put in
            place, byte = int(random.integers(len(text))), bytes([int(random.integers(256))])
            samples += [text[:place] + byte + text[place + 1 :], text[:place], text[:place] + byte]
    for sample in samples:
        try:
            sample.decode("utf-8")
            valid = True
        except UnicodeDecodeError:
            valid = False
        tokens = torch.tensor(classes[list(sample)], dtype=torch.int64)
        assert bool(compiled.accepts(tokens)) == valid, sample


@pytest.mark.property
@given(automata())
@settings(deadline=None, max_examples=20)
def test_what_is_written_is_read_again(tmp_path_factory, automaton):
    path = tmp_path_factory.mktemp("json") / "automaton.json"
    automaton.to_json_file(path)
    again = Automaton.from_json_file(path)
    assert np.array_equal(again.delta, automaton.delta)
    assert (again.start, again.accepting) == (automaton.start, automaton.accepting)
    assert again.state_labels == automaton.state_labels


def test_otherwise_stands_for_what_is_not_listed():
    rows = {"even": {"1": "odd"}}
    found = automaton_from_json(parity(transitions=rows, otherwise="even"))
    assert found.delta.tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "coset automaton 2"}, "format must be 'coset automaton 1'; given"),
        ({"format": ...}, "format is missing"),
        ({"transitions": ...}, "transitions is missing"),
        ({"colour": 1}, "field 'colour' is unknown"),
        ({"states": []}, "states must be a list of 1 to 100,000 names; given 0"),
        ({"states": "ab"}, "states must be a list"),
        ({"states": ["even", 3]}, r"states\[1\] must be text of at most 200 characters; given 3"),
        ({"states": ["even", "x" * 201]}, r"states\[1\] .* given 201 characters"),
        ({"states": ["even", "even"]}, "states must differ; 'even' is there twice"),
        ({"tokens": ["0", "\ud800"]}, r"tokens\[1\] holds half of a surrogate pair"),
        ({"tokens": [str(i) for i in range(60_000)], "states": [str(i) for i in range(999)]},
         "may be 10,000,000; given 999 × 60,000"),
        ({"start": "none"}, "start must be one of states; given 'none'"),
        ({"start": 0}, "start must be one of states; given 0"),
        ({"accepting": "odd"}, "accepting must be a list"),
        ({"accepting": ["odd", []]}, r"accepting\[1\] must be one of states"),
        ({"otherwise": 4}, "otherwise must be one of states; given 4"),
        ({"name": 4}, "name must be text"),
        ({"description": "x" * 10_001}, "at most 10,000 characters; given 10,001"),
        ({"transitions": []}, "transitions must be an object"),
        ({"transitions": {"odd": {}}}, r"transitions\['even'\]\['0'\] is missing"),
        ({"transitions": {"odder": {}}}, r"the key transitions\['odder'\] must be one of states"),
        ({"transitions": {"odd": 3}}, r"transitions\['odd'\] must be an object; given 3"),
        ({"transitions": {"odd": {"2": "odd"}}}, r"each key of .* one of tokens; given '2'"),
        ({"transitions": {"odd": {"1": "up"}}}, r"transitions\['odd'\]\['1'\] must be one"),
        ({"transitions": {"odd": {"1": ["odd"]}}}, "must be one of states"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_the_file(tmp_path, changes, message):
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(parity(**changes)))
    with pytest.raises(FileFormatError, match=rf"machine\.json: .*{message}"):
        Automaton.from_json_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1, column 1"),
        (b"[1, 2]", "must hold one JSON object"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": 1, "a": 2}', "names 'a' twice"),
        (b"\xff\xfe{}", "UTF-8 text; byte 0"),
        (b'{"states": [', "line 1"),
        (b"[" * 100_000, "must be JSON"),
    ],
)
def test_a_file_that_is_no_automaton_is_refused(tmp_path, content, message):
    path = tmp_path / "machine.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        Automaton.from_json_file(path)


def test_a_missing_file_and_a_huge_one(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match=r"absent\.json cannot be read"):
        Automaton.from_json_file(tmp_path / "absent.json")
    with pytest.raises(FileFormatError, match="cannot be read"):
        Automaton.from_json_file(tmp_path)
    path = tmp_path / "large.json"
    path.write_text(json.dumps(parity()))
    monkeypatch.setattr("coset.ssm.automata.json_format.MAX_FILE_BYTES", 10)
    with pytest.raises(FileFormatError, match="may have 10 bytes"):
        Automaton.from_json_file(path)


def test_a_name_that_could_not_be_read_is_not_written(tmp_path):
    automaton = Automaton.from_dfa([[0]], state_labels=["x" * 300])
    with pytest.raises(FileFormatError, match="at most 200"):
        automaton.to_json_file(tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
