"""An automaton compiled into exact diagonal layers, with a proof that anyone can check again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import CosetError, DomainError, DtypeError, RangeError
from coset.core.results import Certificate
from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.holonomy import decompose
from coset.ssm.automata.transitions import check_delta, check_state, check_words
from coset.ssm.automata.verdict import AutomatonVerdict
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import first_failure
from coset.ssm.errors import NotSolvableError
from coset.ssm.phase_layer import PhaseLayer, check_tokens

if TYPE_CHECKING:
    from coset.ssm.automata.module import AutomatonTracker

__all__ = ["AutomatonCertificate", "CompiledAutomaton", "compile_automaton"]


@dataclass(frozen=True)
class AutomatonCertificate(Certificate):
    """Phases, what they stand for, and δ: enough to check every step that a word can make.

    Attributes:
        moduli: of each layer's phases.
        increments: (C, X, r) int64 of each layer.
        resets: (C, X, r) int64 of each layer; empty where the layer resets nothing.
        delta: (n, X) int64.
        states: (num_codes,) int64: the state of each code.
        start: the automaton's first state.
    """

    moduli: tuple[tuple[int, ...], ...]
    increments: tuple[Tensor, ...] = field(repr=False)
    resets: tuple[Tensor, ...] = field(repr=False)
    delta: Tensor = field(repr=False)
    states: Tensor = field(repr=False)
    start: int

    def verify(self) -> bool:
        """Check every step: the phases must move as δ moves the states that they stand for.

        Returns:
            Whether code 0 stands for the start, and each token leads each code that stands for a
            state to a code that stands for the next. By induction the phases are then right after
            every word.
        """
        return self.failure() is None

    def failure(self) -> str | None:
        """Say what is wrong first, or return ``None``.

        Returns:
            A sentence that names code, token and states, or why nothing can be checked.
        """
        states = self.states.numpy()
        try:
            delta = check_delta(self.delta.numpy())
            check_state(self.start, len(delta), "start")
            cascade = self._cascade()
        except (CosetError, ValueError) as error:
            return f"the tables are malformed: {error}"
        if states.dtype.kind != "i":
            return f"states must be integers; given {states.dtype}"
        if states.shape != (cascade.num_codes,):
            return f"{cascade.num_codes} codes need as many states; given shape {states.shape}"
        if not -1 <= states.min() <= states.max() < len(delta):
            return f"states must lie in −1 … {len(delta) - 1}"
        found = first_failure(cascade, states, delta, self.start)
        if found is None:
            return None
        if found["token"] < 0:
            return f"code 0 stands for state {found['found']}; the start is {self.start}"
        return (
            f"at code {found['code']}, state {states[found['code']]}, token {found['token']} leads "
            f"to state {found['found']} instead of {found['expected']}"
        )

    @property
    def num_pairs(self) -> int:
        """How many pairs of a code that stands for a state and a token `verify` looks at."""
        return int((self.states >= 0).sum()) * int(self.delta.shape[1])

    def _cascade(self) -> Cascade:
        layers = (
            PhaseLayer(m, added.numpy(), reset.numpy() if reset.numel() else None)
            for m, added, reset in zip(self.moduli, self.increments, self.resets, strict=True)
        )
        return Cascade(tuple(layers), int(self.delta.shape[1]))

    def explain(self) -> str:
        """Say in words what it proves, or why it proves nothing.

        Returns:
            One or two sentences.
        """
        failure = self.failure()
        if failure is not None:
            return f"nothing is proved: {failure}"
        return (
            f"{self.num_pairs:,} pairs of a code and a token: each step of the phases is the step "
            f"of the automaton. By induction on the length of the word the "
            f"phases stand for the right state after every word of every length."
        )


@dataclass(frozen=True, eq=False)
class CompiledAutomaton:
    """Diagonal layers on finite phases that track an automaton exactly at every length.

    Attributes:
        automaton: the automaton.
        cascade: its layers; the state of all phases is one number, the code.
        states: (num_codes,) int64: the state that each code stands for, −1 where no word leads.
        verdict: its groups and the bounds on its depth.

    Example:
        >>> lift = Automaton.from_dfa([[1, 0], [2, 0], [2, 1]])  # up, down; stops at both ends
        >>> compiled = lift.compile()
        >>> compiled.track(torch.tensor([0, 0, 0, 1, 1, 1])).tolist()
        [1, 2, 2, 1, 0, 0]
        >>> compiled.letters, compiled.certificate().verify()
        ('pp', True)
    """

    automaton: Automaton
    cascade: Cascade
    states: np.ndarray
    verdict: AutomatonVerdict

    def __repr__(self) -> str:
        moduli = "".join(str(list(layer.moduli)) for layer in self.cascade.layers) or "no layer"
        return f"CompiledAutomaton({self.automaton}, {moduli})"

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return len(self.cascade.layers)

    @property
    def letters(self) -> str:
        """The class of each layer, bottom to top, by what tokens do to its phases.

        p (a ∈ {0, 1}: hold or set; Mamba's 0 < a < 1 only comes near), r (a ∈ {−1, 0, 1}), or c
        (|a| = 1 or a = 0).
        """
        return "".join(_letter(layer) for layer in self.cascade.layers)

    @property
    def start(self) -> int:
        """The code before the first token."""
        return 0

    def certificate(self) -> AutomatonCertificate:
        """Return the data that proves it right, to be stored or checked with `verify`.

        Returns:
            The certificate.

        Claims: ssm.C9.
        """
        none = torch.empty(0, dtype=torch.int64)
        layers = self.cascade.layers
        return AutomatonCertificate(
            moduli=tuple(layer.moduli for layer in layers),
            increments=tuple(torch.tensor(layer.increments) for layer in layers),
            resets=tuple(
                none if layer.resets is None else torch.tensor(layer.resets) for layer in layers
            ),
            delta=torch.tensor(self.automaton.delta),
            states=torch.tensor(self.states),
            start=self.automaton.start,
        )

    def track(self, tokens: Tensor) -> Tensor:
        """Return the automaton's state after each token, from the phases alone.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…, T) int64; empty for T = 0.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if the tokens are not integers.
        """
        return self.state_of(self.cascade.run(tokens))

    def accepts(self, tokens: Tensor) -> Tensor:
        """Tell which words the automaton accepts.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…) bool.

        Raises:
            DomainError: if the automaton has no accepting states.
            RangeError: if a token is out of range.
            DtypeError: if the tokens are not integers.
            ShapeError: if they have no time dimension.
        """
        accepting = self.automaton.accepting
        if accepting is None:
            raise DomainError("words are accepted by accepting states; this automaton has none")
        tokens = check_words(tokens, self.cascade.num_tokens)
        if tokens.shape[-1]:
            last = self.track(tokens)[..., -1]
        else:
            last = torch.full(tokens.shape[:-1], self.automaton.start, device=tokens.device)
        return torch.isin(last, torch.tensor(accepting, dtype=torch.int64, device=tokens.device))

    def step(self, codes: Tensor, tokens: Tensor) -> Tensor:
        """Return the codes after one token each.

        Args:
            codes: (…) int64; before the first token `start`.
            tokens: (…) int64.

        Returns:
            (…) int64; `state_of` tells the states.

        Raises:
            RangeError: if a code or a token is out of range.
            DtypeError: if they are not integers.
        """
        tokens = check_tokens(tokens, self.cascade.num_tokens)
        return self.cascade.run(tokens[..., None], codes)[..., 0]

    def state_of(self, codes: Tensor) -> Tensor:
        """Return the states that codes stand for.

        Args:
            codes: (…) int64 in 0 … num_codes − 1.

        Returns:
            (…) int64; −1 for a code that no word reaches.

        Raises:
            RangeError: if a code is out of range.
            DtypeError: if they are not an integer tensor.
        """
        if not isinstance(codes, Tensor) or codes.is_floating_point() or codes.dtype == torch.bool:
            raise DtypeError(f"codes must be an integer tensor; given {codes!r:.100}")
        codes = codes.long()
        top = len(self.states)
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < top:
            raise RangeError(
                f"codes must lie in 0 … {top - 1}; given {int(codes.min())} … {int(codes.max())}"
            )
        states: Tensor = torch.tensor(self.states).to(codes.device)[codes]
        return states

    def to_module(
        self, mode: Literal["int", "complex"] = "int", dtype: torch.dtype | None = None
    ) -> AutomatonTracker:
        """Return the layers as a module that reads tokens.

        Args:
            mode: "int" for exact phases; "complex" for h ← a∘h + b with |a| = 1 or a = 0.
            dtype: of the logits: float32 (and complex64 states) or float64.

        Returns:
            The module.

        Raises:
            DomainError: if the mode is unknown.
            UnsupportedError: if the dtype is.
        """
        from coset.ssm.automata.module import AutomatonTracker

        return AutomatonTracker.from_compiled(self, mode, dtype)


def _letter(layer: PhaseLayer) -> str:
    turns = layer.increments if layer.resets is None else layer.increments * (layer.resets < 0)
    if not turns.any():
        return "p"
    return "c" if (2 * turns % np.array(layer.moduli)).any() else "r"


def compile_automaton(automaton: Automaton) -> CompiledAutomaton:
    """Compile an automaton into diagonal layers by the holonomy decomposition.

    Args:
        automaton: any; states that no word reaches get no code.

    Returns:
        The compiled automaton.

    Raises:
        NotSolvableError: if a group in its transition monoid is not solvable: no depth suffices.
        UnsupportedError: if words have more than 4,096 images or reach more states, or a table
            would be too large.

    Claims: ssm.C9.

    Example:
        >>> compile_automaton(Automaton.from_dfa([[0, 1], [1, 0]])).cascade.moduli
        (2,)
    """
    verdict = automaton.verdict()
    if not verdict:
        residual_order = next(g.orders[-1] for g in verdict.groups if not g.is_solvable)
        error = NotSolvableError(
            f"an automaton must have only solvable groups to be tracked by diagonal layers; "
            f"{verdict.reason}; use a layer that is not diagonal",
            residual=(),
        )
        error.residual_order = residual_order
        raise error
    part = automaton.trim()
    cascade, states = decompose(part.delta, part.start)
    states = np.where(states >= 0, automaton.reachable[states], -1)
    states.setflags(write=False)
    return CompiledAutomaton(automaton, cascade, states, verdict)
