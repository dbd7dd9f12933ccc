"""Recurrent networks whose state feeds back through a matrix: what diagonal layers are held to."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.ssm.layers import check_size
from coset.ssm.stack import check_states, safe_tokens, safe_words

__all__ = ["RecurrentBaseline"]

Cell = Literal["rnn", "gru"]


class RecurrentBaseline(nn.Module):
    """Embedding, torch's tanh RNN or GRU, linear head.

    Attributes:
        num_tokens: X.
        num_labels: n.

    Args:
        num_tokens: how many tokens there are.
        num_labels: how many labels the head tells apart.
        cell: "rnn" (Elman, tanh) or "gru".
        hidden: numbers of the state.
        num_layers: recurrent layers.

    Raises:
        ConfigError: if a size or the cell is impossible.

    Example:
        >>> RecurrentBaseline(2, 2, hidden=8)(torch.tensor([[0, 1, 1]])).shape
        torch.Size([1, 3, 2])
    """

    def __init__(
        self,
        num_tokens: int,
        num_labels: int,
        *,
        cell: Cell = "rnn",
        hidden: int = 64,
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        if cell not in get_args(Cell):
            raise ConfigError(f"cell must be one of {get_args(Cell)}; given {cell!r}")
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.num_labels = check_size("num_labels", num_labels)
        self.hidden = check_size("hidden", hidden)
        self.num_layers = check_size("num_layers", num_layers)
        self.cell = cell
        self.embedding = nn.Embedding(self.num_tokens, self.hidden)
        kind = nn.RNN if cell == "rnn" else nn.GRU
        self.recurrence = kind(self.hidden, self.hidden, self.num_layers, batch_first=True)
        self.head = nn.Linear(self.hidden, self.num_labels)

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the module again, as JSON values."""
        return {
            "num_tokens": self.num_tokens,
            "num_labels": self.num_labels,
            "cell": self.cell,
            "hidden": self.hidden,
            "num_layers": self.num_layers,
        }

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits after each token.

        Args:
            tokens: (…, T) int64 in 0 … num_tokens − 1; T may be 0.

        Returns:
            (…, T, num_labels).

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if tokens are no integers.
            ShapeError: if they have no time.
        """
        tokens = safe_words(tokens, self.num_tokens)
        if tokens.numel() == 0:  # torch's cells refuse words without tokens
            return self.head.weight.new_zeros(*tokens.shape, self.num_labels)
        flat = tokens.reshape(-1, tokens.shape[-1])
        states, _ = self.recurrence(self.embedding(flat))
        logits: Tensor = self.head(states)
        return logits.reshape(*tokens.shape, self.num_labels)

    def start_state(self, *batch: int) -> tuple[Tensor, ...]:
        """Return the state before the first token: zeros.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            One (*batch, hidden) a layer.
        """
        zeros = self.head.weight.new_zeros(*batch, self.hidden)
        return (zeros,) * self.num_layers

    def step(self, tokens: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) int64.
            state: as `start_state` or `step` returned it.

        Returns:
            (…, num_labels) logits, and the state after the token.

        Raises:
            ShapeError: if there is not one state for each layer.
            RangeError: if a token is out of range.
        """
        check_states(state, self.num_layers)
        tokens = safe_tokens(tokens, self.num_tokens)
        before = [layer.reshape(1, -1, self.hidden) for layer in state]
        _, after = self.recurrence(self.embedding(tokens.reshape(-1, 1)), torch.cat(before))
        logits: Tensor = self.head(after[-1]).reshape(*tokens.shape, self.num_labels)
        return logits, tuple(layer.reshape(*tokens.shape, self.hidden) for layer in after)

    def extra_repr(self) -> str:
        """Return the arguments that build the module again."""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
