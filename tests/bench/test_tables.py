from __future__ import annotations

import pytest

from coset.bench import format_report, save_report, write_tables
from coset.bench.tables import fill_blocks
from coset.core.errors import FileFormatError

from .test_results import make_report

BLOCK = "# T\n\n<!-- bench:toy.sum -->\nold\n<!-- /bench -->\nend\n"


@pytest.fixture
def root(tmp_path):
    save_report(make_report(), tmp_path / "benchmarks" / "results")
    (tmp_path / "README.md").write_text(BLOCK)
    return tmp_path


def test_a_block_is_filled_from_the_stored_report_and_the_rest_is_kept(root):
    assert write_tables(root) == [root / "README.md"]
    text = (root / "README.md").read_text()
    row = "| centered | 1,000 | 4 ms [3.5, 4.5] | 2 loop | 4 half | 8 copy |"
    assert row in text.splitlines()
    assert "CPU One" in text
    assert "commit 0123456789" in text
    assert "load 0.25 at the start, 86 % of the clock on the processor" in text
    assert "old" not in text
    assert text.startswith("# T\n\n<!-- bench:toy.sum -->\n")
    assert text.endswith("<!-- /bench -->\nend\n")


def test_filling_twice_changes_nothing_and_check_only_looks(root):
    assert write_tables(root, check=True) == [root / "README.md"]
    assert (root / "README.md").read_text() == BLOCK
    write_tables(root)
    assert write_tables(root) == []
    assert write_tables(root, check=True) == []
    save_report(make_report(slug="cpu-two"), root / "benchmarks" / "results")
    assert write_tables(root, check=True) == [root / "README.md"]


def test_a_full_block_lists_every_contestant_and_the_limit(root):
    text = fill_blocks(BLOCK.replace("sum -->", "sum full -->"), [make_report()])
    assert "| ours: sum [fresh] | 4 ms [3.5, 4.5] |  |" in text
    assert "| peer: half, every other number [fresh] | 1 ms [1, 1] | 4 |" in text
    assert "| limit: copy [preallocated] | 500 µs [500, 500] | 8 |" in text
    assert "Limit *copy*: read once. Measured: 2 to 2 GB/s at 1,000." in text
    assert format_report(make_report()).strip() in text


def test_a_case_without_results_says_how_to_make_them():
    text = fill_blocks(BLOCK, [make_report(id="toy.other")])
    assert "`coset bench toy.sum` makes one" in text
    assert fill_blocks(text, []) == text


def test_markers_in_fenced_code_and_inside_a_line_are_text(root):
    text = f"```\n{BLOCK}```\nand `<!-- bench:toy.sum -->` here\n"
    assert fill_blocks(text, [make_report()]) == text


def test_output_and_hidden_folders_are_not_searched(root):
    for folder in ("out", ".venv"):
        (root / folder).mkdir()
        (root / folder / "x.md").write_text(BLOCK)
    assert write_tables(root) == [root / "README.md"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n<!-- bench:toy.sum -->\nb", "line 2.*line 2 is not closed"),
        ("<!-- /bench -->", "line 1.*no block is open"),
        ("<!-- bench:toy.sum -->\n" * 2 + "<!-- /bench -->", "line 2.*line 1 is not closed"),
    ],
)
def test_markers_that_do_not_match_are_named(text, words):
    with pytest.raises(FileFormatError, match=words):
        fill_blocks(text, [make_report()], where="R.md")
