"""The house carries another subject: the worked example goes through checks, verify and report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATCH = ROOT / "examples" / "new_subject.patch"


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """Return a copy of the tree with the patch applied."""
    copy = tmp_path_factory.mktemp("house")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["git", "apply", "--whitespace=error", str(PATCH)],
        cwd=copy,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"make the patch anew: {done.stderr}"
    return copy


def run(house: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house / "src"), "COSET_OUT": str(house / "out")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_style_and_generated_tables(house):
    run(house, "-m", "ruff", "format", "--check", "src/coset/shrinkage", "tests/shrinkage")
    run(house, "-m", "ruff", "check", "src/coset/shrinkage", "tests/shrinkage")
    run(house, "docs/generate.py", "--check")


@pytest.mark.slow
def test_types(house):
    run(house, "-m", "mypy", "src/coset/shrinkage")


def test_the_house_accepts_it(house):
    names = "tests/test_architecture.py tests/test_claims_index.py tests/test_public_names.py"
    tests = [*names.split(), "tests/test_readme_commands.py", "tests/shrinkage"]
    out = run(house, "-m", "pytest", "-q", "-k", "shrinkage", *tests)
    assert "failed" not in out
    assert int(out.rsplit(" passed", 1)[0].rsplit(maxsplit=1)[-1]) >= 20


def test_claim_experiment_benchmark_and_command_reach_the_user(house):
    (record,) = json.loads(run(house, "-m", "coset", "verify", "shrinkage", "--json"))
    assert record["seen"] == "holds"
    assert [m["caught"] and m["near_miss"] for m in record["mutants"]] == [True, True]
    assert "4 of 4 runs finished" in run(house, "-m", "coset", "run", "shrinkage.sparsity")
    assert run(house, "-m", "coset", "shrinkage", "apply", "3", "0.5", "--strength", "1") == "2 0\n"
    words = "bench shrinkage.threshold --sizes 1000 --repeats 5 --no-save --no-tests --json"
    (report,) = json.loads(run(house, "-m", "coset", *words.split()))
    assert report["id"] == "shrinkage.threshold"


def test_the_report_shows_it(house):
    run(house, "-m", "coset", "verify", "shrinkage")
    run(house, "-m", "coset", "run", "shrinkage.sparsity")
    index = house / "out" / "report" / "index.html"
    assert str(Path("out") / "report" / "index.html") in run(house, "-m", "coset", "report")
    assert "shrinkage.C1" in index.read_text()
    assert "shrinkage.P1" in (index.parent / "published.html").read_text()
    runs = (index.parent / "runs-shrinkage.sparsity.html").read_text()
    assert "coset run shrinkage.sparsity --preset smoke --set strength=1.0" in runs
    assert list((index.parent / "figures").rglob("*.svg"))


def test_broken_code_turns_verify_and_its_test_red(house):
    source = house / "src" / "coset" / "shrinkage" / "threshold.py"
    right = source.read_text()
    source.write_text(right.replace("w - w.clamp(", "w - 0.5 * w.clamp("))
    try:
        run(house, "-m", "coset", "verify", "shrinkage", "--report", code=1)
        report = (house / "out" / "report" / "index.html").read_text()
        assert "1 claim is not as expected" in report
        run(house, "-m", "pytest", "-q", "tests/shrinkage", code=1)
    finally:
        source.write_text(right)
