"""What the commands ask of the files that they read and write."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from coset.core.errors import ConfigError, DomainError, DtypeError, FileFormatError
from coset.sharing import TiedTensor, save_tied
from coset.sharing.commands.clusters import clusters
from coset.sharing.commands.compress import compress
from coset.sharing.commands.path import path


@pytest.fixture
def dense(tmp_path):
    target = tmp_path / "net.safetensors"
    save_file({"w": torch.arange(6.0).reshape(2, 3), "step": torch.tensor([1, 2])}, target)
    return target


@pytest.fixture
def tied(tmp_path):
    target = tmp_path / "net.tied.safetensors"
    save_tied(target, {"w": TiedTensor.from_dense(torch.tensor([[0.5, 0.5], [0.5, 2.0]]))})
    return target


def test_a_picture_never_replaces_the_checkpoint(dense, tmp_path):
    before = dense.read_bytes()
    link = tmp_path / "link.svg"
    link.symlink_to(dense)
    for output in (dense, link, tmp_path / "." / dense.name):
        with pytest.raises(ConfigError, match="another file"):
            path(dense, output=output)
    assert dense.read_bytes() == before


@pytest.mark.parametrize("command", [clusters, path, lambda file: compress(file, unique=2)])
def test_tied_files_and_folders_are_no_dense_checkpoints(command, tied):
    with pytest.raises(FileFormatError, match="coset sharing expand"):
        command(tied)
    for folder in (Path(), tied.parent):
        with pytest.raises(FileFormatError):
            command(folder)


def test_a_tensor_without_weights_is_named_for_what_it_is(dense):
    with pytest.raises(DomainError, match=r"step in .* holds integers or fewer than two"):
        path(dense, tensor="step")


def test_arguments_of_save_tied_in_the_wrong_order_are_refused(tmp_path):
    with pytest.raises(DtypeError, match=r"write save_tied\(path, model"):
        save_tied({"w": torch.zeros(2)}, str(tmp_path / "x"))
    with pytest.raises(DtypeError, match="given Linear"):
        save_tied(tmp_path / "x", torch.nn.Linear(2, 2))
    assert not list(tmp_path.iterdir())


def test_a_file_that_grows_is_said_to_be_larger(tmp_path, capsys):
    file = tmp_path / "small.safetensors"
    name = "layers.0.attention.output.projection.weight"
    save_file({name: torch.randn(9, 9, generator=torch.Generator().manual_seed(0))}, file)
    assert compress(file, unique=4) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    grew = (tmp_path / "small.tied.safetensors").stat().st_size > file.stat().st_size
    assert last.startswith("larger than before") == grew
    assert grew
