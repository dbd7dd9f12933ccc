"""What the search for a witness returns: two words that fool the model, and what was tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from coset.core.results import Record, Witness
from coset.ssm.witness.words import Word

__all__ = ["LengthProbe", "TrackingWitness", "WitnessKind", "WitnessSearch"]

WitnessKind = Literal["same state", "too close", "unbounded", "same answer"]


@dataclass(frozen=True)
class TrackingWitness(Witness):
    """Two words that show that a model does not track a group.

    Kinds: after both words, of different value, an exact model is in the "same state", or the
    states are "too close" for any decoder of that resolution; the second word makes the state
    "unbounded", outside of the radius; or the model gives both the "same answer". Words that are
    compared end with the same token, so that a decoder that also sees the last token is fooled.

    Attributes:
        kind: as above.
        words: the two words, in power form; if unbounded, the second one alone matters.
        values: the group elements that they spell.
        group: the group's name.
        alphabet: the element of each token.
        level: the method: "A" exact search, "B" one layer, "C" commutator words, "D" random words.
        reason: why it fails, in words.
        resolution: ε, the distance that a decoder needs.
        radius: R, how large a state may be.
        distance: ∞-distance of the two states, if they are compared.
        growth: ∞-norm of the state after the second word, if it is unbounded; NaN if it is.
    """

    kind: WitnessKind
    words: tuple[Word, Word]
    values: tuple[int, int]
    group: str
    alphabet: tuple[int, ...]
    level: str
    reason: str
    resolution: float
    radius: float
    distance: float | None = None
    growth: float | None = None

    @property
    def length(self) -> int:
        """The length of the longer word."""
        return max(word.length for word in self.words)

    def replay(self, model: Any, group: Any = None) -> bool:
        """Run both words again and compare.

        Args:
            model: the model that was refuted, or another one over the same tokens.
            group: a `coset.groups.Group`, to compute the two values again, too.

        Returns:
            Whether the same failure is seen.

        Raises:
            DtypeError: if it is no model.
            RangeError: if it has fewer tokens than the words use.
        """
        from coset.ssm.witness.runners import runner_of

        if group is not None and not self._values_hold(group):
            return False
        ends = runner_of(model).ends(self.words)
        if self.kind == "unbounded":
            return not ends[1].size <= self.radius
        if self.kind == "same answer":
            return ends[0].answer is not None and ends[0].answer == ends[1].answer
        distance = ends[0].distance(ends[1])
        return distance == 0.0 if self.kind == "same state" else distance <= self.resolution

    def _values_hold(self, group: Any) -> bool:
        letters = np.asarray(self.alphabet)
        found = tuple(word.value(group.mul, letters, group.identity) for word in self.words)
        return found == self.values and (self.kind == "unbounded" or found[0] != found[1])

    def explain(self) -> str:
        """Say in words what goes wrong.

        Returns:
            A short text.
        """
        first, second = self.words
        text = f"u = {first} ({first.length:,} tokens), w = {second} ({second.length:,} tokens). "
        if self.kind == "unbounded":
            if self.growth != self.growth:
                return f"{text}After w the state is NaN: {self.reason}."
            return f"{text}After w the state has grown to {self.growth:.3g}: {self.reason}."
        seen = {
            "same state": "the model is in the same state",
            "too close": f"the states are {self.distance or 0.0:.3g} apart",
            "same answer": "the model gives the same answer",
        }[self.kind]
        u, w = self.values
        return f"{text}Their values {u} and {w} of {self.group} differ; {seen}: {self.reason}."


@dataclass(frozen=True)
class LengthProbe(Record):
    """How a model does on random words, half of them rearrangements of the other half.

    Attributes:
        lengths: positions at which answers were checked.
        accuracies: share of right answers at each of them.
        margin: least (logit of the right label − largest other logit) at any position; negative
            where an answer is wrong.
        first_failing_length: the first position with a wrong answer, or ``None``.
        num_words: words read.
    """

    lengths: tuple[int, ...]
    accuracies: tuple[float, ...]
    margin: float
    first_failing_length: int | None
    num_words: int


@dataclass(frozen=True)
class WitnessSearch(Record):
    """A witness, or what was tried without finding one.

    Attributes:
        witness: the witness, or ``None``.
        tried: one sentence for each method, in order.
        proved: no witness of any length exists: all states of an exact model were searched, and
            all of its answers, if it gives any, are right.
        probe: accuracy on random words, for models that answer.
    """

    witness: TrackingWitness | None
    tried: tuple[str, ...] = ()
    proved: bool = False
    probe: LengthProbe | None = None
