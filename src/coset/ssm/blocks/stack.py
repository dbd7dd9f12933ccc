"""A residual network of published blocks that reads tokens, as AUSSM's experiments build it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.ssm.blocks.aussm import AUSSMBlock, SimpleAUSSMBlock
from coset.ssm.blocks.block import BlockState, RecurrentBlock
from coset.ssm.blocks.mamba import MambaBlock, NegativeMambaBlock
from coset.ssm.blocks.s4d import S4DBlock
from coset.ssm.layers import check_size
from coset.ssm.stack import check_states, safe_tokens, safe_words

__all__ = ["BLOCKS", "BlockStack"]

# The letters "a" and "m" are those of the AUSSM authors' layer strings; the others are ours.
BLOCKS: dict[str, Callable[..., RecurrentBlock]] = {
    "a": AUSSMBlock,
    "u": SimpleAUSSMBlock,
    "m": MambaBlock,
    "n": NegativeMambaBlock,
    "s": S4DBlock,
}


class BlockStack(nn.Module):
    """Embedding, residual blocks x + block(RMSNorm(x)), RMSNorm, linear head.

    Attributes:
        blocks: the blocks, bottom to top.
        letters: the classes of their recurrences, letters of "tprc".
        num_tokens: X.
        num_labels: n.

    Args:
        num_tokens: how many tokens there are.
        num_labels: how many labels the head tells apart.
        layout: one letter a block, separated by "|": a AUSSM, u Simple AUSSM, m Mamba, n Negative
            Mamba, s S4D.
        d_model: features.
        d_state: numbers a channel of each recurrence.

    Raises:
        ConfigError: if a size or the layout is impossible.

    Claims: ssm.C7.

    Example:
        >>> import torch
        >>> model = BlockStack(6, 6, "m|a", d_model=16, d_state=4)
        >>> model(torch.tensor([[0, 1, 5]])).shape, model.letters
        (torch.Size([1, 3, 6]), 'pc')
    """

    def __init__(
        self,
        num_tokens: int,
        num_labels: int,
        layout: str = "a",
        *,
        d_model: int = 64,
        d_state: int = 16,
    ) -> None:
        super().__init__()
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.num_labels = check_size("num_labels", num_labels)
        self.layout = "|".join(_parse(layout))
        self._arguments: dict[str, Any] = {
            "num_tokens": self.num_tokens,
            "num_labels": self.num_labels,
            "layout": self.layout,
            "d_model": check_size("d_model", d_model),
            "d_state": check_size("d_state", d_state),
        }
        self.embedding = nn.Embedding(num_tokens, d_model)
        self.blocks = nn.ModuleList(
            BLOCKS[letter](d_model, d_state=d_state) for letter in _parse(layout)
        )
        self.norms = nn.ModuleList(nn.RMSNorm(d_model, eps=1e-5) for _ in self.blocks)
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.head = nn.Linear(d_model, num_labels, bias=False)

    @property
    def letters(self) -> str:
        """The classes of the recurrences, bottom to top."""
        return "".join(block.letter for block, _ in self._blocks())

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the module again, as JSON values."""
        return dict(self._arguments)

    def _blocks(self) -> list[tuple[RecurrentBlock, nn.Module]]:
        pairs = zip(self.blocks, self.norms, strict=True)
        return [(block, norm) for block, norm in pairs if isinstance(block, RecurrentBlock)]

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
        return self._run(tokens)[0]

    def multipliers(self, tokens: Tensor) -> list[Tensor]:
        """Return what multiplied the state of each block at each token.

        Args:
            tokens: (…, T) int64.

        Returns:
            One (…, T, channels · d_state) a block, real or complex.
        """
        return self._run(tokens)[1]

    def _run(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.embedding(safe_words(tokens, self.num_tokens))
        multipliers = []
        for block, norm in self._blocks():
            y, a = block.forward_with_multipliers(norm(x))
            x = x + y
            multipliers.append(a)
        return self.head(self.norm(x)), multipliers

    def start_state(self, *batch: int) -> tuple[BlockState, ...]:
        """Return the state before the first token.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            The state of each block.
        """
        return tuple(block.start_state(*batch) for block, _ in self._blocks())

    def step(
        self, tokens: Tensor, state: Sequence[BlockState]
    ) -> tuple[Tensor, tuple[BlockState, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) int64.
            state: as `start_state` or `step` returned it.

        Returns:
            (…, num_labels) logits, and the state after the token.

        Raises:
            ShapeError: if there is not one state for each block.
            RangeError: if a token is out of range.
        """
        check_states(state, len(self.blocks))
        x = self.embedding(safe_tokens(tokens, self.num_tokens))
        after = []
        for (block, norm), before in zip(self._blocks(), state, strict=True):
            y, now = block.step(norm(x), before)
            x = x + y
            after.append(now)
        return self.head(self.norm(x)), tuple(after)

    def extra_repr(self) -> str:
        """Return what the stack reads and tells apart."""
        return f"num_tokens={self.num_tokens}, num_labels={self.num_labels}, layout={self.layout!r}"


def _parse(layout: str) -> list[str]:
    letters = layout.replace(" ", "").split("|") if isinstance(layout, str) else []
    if not letters or any(letter not in BLOCKS for letter in letters):
        raise ConfigError(
            f"layout must be letters of {''.join(BLOCKS)!r} separated by '|', such as 'a|m|a'; "
            f"given {layout!r}"
        )
    return letters
