"""Stored verdicts, read with care: a damaged file is told and blocks nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from coset.core.claims import Claim
from coset.core.errors import FileFormatError
from coset.core.files import dump_json, output_folder, read_json
from coset.core.judging import Seen

__all__ = ["stored_verdict"]


def stored_verdict(claim: Claim, folder: Path | None = None) -> dict[str, Any] | None:
    """Return the verdict that was stored last for a claim.

    Args:
        claim: the claim.
        folder: where verdicts lie; default ``verify`` in the output folder.

    Returns:
        The record, as `coset.lab.verify.record_of` made it, or ``None`` if there is none.

    Raises:
        FileFormatError: if the file cannot be read or is not such a record of this claim.
    """
    path = (folder or output_folder() / "verify") / f"{claim.id}.json"
    try:
        record = read_json(path)
        dump_json(record).encode()  # NaN and halves of surrogate pairs could not be shown
    except FileNotFoundError:
        return None
    except FileFormatError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
    if problem := _flaw(record, claim):
        raise FileFormatError(
            f"{path} must be a verdict as verify stores it; {problem}; run: coset verify {claim.id}"
        )
    return dict(record)


def _flaw(record: Any, claim: Claim) -> str:
    """Return what keeps a JSON value from being a verdict of the claim, or ''."""
    if not isinstance(record, dict):
        return "it is not an object"
    if record.get("claim") != claim.id:
        return f"it is of claim {record.get('claim')!r}"
    if record.get("seen") not in get_args(Seen):
        return f"seen is {record.get('seen')!r}"
    for name in ("preset", "version"):
        if not isinstance(record.get(name), str):
            return f"{name} is not text"
    if not isinstance(record.get("commit"), str | None):
        return "commit is not text"
    result = record.get("result")
    if result is not None and not (
        isinstance(result, dict) and isinstance(result.get("detail"), str)
    ):
        return "result is not an object with a text `detail`"
    return ""
