"""Models of people: utilities on event sequences by recursion, scalar and lexicographic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.preferences.exact_numbers import (
    Matrix,
    Vector,
    exact_matrix,
    exact_number,
    exact_vector,
)
from coset.decisions.preferences.lottery import EventSequence
from coset.decisions.preferences.oracles import (
    CountingOracle,
    LargestDifference,
    NoisyOracle,
    noisy_oracle,
)
from coset.decisions.preferences.outcome_utilities import (
    LexicographicUtility,
    LinearUtility,
    PreferenceModel,
    compare_lexicographic,
    shown,
)

# Those that know no events are models of people as well; this is where to find them all.
__all__ = [
    "AffineModel",
    "CountingOracle",
    "EventModel",
    "LargestDifference",
    "LexicographicModel",
    "LexicographicUtility",
    "LinearUtility",
    "NoisyOracle",
    "PreferenceModel",
    "compare_lexicographic",
    "noisy_oracle",
    "safety_model",
]

# Utilities of sequences are kept; a search over more sequences than this starts again.
_MAX_KEPT = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class EventModel(PreferenceModel):
    """A utility on event sequences by recursion: u(ε) = 0, u(e∘τ) = r(e) + Γ(e) u(τ).

    `AffineModel` is the case of one level, `LexicographicModel` that of several.

    Attributes:
        reward: event → r(e).
        multiplier: event → Γ(e), for the same events.

    Claims: decisions.C5.
    """

    reward: Mapping[str, Any]
    multiplier: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, given in (("reward", self.reward), ("multiplier", self.multiplier)):
            if not isinstance(given, Mapping):
                raise DtypeError(
                    f"the {name} must be a mapping event → value; given {given!r:.60}; write "
                    f"{{'step': …, 'goal': …}}"
                )
        reward, multiplier = dict(self.reward), dict(self.multiplier)
        if not reward:
            raise DomainError("a model must have at least one event; given none")
        wrong = [e for e in (*reward, *multiplier) if not isinstance(e, str)]
        if wrong:
            raise DtypeError(f"an event is a string; given {wrong[0]!r}")
        if reward.keys() != multiplier.keys():
            lone = sorted(reward.keys() ^ multiplier.keys())
            raise DomainError(
                f"each event needs a reward and a multiplier; only one of them is given for "
                f"{', '.join(lone)}"
            )
        object.__setattr__(self, "reward", reward)
        object.__setattr__(self, "multiplier", multiplier)
        object.__setattr__(self, "_kept", {})

    @property
    def events(self) -> tuple[str, ...]:
        """The events, in the order in which they were given."""
        return tuple(self.reward)

    @property
    def terminal_events(self) -> tuple[str, ...]:
        """The events e with Γ(e) = 0: nothing that follows them counts."""
        return tuple(e for e in self.events if not any(map(any, self.matrix(e))))

    def vector(self, event: str) -> Vector:
        """Return r(e) as d fractions.

        Args:
            event: one of the events.

        Returns:
            The reward.

        Raises:
            DomainError: if the model does not know the event.
        """
        raise NotImplementedError

    def matrix(self, event: str) -> Matrix:
        """Return Γ(e) as d rows of d fractions.

        Args:
            event: one of the events.

        Returns:
            The multiplier.

        Raises:
            DomainError: if the model does not know the event.
        """
        raise NotImplementedError

    def _parts(self) -> Iterator[str]:
        for event in self.events:
            reward, multiplier = shown(self.reward[event]), shown(self.multiplier[event])
            yield f"{event!r}: r = {reward}, Γ = {multiplier}"

    def _check_event(self, event: str, where: str = "") -> None:
        if event not in self.reward:
            raise DomainError(
                f"the model knows the events {', '.join(self.events)}; given {event!r}{where}"
            )

    def _of(self, outcome: Any) -> Vector:
        if not isinstance(outcome, EventSequence):
            raise DtypeError(
                f"the outcomes of this model are event sequences; given {outcome!r}; write "
                f"EventSequence.of('a', 'b')"
            )
        kept: dict[EventSequence, Vector] = self._kept  # type: ignore[attr-defined]
        if outcome in kept:
            return kept[outcome]
        value: Vector = (Fraction(0),) * self.num_levels
        for event in reversed(outcome.events):
            self._check_event(event, f" in {outcome}")
            value = self.after(event, value)
        if len(kept) >= _MAX_KEPT:
            kept.clear()
        kept[outcome] = value
        return value

    def after(self, event: str, future: Vector) -> Vector:
        """Return r(e) + Γ(e) v, the utility of an event before a future.

        Args:
            event: one of the events.
            future: v, the utility of what follows, d fractions.

        Returns:
            d fractions.

        Raises:
            DomainError: if the model does not know the event.
            ShapeError: if the future has another number of levels.
        """
        if len(future) != self.num_levels:
            raise ShapeError(
                f"a future must have {self.num_levels} levels, as the model; given {len(future)}"
            )
        return tuple(
            r + sum((g * v for g, v in zip(row, future, strict=True) if g and v), Fraction(0))
            for r, row in zip(self.vector(event), self.matrix(event), strict=True)
        )


@dataclass(frozen=True, eq=False, repr=False)
class AffineModel(EventModel):
    """A person whose utility is an affine reward: u(e∘τ) = r(e) + m(e) u(τ), u(ε) = 0.

    m > 1 and m = 0 (a terminal event) are as good as any m > 0; an event with m < 0 reverses the
    order of what follows, which violates memorylessness.

    Attributes:
        reward: event → r(e): an integer, a fraction, text such as "1/3" or "0.1", or a float, which
            is read as the dyadic rational that it is.
        multiplier: event → m(e), for the same events.

    Raises:
        DomainError: if there is no event, an event lacks one of the two, or a number is not finite.
        DtypeError: if an event is not a string, or a number is none.

    Claims: decisions.C5.

    Examples:
        >>> model = AffineModel({"step": -1, "goal": 10}, {"step": "9/10", "goal": 0})
        >>> model.utility(EventSequence.of("step", "goal"))
        (Fraction(8, 1),)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reward", "multiplier"):
            given: Mapping[str, Any] = getattr(self, name)
            exact = {e: exact_number(x, f"the {name} of {e!r}") for e, x in given.items()}
            object.__setattr__(self, name, exact)

    @property
    def num_levels(self) -> int:
        """One."""
        return 1

    def vector(self, event: str) -> Vector:
        """Return (r(e),)."""
        self._check_event(event)
        return (self.reward[event],)

    def matrix(self, event: str) -> Matrix:
        """Return ((m(e),),)."""
        self._check_event(event)
        return ((self.multiplier[event],),)


@dataclass(frozen=True, eq=False, repr=False)
class LexicographicModel(EventModel):
    """A person with priorities: u(e∘τ) = r(e) + Γ(e) u(τ) ∈ Rᵈ, compared lexicographically.

    The preferences are memoryless if each Γ(e) is lower triangular with a positive diagonal, or 0
    (a terminal event). Other square matrices are accepted too: they make models that are not.

    Attributes:
        reward: event → d numbers, each as in `AffineModel`.
        multiplier: event → d rows of d numbers, or one number γ for γI.

    Raises:
        DomainError: if there is no event, an event lacks one of the two, or a number is not finite.
        ShapeError: if rewards differ in length, are empty, or a multiplier is not d × d.
        DtypeError: if an event is not a string, or a number is none.

    Claims: decisions.C5, decisions.C7.

    Examples:
        >>> model = LexicographicModel(
        ...     {"fall": (-1, 0), "step": (0, -1)}, {"fall": 0, "step": [[1, 0], [-1, "9/10"]]}
        ... )
        >>> fall, step = EventSequence.of("step", "fall"), EventSequence.of("step", "step")
        >>> model.utility(fall), model.prefer(step, fall)
        ((Fraction(-1, 1), Fraction(0, 1)), 1)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        reward = {e: exact_vector(x, f"the reward of {e!r}") for e, x in self.reward.items()}
        d = len(next(iter(reward.values())))
        for event, vector in reward.items():
            if len(vector) != d or d == 0:
                raise ShapeError(
                    f"all rewards must have the same number d ≥ 1 of levels; that of {event!r} has "
                    f"{len(vector)}, that of {next(iter(reward))!r} has {d}"
                )
        object.__setattr__(self, "reward", reward)
        multiplier = {
            e: exact_matrix(x, d, f"the multiplier of {e!r}") for e, x in self.multiplier.items()
        }
        object.__setattr__(self, "multiplier", multiplier)

    @property
    def num_levels(self) -> int:
        """How many levels d there are."""
        return len(next(iter(self.reward.values())))

    def vector(self, event: str) -> Vector:
        """Return r(e)."""
        self._check_event(event)
        vector: Vector = self.reward[event]
        return vector

    def matrix(self, event: str) -> Matrix:
        """Return Γ(e)."""
        self._check_event(event)
        matrix: Matrix = self.multiplier[event]
        return matrix


def safety_model(
    reward: Mapping[str, Any],
    discount: Mapping[str, Any] | Any,
    unsafe: Sequence[str],
    terminal: Sequence[str] = (),
) -> LexicographicModel:
    """Return the model of safety first: never end unsafe; then earn Σ r, discounted.

    r(e) = (0, r(e)) and Γ(e) = [[1, 0], [r(e), γ(e)]]; after a terminal event nothing counts; an
    unsafe event is worth (−1, 0) and ends everything. The first level is the probability of staying
    safe, less 1; on the second one, trajectories that end unsafe earn nothing.

    Args:
        reward: r(e) of each event that is not unsafe.
        discount: γ(e) > 0 of each event that is neither terminal nor unsafe, or one number.
        unsafe: the events that must never happen; at least one.
        terminal: the safe events after which nothing follows.

    Returns:
        The model, of two levels.

    Raises:
        DomainError: if no event is unsafe, an event is both unsafe and something else, one lacks
            its discount, or a discount is not positive.

    Claims: decisions.C7.

    Examples:
        >>> model = safety_model({"step": 2, "home": 3}, "9/10", ["crash"], ["home"])
        >>> model.utility(EventSequence.of("step", "home"))
        (Fraction(0, 1), Fraction(47, 10))
        >>> model.utility(EventSequence.of("step", "crash"))
        (Fraction(-1, 1), Fraction(0, 1))
    """
    forbidden, ended = _names(unsafe), _names(terminal)
    if not forbidden or ended is None or not isinstance(reward, Mapping):
        raise DomainError(
            f"unsafe names at least one event, in a list, terminal is a list, and reward a "
            f"mapping; given {unsafe!r}, {terminal!r} and {reward!r:.60}"
        )
    clash = set(forbidden) & (set(reward) | set(ended))
    unknown = set(ended) - set(reward)
    if clash or unknown:
        raise DomainError(
            f"an unsafe event has no reward and is not in `terminal`, and a terminal one has a "
            f"reward; given {', '.join(sorted(clash | unknown))} otherwise"
        )
    rewards: dict[str, Any] = {}
    multipliers: dict[str, Any] = {}
    for event, given in reward.items():
        rewards[event], multipliers[event] = (0, given), 0
        if event not in ended:
            multipliers[event] = ((1, 0), (given, _discount_of(event, discount)))
    for event in forbidden:
        rewards[event], multipliers[event] = (-1, 0), 0
    return LexicographicModel(rewards, multipliers)


def _names(events: Any) -> tuple[str, ...] | None:
    if isinstance(events, str) or not isinstance(events, Iterable):
        return None
    names = tuple(events)
    return names if all(isinstance(e, str) for e in names) else None


def _discount_of(event: str, discount: Mapping[str, Any] | Any) -> Fraction:
    if isinstance(discount, Mapping) and event not in discount:
        raise DomainError(
            f"each event that is neither terminal nor unsafe needs a discount; {event!r} has none"
        )
    given = discount[event] if isinstance(discount, Mapping) else discount
    value = exact_number(given, f"the discount of {event!r}")
    if value <= 0:
        raise DomainError(
            f"a discount must be > 0; that of {event!r} is {value}; list the event as terminal if "
            f"nothing follows it"
        )
    return value
