"""The two codes of an index: round trips, sizes, the bound on expansion, and hostile streams."""

from __future__ import annotations

import lzma
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from coset.core.errors import FileFormatError
from coset.sharing.bits import pack_bits, unpack_bits
from coset.sharing.index_codes import _filters, code_index, read_index, stored_bits
from coset.sharing.tied import TiedTensor, index_bits
from coset.sharing.tied_files import save_tied


def tied_of(index, count):
    """Return a tied tensor with this index into `count` values."""
    index = torch.as_tensor(index)
    return TiedTensor(torch.arange(float(count)), index, tuple(index.shape))


def uneven(count, size, share=0.98, seed=0):
    """Return indices in [0, count), most of them in the middle, and some of the highest."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, count, (size,), generator=generator)
    index[torch.rand(size, generator=generator) < share] = count // 2
    index[-1] = count - 1
    return index


def compressed(content, width=8):
    return lzma.compress(content, lzma.FORMAT_RAW, filters=_filters(width))


def as_stream(content):
    return torch.from_numpy(np.frombuffer(bytearray(content), dtype=np.uint8))


def read(content, count, bits=8):
    return read_index(as_stream(content), "lzma", bits, count)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 256, 257, 65536, 65537, 70000])
def test_uneven_indices_go_round_in_less_space(count):
    tied = tied_of(uneven(count, 30_001), count)
    code, stream = code_index(tied)
    bits = max(1, index_bits(count))
    assert code == "lzma"
    assert stream.dtype == torch.uint8
    assert 8 * len(stream) < 0.5 * 30_001 * bits
    assert read_index(stream, code, bits, 30_001).equal(tied.index.to(torch.int32))
    assert stored_bits(tied) == 32 * count + 8 * len(stream)


@pytest.mark.parametrize("count", [2, 16, 256, 65536])
def test_even_indices_are_packed(count):
    index = torch.randint(0, count, (5001,), generator=torch.Generator().manual_seed(1))
    tied = tied_of(index, count)
    code, stream = code_index(tied)
    assert code == "packed"
    assert len(stream) == -(-5001 * index_bits(count) // 8)
    assert read_index(stream, code, index_bits(count), 5001).equal(index.to(torch.int32))


@pytest.mark.parametrize("size", [0, 1, 7, 80])
def test_few_weights_are_packed(size):
    tied = tied_of(torch.zeros(size, dtype=torch.int64), 2)
    assert code_index(tied)[0] == "packed"
    assert len(code_index(tied)[1]) == -(-size // 8)


@pytest.mark.parametrize(("count", "share"), [(16, 0.95), (16, 0.5), (256, 0.97)])
def test_the_stream_is_near_the_entropy_of_independent_weights(count, share):
    tied = tied_of(uneven(count, 100_000, share), count)
    code, stream = code_index(tied)
    # Weights that say nothing of each other: no code can be much below the entropy.
    assert code == "lzma"
    assert 0.99 < 8 * len(stream) / 100_000 / tied.entropy() < 1.3


def test_correlated_weights_take_less_than_the_entropy():
    rows = torch.arange(16).repeat_interleave(64).repeat(10)
    tied = tied_of(rows, 16)
    assert tied.entropy() == 4
    assert stored_bits(tied) < 16 * 32 + 0.5 * len(rows)


@pytest.mark.parametrize("size", [1024 * 300, 1024 * 300 + 1])
def test_a_stream_is_filled_up_to_one_byte_for_1024_weights(size):
    tied = tied_of(torch.zeros(size, dtype=torch.uint8), 1)
    code, stream = code_index(tied)
    assert (code, len(stream)) == ("lzma", -(-size // 1024))
    assert read_index(stream, code, 1, size).equal(torch.zeros(size, dtype=torch.int32))
    content = stream.numpy().tobytes()
    assert content.endswith(b"\0" * 200)
    for changed, message in (
        (content[:-1], f"needs {len(content)} bytes or more"),
        (content + b"\0", "must end with its LZMA stream"),
        (content[:-1] + b"\1", "must end with its LZMA stream"),
        (content[:-9] + b"\1" + content[-8:], "must end with its LZMA stream"),
    ):
        with pytest.raises(FileFormatError, match=message):
            read(changed, size, 1)


def test_a_small_stream_cannot_ask_for_many_weights():
    content = compressed(bytes(10_000_000))
    assert len(content) < 3000
    with pytest.raises(FileFormatError, match=r"needs 9766 bytes or more, one for each 1024"):
        read(content, 10_000_000)


def test_no_more_is_unpacked_than_asked_for(monkeypatch):
    sizes = []

    class Watched:
        def __init__(self, *args, **kwargs):
            self.coder = lzma_decoder(*args, **kwargs)

        def decompress(self, content, max_length):
            result = self.coder.decompress(content, max_length)
            sizes.append(len(result))
            return result

        def __getattr__(self, name):
            return getattr(self.coder, name)

    lzma_decoder = lzma.LZMADecompressor
    monkeypatch.setattr(lzma, "LZMADecompressor", Watched)
    with pytest.raises(FileFormatError, match="must unpack to 5000 bytes; it holds more"):
        read(compressed(bytes(4_000_000)), 5000)
    assert sizes == [5001]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "needs 1 bytes or more"),
        (b"\0", "holds fewer, or no end marker"),
        (b"\0" * 50, "bytes; it holds"),
        (b"\xff" * 50, "no LZMA stream"),
        (compressed(bytes(99)), "must unpack to 100 bytes; it holds fewer"),
        (compressed(bytes(101)), "must unpack to 100 bytes; it holds more"),
        (compressed(bytes(100)) + b"\0", "must end with its LZMA stream; 1 bytes follow"),
        (compressed(bytes(100)) * 2, "must end with its LZMA stream"),
        (lzma.compress(bytes(100)), "no LZMA stream"),
    ],
)
def test_hostile_streams_are_refused(content, message):
    assert read(compressed(bytes(100)), 100).equal(torch.zeros(100, dtype=torch.int32))
    with pytest.raises(FileFormatError, match=message):
        read(content, 100)


def test_the_bits_after_the_last_number_must_be_0():
    content = pack_bits(torch.tensor([1, 2, 3]), 4).numpy().tobytes()
    assert read(compressed(content, 4), 3, 3).tolist() == [1, 2, 3]
    with pytest.raises(FileFormatError, match="bits after its last index"):
        read(compressed(content[:1] + b"\x13", 4), 3, 3)


def test_nothing_else_comes_out_of_random_damage():
    chance = random.Random(0)
    tied = tied_of(uneven(9, 3000), 9)
    code, stream = code_index(tied)
    content = stream.numpy().tobytes()
    assert code == "lzma"
    refused = 0
    for _ in range(3000):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        cut = changed[: chance.randint(0, len(changed))] if chance.random() < 0.3 else changed
        try:
            found = read(bytes(cut), 3000, 4)
        except FileFormatError:
            refused += 1
        else:  # the digest of the file tells: here only the amount can be known
            assert found.shape == (3000,)
            assert int(found.max()) < 16
    assert refused > 2500


@pytest.mark.parametrize("bits", [1, 3, 7, 8, 9, 16, 17, 24, 31, 32])
def test_bits_of_every_width_go_round(bits):
    high = 2 ** min(bits, 31)
    index = torch.randint(0, high, (101,), generator=torch.Generator().manual_seed(0))
    index[0] = high - 1
    stream = pack_bits(index, bits)
    assert len(stream) == -(-101 * bits // 8)
    whole = int.from_bytes(stream.numpy().tobytes(), "little")
    assert [(whole >> (i * bits)) % 2**bits for i in range(101)] == index.tolist()
    found = unpack_bits(stream, bits, 101)
    assert found.dtype == torch.int32
    assert found.tolist() == index.tolist()


def test_the_bits_lie_as_documented(tmp_path):
    index = torch.tensor([5, 1, 0, 4, 2, 3, 5])
    tied = TiedTensor(torch.arange(6.0), index, (7,))
    save_tied(tmp_path / "f", {"w": tied})
    stream = int.from_bytes(load_file(tmp_path / "f")["w.index"].numpy().tobytes(), "little")
    assert [(stream >> (3 * i)) & 7 for i in range(7)] == index.tolist()
    assert stream >> 21 == 0
