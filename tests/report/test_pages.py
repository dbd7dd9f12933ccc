from __future__ import annotations

import re

import pytest

from coset.report import write_report
from coset.report.links import checkout_folder
from report.reading import faults, read_report
from report.synthetic import (
    FIGURES,
    HOSTILE,
    benchmark,
    claim,
    experiment,
    number,
    record,
    run,
    sources,
)

METHODS = (("fc", 0.75), ("cnn", 0.92))


def _typical(folder):
    claims = [claim(f"sharing.C{i}") for i in range(1, 6)]
    claims += [claim("sharing.C16", expected="open", kind="conjecture")]
    claims += [claim("sharing.C19", experiment="sharing.torus-digits", kind="empirical")]
    records = [record(f"sharing.C{i}") for i in (1, 2, 19)]
    records += [record("sharing.C3", seen="refuted"), record("sharing.C5", seen="error")]
    records += [record("sharing.C16", seen="open", expected="open")]
    runs = [
        run([{"test_accuracy": value + seed / 100}], {"method": method, "seed": seed})
        for method, value in METHODS
        for seed in (0, 1)
    ]
    runs.append(run([], {"method": "fc", "seed": 2}, status="failed", error="WorkerDied: gone"))
    figures = (f"{FIGURES}:draw_accuracy", f"{FIGURES}:draw_badly")
    return sources(
        folder,
        claims,
        records,
        runs,
        [experiment(figures=figures)],
        [number(), number("sharing.P2", 74.0), number("sharing.P3", None)],
        {"benchmarks/results/sharing.prox-cpu.json": benchmark()},
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typical")
    index = write_report(_typical(folder), folder / "report")
    return read_report(index.parent)


def test_every_link_leads_somewhere_and_every_tag_is_closed(pages):
    assert faults(pages) == []
    expected = {"index", "sharing", "published", "runs", "benchmarks", "environment", "unchecked"}
    assert expected <= {name.removesuffix(".html") for name in pages}


def test_nothing_comes_from_a_network(pages):
    for page in pages.values():
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"<code>.*?</code>", "", page.source))


def test_the_verdict_is_words_and_a_sign_besides_color(pages):
    text = " ".join(pages["index.html"].text.split())
    assert "✗ 2 claims are not as expected" in text
    assert "□ 1 not run" in text
    assert "○ 1 open, as expected" in text


def test_the_first_screen_says_what_the_verdicts_rest_on(pages):
    after = pages["index.html"].source.split("</h1>", 1)[1].lstrip()
    assert after.startswith(
        '<p class="basis">Verdicts from preset smoke, seed 0; '
        "nothing checked at the paper&#39;s size; 1 of 7 subjects is built.</p>"
    )


def _lines(page):
    """Return the class and the claim of each line of the matrix, in order."""
    return re.findall(r'<tr class="(\w+)">\s*<th[^>]*>\s*<a class="id"[^>]*>([\w.]+)', page.source)


def test_the_matrix_has_every_claim_once_and_the_unexpected_first(pages):
    lines = _lines(pages["index.html"])
    assert [state for state, _ in lines[:4]] == ["bad", "bad", "missing", "gray"]
    assert {id for _, id in lines} == {f"sharing.C{i}" for i in (1, 2, 3, 4, 5, 16, 19)}
    assert dict((id, state) for state, id in lines)["sharing.C16"] == "gray"


def test_each_line_of_the_matrix_links_code_evidence_test_and_figure(pages):
    source = pages["index.html"].source
    line = source[source.index(">sharing.C19</a>") :].split("</tr>")[0]
    assert 'href="code/coset-report-records.py.html#L12">coset/report/records.py:12<' in line
    assert 'href="sharing.html#sharing.C19">evidence<' in line
    assert "test_C19" in line
    assert 'href="runs-sharing.torus-digits.html#figure-smoke-draw_accuracy"' in line


def test_the_reader_finds_which_published_number_is_farthest(pages):
    text = " ".join(pages["index.html"].text.split())
    sentence = "The published number farthest from ours is sharing.P1 (accuracy of sharing.P1): "
    assert sentence + "published 85.19 %, ours 75.5 %" in text
    assert "on digits, preset smoke" in text
    page = " ".join(pages["published.html"].text.split("</h1>")[-1].split())
    assert sentence in page
    assert page.index(sentence) < page.index("Compared: 2") < page.index("Not compared: 1")
    first = re.findall(r'<tr id="(sharing\.P\d)">', pages["published.html"].source)
    assert first == ["sharing.P1", "sharing.P2", "sharing.P3"]
    assert "not found" in pages["published.html"].text


def test_without_a_pair_no_number_is_called_farthest(tmp_path):
    numbers = [number("sharing.P1", None), number("sharing.P2", 74.0, ours=None)]
    runs = [run([{"test_accuracy": 0.5}], {"method": "fc", "seed": 0})]
    found = sources(tmp_path, [claim()], [record()], runs, [experiment()], numbers)
    pages = read_report(write_report(found, tmp_path / "report").parent)
    first = "No published number can be compared with one of ours yet, so none is farthest. "
    for name in ("index.html", "published.html"):
        text = " ".join(pages[name].text.split())
        assert first + "The published value was not found for 1 of 2, and no row of ours" in text
        assert "farthest first" not in text
        assert "Farthest" not in text
    assert "Compared:" not in pages["published.html"].text.replace("Not compared:", "")
    assert faults(pages) == []


def test_the_reader_finds_the_command_and_the_data_of_each_row(pages):
    page = pages["runs-sharing.torus-digits.html"]
    for method, _ in METHODS:
        for seed in (0, 1):
            command = f"--set method={method} --set seed={seed}"
            after = page.source.split(command, 1)[1].split("</tbody>")[0]
            assert "data used: <strong>digits</strong>" in after
            assert f'data-label="method">{method}<' in after
            assert f'data-label="seed">{seed}<' in after
    assert "WorkerDied: gone" in page.text


def test_the_reader_finds_what_was_not_checked(pages):
    text = " ".join(pages["unchecked.html"].text.split())
    assert "1 claim not run" in text
    assert "6 subjects not built" in text
    assert "1 published number not found" in text
    assert "no finished run at preset paper" in text
    assert "1 run without rows" in text
    assert "1 figure failed" in text
    assert "not built yet, not checked" in pages["index.html"].text


def test_an_experiment_without_runs_shows_its_commands(tmp_path):
    found = sources(tmp_path, [claim()], [record()], [], [experiment()])
    pages = read_report(write_report(found, tmp_path / "report").parent)
    page = pages["runs-sharing.torus-digits.html"]
    for preset in ("smoke", "cpu", "paper"):
        assert f"coset run sharing.torus-digits --preset {preset}<" in page.source
    assert '<a href="runs.html" aria-current="true">' in page.source
    assert '<a href="runs.html" aria-current="page">' in pages["runs.html"].source
    assert page.source.count('aria-current="') == 1
    assert faults(pages) == []


def test_the_check_time_is_called_no_benchmark(pages):
    text = " ".join(pages["index.html"].text.split())
    assert "measured [interval]" in text
    assert "check time" in text
    assert "it is not a benchmark" in text


def test_main_results_stand_above_figures_and_the_full_rows(pages):
    source = pages["runs-sharing.torus-digits.html"].source
    compact = source[source.index("<caption>Main results") :].split("</table>")[0]
    assert compact.count("<tr>") == 1 + 4
    assert re.findall(r'<th scope="col"[^>]*>(\w+)<', compact) == [
        "method",
        "seed",
        "test_accuracy",
        "run",
    ]
    assert source.index("<caption>Main results") < source.index("<figure")
    assert source.index("<figure") < source.index("<caption>All columns")


def test_the_columns_are_explained_below_the_rows(tmp_path):
    def run_it(config, context):
        """Count <b>things</b>."""

    class Config:
        """Settings.

        Attributes:
            method: which <i>way</i>.
        """

    item = experiment(config_class=Config, run=run_it)
    found = sources(tmp_path, [claim()], [record()], [run([{"a": 1}])], [item])
    pages = read_report(write_report(found, tmp_path / "report").parent)
    page = pages["runs-sharing.torus-digits.html"]
    after = " ".join(page.text.split("What the columns mean")[1].split())
    assert after.startswith("Rows Count <b>things</b>. Settings methodwhich <i>way</i>.")
    assert page.text.index("What the columns mean") > page.text.index("coset run")
    assert faults(pages) == []


def test_a_failed_figure_is_a_red_box_with_its_error(pages):
    page = pages["runs-sharing.torus-digits.html"]
    assert "This figure failed." in page.text
    assert "no such column <b>" in page.text
    assert len(page.images) == 1


def test_the_source_page_has_the_line_that_is_linked(pages):
    page = pages["code/coset-report-records.py.html"]
    assert "L12" in page.anchors
    back = [link for link in page.links if link.endswith("src/coset/report/records.py")]
    assert len(back) == (0 if checkout_folder() is None else 1)


def test_all_as_expected_is_green_and_says_so(tmp_path):
    claims = [claim(f"sharing.C{i}") for i in (1, 2)]
    found = sources(tmp_path, claims, [record("sharing.C1"), record("sharing.C2")])
    pages = read_report(write_report(found, tmp_path / "report").parent)
    assert '<h1 class="verdict good">' in pages["index.html"].source
    assert "All 2 claims are as expected" in pages["index.html"].text
    assert faults(pages) == []


def test_nothing_stored_is_never_green(tmp_path):
    pages = read_report(write_report(sources(tmp_path, [claim()], []), tmp_path / "r").parent)
    assert '<h1 class="verdict missing">' in pages["index.html"].source
    assert "Nothing was checked" in pages["index.html"].text
    assert "chip good" not in pages["index.html"].source
    assert faults(pages) == []


def test_a_damaged_verdict_is_shown_and_never_green(tmp_path):
    (tmp_path / "verify").mkdir()
    (tmp_path / "verify" / "sharing.C1.json").write_text("{torn")
    pages = read_report(write_report(sources(tmp_path, [claim()], []), tmp_path / "r").parent)
    assert "1 thing could not be used" in pages["index.html"].text
    assert "sharing.C1.json" in pages["index.html"].text
    assert "chip good" not in pages["index.html"].source


def _hostile(folder):
    values = record(
        "sharing.C1",
        seen="refuted",
        preset=HOSTILE,
        seed=HOSTILE,
        when=HOSTILE,
        commit=HOSTILE,
        problem=HOSTILE,
        mutants=[{"name": HOSTILE, "caught": True, "near_miss": True, "detail": HOSTILE}],
    )
    values["result"] |= {
        "detail": HOSTILE,
        "counterexample": {HOSTILE: HOSTILE},
        "evidence": {HOSTILE: [HOSTILE]},
    }
    text = ("title", "statement", "hypotheses", "source")
    hostile = claim(**dict.fromkeys(text, HOSTILE), file=HOSTILE.replace("\x00", ""))
    rows = [{HOSTILE: HOSTILE, "test_accuracy": 0.5}]
    runs = [
        run(rows, {HOSTILE: HOSTILE, "method": "fc"}, digest=HOSTILE, command=HOSTILE),
        run([], {"seed": HOSTILE}, status=HOSTILE, error=HOSTILE, preset=HOSTILE, digest="x"),
        run(rows, {"seed": 1}, experiment=HOSTILE, environment={HOSTILE: HOSTILE}),
    ]
    numbers = [number(HOSTILE, **dict.fromkeys(("what", "unit", "source", "budget"), HOSTILE))]
    return sources(
        folder,
        [hostile],
        [values],
        runs,
        [experiment(title=HOSTILE, figures=(f"{FIGURES}:{HOSTILE}",), data=(HOSTILE,))],
        numbers,
        {f"a/{HOSTILE}": benchmark(HOSTILE, title=HOSTILE, settings={HOSTILE: HOSTILE})},
    )


def test_hostile_strings_stay_strings(tmp_path):
    pages = read_report(write_report(_hostile(tmp_path), tmp_path / "report").parent)
    assert faults(pages) == []
    shown = sum("<script>alert('x')</script>" in page.text for page in pages.values())
    assert shown >= 6
    assert not any("9876536" in page.source for page in pages.values())
