"""Learn an exact cascade from labeled words: one layer after another, restarts, snapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from coset.core.errors import DomainError, DtypeError
from coset.core.results import Status
from coset.ssm.cascade import Cascade
from coset.ssm.learning.learned import LearnedTracker
from coset.ssm.learning.recipe import Recipe
from coset.ssm.learning.report import LearningReport, StageReport
from coset.ssm.learning.selection import (
    LARGEST_MODULUS,
    Choice,
    ScoringWords,
    candidate_moduli,
    choose,
    conditional_entropy,
)
from coset.ssm.learning.sources import WordSource, as_source
from coset.ssm.learning.stage import Foundation, Progress, train_stage

__all__ = ["learn_tracker"]

# Words are drawn for telling so many states apart in each state below, at most.
_MOST_STATES = 64
# Choosing tries every set of useful coordinates and moduli: (moduli + 1)^coordinates of a restart.
_MOST_COORDINATES = 6


def learn_tracker(
    words_or_source: Any,
    *,
    moduli: Sequence[int] | None = (2, 3),
    restarts: int = 32,
    num_coordinates: int = 2,
    recipe: Recipe | None = None,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> LearnedTracker:
    """Learn a stack of diagonal layers that is exact at every length, from labeled words alone.

    Greedy: train many restarts of one layer on top of the finished ones, with a linear readout
    for each state below; snap the angles to roots of unity; keep the coordinates that explain
    most of y, H(y | q) − H(y | q, s), on longer words; repeat until nothing is left. Prior
    knowledge: b = 0, |a| = 1, h_0 = 1 and the moduli. Nothing of the group is used, neither in
    training nor in choosing; whether the result is right at every length is for
    `LearnedTracker.certificate`. [derived] It is not a published model, and since every label is
    seen, reading the table off the data and compiling it would be exact too.

    Args:
        words_or_source: a `WordSource`; or (tokens, labels), (N, L) integers each; or a group.
        moduli: to which roots of unity angles are snapped (with their divisors), each 2 … 1024;
            ``None`` tries 2 … 8.
        restarts: per stage and try; filled up to a multiple of 16.
        num_coordinates: d ≤ 6, phases of one layer while it trains; unused ones are dropped. With 1
            the layers are those of a composition series, more than needed.
        recipe: the other settings.
        generator: of words and starts.
        progress: receives (stages done, at least so many, what is going on).

    Returns:
        The tracker. Its `report.status` is "stalled" if a stage made no progress in all tries:
        then it holds the layers so far, as for a group that is not solvable.

    Raises:
        DtypeError: if the words are none of these, or a setting has the wrong type.
        DomainError: if a number is out of its range.
        RangeError: if the source gives tokens or labels out of range.
        ShapeError: if it gives other words than were asked for.

    Claims: ssm.C10.

    Example:
        >>> from coset.ssm.learning import MachineWords
        >>> parity = MachineWords(np.array([[0, 1], [1, 0]]))
        >>> learned = learn_tracker(parity, generator=torch.Generator().manual_seed(0))
        >>> learned.cascade.moduli, str(learned.report.status)
        ((2,), 'solved')
    """
    _check(moduli, restarts, num_coordinates, recipe)
    source, recipe = as_source(words_or_source), recipe or Recipe()
    search = _Search(
        source, recipe, candidate_moduli(moduli), restarts, num_coordinates, generator, progress
    )
    foundation = Foundation.of(Cascade((), source.num_tokens))
    stages: list[StageReport] = []
    while True:
        words = ScoringWords.draw(source, recipe, search.num_states(foundation), generator)
        counts = words.counts(foundation)
        entropy = conditional_entropy(counts)
        if entropy < recipe.exact or len(stages) == recipe.num_stages:
            break
        choice, stage = search.stage(foundation, words, entropy, len(stages))
        stages.append(stage)
        if choice is None:
            break
        foundation = foundation.extend(choice.moduli, choice.tables)
    report = _report(foundation, words, entropy, tuple(stages), recipe)
    return LearnedTracker(foundation.cascade, _decoder(foundation, counts[:, 0]), report)


def _check(
    moduli: Sequence[int] | None, restarts: int, num_coordinates: int, recipe: Recipe | None
) -> None:
    if not (recipe is None or isinstance(recipe, Recipe)):
        raise DtypeError(f"recipe must be a Recipe; given {type(recipe).__name__}")
    for name, value in (("restarts", restarts), ("num_coordinates", num_coordinates)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise DtypeError(f"{name} must be an integer; given {type(value).__name__}")
        if value < 1:
            raise DomainError(f"{name} must be at least 1; given {value}")
    if num_coordinates > _MOST_COORDINATES:
        raise DomainError(
            f"num_coordinates must be at most {_MOST_COORDINATES}; given {num_coordinates}; more "
            f"layers do the same"
        )
    if moduli is None:
        return
    if not isinstance(moduli, Sequence | np.ndarray) or isinstance(moduli, str) or not len(moduli):
        raise DomainError(f"moduli must be integers from 2 to {LARGEST_MODULUS}; given {moduli!r}")
    for m in moduli:
        if not isinstance(m, int | np.integer) or not 2 <= m <= LARGEST_MODULUS:
            raise DomainError(
                f"moduli must be integers from 2 to {LARGEST_MODULUS}; given {m!r} among them"
            )


@dataclass(frozen=True)
class _Search:
    source: WordSource
    recipe: Recipe
    moduli: tuple[int, ...]
    restarts: int
    num_coordinates: int
    generator: torch.Generator | None
    progress: Progress | None

    def num_states(self, foundation: Foundation) -> int:
        """Return how many states a further layer may make, for counting labels in each."""
        most = int(max(self.moduli) ** self.num_coordinates)
        return len(foundation.codes) * min(most, _MOST_STATES)

    def stage(
        self, foundation: Foundation, words: ScoringWords, entropy: float, done: int
    ) -> tuple[Choice | None, StageReport]:
        """Train batches of restarts until one is useful or the tries are used up."""
        best, num_useful, num_restarts, choice, tries = 0.0, 0, 0, None, 0
        while choice is None and tries < self.recipe.num_tries:
            tries += 1
            trained = train_stage(
                foundation,
                self.source,
                self.recipe,
                num_restarts=self.restarts,
                num_coordinates=self.num_coordinates,
                generator=self.generator,
                progress=self._watch(done, tries),
            )
            turns = trained.turns()
            choice, gain, useful = choose(turns, foundation, words, self.moduli, self.recipe)
            best, num_useful = max(best, gain), num_useful + useful
            num_restarts += len(turns)
        report = StageReport(
            moduli=choice.moduli if choice else (),
            num_tries=tries,
            num_restarts=num_restarts,
            num_useful=num_useful,
            entropy=entropy,
            gain=choice.gain if choice else best,
            residual=choice.residual if choice else 0.0,
        )
        return choice, report

    def _watch(self, done: int, tries: int) -> Progress | None:
        if self.progress is None:
            return None
        told = self.progress

        def tell(step: float, steps: float, note: str) -> None:
            told(done + step / steps, done + 1, f"layer {done + 1}, try {tries}: {note}")

        return tell


def _report(
    foundation: Foundation,
    words: ScoringWords,
    entropy: float,
    stages: tuple[StageReport, ...],
    recipe: Recipe,
) -> LearningReport:
    num_states = len(foundation.codes)
    enough = words.can_tell(num_states)
    solved, advice = entropy < recipe.exact and enough, ""
    if not enough or (stages and not stages[-1].moduli and not words.can_tell(2 * num_states)):
        advice = (
            f"{words.num_positions} held-out positions are too few to count {words.num_labels} "
            f"labels in {num_states if not enough else 2 * num_states} states: give more words"
        )
    elif not solved and stages and not stages[-1].moduli:
        advice = (
            f"no progress in layer {len(stages)}: the best of {stages[-1].num_restarts} restarts "
            f"explains {stages[-1].gain:.3f} nat; give more restarts or other moduli; if the "
            f"words are those of a group that is not solvable, no stack of diagonal layers helps"
        )
    elif not solved:
        advice = f"all {recipe.num_stages} layers are used and {entropy:.3f} nat are left"
    return LearningReport(
        value=entropy,
        status=Status.SOLVED if solved else Status.STALLED,
        advice=advice,
        iterations=sum(stage.num_tries for stage in stages) * recipe.num_iterations,
        stages=stages,
        num_states=num_states,
    )


def _decoder(foundation: Foundation, counts: np.ndarray) -> np.ndarray:
    """Return the label most often seen with each code, −1 where none was."""
    decoder = np.full(foundation.cascade.num_codes, -1, dtype=np.int64)
    seen = counts.sum(1) > 0
    decoder[foundation.codes[seen]] = counts[seen].argmax(1)
    return decoder
