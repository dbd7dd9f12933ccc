"""A stack of diagonal layers, each gated by the token and the current states of those below."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError, RangeError, ShapeError
from coset.ssm.cascade import check_tokens
from coset.ssm.layers import DiagonalSSM, Kind, Start, check_size, real_features

__all__ = ["SSMStack", "check_states", "parse_kinds", "safe_tokens", "safe_words"]

_KIND_OF_LETTER: dict[str, Kind] = {"t": "lti", "p": "nonneg", "r": "signed", "c": "unitary"}


def parse_kinds(kinds: str | Sequence[str]) -> tuple[Kind, ...]:
    """Return the kinds of layers, bottom to top.

    Args:
        kinds: a sequence of kinds; or one kind; or a string of letters of "tprc", which stand for
            lti, nonneg, signed, unitary.

    Returns:
        The kinds, at least one.

    Raises:
        ConfigError: if there is none or one is unknown.

    Example:
        >>> parse_kinds("rc")
        ('signed', 'unitary')
        >>> parse_kinds(["lti", "nonneg"])
        ('lti', 'nonneg')
    """
    if isinstance(kinds, str):
        names = [kinds] if kinds in get_args(Kind) else [_KIND_OF_LETTER.get(k, k) for k in kinds]
    else:
        names = list(kinds) if isinstance(kinds, Sequence) else []
    if not names or any(name not in get_args(Kind) for name in names):
        raise ConfigError(
            f"kinds must be one or more of {get_args(Kind)}, or letters of 'tprc'; given {kinds!r}"
        )
    return tuple(names)  # type: ignore[arg-type]


def safe_tokens(tokens: Tensor, num_tokens: int) -> Tensor:
    """Return the tokens as int64 after `check_tokens`, which a traced graph leaves out.

    Args:
        tokens: (…) integers.
        num_tokens: X.

    Returns:
        (…) int64.
    """
    if torch.compiler.is_compiling():  # the check reads values, which would break the graph
        return tokens.long()
    return check_tokens(tokens, num_tokens)


def safe_words(tokens: Tensor, num_tokens: int) -> Tensor:
    """Return words as int64 after `safe_tokens`.

    Args:
        tokens: (…, T) integers.
        num_tokens: X.

    Returns:
        (…, T) int64.

    Raises:
        ShapeError: if they have no time.
    """
    tokens = safe_tokens(tokens, num_tokens)
    if tokens.ndim < 1:
        raise ShapeError("tokens must have shape (…, T); given a single number")
    return tokens


def check_states(state: Sequence[object], num_layers: int) -> None:
    """Refuse a state that has not one part for each layer.

    Args:
        state: as `start_state` or `step` returned it.
        num_layers: how many parts it must have.

    Raises:
        ShapeError: if it has another number of them.
    """
    if len(state) != num_layers:
        raise ShapeError(
            f"state must hold one state for each of {num_layers} layers, as start_state and step "
            f"return it; given {len(state)}"
        )


class SSMStack(nn.Module):
    """A stack of diagonal layers that reads tokens: a k-layer DCD network [diagonal-ssm].

    Layer ℓ has the state h^ℓ_t = a_ℓ(z) ∘ h^ℓ_{t−1} + b_ℓ(z), where z holds the embedded token x_t
    and the current states h^1_t, …, h^{ℓ−1}_t; the decoder reads z of all layers. This is the
    network of the theorems, without the parts that published blocks add (see `coset.ssm.blocks`).

    Attributes:
        layers: the layers, bottom to top.
        letters: their classes, a string of letters of "tprc".
        num_tokens: X.
        num_labels: n.

    Args:
        num_tokens: how many tokens there are.
        num_labels: how many labels the decoder tells apart.
        kinds: the kinds of the layers, as `parse_kinds` takes them.
        d_state: numbers of each layer's state.
        gate_width: hidden units of each gate; 0 makes gates linear.
        decoder_width: hidden units of the decoder; 0 makes it linear.
        input_term: whether layers have a b.
        start: the state before the first token, as in `DiagonalSSM`.
        see_tokens: whether layers above the first see the token, too.
        embedding_width: features of an embedded token.

    Raises:
        ConfigError: if a size or a kind is impossible.

    Claims: ssm.C2, ssm.C5, ssm.C6.

    Example:
        >>> model = SSMStack(2, 2, "cc", d_state=4)
        >>> model(torch.tensor([[0, 1, 1]])).shape, model.letters
        (torch.Size([1, 3, 2]), 'cc')
    """

    def __init__(
        self,
        num_tokens: int,
        num_labels: int,
        kinds: str | Sequence[str] = "c",
        *,
        d_state: int = 16,
        gate_width: int = 64,
        decoder_width: int = 64,
        input_term: bool = True,
        start: Start | None = None,
        see_tokens: bool = True,
        embedding_width: int = 16,
    ) -> None:
        super().__init__()
        self.num_tokens = check_size("num_tokens", num_tokens)
        self.num_labels = check_size("num_labels", num_labels)
        self.kinds = parse_kinds(kinds)
        self.see_tokens = bool(see_tokens)
        self._arguments: dict[str, Any] = {
            "num_tokens": self.num_tokens,
            "num_labels": self.num_labels,
            "kinds": list(self.kinds),
            "d_state": check_size("d_state", d_state),
            "gate_width": check_size("gate_width", gate_width, 0),
            "decoder_width": check_size("decoder_width", decoder_width, 0),
            "input_term": bool(input_term),
            "start": start,
            "see_tokens": self.see_tokens,
            "embedding_width": check_size("embedding_width", embedding_width),
        }
        self.embedding = nn.Embedding(num_tokens, embedding_width)
        layers: list[DiagonalSSM] = []
        below = 0  # real features of all states below
        for kind in self.kinds:
            d_in = below + (embedding_width if self.see_tokens or not layers else 0)
            layer = DiagonalSSM(
                d_in,
                d_state,
                kind=kind,
                input_term=input_term,
                start=start,
                gate_width=gate_width,
            )
            layers.append(layer)
            below += d_state * (2 if layer.is_complex else 1)
        self.layers = nn.ModuleList(layers)
        self.decoder = _decoder(below + embedding_width, decoder_width, num_labels)

    @property
    def letters(self) -> str:
        """The classes of the layers, bottom to top."""
        return "".join(layer.letter for layer in self._layers())

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the module again, as JSON values."""
        return dict(self._arguments)

    def _layers(self) -> list[DiagonalSSM]:
        return [layer for layer in self.layers if isinstance(layer, DiagonalSSM)]

    def layer_transition(
        self, index: int, lower: Sequence[Tensor], tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a and b of one layer.

        Args:
            index: which layer, 0 the lowest.
            lower: the current states of the layers below, each (…, d_state).
            tokens: (…) int64.

        Returns:
            a and b, both (…, d_state), complex where the layer is.

        Raises:
            RangeError: if there is no such layer or token.
            ShapeError: if there is not one state for each layer below.
        """
        layers = self._layers()
        if not 0 <= index < len(layers):
            raise RangeError(f"index must lie in 0 … {len(layers) - 1}; given {index}")
        if len(lower) != index:
            raise ShapeError(
                f"lower must hold the states of the {index} layers below; given {len(lower)}"
            )
        tokens = safe_tokens(tokens, self.num_tokens)
        if index == 0 and tokens.numel() >= self.num_tokens:
            # The token is all that it sees: one row a token, then a gather.
            table = layers[0].transition(self.embedding.weight)
            a, b = (_rows(t, tokens) for t in table)
            return a, b
        parts = [self._features(state) for state in lower]
        if self.see_tokens:
            parts.insert(0, self.embedding(tokens))
        return layers[index].transition(torch.cat(parts, -1))

    def _features(self, state: Tensor) -> Tensor:
        return real_features(state).to(self.embedding.weight.dtype)

    def _decode(self, states: Sequence[Tensor], tokens: Tensor) -> Tensor:
        features = [self.embedding(tokens), *map(self._features, states)]
        logits: Tensor = self.decoder(torch.cat(features, -1))
        return logits

    def states(self, tokens: Tensor) -> list[Tensor]:
        """Return the states of all layers after each token.

        Args:
            tokens: (…, T) int64; T may be 0.

        Returns:
            One (…, T, d_state) a layer, bottom to top.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if tokens are no integers.
            ShapeError: if they have no time.
        """
        tokens = safe_words(tokens, self.num_tokens)
        states: list[Tensor] = []
        for index, layer in enumerate(self._layers()):
            states.append(layer.run(*self.layer_transition(index, states, tokens)))
        return states

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits after each token.

        Args:
            tokens: (…, T) int64 in 0 … num_tokens − 1; T may be 0.

        Returns:
            (…, T, num_labels).

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if tokens are no integers.
        """
        return self._decode(self.states(tokens), tokens.long())

    def start_state(self, *batch: int) -> tuple[Tensor, ...]:
        """Return the state before the first token.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            One (*batch, d_state) a layer.
        """
        return tuple(layer.start_state(*batch) for layer in self._layers())

    def step(self, tokens: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) int64.
            state: one (…, d_state) a layer, as `start_state` or `step` returned it.

        Returns:
            (…, num_labels) logits, and the state after the token.

        Raises:
            ShapeError: if there is not one state for each layer.
            RangeError: if a token is out of range.
        """
        check_states(state, len(self.layers))
        after: list[Tensor] = []
        for index, before in enumerate(state):
            a, b = self.layer_transition(index, after, tokens)
            after.append(a * before + b)
        return self._decode(after, tokens.long()), tuple(after)

    def extra_repr(self) -> str:
        """Return what the stack reads and tells apart."""
        return f"num_tokens={self.num_tokens}, num_labels={self.num_labels}, kinds={self.kinds}"


def _decoder(d_in: int, width: int, d_out: int) -> nn.Module:
    sizes = [d_in, width, d_out] if width else [d_in, d_out]
    parts: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        parts += [nn.ReLU()] * bool(parts) + [nn.Linear(a, b)]
    return nn.Sequential(*parts)


def _rows(table: Tensor, tokens: Tensor) -> Tensor:
    """Return rows of a table; the gradient of an embedding is faster than that of indexing."""
    if not table.is_complex():
        return nn.functional.embedding(tokens, table)
    real = torch.view_as_real(table.resolve_conj())
    rows = nn.functional.embedding(tokens, real.flatten(-2))
    return torch.view_as_complex(rows.reshape(*tokens.shape, *real.shape[-2:]))
