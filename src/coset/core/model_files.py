"""Model files: safetensors whose header says which class of a closed list to build, and how.

The metadata key ``coset`` holds JSON ``{"class", "arguments", "format_version"}``. Nothing is
unpickled and no class outside `coset.core.registry.MODEL_CLASSES` is constructed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, FileFormatError, UnknownNameError
from coset.core.files import write_atomic
from coset.core.registry import MODEL_CLASSES

if TYPE_CHECKING:
    import torch

__all__ = [
    "FORMAT_VERSION",
    "ModelSummary",
    "TensorSummary",
    "inspect_file",
    "load_model",
    "save_model",
]

FORMAT_VERSION = 1
_MAX_HEADER = 100 * 2**20  # safetensors' own limit; a larger header is hostile


@dataclass(frozen=True)
class TensorSummary:
    """One tensor of a file.

    Attributes:
        name: its key in the state dict.
        dtype: as safetensors writes it ("F32").
        shape: its sizes.
        num_bytes: stored size in bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    num_bytes: int


@dataclass(frozen=True)
class ModelSummary:
    """What a model file says of itself, without loading a tensor.

    Attributes:
        path: the file.
        model_class: the class it names, or ``None`` for a foreign safetensors file.
        arguments: keyword arguments of the class.
        format_version: the version of coset's header, or ``None``.
        tensors: its tensors, sorted by name.
        metadata: all other metadata.
    """

    path: Path
    model_class: str | None
    arguments: Mapping[str, Any]
    format_version: int | None
    tensors: tuple[TensorSummary, ...]
    metadata: Mapping[str, str]

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.num_bytes for tensor in self.tensors)


def save_model(
    model: torch.nn.Module, path: Path, *, name: str, arguments: Mapping[str, Any]
) -> None:
    """Write a module as a model file.

    Args:
        model: the module; its ``state_dict`` is stored.
        path: the file.
        name: a key of `MODEL_CLASSES`.
        arguments: JSON keyword arguments that build the same module again.

    Raises:
        UnknownNameError: if `name` is not in the closed list.
        ConfigError: if the arguments are not JSON values.
        StorageError: if the file cannot be written.
    """
    from safetensors.torch import save

    if name not in MODEL_CLASSES:
        raise UnknownNameError.of("model class", name, MODEL_CLASSES)
    try:
        header = json.dumps(
            {"class": name, "arguments": dict(arguments), "format_version": FORMAT_VERSION},
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"arguments must be JSON values; {error}") from error
    state = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    write_atomic(path, save(state, metadata={"coset": header}))


def load_model(path: Path, *, like: Callable[[], torch.nn.Module] | None = None) -> torch.nn.Module:
    """Build the module that a model file describes and load its tensors.

    Args:
        path: the file.
        like: a factory for files without coset's header (``--like package.module:factory``).

    Returns:
        The module, on the CPU, in evaluation mode.

    Raises:
        FileFormatError: if the file is truncated, foreign, names no known class, or its tensors do
            not fit the module.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    summary = inspect_file(path)
    model = like() if like is not None else _build(summary)
    try:
        model.load_state_dict(load(path.read_bytes()))
    except (RuntimeError, SafetensorError) as error:
        what = summary.model_class or "the given factory"
        raise FileFormatError(f"{path}: its tensors do not fit {what}: {error}") from error
    return model.eval()


def _build(summary: ModelSummary) -> torch.nn.Module:
    if summary.model_class is None:
        raise FileFormatError(
            f"{summary.path} has no coset header; name a factory with like= "
            f"(on the command line: --like package.module:factory)"
        )
    module, _, attribute = MODEL_CLASSES[summary.model_class].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    try:
        model: torch.nn.Module = factory(**summary.arguments)
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"{summary.path}: {summary.model_class} refuses the stored arguments: {error}"
        ) from error
    return model


def inspect_file(path: Path) -> ModelSummary:
    """Read a model file's header and check it against the file's size; loads no tensor.

    Args:
        path: a safetensors file, with or without coset's header.

    Returns:
        The summary.

    Raises:
        FileFormatError: if the file is missing, truncated, foreign, or its header is not sound.
    """
    header, size = _read_header(path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise FileFormatError(f"{path}: __metadata__ must be an object of strings")
    tensors = tuple(_tensor(path, name, header[name], size) for name in sorted(header))
    metadata = {str(k): str(v) for k, v in metadata.items()}
    described = _describe(path, metadata.pop("coset", None))
    return ModelSummary(
        path=path,
        model_class=described.get("class"),
        arguments=described.get("arguments", {}),
        format_version=described.get("format_version"),
        tensors=tensors,
        metadata=metadata,
    )


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if total < 8 or length > min(_MAX_HEADER, total - 8):
                raise FileFormatError(
                    f"{path} is not a safetensors file: {total} bytes, header length {length}"
                )
            header = json.loads(stream.read(length).decode("utf-8"))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a safetensors file: bad header ({error})") from error
    if not isinstance(header, dict):
        raise FileFormatError(f"{path}: the header must be a JSON object")
    return header, total - 8 - length


def _tensor(path: Path, name: str, entry: Any, size: int) -> TensorSummary:
    try:
        dtype = str(entry["dtype"])
        shape = tuple(int(n) for n in entry["shape"])
        start, stop = (int(n) for n in entry["data_offsets"])
    except (TypeError, KeyError, ValueError) as error:
        raise FileFormatError(f"{path}: tensor {name!r} has a malformed entry: {error}") from error
    if not 0 <= start <= stop <= size or any(n < 0 for n in shape):
        raise FileFormatError(
            f"{path}: tensor {name!r} lies at bytes {start} to {stop} of {size}; "
            f"the file is truncated or damaged"
        )
    return TensorSummary(name, dtype, shape, stop - start)


def _describe(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        described = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{path}: the coset header is not JSON: {error}") from error
    if not isinstance(described, dict) or not isinstance(described.get("arguments"), dict):
        raise FileFormatError(
            f"{path}: the coset header must hold class, arguments, format_version"
        )
    if described.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"{path}: format version {described.get('format_version')!r} is not {FORMAT_VERSION}; "
            f"use the coset version that wrote it"
        )
    if described.get("class") not in MODEL_CLASSES:
        known = ", ".join(MODEL_CLASSES)
        raise FileFormatError(
            f"{path}: names class {described.get('class')!r}; only these are built: {known}"
        )
    return described
