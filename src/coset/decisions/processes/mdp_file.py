"""Decision processes in files: JSON to write by hand, exact; npz for large arrays."""

from __future__ import annotations

from pathlib import Path

from coset.core.errors import DtypeError, FileFormatError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.named_mdp import NamedMDP

__all__ = ["read_mdp", "write_mdp"]


def read_mdp(path: Path | str) -> NamedMDP:
    """Read a decision process from a file.

    Args:
        path: ends in ".json" (at most 64 MiB, see `mdp_json`) or ".npz" (at most
            8 GiB when unpacked, see `mdp_npz`).

    Returns:
        The process; with exact numbers if the file is JSON.

    Raises:
        FileFormatError: if the file is missing, too large or malformed, or a field is wrong; names
            file, field and index.
    """
    from coset.decisions.processes import mdp_json, mdp_npz

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return mdp_json.read(path)
    if suffix == ".npz":
        return mdp_npz.read(path)
    raise FileFormatError(
        f"a decision process is a file ending in .json or .npz; given {path}; for a Gymnasium "
        f"environment give its name, such as FrozenLake-v1"
    )


def write_mdp(mdp: NamedMDP | MDP, path: Path | str) -> None:
    """Write a decision process as a file that `read_mdp` reads.

    Args:
        mdp: the process; without names its states, actions and objectives are numbered.
        path: ends in ".json" (from exact numbers, if they are known) or ".npz".

    Raises:
        DtypeError: if it is no process.
        FileFormatError: if the ending is another one.
        StorageError: if the file cannot be written.
    """
    from coset.decisions.processes import mdp_json, mdp_npz

    if not isinstance(mdp, NamedMDP | MDP):
        raise DtypeError(f"a decision process must be an MDP or NamedMDP; given {mdp!r:.60}")
    named, path = mdp if isinstance(mdp, NamedMDP) else NamedMDP.of(mdp), Path(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        mdp_json.write(path, named)
    elif suffix == ".npz":
        mdp_npz.write(path, named)
    else:
        raise FileFormatError(f"a decision process is written to .json or .npz; given {path}")
