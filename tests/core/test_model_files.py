from __future__ import annotations

import json
import random

import pytest
import torch
from safetensors.torch import load, save, save_file
from torch import nn

from coset.core import model_files
from coset.core.errors import ConfigError, FileFormatError, UnknownNameError
from coset.core.model_files import inspect_file, load_model, save_model


class Net(nn.Module):
    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        if width < 1:
            raise ValueError("width must be at least 1")
        self.linear = nn.Linear(2, width)


@pytest.fixture(autouse=True)
def _classes(monkeypatch):
    monkeypatch.setitem(model_files.MODEL_CLASSES, "test.Net", f"{__name__}:Net")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    net = Net(width=4)
    save_model(net, path, name="test.Net", arguments={"width": 4})
    return path, net


def test_a_model_comes_back(saved):
    path, net = saved
    again = load_model(path)
    assert isinstance(again, Net)
    assert not again.training
    for a, b in zip(again.state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_path_may_be_a_string(saved):
    path, net = saved
    save_model(net, str(path), name="test.Net", arguments={"width": 4})
    assert torch.equal(load_model(str(path)).linear.weight, net.linear.weight)
    assert inspect_file(str(path)).path == path


def test_inspect_tells_without_loading(saved):
    summary = inspect_file(saved[0])
    assert (summary.model_class, summary.arguments) == ("test.Net", {"width": 4})
    assert [(t.name, t.shape, t.num_bytes) for t in summary.tensors] == [
        ("linear.bias", (4,), 16),
        ("linear.weight", (4, 2), 32),
    ]
    assert summary.num_bytes == 48


def test_every_truncation_is_a_named_error(saved, tmp_path):
    content = saved[0].read_bytes()
    for length in range(len(content)):
        path = tmp_path / "cut"
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match="cut"):
            load_model(path)


def test_flipped_bits_never_raise_anything_else(saved, tmp_path):
    content = bytearray(saved[0].read_bytes())
    generator = torch.Generator().manual_seed(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        at = int(torch.randint(0, len(content) - 48, (), generator=generator))
        damaged[at] ^= 1 << int(torch.randint(0, 8, (), generator=generator))
        path = tmp_path / "flipped"
        path.write_bytes(damaged)
        try:
            load_model(path)
        except FileFormatError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must hold"),
        ('{"class": "test.Net", "arguments": {}, "format_version": 2}', "version"),
        ('{"class": "os.system", "arguments": {}, "format_version": 1}', "only these are built"),
        ('{"class": "test.Net", "arguments": {"width": 0}, "format_version": 1}', "refuses"),
        ('{"class": "test.Net", "arguments": {"depth": 1}, "format_version": 1}', "refuses"),
        ('{"class": "test.Net", "arguments": {"width": 9}, "format_version": 1}', "do not fit"),
    ],
)
def test_foreign_headers(tmp_path, header, message):
    path = tmp_path / "x.safetensors"
    save_file(Net().state_dict(), path, metadata={"coset": header})
    with pytest.raises(FileFormatError, match=message):
        load_model(path)


def test_a_plain_file_needs_a_factory(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(Net().state_dict(), path)
    assert inspect_file(path).model_class is None
    with pytest.raises(FileFormatError, match="--like"):
        load_model(path)
    assert isinstance(load_model(path, like=Net), Net)


def test_a_huge_header_is_refused_unread(tmp_path):
    path = tmp_path / "x"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(FileFormatError, match="header length"):
        inspect_file(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        inspect_file(tmp_path / "missing")


def test_saving_refuses_unknown_classes_and_odd_arguments(tmp_path):
    with pytest.raises(UnknownNameError):
        save_model(Net(), tmp_path / "x", name="test.Other", arguments={})
    with pytest.raises(ConfigError):
        save_model(Net(), tmp_path / "x", name="test.Net", arguments={"f": print})
    with pytest.raises(ConfigError, match="twice"):
        save_model(Net(), tmp_path / "x", name="test.Net", arguments={1: 2, "1": 2})
    assert json.dumps(list(tmp_path.glob("x"))) == "[]"


def entry(dtype="U8", shape=(1,), offsets=(0, 1)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def write(path, header, num_bytes=1):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"1" * num_bytes)
    return path


HUGE = "9" * 5000
OVERSIZED = {"a": entry("U8", (0, 2**40, 2**40), (0, 0)), "b": entry()}
DAMAGED = [
    ('{"a":{"dtype":"U8","shape":[Infinity],"data_offsets":[0,1]}}', "Infinity"),
    ('{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}}', "too large"),
    ('{"a":{"dtype":"U8","shape":[' + HUGE + '],"data_offsets":[0,1]}}', "bad header"),
    ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "bad header"),
    ('{"a":' + "[" * 40 + "]" * 40 + "}", "32 levels"),
    ('{"a":1,"a":2}', "twice"),
    ('{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "bad header"),
    ({"a": entry("F7")}, "dtype 'F7'"),
    ({"a": entry(["U8"])}, "dtype"),
    ({"a": entry(shape=[True])}, "malformed"),
    ({"a": entry(shape=[1.0])}, "malformed"),
    ({"a": entry(shape=[-1])}, "malformed"),
    ({"a": entry(offsets=[0])}, "malformed"),
    ({"a": {**entry(), "more": 1}}, "malformed"),
    ({"a": [1]}, "malformed"),
    ({"a": entry(offsets=(1, 0))}, "truncated or damaged"),
    ({"a": entry("F32")}, "needs 4 bytes; it has 1"),
    ({"a": entry(shape=(2,))}, "needs 2 bytes; it has 1"),
    (OVERSIZED, "needs 0 bytes"),
    ({"a": entry(shape=(2**63, 0), offsets=(0, 0)), "b": entry()}, "malformed"),
    ({"a": entry(), "b": entry()}, "overlap"),
    ({"b": entry(shape=(0,), offsets=(1, 1))}, "gap"),
    ({"b": entry(shape=(0,), offsets=(0, 0))}, "belongs to none"),
    ({}, "belongs to none"),
    ({"a": entry(), "__metadata__": {"x": 1}}, "object of strings"),
    ({"a": entry(), "__metadata__": None}, "object of strings"),
    ("[]", "JSON object"),
]


@pytest.mark.parametrize(("header", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_headers_are_named_errors(tmp_path, header, message):
    with pytest.raises(FileFormatError, match=message):
        inspect_file(write(tmp_path / "x", header))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int16, torch.bfloat16, torch.float8_e5m2])
def test_the_sizes_of_dtypes_agree_with_torch(tmp_path, dtype):
    path = tmp_path / "x"
    path.write_bytes(save({"a": torch.zeros(3, 5).to(dtype), "empty": torch.zeros(0, 2)}))
    assert inspect_file(path).num_bytes == 15 * dtype.itemsize


def coset_header(arguments="{}", name='"test.Net"', version="1"):
    return f'{{"class": {name}, "arguments": {arguments}, "format_version": {version}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (coset_header(name='["test.Net"]'), "only these are built"),
        (coset_header(version="true"), "version"),
        (coset_header(version="1.0"), "version"),
        (coset_header('{"width": Infinity}'), "Infinity"),
        (coset_header('{"width": NaN}'), "NaN"),
        (coset_header('{"width": 1e400}'), "too large"),
        (coset_header(f'{{"width": {HUGE}}}'), "not JSON"),
        (coset_header('{"width": ' + "[" * 100_000 + "]" * 100_000 + "}"), "not JSON"),
        (coset_header('{"width": ' + "[" * 40 + "]" * 40 + "}"), "32 levels"),
        (coset_header('{"width": "\\ud800"}'), "not JSON"),
    ],
    ids=range(10),
)
def test_damaged_coset_headers_are_named_errors(tmp_path, text, message):
    path = write(tmp_path / "x", {"a": entry(), "__metadata__": {"coset": text}})
    with pytest.raises(FileFormatError, match=message):
        inspect_file(path)


@pytest.mark.parametrize("width", ['"x"', "1e30", "9" * 400, "[]", "null"])
def test_a_constructor_that_fails_is_a_named_error(tmp_path, width):
    header = coset_header(f'{{"width": {width}}}')
    path = write(tmp_path / "x", {"a": entry(), "__metadata__": {"coset": header}})
    with pytest.raises(FileFormatError, match="refuses the stored arguments"):
        load_model(path)


def test_what_safetensors_raises_becomes_a_named_error(saved, monkeypatch):
    monkeypatch.setattr(model_files, "inspect_file", lambda path: inspected)
    inspected = inspect_file(saved[0])
    saved[0].write_bytes(saved[0].read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="safetensors refuses it"):
        load_model(saved[0])


def test_whatever_is_accepted_safetensors_loads(tmp_path):
    """Change headers at random; what inspect_file takes must load with the sizes it told."""
    chance = random.Random(3)
    values = [0, 1, 2, 3, 4, 8, -1, 2**31, 2**62, 2**63, 2**64, 1.0, True, None, "U8", "F32", []]
    accepted = 0
    for _ in range(3000):
        header = {
            "a": entry("F32", (2, 1), (0, 8)),
            "b": entry("U8", (3,), (8, 11)),
            "c": entry("I16", (0, 4), (11, 11)),
            "__metadata__": {"k": "v"},
        }
        for _ in range(chance.randint(1, 2)):
            part = header[chance.choice("abc")]
            key = chance.choice(list(part))
            if key == "dtype" or chance.random() < 0.1:
                part[key] = chance.choice([*model_files._ITEM_BYTES, "F4", "F8_E8M0", *values])
            elif isinstance(part[key], list) and part[key]:
                part[key][chance.randrange(len(part[key]))] = chance.choice(values)
        path = write(tmp_path / "x", header, num_bytes=11)
        try:
            summary = inspect_file(path)
        except FileFormatError:
            continue
        tensors = load(path.read_bytes())
        assert {t.name: t.shape for t in summary.tensors} == {
            name: tuple(tensor.shape) for name, tensor in tensors.items()
        }
        accepted += 1
    assert accepted > 50
