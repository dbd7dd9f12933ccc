"""What the READMEs show is what happens: Python sessions and commands with their output."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from coset.core.registry import built_subjects

ROOT = Path(__file__).resolve().parents[1]
READMES = [
    ROOT / "README.md",
    *(ROOT / "src" / "coset" / s.name / "README.md" for s in built_subjects()),
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _console_examples() -> list[tuple[str, str, str]]:
    """Return (file, command, shown output) of every ``$`` line in a console block."""
    found = []
    for path in READMES:
        for block in re.findall(r"```console\n(.*?)```", path.read_text(), re.S):
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, output = part.partition("\n")
                found.append((str(path.relative_to(ROOT)), command, output))
    return found


@pytest.mark.parametrize("path", READMES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_sessions(path):
    assert ">>>" in path.read_text(), "a README shows a session that is run"
    # Text of a fence would be read as expected output.
    text = path.read_text().replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert failed == 0, "".join(report)


def test_every_readme_shows_a_command_with_its_output():
    shown = {file for file, _, output in _console_examples() if output.strip()}
    assert shown == {str(path.relative_to(ROOT)) for path in READMES}


def _write_net(folder: Path) -> None:
    """Write the file that the examples call net.safetensors: a network as it is built."""
    import torch

    from coset.core.model_files import save_model
    from coset.sharing import PositionMLP

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PositionMLP(side=7, channels=(16,))
    arguments = {"side": 7, "channels": [16]}
    save_model(net, folder / "net.safetensors", name="sharing.PositionMLP", arguments=arguments)


def _plain(text: str) -> str:
    # Durations differ from run to run; everything else must not.
    text = re.sub(r"\d+\.\d s\b", "# s", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


@pytest.mark.parametrize(("file", "command", "output"), _console_examples())
def test_commands(file, command, output, tmp_path):
    words = shlex.split(command)
    assert words[0] == "coset", "only coset's own commands are shown with a $"
    if "net.safetensors" in words:
        _write_net(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-m", "coset", *words[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80"},
        timeout=120,
        check=False,
    )
    # 1 is an answer, too: the preferences contradict each other, the claim is not as expected.
    assert done.returncode in (0, 1), done.stderr
    assert _plain(done.stdout) == _plain(output)


def test_commands_of_the_table_exist():
    from coset.cli.dispatch import COMMANDS
    from coset.core.registry import built_subjects, load

    table = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("##")[0]
    subjects = [subject.name for subject in built_subjects()]
    assert set(re.findall(r"`coset (\w+)", table)) == {*COMMANDS, *subjects}
    for subject in subjects:
        (row,) = [line for line in table.splitlines() if line.startswith(f"| `coset {subject} ")]
        words = re.findall(r"`(?:coset \w+ )?(\w+)`", row)
        assert words == list(load(subject, "commands").COMMANDS)


def test_make_targets_are_at_most_ten_and_those_of_the_readme():
    lines = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", lines, re.M)[1].split()) - {"help"}
    assert len(targets) <= 10
    shown = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / "README.md").read_text(), re.M))
    assert {"demo", "test"} <= shown <= targets
