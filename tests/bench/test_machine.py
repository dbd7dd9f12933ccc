from __future__ import annotations

import subprocess

from coset.bench.machine import (
    checkout_folder,
    commit_facts,
    load_average,
    machine_facts,
    machine_slug,
    process_facts,
)


def test_machine_and_process_facts_are_json_and_filled():
    machine, process = machine_facts(), process_facts()
    assert machine["cpu"]
    assert machine["num_usable_cpus"] >= 1
    assert machine_slug(machine).strip("-") == machine_slug(machine) != ""
    assert process["torch_simd"]
    assert process["numba_target"]
    assert process["versions"]["coset"] != "not installed"
    assert all(load >= 0 for load in load_average())


def test_the_allocator_is_named_without_its_folder(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert process_facts()["allocator"] == {"MALLOC_ARENA_MAX": "1"}


def test_commit_and_changed_sources(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    assert commit_facts(None) == {"commit": "", "changed": []}
    assert commit_facts(tmp_path) == {"commit": "", "changed": []}
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "m")
    assert len(commit_facts(tmp_path)["commit"]) == 40
    assert commit_facts(tmp_path)["changed"] == []
    (tmp_path / "src" / "a.py").write_text("2\n")
    (tmp_path / "src" / "b.py").write_text("3\n")
    assert commit_facts(tmp_path)["changed"] == ["src/a.py", "src/b.py"]


def test_the_checkout_is_found_or_absent():
    root = checkout_folder()
    assert root is None or (root / "src" / "coset").is_dir()
