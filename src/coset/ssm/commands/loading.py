"""Open the model that a command is about."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from coset.core.errors import ConfigError, CosetError, DomainError, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from coset.groups import Group

__all__ = ["check_reads_tokens", "check_tracks", "open_model"]


def open_model(file: Path, like: str | None) -> nn.Module:
    """Build the module of a model file.

    Args:
        file: safetensors, with coset's header or without.
        like: "package.module:factory" for a file without header; the user names code to run.

    Returns:
        The module, in evaluation mode.

    Raises:
        FileFormatError: if the file is no sound model file.
        ConfigError: if the factory cannot be found, fails, or returns no module.
    """
    from coset.core.model_files import load_model

    return load_model(file, like=None if like is None else _built(like))


def _built(text: str) -> Callable[[], nn.Module]:
    """Return a factory that calls the one named, and says so if that gives no module."""
    from torch import nn

    factory = _factory(text)

    def build() -> nn.Module:
        try:
            model = factory()
        except CosetError:
            raise
        except Exception as error:  # the user's own code may fail in any way
            raise ConfigError(
                f"--like must name a function without arguments that returns the model; "
                f"{text!r} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise ConfigError(
                f"--like must name a function that returns a torch module; {text!r} returned "
                f"{type(model).__name__}"
            )
        return model

    return build


def check_reads_tokens(model: nn.Module, file: Path) -> None:
    """Refuse a model of something else than sequences of tokens.

    Args:
        model: what `open_model` returned.
        file: its file, for the message.

    Raises:
        UnsupportedError: if it has no ``num_tokens``.
    """
    if not hasattr(model, "num_tokens"):
        raise UnsupportedError(
            f"the model must read tokens (num_tokens); {file} holds a {type(model).__name__}, "
            f"which does not; give a model of coset.ssm, or one with num_tokens by --like"
        )


def check_tracks(model: nn.Module, group: Group, file: Path, alphabet: str | None) -> None:
    """Say where the group asked for cannot be the one that a file's tokens mean.

    Args:
        model: has ``num_tokens``.
        group: the group asked for.
        file: the model's file, for the message.
        alphabet: what --alphabet says.

    Raises:
        DomainError: if the tokens are as many as neither its elements nor its generators.
    """
    num_tokens = int(model.num_tokens)  # type: ignore[arg-type]
    own, counts = getattr(model, "group", None), {"all": group.order}
    counts["generators"] = max(1, len(group.generators))
    own_name = own if isinstance(own, str) else getattr(own, "name", None)
    if own_name == group.name and alphabet is None:
        return
    if num_tokens in (counts.values() if alphabet is None else (counts[alphabet],)):
        return
    hint = (
        "" if own_name in (None, group.name) else f"; {file} tracks {own_name}: --group {own_name}"
    )
    raise DomainError(
        f"a model of {group.name} must read {group.order} tokens (--alphabet all, its elements) or "
        f"{counts['generators']} (--alphabet generators); this one reads {num_tokens}{hint}"
    )


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
