"""Checkpoints: sound or refused; one sound file is on disk at every moment."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from coset.core.errors import ChecksumError, DtypeError, FileFormatError, StorageError
from coset.train import (
    CheckpointMismatchError,
    TrainState,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from coset.train.archive import encode
from coset.train.checkpoint import previous_path, read_newest

from .training_run import Run

SCRIPT = Path(__file__).with_name("training_run.py")


class Holder:
    """Holds any state."""

    def __init__(self, value=None):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.pt"


def save(path, step, value=None):
    save_checkpoint(path, {"holder": Holder(value)}, TrainState(step=step))


def test_state_and_objects_come_back(path):
    value = {
        "tensor": torch.arange(6).reshape(2, 3),
        "complex": torch.ones(2, dtype=torch.complex128),
        "half": torch.ones(2, dtype=torch.bfloat16),
        1: [None, True, 2, 0.1, "text", b"bytes", 1j, (1, 2), {3}],
        "ordered": OrderedDict(a=1),
        "dtype": torch.float16,
        "numpy": np.float64(0.5),
        "empty": torch.empty(0),
    }
    state = TrainState(epoch=1, step=3, loss=0.1, gradient_norm=2.0, metrics={"a": 1.0})
    save_checkpoint(path, {"holder": Holder(value)}, state)
    holder = Holder()
    assert load_checkpoint(path, {"holder": holder}) == state
    for key in ("tensor", "complex", "half", "empty"):
        assert torch.equal(holder.value[key], value[key])
        assert holder.value[key].dtype == value[key].dtype
    for key in (1, "ordered", "dtype", "numpy"):
        assert holder.value[key] == value[key]
    assert type(holder.value["numpy"]) is float


@pytest.mark.parametrize("bad", [lambda: 0, object(), np.ones(2), nn.Linear(1, 1), range(3)])
def test_state_that_is_not_plain_is_refused_with_its_place(path, bad):
    save(path, 1)
    with pytest.raises(DtypeError, match=r"objects\.holder\.value\.a\[1\] is a "):
        save(path, 2, {"a": [0, bad]})
    assert read_checkpoint(path).state.step == 1


def test_first_line_can_be_read_by_a_person(path):
    save(path, 1)
    assert path.read_bytes().split(b"\n")[0].startswith(b"coset-checkpoint 0001 ")


def test_every_flipped_bit_is_noticed(path):
    save(path, 1, torch.arange(9))
    content = path.read_bytes()
    rng = random.Random(0)
    places = {*range(8 * 90), *(rng.randrange(8 * len(content)) for _ in range(1500))}
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"last\.pt"):
            read_checkpoint(path)


def test_every_truncation_is_noticed(path):
    save(path, 1, torch.arange(9))
    content = path.read_bytes()
    for length in {*range(200), *range(200, len(content), 7), len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError):
            read_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ChecksumError):
        read_checkpoint(path)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_foreign_files_are_refused_and_nothing_in_them_is_run(path, tmp_path):
    target = tmp_path / "exploded"
    model = tmp_path / "model.pt"
    torch.save({"weights": torch.ones(1)}, model)
    header = encode({})[:17]
    foreign = [
        b"",
        b"\0" * 500,
        b"PK\x03\x04",
        os.urandom(500),
        model.read_bytes(),
        pickle.dumps(Bomb(target)),
        header + b"0001 " + b"0" * 64 + b"\n" + pickle.dumps(Bomb(target)),
    ]
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(FileFormatError):
            read_checkpoint(path)
    assert not target.exists()


def test_file_with_a_good_digest_and_hostile_content_is_refused(path, tmp_path):
    import hashlib

    target = tmp_path / "exploded"
    torch.save({"state": Bomb(target)}, tmp_path / "hostile.pt")
    payload = (tmp_path / "hostile.pt").read_bytes()
    digest = hashlib.sha256(payload).hexdigest()
    path.write_bytes(f"coset-checkpoint 0001 {digest}\n".encode() + payload)
    with pytest.raises(FileFormatError, match="not the content"):
        read_checkpoint(path)
    assert not target.exists()
    for fields in (
        {},
        {"state": {}},
        {"state": {"steps": 1}, "objects": {}, "classes": {}, "settings": {}},
        {"state": [], "objects": {}, "classes": {}, "settings": {}},
        {"state": {}, "objects": 3, "classes": {}, "settings": {}},
    ):
        path.write_bytes(encode(fields))
        with pytest.raises(FileFormatError, match="must hold"):
            read_checkpoint(path)


def test_other_format_version_is_named(path):
    save(path, 1)
    path.write_bytes(path.read_bytes().replace(b" 0001 ", b" 0002 ", 1))
    with pytest.raises(FileFormatError, match="format 2; this version of coset reads 1"):
        read_checkpoint(path)


def test_missing_file_is_an_error_for_a_reader_and_none_for_a_search(path):
    with pytest.raises(FileFormatError, match="no checkpoint at"):
        load_checkpoint(path, {})
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_checkpoint(path)
    assert read_newest(path) is None


def test_previous_checkpoint_is_kept_and_used(path):
    for step in (1, 2, 3):
        save(path, step)
    assert read_checkpoint(path).state.step == 3
    assert read_checkpoint(previous_path(path)).state.step == 2
    path.unlink()
    assert read_newest(path).state.step == 2


def test_damaged_newest_falls_back_and_never_replaces_a_sound_one(path):
    save(path, 1)
    save(path, 2)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(RuntimeWarning, match=r"truncated or damaged.*last\.pt\.previous, step 1"):
        assert read_newest(path).state.step == 1
    assert path.with_name("last.pt.damaged").exists()
    save(path, 3)
    assert read_checkpoint(previous_path(path)).state.step == 1
    assert read_newest(path).state.step == 3


def test_two_damaged_files_are_an_error_that_names_both(path):
    save(path, 1)
    save(path, 2)
    path.write_bytes(b"torn")
    previous_path(path).write_bytes(b"torn too")
    with pytest.raises(FileFormatError, match=r"last\.pt is .*last\.pt\.previous is"):
        read_newest(path)
    with pytest.raises(FileFormatError):
        Run().fit(path)
    assert path.read_bytes() == b"torn"


def test_file_system_without_hard_links(path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2):
        save(path, step)
    assert read_checkpoint(previous_path(path)).state.step == 1


def test_full_disk_leaves_the_former_checkpoint(path, monkeypatch):
    save(path, 1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="resumes"):
        save(path, 2)
    assert read_newest(path).state.step == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["last.pt", "last.pt.previous"]


def test_resume_after_damage_gives_the_same_bits(path):
    whole = Run()
    whole.fit()
    Run(num_epochs=2).fit(path)
    path.write_bytes(path.read_bytes()[:1000])
    resumed = Run()
    with pytest.warns(RuntimeWarning, match="goes on from"):
        resumed.fit(path)
    assert resumed.digest() == whole.digest()


def test_weights_can_be_taken_alone(path):
    run = Run()
    run.fit(path)
    other = Run()
    load_checkpoint(path, {"model": other.model})
    for name, value in run.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], value)


def models():
    return {
        "wider": nn.Linear(3, 4),
        "deeper": nn.Sequential(nn.Linear(3, 2)),
        "without bias": nn.Linear(3, 2, bias=False),
        "float64": nn.Linear(3, 2, dtype=torch.float64),
    }


@pytest.mark.parametrize("kind", models())
def test_other_model_is_refused_and_untouched(path, kind):
    save_checkpoint(path, {"model": nn.Linear(3, 2)}, TrainState())
    other = models()[kind]
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=r"model\..* is .* there and .* here"):
        load_checkpoint(path, {"model": other})
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())


def test_other_optimizer_is_refused(path):
    model = nn.Linear(3, 2)
    adam = torch.optim.Adam(model.parameters())
    save_checkpoint(path, {"optimizer": adam}, TrainState())
    with pytest.raises(CheckpointMismatchError, match="optimizer is Adam there and SGD here"):
        load_checkpoint(path, {"optimizer": torch.optim.SGD(model.parameters())})
    with pytest.raises(CheckpointMismatchError, match=r"group is \[2\] there and \[1\] here"):
        load_checkpoint(path, {"optimizer": torch.optim.Adam([model.weight])})


def test_object_that_refuses_its_state_is_named(path):
    save_checkpoint(path, {"a": Holder(1)}, TrainState())

    class Picky(Holder):
        def load_state_dict(self, state):
            raise KeyError("volume")

    with pytest.raises(CheckpointMismatchError, match=r"a \(Picky\) refuses .*volume"):
        load_checkpoint(path, {"a": Picky()})
    with pytest.raises(CheckpointMismatchError, match="b is given but not stored"):
        load_checkpoint(path, {"b": Holder()})


KILLED_IN_WRITE = """
import os, signal, sys
from pathlib import Path
import torch
from coset.train import TrainState, save_checkpoint
path, call, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
original = getattr(os, call)
def killing(*arguments, **keywords):
    global count
    count -= 1
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **keywords)
model = torch.nn.Linear(30, 30)
save_checkpoint(path, {"model": model}, TrainState(step=1))
save_checkpoint(path, {"model": model}, TrainState(step=2))
setattr(os, call, killing)
save_checkpoint(path, {"model": model}, TrainState(step=3))
"""


@pytest.mark.parametrize(
    ("call", "count"), [("unlink", 1), ("link", 1), ("fsync", 1), ("rename", 1)]
)
def test_kill_inside_a_write_leaves_the_former_checkpoint(path, call, count):
    if call == "rename":
        call = "replace"
    arguments = [sys.executable, "-c", KILLED_IN_WRITE, str(path), call, str(count)]
    result = subprocess.run(arguments, check=False, timeout=120)
    assert result.returncode == -signal.SIGKILL
    assert read_checkpoint(path).state.step == 2
    assert read_newest(path).state.step == 2


def killed_and_resumed(path, num_kills, rng):
    """Start the script again and again, killing it at random moments; return its digest."""
    for attempt in range(num_kills + 1):
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            steps_left = rng.randrange(1, 20)
            for line in process.stdout:
                if line.startswith("digest"):
                    return line.split()[1], attempt
                steps_left -= 1
                if attempt < num_kills and steps_left == 0:
                    # Anywhere in the next few steps and the checkpoint writes between them.
                    signal.sigtimedwait([], rng.random() * 0.02)
                    process.send_signal(signal.SIGKILL)
                    break
    raise AssertionError("the run did not end")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_run_killed_at_random_moments_gives_the_same_bits(path, tmp_path, seed):
    whole = Run(width=200, num_epochs=12, num_checkpoint_steps=1)
    whole.fit(tmp_path / "whole.pt")
    digest, num_kills = killed_and_resumed(path, 4, random.Random(seed))
    assert digest == whole.digest()
    assert num_kills > 0
