from __future__ import annotations

import pytest

from coset.core.errors import ConfigError
from coset.core.files import output_folder
from coset.report import build, build_report, write_report
from report.reading import faults, read_report
from report.synthetic import claim, record, sources


def _sources(folder, *seen):
    claims = [claim(f"sharing.C{i}") for i in range(len(seen))]
    return sources(
        folder, claims, [record(c.id, seen=s) for c, s in zip(claims, seen, strict=True)]
    )


def test_an_earlier_report_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "deep" / "report"
    write_report(_sources(tmp_path / "a", "holds", "holds"), out)
    assert "sharing.C1" in (out / "index.html").read_text()
    (tmp_path / "a" / "verify").rename(tmp_path / "gone")
    write_report(_sources(tmp_path / "b", "refuted"), out)
    assert "sharing.C1" not in (out / "index.html").read_text()
    assert [path.name for path in (out / "records").iterdir()] == ["sharing.C0.json"]
    assert [path.name for path in out.parent.iterdir()] == ["report"]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "report").mkdir()
    assert write_report(_sources(tmp_path, "holds"), tmp_path / "report").is_file()


@pytest.mark.parametrize("name", ["thesis.tex", "index.html", ".hidden"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path, name):
    out = tmp_path / "report"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(ConfigError, match="must hold nothing but an earlier report"):
        write_report(_sources(tmp_path, "holds"), out)
    assert (out / name).read_text() == "mine"


def test_what_was_added_to_an_earlier_report_is_not_deleted(tmp_path):
    out = tmp_path / "report"
    write_report(_sources(tmp_path, "holds"), out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        write_report(_sources(tmp_path, "holds"), out)
    assert (out / "notes.txt").read_text() == "mine"


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        write_report(_sources(tmp_path, "holds"), tmp_path / "report")


def test_a_failure_leaves_the_earlier_report_and_no_litter(tmp_path, monkeypatch):
    out = tmp_path / "out" / "report"
    write_report(_sources(tmp_path, "holds"), out)
    before = (out / "index.html").read_bytes()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "write_pages", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(_sources(tmp_path, "refuted"), out)
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["report"]


def test_the_replacement_fails_whole(tmp_path, monkeypatch):
    out = tmp_path / "out" / "report"
    write_report(_sources(tmp_path, "holds"), out)
    rename = type(out).rename

    def refuse(path, target):
        if path.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(type(out), "rename", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_report(_sources(tmp_path, "holds"), out)
    assert (out / "index.html").is_file()
    assert [path.name for path in out.parent.iterdir()] == ["report"]


def test_the_report_of_this_library_with_nothing_stored():
    index = build_report()
    assert index == output_folder() / "report" / "index.html"
    pages = read_report(index.parent)
    assert faults(pages) == []
    assert "Nothing was checked" in pages["index.html"].text
    assert "chip good" not in pages["index.html"].source
