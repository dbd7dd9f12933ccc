"""Build the report in a folder beside its place, then put it there in one step."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from coset.core.errors import ConfigError, FileFormatError
from coset.core.files import output_folder, read_json, storage_errors, write_json
from coset.lab.store import RunStore
from coset.report.content import gather_site
from coset.report.links import CodePages, checkout_folder
from coset.report.pages import write_pages
from coset.report.sources import Sources, benchmark_folders, read_sources

__all__ = ["build_report", "write_report"]

MARKER = "report.json"
FORMAT = 1


def build_report(
    out: Path | None = None,
    store: RunStore | None = None,
    verifications: Path | None = None,
    benchmarks: Path | None = None,
) -> Path:
    """Write the HTML report from what is stored; nothing is run and nothing is downloaded.

    An earlier report at the same place is replaced as a whole; a reader sees the old one or the new
    one. What cannot be read is shown in the report and never raises.

    Args:
        out: the report's folder; default ``report`` in the output folder.
        store: the runs; default ``runs`` in the output folder.
        verifications: the folder of stored verdicts; default ``verify`` in the output folder.
        benchmarks: a folder of benchmark results; default those of the checkout and of the output
            folder.

    Returns:
        The path of ``index.html``.

    Raises:
        ConfigError: if `out` holds something that is no earlier report.
        StorageError: if the folder cannot be written.
    """
    sources = read_sources(
        store=store or RunStore(),
        verifications=verifications or output_folder() / "verify",
        benchmarks=[benchmarks] if benchmarks else benchmark_folders(),
    )
    return write_report(sources, out or output_folder() / "report")


def write_report(sources: Sources, out: Path) -> Path:
    """Write the report of the given sources.

    Args:
        sources: what it is made from.
        out: its folder.

    Returns:
        The path of ``index.html``.

    Raises:
        ConfigError: if `out` holds something that is no earlier report.
        StorageError: if the folder cannot be written.
    """
    out = Path(out)
    place = out.resolve()
    _require_replaceable(place)
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".tmp"))
    try:
        site = gather_site(sources, building, CodePages(checkout_folder()))
        write_pages(site, building, place)
        entries = sorted(path.name for path in building.iterdir())
        write_json(building / MARKER, {"format": FORMAT, "entries": [MARKER, *entries]})
        with storage_errors(place):
            os.chmod(building, 0o755)
            _replace(place, building)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out / "index.html"


def _require_replaceable(place: Path) -> None:
    """Refuse a folder that holds anything but an earlier report."""
    if not place.exists() and not place.is_symlink():
        return
    advice = "choose a new or empty folder, or move what lies there away"
    if not place.is_dir():
        raise ConfigError(f"the report's place must be a folder; {place} is a file; {advice}")
    present = {path.name for path in place.iterdir()}
    foreign = sorted(present - _written_before(place))
    if foreign:
        shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
        raise ConfigError(
            f"the report's folder must hold nothing but an earlier report, which is replaced as a "
            f"whole; {place} also holds {shown}; {advice}"
        )


def _written_before(place: Path) -> set[str]:
    try:
        entries = read_json(place / MARKER)["entries"]
        return {str(entry) for entry in entries}
    except (OSError, FileFormatError, KeyError, TypeError):
        return set()


def _replace(place: Path, building: Path) -> None:
    """Put the new folder in place; the old one stays whole until the new one is there."""
    if not place.exists():
        building.rename(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".old"))
    place.rename(old / "report")
    try:
        building.rename(place)
    except OSError:
        (old / "report").rename(place)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
