from __future__ import annotations

import json
import resource
import shutil
import sqlite3

import pytest

from coset.core.errors import UnknownNameError
from coset.lab.experiments import find_experiment
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from lab.crash import in_fork
from lab.toys import DrawConfig, Net


@pytest.fixture
def store(tmp_path):
    store = RunStore(tmp_path / "runs")
    run_preset("toy.draw", "smoke", store=store, module="lab.toys")
    return store


def _content(store):
    return [(r.digest, r.state, r.rows) for r in store.runs()]


def test_an_empty_store_has_no_runs_and_makes_no_folder(tmp_path):
    store = RunStore()
    assert store.root == tmp_path / "out" / "runs"
    assert store.runs() == []
    assert store.rows("toy.draw") == []
    assert not store.root.exists()


def test_rows_carry_their_folder_and_their_command(store):
    rows = store.rows("toy.draw", method="own")
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert rows[1]["command"] == "coset run toy.draw --preset smoke --set method=own --set seed=1"
    assert rows[1]["run"].startswith(str(store.root / "toy.draw"))
    assert rows[0]["net.width"] == 4
    assert rows[0]["net.sizes"] == "[1,2]"
    assert rows[0]["missing"] is None


def test_rows_are_selected_by_value_or_set(store):
    assert len(store.rows("toy.draw", seed=(0, 2))) == 4
    assert len(store.rows("toy.draw", seed={1}, method="global")) == 1
    assert store.rows("toy.draw", seed=9) == []
    assert store.rows("toy.draw", shuffled=0) == []
    assert len(store.rows("toy.draw", shuffled=False)) == 6
    with pytest.raises(UnknownNameError, match="did you mean seed"):
        store.rows("toy.draw", seeed=1)


def test_a_preset_means_its_grid_as_it_is_now(store):
    run_preset("toy.draw", "smoke", ["net.width=2"], seeds=[0], store=store)
    run_preset("toy.draw", "cpu", store=store)
    assert len(store.runs("toy.draw")) == 9
    runs = store.runs("toy.draw", "smoke")
    expected = [(m, s) for m in ("global", "own") for s in (0, 1, 2)]
    assert [(r.config["method"], r.config["seed"]) for r in runs] == expected
    assert len(store.rows("toy.draw", "cpu")) == 1
    with pytest.raises(UnknownNameError):
        store.runs("toy.draw", "paperr")
    with pytest.raises(UnknownNameError):
        store.runs(preset="smoke")


def test_the_command_follows_the_preset_that_is_asked_for(store):
    config = DrawConfig(net=Net(width=8))
    item = find_experiment("toy.draw")
    run_preset("toy.draw", "smoke", ["net.width=8", "method=global"], seeds=[0], store=store)
    record = store.find(item, config)
    assert record is not None
    assert "--preset smoke" in record.command
    assert store.rows("toy.draw", "cpu")[0]["command"] == "coset run toy.draw --preset cpu"


@pytest.mark.parametrize("damage", ["delete", "empty", "garbage", "middle", "folder", "old", "lie"])
def test_the_index_can_be_damaged_at_any_time(store, damage):
    right = _content(store)
    path = store.root / "index.sqlite"
    size = path.stat().st_size
    if damage in ("delete", "folder"):
        path.unlink()
    if damage == "folder":
        path.mkdir()
    if damage == "empty":
        path.write_bytes(b"")
    if damage == "garbage":
        path.write_bytes(b"this is not a database" * 100)
    if damage == "middle":
        content = bytearray(path.read_bytes())
        content[100 : size - 100] = bytes(range(256)) * ((size - 200) // 256 + 1)
        path.write_bytes(content[:size])
    if damage == "old":
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
    if damage == "lie":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE runs SET record = replace(record, 'seed\": 1', 'seed\": 5')")
            database.execute("DELETE FROM runs WHERE rowid % 2")
    assert _content(store) == right
    assert _content(store) == right


def test_every_flipped_byte_of_the_index_is_harmless(store):
    right = _content(store)
    path = store.root / "index.sqlite"
    good = path.read_bytes()
    for place in range(0, len(good), max(1, len(good) // 60)):
        bad = bytearray(good)
        bad[place] ^= 0x41
        path.write_bytes(bad)
        assert _content(store) == right


def test_a_locked_or_read_only_index_is_done_without(store):
    right = _content(store)
    path = store.root / "index.sqlite"
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        run_preset("toy.draw", "cpu", store=store)
        assert len(_content(store)) == 7
        assert path.exists()
        other.execute("ROLLBACK")
    assert len(_content(store)) == 7
    assert [c for c in _content(store) if c in right] == right


def test_look_ups_need_no_disk_space(store):
    right = _content(store)
    (store.root / "index.sqlite").unlink()

    def body():
        assert _content(store) == right

    assert in_fork(body, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))) == 0
    assert _content(store) == right


def test_the_index_follows_the_folders(store):
    assert len(store.runs()) == 6
    gone = store.runs()[0]
    shutil.rmtree(gone.folder)
    assert gone.digest not in [r.digest for r in store.runs()]
    assert len(store.runs()) == 5
    with sqlite3.connect(store.root / "index.sqlite") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (5,)
        seeds = database.execute("SELECT row ->> 'seed' FROM rows ORDER BY 1").fetchall()
        assert len(seeds) == 5
    assert store.rebuild_index() == 5


def test_altered_rows_are_never_given_and_are_run_again(store):
    record = store.runs()[0]
    path = record.folder / "rows.jsonl"
    good = path.read_bytes()
    for bad in (good[:-3], good.replace(b"value", b"VALUE"), b""):
        path.write_bytes(bad)
        assert store.runs("toy.draw")[0].state == "damaged"
        assert len(store.rows("toy.draw")) == 5
    path.unlink()
    assert store.runs("toy.draw")[0].state == "damaged"
    records = run_preset("toy.draw", "smoke", store=store)
    assert [r.was_stored for r in records].count(False) == 1
    assert path.read_bytes() == good


@pytest.mark.parametrize("name", ["config.json", "status.json", "env.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"state": "finished"}']
)
def test_a_damaged_file_is_repaired_by_the_next_run(store, name, content):
    right = _content(store)
    first = store.runs()[0]
    (first.folder / name).write_bytes(content)
    assert len([r for r in store.runs() if r.state == "finished"]) >= 5
    run_preset("toy.draw", "smoke", store=store)
    if name != "env.json":
        assert sorted(_content(store)) == sorted(right)


def test_a_copied_or_edited_folder_is_no_run(store):
    first = store.runs()[0]
    shutil.copytree(first.folder, first.folder.with_name("backup"))
    assert len(store.runs()) == 6
    asked = json.loads((first.folder / "config.json").read_text())
    asked["config"]["seed"] = 77
    (first.folder / "config.json").write_text(json.dumps(asked))
    assert len(store.runs()) == 5


def test_a_moved_store_is_still_whole(store, tmp_path):
    right = _content(store)
    shutil.move(store.root, tmp_path / "elsewhere")
    moved = RunStore(tmp_path / "elsewhere")
    assert _content(moved) == right
    assert all(r.folder.is_dir() for r in moved.runs())
