"""Harden a trained model: snap its phases to roots of unity and prove the result exact.

Layer by layer, bottom to top (A5): put the exact lower states into the gates, read the multipliers
a, round each to the nearest root of unity of a small order, keep the coordinates that tell values
apart, and check the integer cascade that results on all (state, token) pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, NotConvergedError, UnsupportedError
from coset.groups import Group
from coset.ssm.alphabet import Alphabet, as_group, resolve_alphabet
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import TrackerCertificate
from coset.ssm.phase_layer import PhaseLayer
from coset.ssm.phasor_modules import ComplexTracker, RealTracker
from coset.ssm.snapping import (
    LayerReading,
    SnappedPhase,
    choose_phases,
    clean_states,
    conditional_entropy,
    drop_reasons,
    read_layer,
)
from coset.ssm.tracker import CompiledTracker
from coset.ssm.witness.exact import with_common_end
from coset.ssm.witness.finite import trace_labels
from coset.ssm.witness.result import TrackingWitness
from coset.ssm.witness.task import TrackingTask, default_alphabet, own_alphabet, random_source

if TYPE_CHECKING:
    from coset.ssm.tracker_module import Tracker

__all__ = ["HardenedLayer", "HardenedTracker", "harden"]

_NUM_WORDS, _LENGTH = 512, 64
_SOLVED = 0.02  # nats of H(value | state) that count as none


@dataclass(frozen=True, eq=False)
class HardenedLayer:
    """What became of one layer.

    Attributes:
        index: which layer, 0 the lowest.
        coordinates: those of its state that were kept.
        moduli: the modulus of each.
        residual: largest distance of a kept phase from its root of unity, in steps 2π/m: 0 is
            exact, 0.5 is no information.
        radius_error: largest ||a| − 1| of the kept ones.
        before: (cells, X, r) complex128, the multipliers as they were.
        after: the same, as roots of unity.
    """

    index: int
    coordinates: tuple[int, ...]
    moduli: tuple[int, ...]
    residual: float
    radius_error: float
    before: Tensor = field(repr=False)
    after: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class HardenedTracker:
    """An integer cascade read off a trained model, and whether it is exact.

    Attributes:
        group: the group.
        alphabet: (X,) the element of each token.
        cascade: the layers that were kept.
        layers: what became of each layer of the model.
        entropy: H(value | state) in nats on random words: 0 if the cascade tells all values apart.
        tracker: the compiled tracker, or ``None`` if it is not exact.
        conflict: two words of different value that end in one state of the cascade, if it is not
            exact; the model itself may tell them apart.
        dropped: for each layer that was read, why coordinates were not kept.
    """

    group: Group
    alphabet: np.ndarray = field(repr=False)
    cascade: Cascade = field(repr=False)
    layers: tuple[HardenedLayer, ...]
    entropy: float
    tracker: CompiledTracker | None
    conflict: TrackingWitness | None
    dropped: tuple[str, ...] = field(default=(), repr=False)

    @property
    def certified(self) -> bool:
        """Whether every (state, token) pair was checked and is right: exact at every length."""
        return self.tracker is not None

    @property
    def residual(self) -> float:
        """The largest residual of all layers, in steps; 0 if nothing was kept."""
        return max((layer.residual for layer in self.layers), default=0.0)

    def certificate(self) -> TrackerCertificate:
        """Return the proof.

        Returns:
            A certificate; ``verify()`` checks all pairs.

        Raises:
            NotConvergedError: if the cascade is not exact.
        """
        return self._tracker().certificate()

    def track(self, tokens: Tensor) -> Tensor:
        """Return the product so far after each token.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…, T) int64 element ids.

        Raises:
            NotConvergedError: if the cascade is not exact.
        """
        return self._tracker().track(tokens)

    def to_module(self, mode: str = "int", dtype: torch.dtype | None = None) -> Tracker:
        """Return the exact tracker as a module.

        Args:
            mode: as in `CompiledTracker.to_module`.
            dtype: as there.

        Returns:
            The module.

        Raises:
            NotConvergedError: if the cascade is not exact.
        """
        return self._tracker().to_module(mode, dtype)

    def save(self, path: Path | str, mode: str = "int") -> None:
        """Write the exact tracker as a model file.

        Args:
            path: the file.
            mode: as in `CompiledTracker.to_module`.

        Raises:
            NotConvergedError: if the cascade is not exact.
        """
        self._tracker().save(path, mode)

    def explain(self) -> str:
        """Say what was kept and whether it is exact.

        Returns:
            A short text.
        """
        kept = "".join(str(list(layer.moduli)) for layer in self.layers) or "nothing"
        if self.tracker is not None:
            pairs = self.tracker.num_elements * self.tracker.num_tokens
            return (
                f"kept {kept}, phases at most {self.residual:.3g} of a step off: exact on all "
                f"{pairs:,} (value, token) pairs, so at every length"
            )
        why = "".join(f"; {reason}" for reason in self.dropped)
        return (
            f"kept {kept}, which leaves {self.entropy:.3g} nat of the value open{why}"
            f"{self._conflict_text()}"
        )

    def _conflict_text(self) -> str:
        if self.conflict is None:
            return ""
        (u, w), values = self.conflict.words, self.conflict.values
        first, second = (self.group.labels[value] for value in values)
        return (
            f". After u = {u} and w = {w}, of values {first} and {second}, the hardened cascade "
            f"(not the model) is in the same state"
        )

    def _tracker(self) -> CompiledTracker:
        if self.tracker is None:
            raise NotConvergedError(
                f"a hardened model must be exact on all pairs to be used; {self.explain()}; train "
                f"longer, start elsewhere, or give other moduli"
            )
        return self.tracker


def harden(
    model: Any,
    group: Group | str,
    *,
    moduli: Sequence[int] | None = None,
    alphabet: Alphabet = None,
    max_residual: float = 0.4,
    generator: torch.Generator | None = None,
) -> HardenedTracker:
    """Snap a trained model's phases to roots of unity, and prove or refute that it is then exact.

    An order m fits a coordinate if all its phases lie within `max_residual` steps of 2π/m. Fits are
    kept while they lower H(value | state) by more than 0.3 nat, the largest gain first, then the
    smallest m. The group is used to choose and to certify, not to change any phase.

    Args:
        model: a module with ``num_tokens``, ``layer_transition(index, lower, tokens)`` and
            ``start_state(batch)``: `SSMStack`, or a tracker's "complex", "real" or "mlp" module.
        group: the group or its name.
        moduli: orders of roots of unity to try; by default the divisors of the group's exponent.
        alphabet: the element of each token; by default that of the model, or all elements, or the
            generators, whichever has as many as the model has tokens.
        max_residual: in steps, in (0, 0.5).
        generator: source of the random words that choose coordinates; seed 0 if ``None``.

    Returns:
        The tracker; ``certified`` says whether it is exact. If not, ``conflict`` shows two words.

    Raises:
        UnsupportedError: if the model does not show its transitions.
        DomainError: if moduli, residual or alphabet are impossible.
        DtypeError: if the generator is none.

    Claims: ssm.C7, ssm.C7b, ssm.C8.

    Example:
        >>> from coset.ssm.compile import compile_group
        >>> hard = harden(compile_group("S3").to_module("mlp"), "S3")
        >>> hard.certified, [layer.moduli for layer in hard.layers]
        (True, [(2,), (3,)])
    """
    group = as_group(group)
    orders = _orders(group, moduli)
    if not isinstance(max_residual, Real) or not 0 < max_residual < 0.5:
        raise DomainError(f"max_residual must be a number in (0, 0.5); given {max_residual!r}")
    source = random_source(generator)
    letters = _letters(model, group, alphabet)
    if isinstance(model, RealTracker):
        model = _as_complex(model)
    words = torch.randint(len(letters), (_NUM_WORDS, _LENGTH), generator=source)
    values = group.prefix_products(words, alphabet=letters)
    cascade = Cascade((), len(letters))
    states: list[np.ndarray] = []
    reports: list[HardenedLayer] = []
    dropped: list[str] = []
    entropy = conditional_entropy(np.zeros(values.numel(), np.int64), values.numpy().reshape(-1))
    starts = list(model.start_state(1))
    for index, start in enumerate(starts):
        reading = read_layer(model, index, cascade, states, start, orders, max_residual)
        chosen, entropy = choose_phases(reading, cascade, words, values)
        states, cascade = _extend(cascade, states, reading, chosen)
        if chosen:
            reports.append(_report(index, reading, chosen))
        why = drop_reasons(reading, chosen, orders, max_residual)
        dropped += [f"layer {index + 1}, {reason}" for reason in why]
        if entropy < _SOLVED:
            break
    tracker, conflict = _certify(group, letters, cascade)
    return HardenedTracker(
        group, letters, cascade, tuple(reports), entropy, tracker, conflict, tuple(dropped)
    )


def _as_complex(model: RealTracker) -> ComplexTracker:
    """Return the same layers with complex states; both forms are made of the same tensors."""
    dtype = "complex128" if model.points.dtype == torch.float64 else "complex64"
    found = ComplexTracker(**{**model.arguments, "dtype": dtype})
    found.load_state_dict(model.state_dict())
    return found.to(model.points.device)


def _orders(group: Group, moduli: Sequence[int] | None) -> tuple[int, ...]:
    if moduli is None:
        exponent = int(group.exponent)
        return tuple(m for m in range(2, exponent + 1) if exponent % m == 0)
    listed = tuple(moduli) if isinstance(moduli, Iterable) else ()
    whole = all(isinstance(m, Integral) for m in listed)
    found = tuple(sorted({int(m) for m in listed})) if whole else ()
    if not found or found[0] < 2:
        raise DomainError(f"moduli must be a sequence of integers ≥ 2; given {moduli!r:.100}")
    return found


def _letters(model: Any, group: Group, alphabet: Alphabet) -> np.ndarray:
    wanted = ("num_tokens", "layer_transition", "start_state")
    if not all(hasattr(model, name) for name in wanted):
        raise UnsupportedError(
            f"harden needs a model with {', '.join(wanted)}; {type(model).__name__} lacks them; "
            f"use SSMStack, or a compiled tracker's 'complex', 'real' or 'mlp' module"
        )
    given = own_alphabet(model, group) if alphabet is None else alphabet
    num_tokens = int(model.num_tokens)
    letters = (
        default_alphabet(group, num_tokens) if given is None else resolve_alphabet(group, given)
    )
    if len(letters) != num_tokens:
        raise DomainError(
            f"the alphabet must have one element for each of the model's {num_tokens} tokens; "
            f"given {len(letters)}"
        )
    return letters


def _extend(
    cascade: Cascade,
    states: list[np.ndarray],
    reading: LayerReading,
    chosen: list[SnappedPhase],
) -> tuple[list[np.ndarray], Cascade]:
    """Append the chosen coordinates as a layer; return the exact states at all its codes."""
    reach = cascade.reachable()
    if not chosen:
        mine = clean_states(reading, chosen, cascade, np.arange(len(reach)))
        return [*states, mine], cascade
    moduli = tuple(phase.order for phase in chosen)
    increments = np.zeros((cascade.num_codes, cascade.num_tokens, len(chosen)), np.int64)
    increments[reach] = np.stack([phase.increments for phase in chosen], -1)
    longer = Cascade((*cascade.layers, PhaseLayer(moduli, increments)), cascade.num_tokens)
    below = np.searchsorted(reach, longer.reachable() // longer.layers[-1].num_states)
    mine = clean_states(reading, chosen, longer, below)
    return [*(state[below] for state in states), mine], longer


def _report(index: int, reading: LayerReading, chosen: list[SnappedPhase]) -> HardenedLayer:
    coordinates = [phase.coordinate for phase in chosen]
    before = reading.multipliers[..., coordinates]
    turns = np.stack([phase.increments / phase.order for phase in chosen], -1)
    return HardenedLayer(
        index=index,
        coordinates=tuple(coordinates),
        moduli=tuple(phase.order for phase in chosen),
        residual=max(phase.residual for phase in chosen),
        radius_error=float(np.abs(np.abs(before) - 1).max()),
        before=torch.from_numpy(before.copy()),
        after=torch.from_numpy(np.exp(2j * np.pi * turns)),
    )


def _certify(
    group: Group, letters: np.ndarray, cascade: Cascade
) -> tuple[CompiledTracker | None, TrackingWitness | None]:
    task = TrackingTask(group, letters, 1e-3, 1e3, 10**6)
    found = trace_labels(
        cascade.step, cascade.num_codes, task.label_table, start_label=group.identity
    )
    if found.conflict is None:
        return CompiledTracker.from_cascade(group, letters, cascade), None
    reason = "the hardened layers merge two values"
    words = with_common_end(found.conflict)
    return None, task.witness("same state", words, "A", reason, distance=0.0)
