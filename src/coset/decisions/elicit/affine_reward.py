"""What the elicitation of rewards and multipliers returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coset.core.errors import DomainError
from coset.core.results import Status
from coset.decisions.elicit.memorylessness import MemorylessnessWitness
from coset.decisions.elicit.stored_numbers import Interval, numbers
from coset.decisions.preferences.lottery import Number
from coset.decisions.preferences.readable_record import ReadableRecord

if TYPE_CHECKING:
    import torch

    from coset.decisions.preferences.models import AffineModel

__all__ = ["AffineReward"]

Sample = tuple[dict[str, float], dict[str, float]]


@dataclass(frozen=True, eq=False)
class AffineReward(ReadableRecord):
    """Rewards and multipliers of events, u(e∘τ) = r(e) + m(e) u(τ), as answers revealed them.

    Attributes:
        reward: event → r(e), in units of u(A) − u(B) of the reference pair.
        multiplier: event → m(e), without unit; 0 if the event is terminal.
        reward_interval: event → (low, high).
        multiplier_interval: event → (low, high).
        num_queries: questions asked.
        exact: every number is a fraction at which the answers said "indifferent".
        unit: the reference pair in words.
        delta: the probability with which any interval may miss, over all of them; 0 for exact
            answers. Of a credible interval it is a statement about the assumed curve.
        status: whether every interval became as short as was asked for.
        witness: two lotteries that show that memorylessness fails, if a second pair was given and
            they were found.
        trace: (event, "reward" or "multiplier", questions about it, low, high) at each step.

    Claims: decisions.C1, decisions.C14.
    """

    reward: Mapping[str, Number]
    multiplier: Mapping[str, Number]
    reward_interval: Mapping[str, Interval]
    multiplier_interval: Mapping[str, Interval]
    num_queries: int
    exact: bool
    unit: str
    delta: float = 0.0
    status: Status = Status.SOLVED
    witness: MemorylessnessWitness | None = None
    trace: tuple[tuple[str, str, int, Number, Number], ...] = ()

    def __post_init__(self) -> None:
        for name in ("reward", "multiplier", "reward_interval", "multiplier_interval"):
            object.__setattr__(self, name, numbers(dict(getattr(self, name))))
        steps = tuple((e, kind, n, *numbers((a, b))) for e, kind, n, a, b in self.trace)
        object.__setattr__(self, "trace", steps)
        object.__setattr__(self, "status", Status(self.status))

    def __repr__(self) -> str:
        sure = f"intervals with δ = {self.delta:g}" if self.delta else "intervals"
        how = "exact" if self.exact else sure
        return (
            f"AffineReward({len(self.events):,} events, {how}, {self.num_queries:,} questions, "
            f"{self.structure():.100}, {self.status})"
        )

    @property
    def events(self) -> tuple[str, ...]:
        """The events, in the order in which they were asked about."""
        return tuple(self.reward)

    @property
    def terminal_events(self) -> tuple[str, ...]:
        """Events after which nothing counts: m(e) was found to be exactly 0."""
        return tuple(e for e in self.events if self.multiplier_interval[e] == (0, 0))

    @property
    def reversing_events(self) -> tuple[str, ...]:
        """Events with m(e) < 0 for sure: they reverse what one wants, against memorylessness."""
        return tuple(e for e in self.events if self.multiplier_interval[e][1] < 0)

    def model(self) -> AffineModel:
        """Return the person as a model: the estimates, read as exact numbers.

        Returns:
            The model, an oracle itself.

        Raises:
            DomainError: if an interval is infinite, so that there is no estimate.
        """
        from coset.decisions.preferences.models import AffineModel

        return AffineModel(self.reward, self.multiplier)

    def common_multiplier(self) -> Interval | None:
        """Return the multipliers γ that every event that is not terminal may share.

        Returns:
            The common part of their intervals; ``None`` if it is empty, so that no constant
            multiplier fits. It contains 1 exactly if an additive reward fits.

        Claims: decisions.C6, decisions.C6c.
        """
        lasting = [e for e in self.events if e not in self.terminal_events]
        low: Number = max((self.multiplier_interval[e][0] for e in lasting), default=0)
        high: Number = min((self.multiplier_interval[e][1] for e in lasting), default=math.inf)
        return (low, high) if low <= high else None

    def structure(self) -> str:
        """Say in a few words which class of reward the numbers need.

        Returns:
            "additive: …", "discounted by …", "growing by …" (γ > 1), "affine: …", or what shows
            that there is none.
        """
        if self.witness is not None:
            return f"not memoryless: {self.witness.explain()}"
        if self.terminal_events == self.events:
            return "every event is terminal: no multiplier is needed"
        if self.reversing_events:
            return f"not memoryless: {', '.join(self.reversing_events)} reverses preferences"
        shared = self.common_multiplier()
        if shared is None:
            return "affine: the multipliers differ between events"
        if shared == (1, 1):
            return "additive: every multiplier is 1"
        if shared[0] > 1:
            kind = "growing"  # what comes later counts more
        else:
            kind = "discounted" if shared[1] < 1 else "additive or discounted"
        if shared[0] == shared[1]:
            return f"{kind} by {shared[0]}"
        ends = f"one multiplier in [{float(shared[0]):.6g}, {float(shared[1]):.6g}] fits all"
        return f"{kind}: {ends}"

    def sample(self, *, generator: torch.Generator | None = None) -> Sample:
        """Draw each number uniformly from its interval, independently.

        Args:
            generator: source of randomness.

        Returns:
            (reward, multiplier), event → number.

        Raises:
            DomainError: if an interval is infinite: nothing is uniform on it.
        """
        import torch

        for event in self.events:
            for low, high in (self.reward_interval[event], self.multiplier_interval[event]):
                if not (math.isfinite(low) and math.isfinite(high)):
                    raise DomainError(
                        f"the intervals must be finite to draw from; one of {event!r} is "
                        f"[{float(low):.6g}, {float(high):.6g}]; ask more questions about it"
                    )

        drawn = iter(
            torch.rand(2 * len(self.events), generator=generator, dtype=torch.float64).tolist()
        )
        reward = {e: _within(self.reward_interval[e], next(drawn)) for e in self.events}
        multiplier = {e: _within(self.multiplier_interval[e], next(drawn)) for e in self.events}
        return reward, multiplier


def _within(interval: Any, share: float) -> float:
    low, high = (float(end) for end in interval)
    return low + share * (high - low)
