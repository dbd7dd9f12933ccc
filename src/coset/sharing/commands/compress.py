"""``coset sharing compress``: a checkpoint whose tensors have few distinct values."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coset.core.errors import DomainError, FileFormatError, StorageError
from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.sharing.commands.checkpoints import check_output, inspect_dense, open_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from coset.sharing.commands.tying import Outcome
    from coset.sharing.tied import TiedTensor

__all__ = ["compress"]

_SUFFIX = ".safetensors"
_NAMES = 8  # of the tensors kept for one reason


def compress(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    unique: int = 256,
    together: Annotated[bool, tyro.conf.arg(name="global")] = False,
    method: Literal["kmeans", "path"] = "kmeans",
    all: bool = False,
    output: Path | None = None,
    json: bool = False,
) -> int:
    """Write a checkpoint whose tensors have few distinct values, and say what that costs.

    Each tensor's relative error is shown for both methods: k-means, which no choice of so many
    values beats, and the cut of the sharing path, which ties what training with ProxSharing would
    tie next: most weights in one value. Its error is larger, and the entropy of its index smaller.
    The index is stored packed or LZMA-compressed, whichever is smaller.

    Tied are floating-point tensors of 16 bits or more with at least two dimensions, if that makes
    them smaller. All others are kept as they are; if one because it holds NaN or infinity, the exit
    code is 1. The new file is read back and compared bit by bit.

    Example: coset sharing compress net.safetensors --unique 16

    Args:
        file: a safetensors file; it is only read.
        unique: how many distinct values each tensor may have, at least 1.
        together: one set of values for all tensors together.
        method: which of the two is written.
        all: tie vectors (biases, norms) too.
        output: the new file; by default NAME.tied.safetensors beside the old one.
        json: print JSON.
    """
    if unique < 1:
        raise DomainError(f"--unique must be an integer ≥ 1; given {unique}")
    inspect_dense(file)
    output = output or file.with_name(f"{file.name.removesuffix(_SUFFIX)}.tied{_SUFFIX}")
    check_output(file, output)
    from coset.sharing.commands.tying import tie_tensors, write_tensors

    tensors, metadata = _read(file)
    found = tie_tensors(tensors, unique, method, together=together, with_vectors=all)
    if not any(outcome.tied for outcome in found):
        kept = "; ".join(f"{printable(o.name)}: {o.kept}" for o in found[:5]) or "no tensors at all"
        raise FileFormatError(f"{file} must hold a tensor that tying makes smaller; given {kept}")
    contents = {o.name: o.tied or tensors[o.name] for o in found}
    write_tensors(output, contents, metadata)
    _compare(output, contents, metadata)
    report = _report(file, output, method, found)
    if json:
        print(dump_json(report), end="")
    else:
        _print(report)
    unsound = [f"{printable(o.name)} {o.kept}" for o in found if o.is_unsound]
    if unsound:
        print(f"{len(unsound)} of {len(found)} not tied: {'; '.join(unsound)}", file=sys.stderr)
    return 1 if unsound else 0


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a dense safetensors file, by name, and its metadata."""
    with open_checkpoint(file) as stored:
        tensors = {name: stored.get_tensor(name) for name in sorted(stored.keys())}
        return tensors, dict(stored.metadata() or {})


def _compare(
    output: Path, contents: Mapping[str, Tensor | TiedTensor], metadata: Mapping[str, str]
) -> None:
    """Read the new file and compare it with what was to be written, bit by bit."""
    from coset.sharing.tied_files import load_tied

    found = load_tied(output)
    wrong = [name for name, wanted in contents.items() if not _same(found.tensors[name], wanted)]
    if wrong or found.metadata != metadata or len(found.tensors) != len(contents):
        what = printable(wrong[0]) if wrong else "names or metadata"
        raise StorageError(
            f"{output} must hold what was written; {what} differs; remove the file and check the "
            f"disk"
        )


def _same(one: Tensor | TiedTensor, other: Tensor | TiedTensor) -> bool:
    import torch

    from coset.sharing.tied import TiedTensor

    if isinstance(one, TiedTensor) or isinstance(other, TiedTensor):
        return (
            isinstance(one, TiedTensor)
            and isinstance(other, TiedTensor)
            and one.shape == other.shape
            and _same(one.values, other.values)
            and one.index.equal(other.index)
        )
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
    return bits[0].equal(bits[1])


def _report(file: Path, output: Path, method: str, found: Sequence[Outcome]) -> dict[str, Any]:
    """Return what is shown, as JSON values."""
    from coset.core.model_files import inspect_file

    stored = {tensor.name: tensor.num_bytes for tensor in inspect_file(output).tensors}
    return {
        "file": str(file),
        "output": str(output),
        "method": method,
        "num_bytes_before": file.stat().st_size,
        "num_bytes_after": output.stat().st_size,
        "tensors": [_as_row(outcome, stored) for outcome in found],
    }


def _as_row(outcome: Outcome, stored: Mapping[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "tensor": outcome.name,
        "shape": list(outcome.shape),
        "dtype": outcome.dtype,
        "num_weights": outcome.num_weights,
        "kept": outcome.kept or None,
    }
    tied, errors = outcome.tied, outcome.errors
    if tied is not None and errors is not None:
        from coset.sharing.tied_files import stored_names

        num_bytes = sum(stored[name] for name in stored_names(outcome.name))
        row |= {
            "num_distinct_before": outcome.num_distinct,
            "num_distinct_after": tied.num_unique,
            "error_kmeans": errors["kmeans"],
            "error_path": errors["path"],
            "bits_per_weight": 8 * num_bytes / tied.num_weights,
            "entropy": tied.entropy(),
        }
    return row


def _print(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 1))
    table.add_column("tensor", overflow="fold")
    for heading in ("weights", "distinct", "becomes", "k-means", "path", "bits", "entropy"):
        table.add_column(heading, justify="right", no_wrap=True)
    kept = defaultdict(list)
    for row in report["tensors"]:
        if row["kept"]:
            kept[row["kept"]].append(printable(row["tensor"]))
        else:
            table.add_row(*_cells(row))
    console.print(table)
    written = {"kmeans": "k-means", "path": "the path's cut"}[report["method"]]
    console.print("k-means, path: relative error ‖q − w‖ / ‖w‖")
    console.print("bits: a weight as stored, values included; entropy: coding each weight alone")
    console.print(f"written: {written}")
    for reason, names in kept.items():
        advice = " (--all ties them)" if reason == "fewer than 2 dimensions" else ""
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        console.print(escape(f"kept, {reason}{advice}: {', '.join(names[:_NAMES])}{more}"))
    before, after = report["num_bytes_before"], report["num_bytes_after"]
    console.print(
        escape(f"{report['file']} {before:,} bytes, {report['output']} {after:,} bytes"),
        soft_wrap=True,
    )
    size = f"{before / after:.2f} times smaller" if after <= before else "larger than before"
    console.print(f"{size}; read back: equal bit by bit")


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        escape(printable(row["tensor"])),
        f"{row['num_weights']:,}",
        f"{row['num_distinct_before']:,}",
        f"{row['num_distinct_after']:,}",
        _error(row["error_kmeans"]),
        _error(row["error_path"]),
        f"{row['bits_per_weight']:.2f}",
        f"{row['entropy']:.2f}",
    ]


def _error(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}"
