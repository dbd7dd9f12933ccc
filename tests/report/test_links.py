from __future__ import annotations

from pathlib import Path

import pytest

from coset.report.links import CodePages, checkout_folder


def test_a_line_of_code_becomes_a_page_with_an_anchor():
    pages = CodePages(checkout_folder())
    link = pages.code("coset/report/records.py", 12)
    assert link.text == "coset/report/records.py:12"
    page, _, anchor = link.href.removeprefix("code/").partition("#")
    assert anchor == "L12"
    assert pages.lines(page)[0].startswith('"""Stored verdicts')


@pytest.mark.parametrize(
    "file",
    ["coset/no/such.py", "../pyproject.toml", "/etc/passwd", "coset/../../README.md", ""],
)
def test_what_lies_elsewhere_is_text_only(file):
    pages = CodePages(checkout_folder())
    assert pages.code(file, 1).href == ""
    assert pages.files == {}


def test_a_test_is_found_by_its_function(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("import x\n\n\ndef test_C1():\n    pass\n")
    pages = CodePages(tmp_path)
    assert pages.test("tests/test_a.py::test_C1").href.endswith("#L4")
    assert pages.test("tests/test_a.py::test_C1[a::b]").href.endswith("#L4")
    assert pages.test("tests/test_a.py::test_C2").href.startswith("code/")
    assert pages.test("tests/test_b.py::test_C1").href == ""


def test_outside_a_checkout_tests_are_text_only():
    pages = CodePages(None)
    assert pages.test("tests/report/test_links.py::test_x").href == ""
    link = pages.code("coset/report/records.py", 1)
    page = link.href.removeprefix("code/").partition("#")[0]
    assert pages.way_back(page, Path("/tmp")) == ""
    assert pages.name(page) == "coset/report/records.py"
