"""Checkpoints with tied tensors: round trips, every flipped bit, and hostile files."""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from coset.cli import main
from coset.core.errors import (
    ChecksumError,
    ConfigError,
    DtypeError,
    FileFormatError,
    StorageError,
)
from coset.core.model_files import inspect_file, save_model
from coset.sharing.index_codes import stored_bits
from coset.sharing.models import TorusCNN
from coset.sharing.tied import TiedTensor
from coset.sharing.tied_files import TiedCheckpoint, load_tied, save_tied

ZEROS = "0" * 64


def tied_of(count, shape, dtype=torch.float32, seed=0):
    """Return a tied tensor with exactly `count` values."""
    index = torch.randint(0, count, shape, generator=torch.Generator().manual_seed(seed))
    index.reshape(-1)[:count] = torch.arange(count)
    return TiedTensor.from_values(torch.arange(count).to(dtype) / 4 - 1, index)


def uneven_of(count, shape, dtype=torch.float32, seed=0):
    """Return a tied tensor with `count` values, most weights in one of them."""
    index = tied_of(count, shape, seed=seed).index.long()
    frequent = torch.rand(len(index), generator=torch.Generator().manual_seed(seed)) < 0.98
    frequent[:count] = False
    index[frequent] = count // 2
    index[:count] = torch.arange(count)
    return TiedTensor(torch.arange(count).to(dtype) / 4 - 1, index, shape)


def signed(content):
    """Return a file with the digest that belongs to it."""
    head, mark, rest = content.partition(b'"coset.sha256":"')
    blank = head + mark + ZEROS.encode() + rest[64:]
    digest = hashlib.sha256(blank).hexdigest().encode()
    return head + mark + digest + rest[64:]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 100, 255, 256, 257, 1000])
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_each_width_of_the_index_goes_round(count, extra, tmp_path):
    path = tmp_path / "net.safetensors"
    tied = tied_of(count, (count + extra,))
    save_tied(path, {"w": tied})
    found = load_tied(path).tensors["w"]
    assert isinstance(found, TiedTensor)
    assert found.index.equal(tied.index)
    assert found.index.dtype == tied.index.dtype
    assert found.values.equal(tied.values)
    bits = max(1, math.ceil(math.log2(count)))
    stored = {t.name: t for t in inspect_file(path).tensors}
    assert stored["w.index"].num_bytes <= math.ceil((count + extra) * bits / 8)
    assert stored["w.values"].num_bytes == 4 * count
    assert stored_bits(tied) == 8 * sum(t.num_bytes for t in stored.values())


def codes_of(path):
    """Return the code of each tied tensor, as the header says it."""
    tensors = json.loads(inspect_file(path).metadata["coset.tied"])["tensors"]
    return {name: entry["code"] for name, entry in tensors.items()}


def test_each_tensor_has_the_smaller_code(tmp_path):
    path = tmp_path / "net.safetensors"
    even, uneven = tied_of(16, (64, 64)), uneven_of(16, (64, 64))
    told = []
    save_tied(path, {"even": even, "uneven": uneven}, on_weights=told.append)
    assert sum(told) == 2 * 64 * 64
    assert codes_of(path) == {"even": "packed", "uneven": "lzma"}
    for name, tied in load_tied(path).tensors.items():
        wanted = {"even": even, "uneven": uneven}[name]
        assert (tied.index.equal(wanted.index), tied.shape) == (True, wanted.shape)
    stored = {t.name: t.num_bytes for t in inspect_file(path).tensors}
    assert stored["even.index"] == 64 * 64 // 2
    assert stored["uneven.index"] < 64 * 64 // 20
    first = path.read_bytes()
    save_tied(path, {"even": even, "uneven": uneven})
    assert path.read_bytes() == first


def test_chunks_of_the_index_fit_together(tmp_path, monkeypatch):
    tensors = {"even": tied_of(30, (1003, 3)), "uneven": uneven_of(7, (1003, 3))}
    save_tied(tmp_path / "a", tensors)
    monkeypatch.setattr("coset.sharing.bits._CHUNK", 64)
    monkeypatch.setattr("coset.sharing.index_codes._CHUNK", 64)
    save_tied(tmp_path / "b", tensors)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert codes_of(tmp_path / "b") == {"even": "packed", "uneven": "lzma"}
    for name, tied in load_tied(tmp_path / "b").tensors.items():
        assert tied.index.equal(tensors[name].index)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_everything_comes_back(dtype, tmp_path):
    path = tmp_path / "deep" / "net.safetensors"
    tensors = {
        "tied": tied_of(6, (4, 5), dtype),
        "uneven": uneven_of(6, (20, 30), dtype),
        "scalar": TiedTensor.from_dense(torch.tensor(2.5, dtype=dtype)),
        "empty": TiedTensor.from_dense(torch.zeros(0, 3, dtype=dtype)),
        "nan": torch.tensor([math.nan, -0.0, math.inf], dtype=dtype),
        "count": torch.tensor(7),
        "across": torch.arange(6, dtype=dtype).reshape(2, 3).t(),
        "flags": torch.tensor([True, False]),
        "low": torch.tensor([1.0, -2.0]).to(torch.float8_e5m2),
        "none": torch.zeros(2, 0),
        'odd "name".index \\ ü': torch.ones(1),
    }
    metadata = {"note": 'with "coset.sha256":"' + "f" * 64 + '"', "ü": ""}
    save_tied(path, tensors, metadata)
    found = load_tied(str(path))
    assert found.metadata == metadata
    assert list(found.tensors) == sorted(tensors)
    dense = found.state_dict()
    for name, tensor in tensors.items():
        wanted = tensor.dense() if isinstance(tensor, TiedTensor) else tensor.contiguous()
        assert isinstance(found.tensors[name], TiedTensor) == isinstance(tensor, TiedTensor)
        assert (dense[name].dtype, dense[name].shape) == (wanted.dtype, wanted.shape)
        bits = [t.reshape(-1).view(torch.uint8) for t in (dense[name], wanted)]
        assert bits[0].equal(bits[1])
    save_tied(tmp_path / "again", found.tensors, found.metadata)
    assert load_tied(tmp_path / "again").metadata == metadata


def test_a_file_without_tied_tensors_and_one_without_any(tmp_path):
    for tensors in ({}, {"b": torch.ones(2)}):
        save_tied(tmp_path / "f", tensors)
        assert list(load_tied(tmp_path / "f").tensors) == list(tensors)
    assert TiedCheckpoint({}, {}).state_dict() == {}


def test_the_metadata_of_a_model_file_stays(tmp_path):
    arguments = {"side": 7, "channels": [2], "kernel_size": 3}
    model = TorusCNN(side=7, channels=(2,), kernel_size=3)
    save_model(model, tmp_path / "m", name="sharing.TorusCNN", arguments=arguments)
    state = load_file(tmp_path / "m")
    name = next(n for n in state if state[n].ndim > 1)
    from safetensors import safe_open

    with safe_open(str(tmp_path / "m"), "pt") as stored:
        metadata = stored.metadata()
    save_tied(tmp_path / "t", {**state, name: TiedTensor.from_dense(state[name])}, metadata)
    summary = inspect_file(tmp_path / "t")
    assert (summary.model_class, summary.arguments) == ("sharing.TorusCNN", arguments)
    assert main(["inspect", str(tmp_path / "t")]) == 0
    model.load_state_dict(load_tied(tmp_path / "t").state_dict())


@pytest.fixture
def small(tmp_path):
    """Return a small file of every kind of content, and its path."""
    path = tmp_path / "small.safetensors"
    tensors = {
        "a": tied_of(5, (3, 7)),
        "uneven": uneven_of(5, (30, 7)),
        "one": TiedTensor.from_dense(torch.full((4,), 2.5, dtype=torch.bfloat16)),
        "b": torch.randn(3),
        "none": TiedTensor.from_dense(torch.zeros(0, 3)),
    }
    save_tied(path, tensors, {"x": "y"})
    assert codes_of(path)["uneven"] == "lzma"
    return path, path.read_bytes()


def outcome(path, content):
    """Return the error that a content gives, or None."""
    path.write_bytes(content)
    try:
        load_tied(path)
    except FileFormatError as error:
        return error if str(path) in str(error) else AssertionError(f"{error} names no file")
    return None


def test_every_flipped_bit_is_seen(small):
    path, content = small
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        error = outcome(path, bytes(changed))
        # In the data the layout is sound, and only the digest can tell.
        wanted = ChecksumError if place >= start else FileFormatError
        assert isinstance(error, wanted), place


def test_every_truncation_and_lost_or_added_bytes_are_seen(small):
    path, content = small
    for place in range(len(content)):
        assert isinstance(outcome(path, content[:place]), FileFormatError)
    for place in range(0, len(content), 7):
        lost = content[:place] + content[place + 1 :]
        added = content[:place] + b"0" + content[place:]
        for changed in (lost, added):
            assert isinstance(outcome(path, changed), FileFormatError)
    assert isinstance(outcome(path, content + b"\0"), FileFormatError)
    assert outcome(path, content) is None


def test_damage_under_a_new_digest_gives_file_errors_only(small):
    path, content = small
    chance = random.Random(0)
    start = 8 + int.from_bytes(content[:8], "little")
    errors = []
    for _ in range(500):
        changed = bytearray(content)
        changed[chance.randrange(start, len(content))] = chance.randrange(256)
        errors.append(outcome(path, signed(bytes(changed))))
    assert {type(error) for error in errors} <= {type(None), FileFormatError}
    assert sum("'uneven'" in str(error) for error in errors) > 50


def test_a_wrong_digest_names_both_digests(small):
    path, content = small
    error = outcome(path, content[:-1] + bytes([content[-1] ^ 1]))
    assert isinstance(error, ChecksumError)
    assert "SHA-256" in str(error)
    stored = content.partition(b'"coset.sha256":"')[2][:64].decode()
    assert f"must be {stored}" in str(error)


STORED = {"a.values": torch.arange(5.0)}
STORED["a.index"] = torch.tensor([0b01_001_000, 0b1_011_010_0, 0, 0, 0, 0, 0, 0]).to(torch.uint8)
ENTRY = {"shape": [3, 7], "bits": 3, "code": "packed"}


def hostile(stored, description):
    """Return a file with any content, and the digest that belongs to it."""
    text = description if isinstance(description, str) else json.dumps(description)
    return signed(save(stored, metadata={"coset.tied": text, "coset.sha256": ZEROS}))


def described(**changes):
    return {"format_version": 2, "tensors": {"a": {**ENTRY, **changes}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [3, 8]}, "needs 9 bytes"),
        ({"shape": [2**40, 2**40]}, "2^56"),
        ({"shape": [2**62, 0, 2**62]}, "2^56"),
        ({"shape": [10**400]}, "2^56"),
        ({"shape": [1] * 99 + [21]}, "at most 64 sizes"),
        ({"shape": [2**50]}, "needs"),
        ({"shape": [-3, -7]}, "≥ 0"),
        ({"shape": [3.0, 7]}, "tuple of integers"),
        ({"shape": [True, 21]}, "tuple of integers"),
        ({"shape": "21"}, "tuple of integers"),
        ({"shape": None}, "tuple of integers"),
        ({"bits": 2}, "do not go with 2 bits"),
        ({"bits": 4}, "do not go with 4 bits"),
        ({"bits": 0}, "from 1 to 31"),
        ({"bits": 32}, "from 1 to 31"),
        ({"bits": 10**300}, "from 1 to 31"),
        ({"bits": True}, "from 1 to 31"),
        ({"bits": 3.0}, "from 1 to 31"),
        ({"dtype": "F32"}, "and no more"),
        ({"code": "zip"}, "one of ('packed', 'lzma'); given 'zip'"),
        ({"code": None}, "given None"),
        ({"code": ["lzma"]}, "given ['lzma']"),
        ({"code": "lzma"}, "no LZMA stream"),
        ({"code": "lzma", "shape": [2**50]}, f"needs {2**40} bytes or more"),
    ],
)
def test_hostile_descriptions_name_the_tensor(change, message, tmp_path):
    error = outcome(tmp_path / "f", hostile(STORED, described(**change)))
    assert message in str(error)
    assert "'a'" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"format_version":1,"format_version":1,"tensors":{}}', "twice"),
        (f'{{"format_version":1,"tensors":{{"a":{"9" * 5000}}}}}', "not JSON"),
        ("[]", "must hold"),
        ("{}", "must hold"),
        ('{"format_version":1,"tensors":{},"more":0}', "must hold"),
        ('{"format_version":1,"tensors":{}}', "version 2; given 1"),
        ('{"format_version":true,"tensors":{}}', "given True"),
        ('{"format_version":2,"tensors":[]}', "map names"),
        ('{"format_version":2,"tensors":{"a":[]}}', "shape, bits and code"),
        (
            '{"format_version":2,"tensors":{"\\ud800":{"shape":[1],"bits":1,"code":"packed"}}}',
            "not there",
        ),
        (
            '{"format_version":2,"tensors":{"other":{"shape":[1],"bits":1,"code":"packed"}}}',
            "'other.values'",
        ),
    ],
)
def test_hostile_metadata(text, message, tmp_path):
    assert message in str(outcome(tmp_path / "f", hostile(STORED, text)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a.values": torch.arange(5)}, "int64"),
        ({"a.values": torch.arange(5.0).reshape(5, 1)}, "do not go"),
        ({"a.values": torch.arange(4.0)}, "do not go"),
        ({"a.values": torch.full((5,), math.nan)}, "finite"),
        ({"a.values": torch.zeros(5).to(torch.float8_e5m2)}, "float8"),
        ({"a.index": torch.full((8,), 0xFF, dtype=torch.uint8)}, "must be 0"),
        ({"a.index": torch.full((8,), 0x1F, dtype=torch.uint8)}, "[0, 5)"),
        ({"a.index": torch.zeros(7, dtype=torch.uint8)}, "needs 8 bytes"),
        ({"a.index": torch.zeros(8, dtype=torch.int8)}, "int8"),
        ({"a.index": torch.zeros(2, 4, dtype=torch.uint8)}, "(2, 4)"),
        ({"a": torch.ones(1)}, "both tied and stored"),
    ],
)
def test_hostile_tensors(changes, message, tmp_path):
    assert outcome(tmp_path / "good", hostile(STORED, described())) is None
    error = outcome(tmp_path / "f", hostile({**STORED, **changes}, described()))
    assert message in str(error)
    assert "'a'" in str(error)


def test_a_tied_tensor_whose_name_belongs_to_another_is_refused(tmp_path):
    twin = {f"a.values.{part}": STORED[f"a.{part}"].clone() for part in ("values", "index")}
    description = described()
    description["tensors"]["a.values"] = ENTRY
    error = outcome(tmp_path / "f", hostile({**STORED, **twin}, description))
    assert "'a.values' is both" in str(error)


def test_hostile_layouts(small, tmp_path):
    path, content = small
    for length in (2**63, 2**40, len(content) - 7, 0, 1):
        assert outcome(path, struct.pack("<Q", length) + content[8:]) is not None
    plain = tmp_path / "plain"
    save_file({"w": torch.ones(2)}, plain)
    with pytest.raises(FileFormatError, match="holds no tied tensors"):
        load_tied(plain)
    for digest in ({}, {"coset.sha256": "0"}, {"coset.sha256": '"' * 64}):
        error = outcome(
            path, save(STORED, metadata={"coset.tied": json.dumps(described())} | digest)
        )
        assert error is not None
    # The key must be spelled out: an escape in it would hide where the digest lies.
    assert outcome(path, content.replace(b'"coset.sha256"', b'"coset.sha25\\u0036"')) is not None
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileFormatError, match=str(absent)):
            load_tied(absent)


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "message"),
    [
        ({"w": [1.0]}, {}, DtypeError, "w is list"),
        ({"a": tied_of(2, (3,)), "a.index": torch.ones(1)}, {}, ConfigError, "'a.index'"),
        ({"a.values": torch.ones(1), "a": tied_of(2, (3,))}, {}, ConfigError, "'a.values'"),
        ({"a.values": tied_of(2, (3,)), "a": tied_of(2, (3,))}, {}, ConfigError, "'a.values'"),
        ({"__metadata__": torch.ones(1)}, {}, ConfigError, "__metadata__"),
        ({"w": torch.ones(2).to_sparse()}, {}, ConfigError, "safetensors"),
        ({}, {"coset.tied": ""}, ConfigError, "coset.tied"),
        ({}, {"coset.sha256": ""}, ConfigError, "coset.sha256"),
        ({}, {"a": 1}, ConfigError, "strings"),
        ({}, {"coset": "anything"}, ConfigError, "save_model"),
        ({}, {"coset": '{"class": []}'}, ConfigError, "save_model"),
    ],
)
def test_what_cannot_be_stored_is_refused(tensors, metadata, error, message, tmp_path):
    with pytest.raises(error, match=message):
        save_tied(tmp_path / "f", tensors, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    save_tied(path, {"w": tied_of(2, (3,))})
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StorageError, match="No space"):
        save_tied(path, {"w": tied_of(3, (4,))})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
