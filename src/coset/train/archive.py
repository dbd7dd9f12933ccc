"""The bytes of a checkpoint file: one text line with a digest, then a ``torch.save`` archive.

The line is ``coset-checkpoint VERSION SHA256``. The archive holds tensors and plain containers,
and nothing but those is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from coset.core.errors import ChecksumError, DtypeError, FileFormatError

__all__ = ["FORMAT_VERSION", "decode", "encode"]

FORMAT_VERSION = 1
_HEADER = re.compile(rb"coset-checkpoint (\d{4}) ([0-9a-f]{64})\n")
_HEADER_BYTES = 87
_SCALARS: tuple[type[Any], ...] = (int, float, complex, str, bytes)


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file that holds `fields`.

    Args:
        fields: tensors, numbers, strings, ``None`` and containers of them.

    Returns:
        The whole content.

    Raises:
        DtypeError: if something else is in it; names the place.
    """
    buffer = io.BytesIO()
    buffer.write(b" " * _HEADER_BYTES)
    torch.save({name: _plain(value, name) for name, value in fields.items()}, buffer)
    with buffer.getbuffer() as view:
        digest = hashlib.sha256(view[_HEADER_BYTES:]).hexdigest()
    buffer.seek(0)
    buffer.write(f"coset-checkpoint {FORMAT_VERSION:04d} {digest}\n".encode())
    return buffer.getvalue()


def decode(content: bytes, path: Path) -> dict[str, Any]:
    """Return the fields in a file's content, believing nothing before its digest is checked.

    Args:
        content: the bytes of the file.
        path: its name, for errors.

    Returns:
        The fields, tensors on the CPU.

    Raises:
        FileFormatError: if it is foreign or has another format version.
        ChecksumError: if it is torn or a bit has flipped.
    """
    payload = _checked_payload(content, path)
    try:
        fields = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for an archive that it did not write
        raise FileFormatError(
            f"{path} has the digest but not the content of a coset checkpoint "
            f"({type(error).__name__}); use a file that coset.train wrote"
        ) from error
    if not isinstance(fields, dict):
        raise FileFormatError(f"{path} must hold a dictionary; it holds {type(fields).__name__}")
    return fields


def _checked_payload(content: bytes, path: Path) -> bytes:
    header = _HEADER.fullmatch(content[:_HEADER_BYTES])
    if header is None:
        raise FileFormatError(
            f"{path} is not a coset checkpoint, or its beginning is damaged ({len(content)} "
            f"bytes); use a file that coset.train wrote"
        )
    if int(header[1]) != FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has checkpoint format {int(header[1])}; this version of coset reads "
            f"{FORMAT_VERSION}; use the version that wrote it"
        )
    payload = content[_HEADER_BYTES:]
    if hashlib.sha256(payload).hexdigest().encode() != header[2]:
        raise ChecksumError(
            f"{path} is truncated or damaged: its content ({len(payload)} bytes) does not have "
            f"the SHA-256 digest in its first line; use an earlier checkpoint"
        )
    return payload


def _plain(value: Any, where: str) -> Any:
    """Return `value` rebuilt from types that a weights-only load accepts.

    Args:
        value: a state dictionary or a part of one.
        where: its place, for the error.

    Returns:
        The same content; subclasses of numbers and dictionaries become the builtin ones.

    Raises:
        DtypeError: if something else is in it.
    """
    if isinstance(value, torch.Tensor):
        return value.detach()
    if value is None or isinstance(value, (bool, torch.dtype, torch.device, torch.Size)):
        return value
    for kind in _SCALARS:
        if isinstance(value, kind):  # np.float64 is a float, but its pickle is not plain
            return kind(value)
    if isinstance(value, dict):
        items = ((_plain(k, where), _plain(v, f"{where}.{k}")) for k, v in value.items())
        if isinstance(value, OrderedDict):
            ordered = OrderedDict(items)
            ordered.__dict__.update(value.__dict__)  # a module's state_dict: _metadata
            return ordered
        return dict(items)
    if isinstance(value, (list, tuple, set)):
        parts = [_plain(part, f"{where}[{index}]") for index, part in enumerate(value)]
        return next(kind(parts) for kind in (list, tuple, set) if isinstance(value, kind))
    raise DtypeError(
        f"a state_dict must hold tensors, numbers, strings, None and containers of them; "
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}; convert it"
    )
