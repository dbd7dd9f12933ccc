"""Dependency graphs in files: JSON to write by hand, safetensors for large tables.

Both hold the document that `pdg_fields` describes. In a safetensors file it is the metadata
``coset_pdg``, and the numbers of arcs are tensors. Nothing is unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.pdg.bayes_net import read_bif
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.pdg_fields import (
    FORMAT,
    arc_fields,
    graph_of,
    nested_tensor,
    variable_fields,
)
from coset.core.errors import DomainError, FileFormatError
from coset.core.files import write_atomic
from coset.core.foreign_files import parse_json, read_strict_json, show
from coset.core.model_files import inspect_file

__all__ = ["read_beliefs", "read_pdg", "write_pdg"]

_MAX_JSON_BYTES = 64 * 2**20
_MAX_TENSOR_BYTES = 8 * 2**30
_KEY = "coset_pdg"
_DTYPES = {"float64": torch.float64, "float32": torch.float32}
_STORED_DTYPES = ("F64", "F32")


def read_beliefs(path: Path | str) -> PDG:
    """Read a dependency graph or a Bayesian network, whichever the file's ending says.

    Args:
        path: ends in ".json" or ".safetensors" (see `read_pdg`), or ".bif" or ".bif.gz" (see
            `coset.beliefs.pdg.bayes_net.read_bif`).

    Returns:
        The graph.

    Raises:
        FileFormatError: if the ending is another one, or the file is not as it must be.
    """
    path = Path(path)
    if path.name.lower().endswith((".bif", ".bif.gz")):
        return read_bif(path)
    if path.suffix.lower() in (".json", ".safetensors"):
        return read_pdg(path)
    raise FileFormatError(
        f"beliefs are a file ending in .json, .safetensors, .bif or .bif.gz; given {path}"
    )


def read_pdg(path: Path | str) -> PDG:
    """Read a dependency graph from a file.

    Args:
        path: ends in ".json" (at most 64 MiB) or ".safetensors" (at most 8 GiB); see
            `coset.beliefs.pdg.pdg_fields` for the format.

    Returns:
        The graph.

    Raises:
        FileFormatError: if the file is missing, too large or malformed, or a field is missing,
            unknown or wrong, or a row does not sum to one; names file and field.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _read_tensors(path)
    if suffix == ".json":
        too_large = f"may have {_MAX_JSON_BYTES:,} bytes; it has more; use safetensors"
        value = read_strict_json(path, _MAX_JSON_BYTES, too_large)
        return graph_of(value, str(path), _nested)
    raise FileFormatError(
        f"a dependency graph is a file ending in .json or .safetensors; given {path}"
    )


def write_pdg(pdg: PDG, path: Path | str) -> None:
    """Write a dependency graph as a file that `read_pdg` reads, with the same numbers.

    Args:
        pdg: the graph; its tables are tensors in float64 or float32, or were added with
            ``learnable=True``.
        path: ends in ".json" or ".safetensors".

    Raises:
        DomainError: if a table is made by a function or another module, a name cannot be written,
            or the graph is too large for JSON; says what to do.
        DtypeError: if a table is neither float64 nor float32.
        FileFormatError: if the ending is another one.
        StorageError: if the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".json", ".safetensors"):
        raise FileFormatError(
            f"a dependency graph is written to .json or .safetensors; given {path}"
        )
    variables = [variable_fields(variable) for variable in pdg.variables.values()]
    entries = [arc_fields(arc) for arc in pdg.arcs.values()]
    if suffix == ".json":
        arcs = [
            fields | {"dtype": str(table.dtype).removeprefix("torch."), kind: _lists(table)}
            for fields, kind, table in entries
        ]
        text = _json_text(variables, arcs)
        if len(text.encode()) > _MAX_JSON_BYTES:
            raise DomainError(
                f"a graph in JSON may have {_MAX_JSON_BYTES:,} bytes; this one has more: write it "
                f"to .safetensors"
            )
        write_atomic(path, text)
        return
    from safetensors.torch import save

    tensors = {f"arcs.{i}": table.clone().contiguous() for i, (_, _, table) in enumerate(entries)}
    arcs = [fields | {kind: f"arcs.{i}"} for i, (fields, kind, _) in enumerate(entries)]
    write_atomic(path, save(tensors, metadata={_KEY: _json_text(variables, arcs)}))


def _nested(fields: dict[str, Any], kind: str, place: str) -> Tensor:
    dtype = fields.get("dtype", "float64")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise FileFormatError(f"{place}.dtype must be float64 or float32; given {show(dtype)}")
    allowed = () if kind == "cpd" else ("-inf",)
    return nested_tensor(fields[kind], _DTYPES[dtype], f"{place}.{kind}", allowed)


def _lists(table: Tensor) -> Any:
    """Return the numbers as lists in lists, −∞ as a text that JSON can hold."""
    lists = table.double().tolist()
    return _with_text(lists) if table.isinf().any() else lists


def _with_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_text(x) for x in value]
    return "-inf" if value == -torch.inf else value


def _json_text(variables: list[dict[str, Any]], arcs: list[dict[str, Any]]) -> str:
    """Return the document, one variable or arc a line."""
    lines = ["{", f'  "format": "{FORMAT}",', '  "variables": [']
    for entries, end in ((variables, ["  ],", '  "arcs": [']), (arcs, ["  ]", "}"])):
        written = [json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries]
        lines += [f"    {text}," for text in written[:-1]] + [
            f"    {text}" for text in written[-1:]
        ]
        lines += end
    return "\n".join(lines) + "\n"


def _read_tensors(path: Path) -> PDG:
    from safetensors import SafetensorError, safe_open

    summary = inspect_file(path)
    if summary.num_bytes > _MAX_TENSOR_BYTES:
        raise FileFormatError(
            f"{path} may hold {_MAX_TENSOR_BYTES:,} bytes of tensors; it has {summary.num_bytes:,}"
        )
    if _KEY not in summary.metadata:
        raise FileFormatError(f"{path}: metadata {_KEY} is missing; it holds no dependency graph")
    dtypes = {tensor.name: tensor.dtype for tensor in summary.tensors}
    unread = set(dtypes)

    def tensor(fields: dict[str, Any], kind: str, place: str) -> Tensor:
        name = fields[kind]
        if not isinstance(name, str) or name not in unread or "dtype" in fields:
            raise FileFormatError(
                f"{place}.{kind} must be the name of a tensor of its own, and dtype is not given; "
                f"given {show(name)}"
            )
        if dtypes[name] not in _STORED_DTYPES:
            raise FileFormatError(
                f"{place}.{kind} must be {' or '.join(_STORED_DTYPES)}; given {dtypes[name]}"
            )
        unread.remove(name)
        found: Tensor = stream.get_tensor(name)
        return found

    try:
        with safe_open(path, framework="pt") as stream:
            pdg = graph_of(parse_json(summary.metadata[_KEY]), str(path), tensor)
    except FileFormatError:
        raise
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: metadata or tensors cannot be read: {error}") from error
    if unread:
        raise FileFormatError(f"{path}: tensor {show(min(unread))} belongs to no arc")
    return pdg
