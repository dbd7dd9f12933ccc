"""``coset sharing expand``: a checkpoint with tied tensors, dense again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from coset.core.files import dump_json, write_atomic
from coset.sharing.commands.checkpoints import check_output

__all__ = ["expand"]


def expand(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    output: Path,
    json: bool = False,
) -> int:
    """Write the dense checkpoint that a file of `coset sharing compress` stands for.

    Every bit of the file is checked against its digest first. Shapes, dtypes, all other tensors and
    the metadata are those of the checkpoint that was compressed.

    Example: coset sharing expand net.tied.safetensors --output dense.safetensors

    Args:
        file: a file with tied tensors; it is only read.
        output: the new file, ordinary safetensors.
        json: print JSON.
    """
    check_output(file, output)
    from safetensors.torch import save

    from coset.sharing.tied import TiedTensor
    from coset.sharing.tied_files import load_tied, sort_metadata

    checkpoint = load_tied(file)
    content = save(checkpoint.state_dict(), metadata=dict(checkpoint.metadata) or None)
    write_atomic(output, sort_metadata(content))
    tied = [name for name, t in checkpoint.tensors.items() if isinstance(t, TiedTensor)]
    report = {
        "file": str(file),
        "output": str(output),
        "num_tensors": len(checkpoint.tensors),
        "num_tied": len(tied),
        "num_bytes_before": file.stat().st_size,
        "num_bytes_after": output.stat().st_size,
    }
    if json:
        print(dump_json(report), end="")
    else:
        print(f"{len(tied)} tied tensors and {len(checkpoint.tensors) - len(tied)} others")
        print(f"{file} {report['num_bytes_before']:,} bytes")
        print(f"{output} {report['num_bytes_after']:,} bytes")
    return 0
