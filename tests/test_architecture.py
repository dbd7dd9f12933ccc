"""The house: floors, anatomy, sizes, names, and what an import may do."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "coset"

# Package -> floor, and what it may import beyond `core`. This is the one place that holds them.
FLOOR = {
    "core": 0,
    "groups": 1,
    "scan": 1,
    "train": 1,
    "data": 1,
    "bench": 2,
    "lab": 2,
    "report": 4,
    "cli": 5,
}
MAY_IMPORT = {
    "core": set(),
    "groups": {"core"},
    "scan": {"core"},
    "train": {"core"},
    "data": {"core"},
    "bench": {"core"},
    "lab": {"core", "data", "train"},
    "report": {"core", "lab"},
    "cli": {"core", "groups", "data", "bench", "lab", "report"},
}
SUBJECT_FOUNDATIONS = {"core", "groups", "scan", "train", "data"}
# Only these files of a subject may see floor 2.
SUBJECT_LAB_FILES = {"experiments", "figures", "benchmarks", "commands"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
ANATOMY = [
    *("__init__.py", "README.md", "published.json", "reference"),
    *("claims", "experiments", "figures", "benchmarks", "commands"),
]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
USUAL_FUNCTION_LINES = 30

FILES = sorted(PACKAGE.rglob("*.py"))


def _subjects() -> set[str]:
    from coset.core.registry import built_subjects

    return {subject.name for subject in built_subjects()}


def _imports(path: Path) -> set[str]:
    """Return the coset packages that a file imports anywhere, function bodies included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            if node.module == "coset":
                found.update(alias.name for alias in node.names)
            elif node.module and node.module.startswith("coset."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("coset."))
    return {name for name in found if (PACKAGE / name).is_dir()}


def _allowed(path: Path) -> set[str]:
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:  # the package's own door
        return {"core", "cli"}
    area = parts[0]
    if area in MAY_IMPORT:
        return MAY_IMPORT[area] | {area}
    lab = Path(parts[1]).stem in SUBJECT_LAB_FILES
    return SUBJECT_FOUNDATIONS | {area} | ({"lab", "bench"} if lab else set())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path):
    assert _imports(path) <= _allowed(path)


def test_every_package_has_a_floor():
    packages = {p.relative_to(PACKAGE).parts[0] for p in FILES if p.parent != PACKAGE}
    assert packages <= set(FLOOR) | _subjects()
    for area, allowed in MAY_IMPORT.items():
        assert all(FLOOR[name] < FLOOR[area] for name in allowed), area


def test_the_import_rule_can_fail(tmp_path, monkeypatch):
    wrong = tmp_path / "core" / "wrong.py"
    wrong.parent.mkdir()
    wrong.write_text("from coset.lab import store\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "lab").mkdir()
    assert not _imports(wrong) <= _allowed(wrong)


@pytest.mark.parametrize("subject", sorted(_subjects()))
def test_a_subject_has_the_anatomy(subject):
    folder = PACKAGE / subject
    for name in ANATOMY:
        path = folder / name
        there = path.exists() or (folder / f"{name}.py").exists()
        assert there, f"{subject} lacks {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_short_and_named_after_an_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    names = {path.stem, *path.relative_to(PACKAGE).parts[:-1]}
    assert not names & FORBIDDEN_NAMES


def _code_lines(path: Path) -> set[int]:
    """Return the numbers of lines that hold code: no comments, blank lines or docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                documented.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    lines: set[int] = set()
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    with path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type not in layout and token.type != tokenize.ENCODING:
                lines.update(range(token.start[0], token.end[0] + 1))
    return lines - documented


def _function_lengths() -> list[tuple[int, str]]:
    lengths = []
    for path in FILES:
        code = _code_lines(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                place = f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
                lengths.append((sum(line in code for line in span), place))
    return lengths


def test_functions_are_short():
    lengths = _function_lengths()
    too_long = [f"{place}: {n} lines of code" for n, place in lengths if n > MAX_FUNCTION_LINES]
    assert not too_long
    usual = sum(n <= USUAL_FUNCTION_LINES for n, _ in lengths)
    assert usual >= 0.9 * len(lengths)


LISTING = (
    "import sys\n{code}\n"
    "names = {{m.split('.')[0] for m in sys.modules}} - set(sys.stdlib_module_names)\n"
    "print('\\n' + ' '.join(sorted(names)))"
)


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LISTING.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    # What an editable install or the virtual environment itself brings is not ours.
    return set(done.stdout.splitlines()[-1].split()) - {"__main__", "__mp_main__", "_virtualenv"}


def _ours(names: set[str]) -> set[str]:
    plain = _loaded("pass")
    return {n for n in names - plain if not n.startswith(("_", "sitecustomize", "distutils"))}


def test_importing_coset_loads_the_standard_library_only():
    assert _ours(_loaded("import coset")) == {"coset"}


def test_help_loads_tyro_and_rich_at_most():
    loaded = _ours(_loaded("from coset.cli import main\nmain(['--help'])"))
    assert not loaded & {"torch", "numba", "scipy", "matplotlib", "numpy"}
    tyro_and_rich = _ours(_loaded("import tyro, rich.console, rich.table, rich.live"))
    assert loaded <= tyro_and_rich | {"coset"}


QUIET = """
import builtins, threading, socket, sys
import torch, numpy, scipy, safetensors
before = threading.active_count()
threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
def refuse(*a, **k): raise AssertionError('an import opened a connection')
socket.create_connection = refuse
import importlib, pkgutil, coset
for module in pkgutil.walk_packages(coset.__path__, 'coset.'):
    if not module.name.startswith(('coset.cli', 'coset.__main__')):
        importlib.import_module(module.name)
assert threading.active_count() == before, threading.enumerate()
assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)
"""


def test_import_starts_no_thread_and_changes_no_setting():
    _loaded(QUIET)


UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "joblib"}


def _unsafe(source: str) -> list[str]:
    """Return what could run code from a file: unpickling, or evaluating text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if (node.module or "").split(".")[0] in UNSAFE_MODULES:
                found.append(str(node.module))
            if node.module == "torch" and "load" in names:
                found.append("from torch import load")
            if node.module == "builtins":
                found.append("from builtins import")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            arguments = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name in {"eval", "exec", "builtins.eval", "builtins.exec"}:
                found.append(name)
            if name == "torch.load" and arguments.get("weights_only") != "True":
                found.append("torch.load without weights_only=True")
            if arguments.get("allow_pickle", "False") != "False":
                found.append(f"{name} with allow_pickle")
    return found


def test_nothing_is_unpickled_or_evaluated():
    for path in FILES:
        assert not _unsafe(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    "source",
    [
        "from pickle import loads",
        "import pickle as p",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "from torch import load",
        "import builtins\nbuiltins.eval('1')",
        "import torch\ntorch.load('x')",
        "eval('1')",
    ],
)
def test_the_unpickling_rule_can_fail(source):
    assert _unsafe(source)
