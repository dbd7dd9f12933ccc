"""Checkpoints with tied tensors: safetensors files that hold each value once.

A tied tensor NAME is stored as ``NAME.values``, a vector of its U values, and ``NAME.index``, the
bytes of its index, packed or compressed, whichever is smaller (see `coset.sharing.index_codes`).
All other tensors are stored as they are.

The metadata key ``coset.tied`` holds JSON ``{"format_version": 2, "tensors": {NAME: {"shape",
"bits", "code"}}}`` with bits = max(1, ⌈log₂ U⌉) and code "packed" or "lzma"; ``coset.sha256`` holds
the SHA-256 digest of the whole file, taken with its own 64 characters as zeros. All other metadata
is kept, so that a model file of `save_model` stays one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import (
    ChecksumError,
    ConfigError,
    CosetError,
    DtypeError,
    FileFormatError,
)
from coset.core.files import write_atomic
from coset.core.foreign_files import distinct_keys
from coset.core.model_files import FORMAT_VERSION, inspect_file
from coset.core.registry import MODEL_CLASSES
from coset.sharing.index_codes import INDEX_CODES, code_index, read_index
from coset.sharing.tied import TiedTensor, index_bits, read_shape

__all__ = [
    "RESERVED_KEYS",
    "TiedCheckpoint",
    "load_tied",
    "save_tied",
    "sort_metadata",
    "stored_names",
]

_FORMAT_VERSION = 2
_TIED, _DIGEST = "coset.tied", "coset.sha256"
RESERVED_KEYS = (_TIED, _DIGEST)
_MARK = f'"{_DIGEST}":"'.encode()
_DIGEST_LENGTH = 64
_MAX_BITS = 31

_Entry = tuple[tuple[int, ...], int, str]  # shape, bits, code


@dataclass(frozen=True, eq=False)
class TiedCheckpoint:
    """What a file with tied tensors holds.

    Attributes:
        tensors: by name; tied ones as `TiedTensor`, all others as tensors.
        metadata: the metadata that was given to `save_tied`.

    Example:
        >>> tied = TiedTensor.from_dense(torch.tensor([0.5, 0.5]))
        >>> TiedCheckpoint({"w": tied}, {}).state_dict()
        {'w': tensor([0.5000, 0.5000])}
    """

    tensors: Mapping[str, Tensor | TiedTensor]
    metadata: Mapping[str, str]

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors dense, for ``module.load_state_dict``.

        Returns:
            By name; tensors that are not tied are those of the checkpoint, not copies.
        """
        return {n: t.dense() if isinstance(t, TiedTensor) else t for n, t in self.tensors.items()}


def save_tied(
    path: Path | str,
    tensors: Mapping[str, Tensor | TiedTensor],
    metadata: Mapping[str, str] | None = None,
    *,
    on_weights: Callable[[int], None] | None = None,
) -> None:
    """Write tensors, some of them tied, as one safetensors file, whole or not at all.

    Args:
        path: the file; missing folders are made.
        tensors: by name; dense tensors are stored as they are, whatever their dtype.
        metadata: any strings but the keys ``coset.tied`` and ``coset.sha256``; the key ``coset`` of
            a model file is kept.
        on_weights: is told how many more tied weights are coded, for a display.

    Raises:
        ConfigError: if a name is taken twice (a tied ``a`` beside ``a.values`` or ``a.index``), a
            tensor is sparse or of a dtype that safetensors lacks, or the metadata is reserved or
            no strings.
        DtypeError: if something is neither a tensor nor a `TiedTensor`.
        StorageError: if the file cannot be written.

    Complexity: the whole file is made in memory first; about a second for 10⁶ tied weights. Equal
        content gives equal bytes with one version of liblzma.

    Example:
        >>> import tempfile
        >>> tied = TiedTensor.from_dense(torch.tensor([[0.5, 0.5], [0.5, 2.0]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tied(Path(folder) / "net.safetensors", {"w": tied, "b": torch.zeros(1)})
        ...     load_tied(Path(folder) / "net.safetensors").state_dict()["w"]
        tensor([[0.5000, 0.5000],
                [0.5000, 2.0000]])
    """
    from safetensors.torch import save

    stored, described = _stored_tensors(tensors, on_weights)
    header = _metadata(metadata or {}, described)
    try:
        content = save(stored, metadata=header)
    except Exception as error:  # foreign dtypes, names that are no text: safetensors says which
        raise ConfigError(f"safetensors cannot store these tensors: {error}") from error
    write_atomic(Path(path), _signed(sort_metadata(content)))


def stored_names(name: str) -> tuple[str, str]:
    """Return the names under which a tied tensor's values and index are stored.

    Args:
        name: of the tied tensor.

    Returns:
        ``NAME.values`` and ``NAME.index``.
    """
    return f"{name}.values", f"{name}.index"


def _stored_tensors(
    tensors: Mapping[str, Tensor | TiedTensor], on_weights: Callable[[int], None] | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what is stored, by the name under which it is stored, and what is said of it."""
    stored, described = {}, {}
    if not isinstance(tensors, Mapping):
        raise DtypeError(
            f"tensors must be a mapping of names; given {type(tensors).__name__}; "
            f"write save_tied(path, model.state_dict())"
        )
    for name, tensor in tensors.items():
        if isinstance(tensor, TiedTensor):
            code, stream = code_index(tensor, on_weights)
            parts = dict(zip(stored_names(name), (tensor.values, stream), strict=True))
            bits = _bits(tensor.num_unique)
            described[name] = {"shape": list(tensor.shape), "bits": bits, "code": code}
        elif isinstance(tensor, Tensor):
            parts = {name: tensor}
        else:
            raise DtypeError(
                f"each of tensors must be a tensor or a TiedTensor; {name} is "
                f"{type(tensor).__name__}"
            )
        for key, part in parts.items():
            if key in stored or (key in tensors and key != name) or key == "__metadata__":
                raise ConfigError(
                    f"each stored name must be free; {key!r}, wanted for the tensor {name!r}, is "
                    f"taken; rename the tensor, or leave it dense if it is tied"
                )
            if part.layout is not torch.strided:
                raise ConfigError(
                    f"each tensor must be dense, as safetensors stores no others; {name!r} has "
                    f"layout {part.layout}; convert it with to_dense()"
                )
            stored[key] = part.detach().cpu().contiguous().clone()
    return stored, described


def _metadata(given: Mapping[str, str], described: Mapping[str, Any]) -> dict[str, str]:
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ConfigError(f"metadata must map strings to strings; given {key!r}: {value!r:.60}")
        if key in RESERVED_KEYS:
            raise ConfigError(
                f"metadata must leave the key {key!r} to the file format; remove it (of a tied "
                f"file, pass the metadata that load_tied returns)"
            )
    if "coset" in given and not _is_model_header(given["coset"]):
        raise ConfigError(
            f"the metadata key 'coset' must be the header of a model file, as save_model writes "
            f"it; given {given['coset']!r:.60}; use another key for anything else"
        )
    text = json.dumps({"format_version": _FORMAT_VERSION, "tensors": described})
    return {**given, _TIED: text, _DIGEST: "0" * _DIGEST_LENGTH}


def _is_model_header(text: str) -> bool:
    """Tell whether `inspect_file` will read this: what is written can be read again."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(header, dict)
        and header.get("class") in list(MODEL_CLASSES)
        and isinstance(header.get("arguments"), dict)
        and header.get("format_version") == FORMAT_VERSION
    )


def _bits(num_values: int) -> int:
    return max(1, index_bits(num_values))


def _digest_place(content: bytes) -> int | None:
    """Return where the digest's characters are, or None if there is not exactly one place."""
    stop = 8 + int.from_bytes(content[:8], "little")
    # Quotes inside of JSON strings are escaped, so that only the key itself can look like this.
    place = content.find(_MARK, 8, stop)
    if place < 0 or content.find(_MARK, place + 1, stop) >= 0:
        return None
    return place + len(_MARK)


def _digest(content: bytes, place: int) -> bytes:
    view = memoryview(content)
    digest = hashlib.sha256(view[:place])
    digest.update(b"0" * _DIGEST_LENGTH)
    digest.update(view[place + _DIGEST_LENGTH :])
    return digest.hexdigest().encode()


def sort_metadata(content: bytes) -> bytes:
    """Sort the metadata, which safetensors writes in random order: equal content, equal bytes.

    Args:
        content: a safetensors file with metadata or without.

    Returns:
        The same file otherwise.
    """
    stop = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:stop])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8 bytes
    return b"".join([len(text).to_bytes(8, "little"), text, content[stop:]])


def _signed(content: bytes) -> bytes:
    place = _digest_place(content)
    assert place is not None
    return b"".join([content[:place], _digest(content, place), content[place + _DIGEST_LENGTH :]])


def load_tied(path: Path | str) -> TiedCheckpoint:
    """Read a file of `save_tied` and check every bit of it against its digest.

    Args:
        path: the file.

    Returns:
        Its tensors, tied ones as `TiedTensor`, and its metadata.

    Raises:
        FileFormatError: if the file is missing, truncated, foreign (a dense safetensors file is),
            or its content is not sound; names the file and the tensor.
        ChecksumError: if the content does not belong to its digest.

    Complexity: the whole file is read into memory; an index holds at most 1024 weights a stored
        byte, each of which takes up to 16 bytes while it is read.
    """
    path = Path(path)
    inspect_file(path)  # refuses a bad layout with a message that names the place
    content, metadata = _read_content(path)
    text = metadata.pop(_TIED, None)
    if text is None:
        raise FileFormatError(
            f"{path} holds no tied tensors: its metadata has no key {_TIED}; it is an ordinary "
            f"safetensors file, read it with safetensors.torch.load_file"
        )
    _check_digest(path, content, metadata.pop(_DIGEST, ""))
    described = _read_description(path, text)
    stored = _load(path, content)
    tied = {name: _read_tied(path, name, entry, stored) for name, entry in described.items()}
    owned = {key for name in tied for key in stored_names(name)}
    if taken := sorted(set(tied) & (set(stored) | owned)):
        raise FileFormatError(f"{path}: tensor {taken[0]!r} is both tied and stored by that name")
    names = sorted((set(stored) - owned) | set(tied))
    return TiedCheckpoint(
        {name: tied[name] if name in tied else stored[name] for name in names}, metadata
    )


def _read_content(path: Path) -> tuple[bytes, dict[str, str]]:
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        return content, dict(header.get("__metadata__", {}))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    except (
        ValueError,
        RecursionError,
        AttributeError,
    ) as error:  # the file has changed since it was inspected
        raise FileFormatError(f"{path} has a bad header: {error}") from error


def _check_digest(path: Path, content: bytes, stored: str) -> None:
    place = _digest_place(content)
    if place is None or content[place : place + _DIGEST_LENGTH] != stored.encode()[:_DIGEST_LENGTH]:
        raise FileFormatError(
            f"{path}: the metadata key {_DIGEST} must hold 64 hexadecimal digits, once; get the "
            f"file again from where it came"
        )
    computed = _digest(content, place).decode()
    if computed != stored:
        raise ChecksumError(
            f"{path}: its SHA-256 digest must be {stored}; it is {computed}; the file is damaged, "
            f"or another program wrote it anew; get it again from where it came"
        )


def _read_description(path: Path, text: str) -> dict[str, _Entry]:
    """Return what is said of each tied tensor."""
    where = f"{path}: the metadata key {_TIED}"
    try:
        described = json.loads(text, object_pairs_hook=distinct_keys)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{where} is not JSON: {error}") from error
    if not isinstance(described, dict) or set(described) != {"format_version", "tensors"}:
        raise FileFormatError(f"{where} must hold format_version and tensors, and no more")
    version, tensors = described["format_version"], described["tensors"]
    if type(version) is not int or version != _FORMAT_VERSION:
        raise FileFormatError(
            f"{where} must have format version {_FORMAT_VERSION}; given {version!r:.40}; use "
            f"the coset version that wrote it"
        )
    if not isinstance(tensors, dict):
        raise FileFormatError(f"{where} must map names to shape, bits and code")
    return {name: _read_entry(f"{path}: tied tensor {name!r}", tensors[name]) for name in tensors}


def _read_entry(where: str, entry: Any) -> _Entry:
    if not isinstance(entry, dict) or set(entry) != {"shape", "bits", "code"}:
        raise FileFormatError(f"{where} must be described by shape, bits and code, and no more")
    shape, bits, code = entry["shape"], entry["bits"], entry["code"]
    try:
        shape = read_shape(shape)
    except CosetError as error:
        raise FileFormatError(f"{where}: {error}") from error
    # type() and not isinstance(): true is no number.
    if type(bits) is not int or not 1 <= bits <= _MAX_BITS:
        raise FileFormatError(f"{where}: bits must be an integer from 1 to {_MAX_BITS}")
    if not isinstance(code, str) or code not in INDEX_CODES:
        raise FileFormatError(f"{where}: code must be one of {INDEX_CODES}; given {code!r:.40}")
    return shape, bits, code


def _load(path: Path, content: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(content)
    except Exception as error:  # whatever safetensors raises, the file is at fault
        raise FileFormatError(f"{path}: safetensors refuses it: {error}") from error


def _read_tied(path: Path, name: str, entry: _Entry, stored: Mapping[str, Tensor]) -> TiedTensor:
    where, (shape, bits, code) = f"{path}: tied tensor {name!r}", entry
    for key in stored_names(name):
        if key not in stored:
            raise FileFormatError(f"{where} needs the tensor {key!r}, which is not there")
    values, stream = (stored[key] for key in stored_names(name))
    if values.dim() != 1 or _bits(len(values)) != bits:
        raise FileFormatError(
            f"{where}: values of shape {tuple(values.shape)} do not go with {bits} bits a weight"
        )
    if stream.dtype != torch.uint8 or stream.dim() != 1:
        raise FileFormatError(
            f"{where}: its index must be a vector of uint8; it is {stream.dtype} of shape "
            f"{tuple(stream.shape)}"
        )
    try:
        return TiedTensor(values, read_index(stream, code, bits, math.prod(shape)), shape)
    except CosetError as error:
        raise FileFormatError(f"{where} of shape {shape}: {error}") from error
