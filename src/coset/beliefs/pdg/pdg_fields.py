"""The document that holds a dependency graph in a file: its fields, read strictly and written.

It is one JSON object::

    {
      "format": "coset pdg 1",
      "description": "…",                                   optional
      "variables": [
        {"name": "rain", "values": ["no", "yes"]},
        {"name": "drops", "card": 3}                        values without names
      ],
      "arcs": [
        {"name": "radio", "targets": ["rain"], "cpd": [0.2, 0.8], "beta": 2.5},
        {"name": "gauge", "sources": ["rain"], "targets": ["drops"], "alpha": 0,
         "cpd": [[1, 0, 0], [0.1, 0.5, 0.4]]},
        {"name": "rain=yes", "targets": ["rain"], "beta": "inf", "cpd": [0, 1]}
      ]
    }

An arc has one of "cpd" (probabilities), "log_cpd" (their logarithms) and "logits" (a learnable
table); the latter two may have "-inf". Its numbers are lists in lists: an axis for each source,
then one for each target; batch axes lead. Confidences that are missing are 1, and "dtype" is
"float64" or "float32". In a safetensors file the place of the numbers is taken by the name of a
tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import CosetError, DomainError, DtypeError, FileFormatError
from coset.core.foreign_files import show

__all__ = ["FORMAT", "KINDS", "arc_fields", "graph_of", "nested_tensor", "variable_fields"]

FORMAT = "coset pdg 1"
KINDS = ("cpd", "log_cpd", "logits")
_MAX_ENTRIES = 1_000_000  # variables, values of one, and arcs
_MAX_NAME = 1000
_A_NAME = f"text of 1 to {_MAX_NAME:,} characters"
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # UTF-8 holds none
_MAX_AXES = 64
_ARC_FIELDS = ("name", "sources", "targets", "alpha", "beta", "dtype", *KINDS)


def graph_of(
    value: Any, where: str, read_table: Callable[[dict[str, Any], str, str], Tensor]
) -> PDG:
    """Build the graph of a document.

    Args:
        value: the decoded JSON.
        where: what an error calls the file.
        read_table: returns the numbers of an arc from its fields, which of `KINDS` it has, and what
            an error calls it.

    Returns:
        The graph.

    Raises:
        FileFormatError: if a field is missing, unknown or wrong; names file and field.
    """
    _check_object(value, ("format", "variables", "arcs"), ("description",), where)
    if value["format"] != FORMAT:
        raise FileFormatError(f"{where}: format must be {FORMAT!r}; given {show(value['format'])}")
    if not isinstance(value.get("description", ""), str):
        raise FileFormatError(
            f"{where}: description must be text; given {show(value['description'])}"
        )
    pdg = PDG()
    for index, entry in enumerate(_list(value["variables"], f"{where}: variables")):
        _add_variable(pdg, entry, f"{where}: variables[{index}]")
    for index, entry in enumerate(_list(value["arcs"], f"{where}: arcs")):
        _add_arc(pdg, entry, f"{where}: arcs[{index}]", read_table)
    return pdg


def _add_variable(pdg: PDG, entry: Any, place: str) -> None:
    _check_object(entry, ("name",), ("values", "card"), place)
    name = _name(entry["name"], f"{place}.name")
    if name in pdg.variables:
        raise FileFormatError(f"{place}.name must be new; {show(name)} is there twice")
    if ("values" in entry) == ("card" in entry):
        raise FileFormatError(f"{place} must have one of values (names) and card (their number)")
    if "values" in entry:
        pdg.variable(name, _names(entry["values"], f"{place}.values", least=1))
        return
    card = entry["card"]
    if type(card) is not int or not 1 <= card <= _MAX_ENTRIES:
        raise FileFormatError(
            f"{place}.card must be a whole number of 1 to {_MAX_ENTRIES:,}; given {show(card)}"
        )
    pdg.variable(name, card)


def _add_arc(
    pdg: PDG, entry: Any, place: str, read_table: Callable[[dict[str, Any], str, str], Tensor]
) -> None:
    _check_object(entry, ("name", "targets"), _ARC_FIELDS[1:], place)
    name = _name(entry["name"], f"{place}.name")
    place = f"{place} ({show(name)})"
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise FileFormatError(f"{place} must have one of {', '.join(KINDS)}; it has {len(kinds)}")
    sources = _names(entry.get("sources", []), f"{place}.sources")
    targets = _names(entry["targets"], f"{place}.targets", least=1)
    if len(sources) + len(targets) > _MAX_AXES:
        raise FileFormatError(f"{place} may touch {_MAX_AXES} variables; it touches more")
    alpha = _number(entry.get("alpha", 1), f"{place}.alpha")
    beta = entry.get("beta", 1)
    beta = math.inf if beta == "inf" else _number(beta, f"{place}.beta", ' or "inf"')
    table: Any = read_table(entry, kinds[0], place)
    if kinds == ["logits"]:
        table = _logit_table(table, len(sources), len(targets), place)
    is_log = kinds != ["cpd"]
    try:
        pdg.add(name, targets, sources, cpd=table, alpha=alpha, beta=beta, is_log=is_log)
    except CosetError as error:
        raise FileFormatError(f"{place}: {error}") from error


def _logit_table(logits: Tensor, num_sources: int, num_targets: int, place: str) -> LogitTable:
    if logits.ndim < num_sources + num_targets:
        raise FileFormatError(
            f"{place}.logits must have {num_sources + num_targets} axes or more; given "
            f"{logits.ndim}"
        )
    table = LogitTable(torch.ones_like(logits), num_targets)
    table.logits = torch.nn.Parameter(logits)  # as they were, not from rounded probabilities
    return table


def nested_tensor(
    value: Any, dtype: torch.dtype, place: str, allowed: Collection[str] = ()
) -> Tensor:
    """Make a tensor of lists in lists of numbers.

    Args:
        value: the lists.
        dtype: of the tensor.
        place: what an error calls it.
        allowed: texts that stand for numbers ("-inf").

    Returns:
        The tensor, not empty.

    Raises:
        FileFormatError: if lists are empty, of different lengths or too deep, or an entry is no
            number; names its index.

    Complexity: linear in the number of entries, times the depth.
    """
    shape: list[int] = []
    level = [value]
    while isinstance(level[0], list) and len(shape) < _MAX_AXES:
        shape.append(len(level[0]))
        if not shape[-1] or any(not isinstance(x, list) or len(x) != shape[-1] for x in level):
            raise FileFormatError(
                f"{place} must be lists in lists, of the same length at the same depth and not "
                f"empty; they differ or are empty at depth {len(shape)}"
            )
        level = [x for inner in level for x in inner]
    entries = []
    for index, x in enumerate(level):
        if not shape or (type(x) not in (int, float) and x not in allowed):
            where = np.unravel_index(index, shape) if shape else ()
            raise FileFormatError(
                f"{place}{''.join(f'[{int(i)}]' for i in where)} must be "
                f"{'a number' if shape else 'a list'}; given {show(x)}"
            )
        entries.append(_number(float(x) if isinstance(x, str) else x, place))
    return torch.tensor(entries, dtype=dtype).view(shape)


def variable_fields(variable: Variable) -> dict[str, Any]:
    """Return the entry of a variable.

    Args:
        variable: the variable.

    Returns:
        Its fields.

    Raises:
        DomainError: if a name cannot be written.
    """
    for name in (variable.name, *variable.values):
        _check_writable(name)
    if variable.values:
        return {"name": variable.name, "values": list(variable.values)}
    return {"name": variable.name, "card": variable.card}


def arc_fields(arc: Arc) -> tuple[dict[str, Any], str, Tensor]:
    """Return the entry of an arc, its numbers apart.

    Args:
        arc: the arc.

    Returns:
        Its fields; which of `KINDS` its numbers are; and the numbers, on the CPU.

    Raises:
        DomainError: if its numbers are made by a function or a module other than a `LogitTable`,
            or have parameters that a file cannot hold, or its name cannot be written.
        NotNormalizedError: if its numbers were changed and are no distribution any more.
        DtypeError: if its numbers are neither float64 nor float32.
    """
    _check_writable(arc.name)
    table: Tensor
    if isinstance(arc.cpd, LogitTable):
        kind, table = "logits", arc.cpd.logits
    elif isinstance(arc.cpd, Tensor) and not arc.parameters:
        kind, table = "log_cpd" if arc.is_log else "cpd", arc.cpd
    else:
        made = "a tensor with parameters" if isinstance(arc.cpd, Tensor) else "made by a function"
        raise DomainError(
            f"a file holds numbers, or a table that was added with learnable=True; the cpd of "
            f"{arc.name!r} is {made}: add the arc anew with cpd=arc.probabilities().detach()"
        )
    if table.dtype not in (torch.float64, torch.float32):
        raise DtypeError(
            f"a file holds float64 or float32; the cpd of {arc.name!r} is {table.dtype}: convert it"
        )
    arc.log_probabilities()  # numbers that were changed since they were added are checked again
    fields: dict[str, Any] = {
        "name": arc.name,
        "sources": list(arc.sources),
        "targets": list(arc.targets),
        "alpha": float(arc.alpha),
        "beta": "inf" if arc.is_hard else float(arc.beta),
    }
    return fields, kind, table.detach().cpu()


def _check_object(
    value: Any, required: Collection[str], optional: Collection[str], place: str
) -> None:
    if not isinstance(value, dict):
        raise FileFormatError(f"{place} must be a JSON object; given {show(value)}")
    for key in required:
        if key not in value:
            raise FileFormatError(f"{place}: {key} is missing")
    for key in value:
        if key not in required and key not in optional:
            raise FileFormatError(
                f"{place}: field {show(key)} is unknown; known: {', '.join((*required, *optional))}"
            )


def _list(value: Any, place: str, least: int = 0) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= _MAX_ENTRIES:
        given = f"{len(value):,} entries" if isinstance(value, list) else show(value)
        raise FileFormatError(
            f"{place} must be a list of {least} to {_MAX_ENTRIES:,} entries; given {given}"
        )
    return value


def _names(value: Any, place: str, least: int = 0) -> tuple[str, ...]:
    names = tuple(_name(name, f"{place}[{i}]") for i, name in enumerate(_list(value, place, least)))
    if len(set(names)) < len(names):
        raise FileFormatError(f"{place} must be distinct names; given {show(list(names))}")
    return names


def _name(value: Any, place: str) -> str:
    if not _is_name(value):
        raise FileFormatError(f"{place} must be {_A_NAME}; given {show(value)}")
    return str(value)


def _check_writable(name: Any) -> None:
    if not _is_name(name):
        raise DomainError(f"a name in a file is {_A_NAME}; given {show(name)}: rename it")


def _is_name(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= _MAX_NAME
        and not _HALF_CHARACTER.search(value)
    )


def _number(value: Any, place: str, otherwise: str = "") -> float:
    try:
        if type(value) in (int, float):
            return float(value)
    except OverflowError:
        pass
    raise FileFormatError(f"{place} must be a number{otherwise}; given {show(value)}")
