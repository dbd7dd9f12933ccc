"""Checkpoints: written whole or not at all, checked before anything is believed or changed.

Two files are kept, ``NAME`` and ``NAME.previous``; a reader takes the first that is sound.
What is in a file: `coset.train.archive`.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from coset.core.errors import ConfigError, FileFormatError
from coset.core.files import storage_errors, write_atomic
from coset.train.archive import decode, encode
from coset.train.config import TrainState

__all__ = [
    "Checkpoint",
    "CheckpointMismatchError",
    "Stateful",
    "load_checkpoint",
    "previous_path",
    "read_checkpoint",
    "read_newest",
    "restore",
    "save_checkpoint",
]


class CheckpointMismatchError(ConfigError):
    """A checkpoint is sound but was made by another model, optimizer, data set or setting."""


class Stateful(Protocol):
    """Anything whose state can be taken out and put back: modules, optimizers, schedulers."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state as tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Take a state that `state_dict` returned."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, tensors on the CPU.

    Attributes:
        state: where the run stood.
        objects: state dictionaries by name ("model", "optimizer", …).
        classes: class name of each object.
        settings: what must be the same for a resume to continue the same run.
    """

    state: TrainState
    objects: Mapping[str, Any]
    classes: Mapping[str, str]
    settings: Mapping[str, Any]


def save_checkpoint(
    path: Path,
    objects: Mapping[str, Stateful],
    state: TrainState,
    *,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint; the one it replaces stays beside it as ``NAME.previous``.

    At every moment, also after ``kill -9`` or a full disk, a sound checkpoint is left on disk.

    Args:
        path: the file.
        objects: what to keep, by name.
        state: where the run stands.
        settings: plain values that must be equal on resume.

    Raises:
        DtypeError: if a state dictionary holds something other than tensors, numbers, strings,
            ``None`` and containers of them; names the place.
        StorageError: if the file cannot be written.
    """
    content = encode(
        {
            "state": dataclasses.asdict(state),
            "objects": {name: obj.state_dict() for name, obj in objects.items()},
            "classes": {name: type(obj).__name__ for name, obj in objects.items()},
            "settings": dict(settings or {}),
        }
    )
    _keep_previous(path)
    write_atomic(path, content)


def load_checkpoint(
    path: Path, objects: Mapping[str, Stateful], *, settings: Mapping[str, Any] | None = None
) -> TrainState:
    """Read the newest sound checkpoint and put its state into `objects`.

    Args:
        path: the file that was given to `save_checkpoint`.
        objects: what to fill in place, by the names used in `save_checkpoint`; other stored
            names are left alone (``{"model": model}`` takes the weights only).
        settings: plain values that must equal those of the checkpoint; ``None`` compares none.

    Returns:
        Where the run stood.

    Raises:
        FileFormatError: if there is no checkpoint, or none that is sound.
        CheckpointMismatchError: if it belongs to other objects or settings.
    """
    found = read_newest(path)
    if found is None:
        raise FileFormatError(f"there is no checkpoint at {path}; give the file of an earlier run")
    restore(found, objects, settings=settings, name=str(path))
    return found.state


def read_newest(path: Path) -> Checkpoint | None:
    """Read a checkpoint, or the one before it if the newest is damaged.

    A damaged file is renamed to ``NAME.damaged``, so that it never takes the place of a sound
    one, and a warning says so.

    Args:
        path: the file that was given to `save_checkpoint`.

    Returns:
        Its content, or ``None`` if neither file exists.

    Raises:
        FileFormatError: if a file exists and none is sound.
    """
    previous = previous_path(path)
    try:
        if path.exists():
            return read_checkpoint(path)
    except FileFormatError as error:
        if not previous.exists():
            raise
        try:
            found = read_checkpoint(previous)
        except FileFormatError as older:
            raise FileFormatError(f"{error}; and the one before it: {older}") from older
        damaged = path.with_name(path.name + ".damaged")
        with storage_errors(path):
            path.replace(damaged)
        warnings.warn(
            f"{error}; it is now {damaged.name}, and the run goes on from {previous}, "
            f"step {found.state.step}",
            RuntimeWarning,
            stacklevel=2,
        )
        return found
    return read_checkpoint(previous) if previous.exists() else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one file, believing nothing in it before its digest has been checked.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        FileFormatError: if it cannot be read, is foreign, or has another format version.
        ChecksumError: if it is torn or a bit has flipped.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    fields = decode(content, path)
    try:
        state = TrainState(**fields["state"])
        parts = [dict(fields[name]) for name in ("objects", "classes", "settings")]
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} must hold state, objects, classes and settings ({error!r}); use a file that "
            f"coset.train wrote"
        ) from error
    return Checkpoint(state, *parts)


def restore(
    checkpoint: Checkpoint,
    objects: Mapping[str, Stateful],
    *,
    settings: Mapping[str, Any] | None = None,
    exact: bool = False,
    name: str = "the checkpoint",
) -> None:
    """Put the state of a checkpoint into `objects`, after checking that it fits.

    Args:
        checkpoint: what was read.
        objects: filled in place; untouched if a module or an optimizer does not fit.
        settings: plain values that must equal those of the checkpoint; ``None`` compares none.
        exact: whether stored objects that are not asked for are an error.
        name: what errors call it.

    Raises:
        CheckpointMismatchError: if the names, the model's tensors, the class or the groups of
            an optimizer, or the settings differ, or an object refuses its state.
    """
    differences = [] if settings is None else _differences(checkpoint.settings, settings)
    for key in sorted(objects.keys() - checkpoint.objects.keys()):
        differences.append(f"{key} is given but not stored")
    if exact:
        for key in sorted(checkpoint.objects.keys() - objects.keys()):
            differences.append(f"{key} is stored but not given")
    for key in sorted(objects.keys() & checkpoint.objects.keys()):
        differences += _object_differences(key, objects[key], checkpoint)
    if differences:
        shown = "; ".join(differences[:5]) + ("; …" if len(differences) > 5 else "")
        raise CheckpointMismatchError(
            f"{name} must come from the same run: {shown}; give what it was made with, "
            f"another checkpoint path, or resume=False to start over"
        )
    for key, obj in objects.items():
        try:
            obj.load_state_dict(checkpoint.objects[key])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CheckpointMismatchError(
                f"{name}: {key} ({type(obj).__name__}) refuses its stored state: {error}"
            ) from error


def _object_differences(key: str, obj: Stateful, checkpoint: Checkpoint) -> list[str]:
    stored = checkpoint.objects[key]
    if isinstance(obj, nn.Module):
        return [
            f"{key}.{text}" for text in _differences(_tensors(stored), _tensors(obj.state_dict()))
        ]
    if not isinstance(obj, (Optimizer, LRScheduler)):
        return []  # only the object itself knows what it accepts
    differences = _differences({key: checkpoint.classes.get(key)}, {key: type(obj).__name__})
    if isinstance(obj, Optimizer) and not differences:
        sizes = (
            [len(group["params"]) for group in d["param_groups"]]
            for d in (stored, obj.state_dict())
        )
        differences = _differences(*({f"{key}'s parameters by group": s} for s in sizes))
    return differences


def _tensors(state: Mapping[str, Any]) -> dict[str, str]:
    """Describe the tensors of a module's state by dtype and shape."""
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return {name: f"{str(t.dtype)[6:]}{list(t.shape)}" for name, t in tensors.items()}


def _differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    names = sorted(stored.keys() | given.keys())
    missing = "nothing"
    return [
        f"{name} is {stored.get(name, missing)} there and {given.get(name, missing)} here"
        for name in names
        if stored.get(name, missing) != given.get(name, missing)
    ]


def previous_path(path: Path) -> Path:
    """Return where the checkpoint before the newest is kept.

    Args:
        path: the newest.

    Returns:
        ``NAME.previous`` in the same folder.
    """
    return path.with_name(path.name + ".previous")


def _keep_previous(path: Path) -> None:
    """Give the newest checkpoint a second name; it keeps the first until it is replaced."""
    if not path.exists():
        return
    previous = previous_path(path)
    try:
        previous.unlink(missing_ok=True)
        os.link(path, previous)
    except OSError:  # a file system without hard links
        write_atomic(previous, path.read_bytes())
