"""A compiled automaton as a module: tokens in, states out, in integers or on the unit circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from coset.core.errors import DomainError, ShapeError, UnsupportedError
from coset.core.model_files import save_model
from coset.scan import scan
from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.transitions import check_words
from coset.ssm.phase_layer import check_tokens

if TYPE_CHECKING:
    from coset.ssm.automata.compiled import AutomatonCertificate, CompiledAutomaton

__all__ = ["AutomatonTracker"]

_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


class AutomatonTracker(nn.Module):
    """Diagonal layers with holds, turns and resets whose state names the automaton's state.

    Layer ℓ keeps h_j = exp(2πi·s_j/m_j). A token turns it, a_j = exp(2πi·Θ_j/m_j) and b_j = 0, or
    resets it, a_j = 0 and b_j = exp(2πi·v_j/m_j); which, a table tells by the token and by the
    phases of the layers below just before it.

    Args:
        moduli: of each layer's phases.
        shapes: [cells, tokens] of each layer's table.
        state_labels: of the automaton.
        token_labels: of the automaton.
        start: the state before the first token.
        accepting: the accepting states, or ``None``.
        name: of the automaton.
        mode: "int", exact for ever, or "complex", whose phases are read to the nearest root of
            unity: right until rounding has moved one by half a step, which only resets undo.
        dtype: "float32" or "float64", of the logits; complex64 or complex128 for the states.

    Raises:
        DomainError: if the mode is unknown.
        UnsupportedError: if the dtype is.

    Example:
        >>> module = Automaton.from_dfa([[0, 1], [1, 0]]).compile().to_module("complex")
        >>> module(torch.tensor([1, 1, 0])).argmax(-1)
        tensor([1, 0, 0])
    """

    def __init__(
        self,
        moduli: Sequence[Sequence[int]],
        shapes: Sequence[Sequence[int]],
        state_labels: Sequence[str],
        token_labels: Sequence[str],
        start: int = 0,
        accepting: Sequence[int] | None = None,
        name: str = "",
        mode: Literal["int", "complex"] = "int",
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        if mode not in ("int", "complex"):
            raise DomainError(f"mode must be 'int' or 'complex'; given {mode!r}")
        if dtype not in ("float32", "float64"):
            raise UnsupportedError(
                f"dtype must be float32 or float64; given {dtype}; nearest roots of unity need "
                f"the precision"
            )
        self.arguments: dict[str, Any] = {
            "moduli": [list(map(int, layer)) for layer in moduli],
            "shapes": [list(map(int, shape)) for shape in shapes],
            "state_labels": list(state_labels),
            "token_labels": list(token_labels),
            "start": int(start),
            "accepting": None if accepting is None else list(accepting),
            "name": name,
            "mode": mode,
            "dtype": dtype,
        }
        self.moduli = tuple(tuple(layer) for layer in self.arguments["moduli"])
        self.num_tokens, self.num_labels = len(token_labels), len(state_labels)
        self.mode, self.dtype = mode, getattr(torch, dtype)
        self._reserve()

    def _reserve(self) -> None:
        """Make room for the tables; `from_compiled` or a state dict fills it."""
        for layer, (cells, tokens) in enumerate(self.arguments["shapes"]):
            for table in ("increments", "resets"):
                empty = torch.zeros(cells, tokens, len(self.moduli[layer]), dtype=torch.int64)
                self.register_buffer(f"{table}_{layer}", empty)
        num_codes = math.prod(m for layer in self.moduli for m in layer)
        self.register_buffer("state_of_code", torch.zeros(num_codes, dtype=torch.int64))
        delta = torch.zeros(self.num_labels, self.num_tokens, dtype=torch.int64)
        self.register_buffer("delta", delta)

    @classmethod
    def from_compiled(
        cls,
        compiled: CompiledAutomaton,
        mode: Literal["int", "complex"] = "int",
        dtype: torch.dtype | None = None,
    ) -> AutomatonTracker:
        """Build the module of a compiled automaton; see `CompiledAutomaton.to_module`."""
        automaton, layers = compiled.automaton, compiled.cascade.layers
        module = cls(
            [layer.moduli for layer in layers],
            [layer.increments.shape[:2] for layer in layers],
            automaton.state_labels,
            automaton.token_labels,
            automaton.start,
            automaton.accepting,
            automaton.name,
            mode,
            str(dtype or torch.float32).removeprefix("torch."),
        )
        for place, layer in enumerate(layers):
            added, kept = module._tables(place)
            added.copy_(torch.tensor(layer.increments))
            kept.copy_(
                torch.tensor(layer.increments * 0 - 1 if layer.resets is None else layer.resets)
            )
        module.get_buffer("state_of_code").copy_(torch.tensor(compiled.states))
        module.get_buffer("delta").copy_(torch.tensor(automaton.delta))
        return module.eval()

    def save(self, path: Path | str) -> None:
        """Write a model file; the automaton and its names travel with it.

        Args:
            path: the file.

        Raises:
            StorageError: if it cannot be written.
        """
        save_model(self, path, name="ssm.AutomatonTracker", arguments=self.arguments)

    def automaton(self) -> Automaton:
        """Return the automaton that the module tracks.

        Returns:
            The automaton, with its names.
        """
        kept = self.arguments
        return Automaton.from_dfa(
            self.get_buffer("delta"),
            kept["start"],
            kept["accepting"],
            state_labels=kept["state_labels"],
            token_labels=kept["token_labels"],
            name=kept["name"],
        )

    def certificate(self) -> AutomatonCertificate:
        """Return the proof that the module's own tables track its automaton.

        It is a proof of integers; in mode "complex" the module follows them until rounding has
        moved a phase by half a step.

        Returns:
            The certificate; ``verify()`` checks all reachable (code, token) pairs.

        Claims: ssm.C9.
        """
        from coset.ssm.automata.compiled import AutomatonCertificate

        tables = [self._tables(place) for place in range(len(self.moduli))]
        return AutomatonCertificate(
            moduli=self.moduli,
            increments=tuple(added.cpu().clone() for added, _ in tables),
            resets=tuple(kept.cpu().clone() for _, kept in tables),
            delta=self.get_buffer("delta").cpu().clone(),
            states=self.get_buffer("state_of_code").cpu().clone(),
            start=self.arguments["start"],
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the state after each token: 1 for that state, 0 for the others.

        Args:
            tokens: (…, T) int64 in 0 … X − 1.

        Returns:
            (…, T, num_labels) of the module's dtype.

        Raises:
            RangeError: if a token is out of range.
        """
        return self._logits(self.track(tokens))

    def track(self, tokens: Tensor) -> Tensor:
        """Return the state after each token.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…, T) int64.

        Raises:
            RangeError: if a token is out of range.
        """
        return self._states_of(self._run(tokens, None)[0])

    def start_state(self, *batch: int) -> list[Tensor]:
        """Return the state before the first token.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            For each layer (*batch, r): phases as int64, or complex numbers.
        """
        device = self.get_buffer("delta").device
        zeros = [torch.zeros(*batch, len(m), dtype=torch.int64, device=device) for m in self.moduli]
        return [self._turned(z, m) for z, m in zip(zeros, self.moduli, strict=True)]

    def step(self, tokens: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Read one token each.

        Args:
            tokens: (B,) int64, or of any shape.
            state: what `start_state` or the last step returned.

        Returns:
            Logits (B, num_labels) and the new state.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if the tokens are not integers.
            ShapeError: if the state is not one of as many words.
        """
        tokens = check_tokens(tokens, self.num_tokens)
        given = [tuple(kept.shape) for kept in state]
        wanted = [(*tokens.shape, len(moduli)) for moduli in self.moduli]
        if given != wanted:
            raise ShapeError(
                f"the state must have the shapes {wanted}, as start_state{tuple(tokens.shape)} "
                f"has; given {given}"
            )
        codes, after = self._run(tokens[..., None], state)
        return self._logits(self._states_of(codes))[..., 0, :], after

    def extra_repr(self) -> str:
        """Return what the module tracks."""
        moduli = "".join(str(list(m)) for m in self.moduli) or "no layer"
        name = self.arguments["name"] or "automaton"
        sizes = f"{self.num_labels} states, {self.num_tokens} tokens"
        return f"{name}: {sizes}, {moduli}, mode={self.mode!r}"

    def _tables(self, layer: int) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"increments_{layer}"), self.get_buffer(f"resets_{layer}")

    def _logits(self, states: Tensor) -> Tensor:
        return nn.functional.one_hot(states, self.num_labels).to(self.dtype)

    def _states_of(self, codes: Tensor) -> Tensor:
        found = self.get_buffer("state_of_code")[codes]
        return found.clamp(min=0)  # −1: drifted off all words, and wrong whatever is said

    def _turned(self, phases: Tensor, moduli: Sequence[int]) -> Tensor:
        """Return phases as the layer keeps them: themselves, or roots of unity."""
        if self.mode == "int":
            return phases
        top = torch.tensor(moduli, dtype=self.dtype, device=phases.device)
        angles = phases.to(self.dtype) * (2 * math.pi) / top
        return torch.polar(torch.ones_like(angles), angles)

    def _phases(self, kept: Tensor, moduli: Sequence[int]) -> Tensor:
        """Return the phases that a layer's numbers are nearest to."""
        if self.mode == "int":
            return kept
        top = torch.tensor(moduli, dtype=torch.int64, device=kept.device)
        return (kept.angle() * top / (2 * math.pi)).round().long() % top

    def _run(self, tokens: Tensor, state: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """Return the code after each token, and each layer's last numbers."""
        tokens = check_words(tokens, self.num_tokens)
        state = self.start_state(*tokens.shape[:-1]) if state is None else state
        codes, cells, after = torch.zeros_like(tokens), torch.zeros_like(tokens), []
        for layer, moduli in enumerate(self.moduli):
            added, reset = (table[cells, tokens] for table in self._tables(layer))
            kept = self._advance(added, reset, state[layer], moduli)
            whole = torch.cat([state[layer][..., None, :], kept], -2)
            after.append(whole[..., -1, :])
            phases = self._phases(whole, moduli)
            for j, m in enumerate(moduli):
                codes = codes * m + phases[..., 1:, j]
                cells = cells * m + phases[..., :-1, j]
        return codes, after

    def _advance(
        self, added: Tensor, reset: Tensor, first: Tensor, moduli: Sequence[int]
    ) -> Tensor:
        """Return what a layer keeps after each token, (…, T, r)."""
        if self.mode == "int":
            return _turn_or_reset(added, reset, first, moduli)
        turns = reset < 0
        a = torch.where(turns, self._turned(added, moduli), 0)
        b = torch.where(turns, 0, self._turned(reset.clamp(min=0), moduli))
        return scan(a, b, first)


def _turn_or_reset(added: Tensor, reset: Tensor, first: Tensor, moduli: Sequence[int]) -> Tensor:
    """Return s_t = reset_t where that is ≥ 0, else s_{t−1} + added_t mod m, along dim −2."""
    top = torch.tensor(moduli, dtype=torch.int64, device=added.device)
    if not added.shape[-2]:
        return added
    total = added.cumsum(-2)
    times = torch.arange(added.shape[-2], device=added.device)[:, None].expand(reset.shape)
    last = torch.where(reset >= 0, times, -1).cummax(-2).values
    place = last.clamp(min=0)
    begun = reset.gather(-2, place) - total.gather(-2, place)
    return (total + torch.where(last >= 0, begun, first[..., None, :])) % top
