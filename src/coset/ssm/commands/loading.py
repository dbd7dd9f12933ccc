"""Open the model that a command is about."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coset.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["open_model"]


def open_model(file: Path, like: str | None) -> nn.Module:
    """Build the module of a model file.

    Args:
        file: safetensors, with coset's header or without.
        like: "package.module:factory" for a file without header; the user names code to run.

    Returns:
        The module, in evaluation mode.

    Raises:
        FileFormatError: if the file is no sound model file.
        ConfigError: if the factory cannot be found.
    """
    from coset.core.model_files import load_model

    return load_model(file, like=None if like is None else _factory(like))


def _factory(text: str) -> Callable[[], nn.Module]:
    module, _, name = text.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"--like must name a function as package.module:factory; given {text!r}: {error}"
        ) from error
    if not callable(found):
        raise ConfigError(f"--like must name a function without arguments; {text!r} is none")
    factory: Callable[[], nn.Module] = found
    return factory
