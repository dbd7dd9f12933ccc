"""Model files: safetensors whose header says which class of a closed list to build, and how.

The metadata key ``coset`` holds JSON ``{"class", "arguments", "format_version"}``. Nothing is
unpickled and no class outside `coset.core.registry.MODEL_CLASSES` is constructed.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, FileFormatError, UnknownNameError
from coset.core.files import write_atomic
from coset.core.foreign_files import parse_json
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
_MAX_ELEMENTS = 2**56  # beyond it sizes, strides or bits overflow 64-bit integers
_MAX_DEPTH = 32  # of the arguments: what is printed and compared recursively stays far from limits

# Bytes an element of the dtypes that safetensors writes and torch can hold.
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8"), 1),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}


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
    model: torch.nn.Module, path: Path | str, *, name: str, arguments: Mapping[str, Any]
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
        _parse(header)  # what is written can be read again
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"arguments must be JSON values; {error}") from error
    state = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    write_atomic(Path(path), save(state, metadata={"coset": header}))


def load_model(
    path: Path | str, *, like: Callable[[], torch.nn.Module] | None = None
) -> torch.nn.Module:
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
    summary = inspect_file(path)
    model = like() if like is not None else _build(summary)
    state = _load_tensors(summary.path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        what = summary.model_class or "the given factory"
        raise FileFormatError(f"{path}: its tensors do not fit {what}: {error}") from error
    return model.eval()


def _load_tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever safetensors raises, the file is at fault
        raise FileFormatError(f"{path}: safetensors refuses it: {error}") from error


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
    except Exception as error:  # whatever a constructor raises, the stored arguments are at fault
        raise FileFormatError(
            f"{summary.path}: {summary.model_class} refuses the stored arguments: {error}"
        ) from error
    return model


def inspect_file(path: Path | str) -> ModelSummary:
    """Read a model file's header and check it against the file's size; loads no tensor.

    Every tensor must have product(shape) · itemsize = stop − start bytes, and the tensors must tile
    the data exactly: no overlap, no gap, no byte before, between or after them.

    Args:
        path: a safetensors file, with or without coset's header.

    Returns:
        The summary.

    Raises:
        FileFormatError: if the file is missing, truncated, foreign, or its header is not sound.
    """
    path = Path(path)
    header, size = _read_header(path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FileFormatError(f"{path}: __metadata__ must be an object of strings")
    tensors = tuple(_tensor(path, name, header[name], size) for name in sorted(header))
    _check_tiling(path, [tuple(header[name]["data_offsets"]) for name in header], size)
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
        if total < 8:
            raise FileFormatError(f"{path} is not a safetensors file: {total} bytes")
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > min(_MAX_HEADER, total - 8):
                raise FileFormatError(
                    f"{path} is not a safetensors file: {total} bytes, header length {length}"
                )
            content = stream.read(length)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    try:
        header = _parse(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a safetensors file: bad header ({error})") from error
    if not isinstance(header, dict):
        raise FileFormatError(f"{path}: the header must be a JSON object")
    return header, total - 8 - length


def _parse(text: str) -> Any:
    """Parse strict JSON: finite numbers, each key once, shallow, and text that UTF-8 can hold.

    Raises:
        ValueError: if it is anything else.
        RecursionError: if it is nested too deeply to be parsed at all.
    """
    value = parse_json(text)
    _check_depth(value, _MAX_DEPTH)
    return value


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, str):
        value.encode("utf-8")  # refuses half of a surrogate pair
    elif isinstance(value, dict | list):
        if levels == 0:
            raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_depth(item, levels - 1)


def _tensor(path: Path, name: str, entry: Any, size: int) -> TensorSummary:
    where = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FileFormatError(
            f"{where} has a malformed entry: it must hold dtype, shape, data_offsets and no more"
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise FileFormatError(f"{where} has dtype {dtype!r}; known: {', '.join(_ITEM_BYTES)}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise FileFormatError(
            f"{where} has a malformed entry: shape and the two data_offsets must be lists of "
            f"integers, at least 0 and below 2^63"
        )
    start, stop = offsets
    if not start <= stop <= size:
        raise FileFormatError(
            f"{where} lies at bytes {start} to {stop} of {size}; the file is truncated or damaged"
        )
    needed = math.prod(shape) * _ITEM_BYTES[dtype]
    if needed != stop - start or math.prod(max(n, 1) for n in shape) > _MAX_ELEMENTS:
        raise FileFormatError(
            f"{where} of shape {shape} and dtype {dtype} needs {needed} bytes; "
            f"it has {stop - start}"
        )
    return TensorSummary(name, dtype, tuple(shape), stop - start)


def _are_sizes(value: Any) -> bool:
    # type() and not isinstance(): true is no size.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_tiling(path: Path, intervals: Sequence[tuple[int, int]], size: int) -> None:
    end = 0
    for start, stop in sorted(intervals):
        if start != end:
            what = "overlap" if start < end else "leave a gap"
            raise FileFormatError(f"{path}: its tensors {what} at byte {min(start, end)} of {size}")
        end = stop
    if end != size:
        raise FileFormatError(
            f"{path}: its tensors end at byte {end} of {size}; the rest belongs to none"
        )


def _describe(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        described = _parse(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: the coset header is not JSON: {error}") from error
    if not isinstance(described, dict) or not isinstance(described.get("arguments"), dict):
        raise FileFormatError(
            f"{path}: the coset header must hold class, arguments, format_version"
        )
    version, name = described.get("format_version"), described.get("class")
    if type(version) is not int or version != FORMAT_VERSION:
        raise FileFormatError(
            f"{path}: format version {version!r} is not {FORMAT_VERSION}; "
            f"use the coset version that wrote it"
        )
    if not isinstance(name, str) or name not in MODEL_CLASSES:
        known = ", ".join(MODEL_CLASSES)
        raise FileFormatError(f"{path}: names class {name!r}; only these are built: {known}")
    return described
