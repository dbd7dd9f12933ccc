"""Can any utility explain these preferences; and if not, which of them contradict each other."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from coset.core.errors import DtypeError
from coset.core.results import Verdict
from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.exact_records import ExactRecord
from coset.decisions.axioms.exact_simplex import Hint, largest_margin
from coset.decisions.axioms.float_margin import float_margin
from coset.decisions.axioms.margin_bound import MarginCertificate
from coset.decisions.axioms.margin_guess import MarginGuess, guess_margin
from coset.decisions.axioms.order import independence, transitivity
from coset.decisions.axioms.preferences import STRICT, Pair, Preferences, number_text
from coset.decisions.errors import PreferenceContradictionError
from coset.decisions.preferences.lottery import Number

__all__ = ["Report", "check"]

# So few preferences, and a quarter as many outcomes, need no guess by floats.
_SMALL = 64

PreferenceStatus = Literal["representable", "refuted", "ambiguous"]


@dataclass(frozen=True, eq=False)
class Report(ExactRecord, Verdict):
    """Whether a utility explains the preferences, and what proves it.

    Attributes:
        status: "representable", "refuted", or for floats "ambiguous".
        utility: if representable, the utility with values in [−1, 1] that keeps the two sides of
            the strict preferences as far apart as possible.
        margin: how far: the least u(p) − u(q) over the strict preferences; ``None`` if there are
            none. Exact if the data are; 0 if refuted.
        resolution: 2 ÷ margin. On a scale on which the least stated strict difference is 1, every
            utility that explains the data spans at least as much: a huge number is what finite
            data show of a priority that no number can express.
        certificate: if refuted, the Dutch book; if representable, a proof that no utility has a
            larger margin.
        named: the kind of contradiction, one of `coset.decisions.axioms.naming.NAMES`.
        exact: whether everything was proved in rational arithmetic.

    Claims: decisions.C1b, decisions.C3.
    """

    status: PreferenceStatus = "representable"
    utility: Mapping[Hashable, Number] | None = None
    margin: Number | None = None
    resolution: Number | None = None
    certificate: PreferenceCertificate | MarginCertificate | None = None
    named: str | None = None
    exact: bool = True
    num_pairs: int = 0

    def __repr__(self) -> str:
        margin = "" if self.margin is None else f", margin {number_text(self.margin)}"
        named = f" ({self.named})" if self.named else ""
        return f"Report({self.status}{named}, {self.num_pairs:,} preferences{margin})"

    def throw(self) -> Report:
        """Return the report if the preferences are representable, else raise.

        Returns:
            Itself.

        Raises:
            PreferenceContradictionError: if they are refuted or ambiguous; carries the certificate.
        """
        if self.status == "representable":
            return self
        advice = self.certificate.explain() if self.certificate else self.reason
        raise PreferenceContradictionError(
            f"preferences must have a utility; these are {self.status}: {advice}", self.certificate
        )


def check(
    strict: Preferences | Iterable[Pair] = (),
    weak: Iterable[Pair] = (),
    indifferent: Iterable[Pair] = (),
    outcomes: Sequence[Hashable] | None = None,
    exact: bool | str = "auto",
) -> Report:
    """Find the utility with the largest margin, or a contradiction.

    By C3, finitely many preferences that have a lexicographic utility also have a scalar one; so
    the answer covers both, and `Report.resolution` says how extreme the scalar must be.

    Args:
        strict: pairs (p, q) with p ≻ q; or `Preferences`, then nothing else is given. A lottery is
            a `Lottery`, a mapping outcome → probability, or an outcome for certain.
        weak: pairs with p ≿ q.
        indifferent: pairs with p ≈ q.
        outcomes: all outcomes; by default those that appear.
        exact: "auto": prove everything in rationals if all weights are rational; True: read floats
            as the decimals that they print as; False: compute in float64, where margins below
            1e-8 are "ambiguous", and "refuted" means up to rounding: the compound lotteries agree
            to 1e-14.

    Returns:
        The report.

    Raises:
        DomainError: if a lottery is malformed.
        DtypeError: if a pair is none, or something is given beside `Preferences`.
        UndecidedError: if the exact method runs out of pivots; carries the margin's interval.

    Complexity: 100,000 exact preferences over 100 outcomes take a few seconds. The exact part grows
    steeply with the outcomes: with 200 it takes some twenty seconds, with more than 300 minutes.

    Examples:
        >>> report = check(strict=[("tea", "water"), ({"tea": 0.5, "mud": 0.5}, "water")])
        >>> report.status, sorted(report.utility)
        ('representable', ['mud', 'tea', 'water'])
        >>> check(strict=[("tea", "water"), ("water", "mud"), ("mud", "tea")]).named
        'transitivity cycle'

    Claims: decisions.C1b, decisions.C3.
    """
    if isinstance(strict, Preferences):
        if weak or indifferent or outcomes is not None or exact != "auto":
            raise DtypeError(
                "Preferences hold their weak and indifferent pairs, outcomes and arithmetic; give "
                "nothing beside them"
            )
        preferences = strict
    else:
        preferences = Preferences.from_pairs(strict, weak, indifferent, outcomes, exact)
    if not (preferences.relation == STRICT).any():
        return _constant(preferences)
    for search in (transitivity, independence):
        certificate = search(preferences).certificate
        if certificate is not None and certificate.verify():
            return _refuted(preferences, _irreducible(preferences, certificate))
    if preferences.is_exact:
        return _exact_report(preferences)
    return _float_report(preferences, guess_margin(preferences))


def _constant(preferences: Preferences) -> Report:
    zero: Number = Fraction(0) if preferences.is_exact else 0.0
    return Report(
        True,
        "nothing is strictly preferred, so that a constant utility explains everything",
        utility=dict.fromkeys(preferences.outcomes, zero),
        exact=preferences.is_exact,
        num_pairs=preferences.num_pairs,
    )


def _refuted(preferences: Preferences, certificate: PreferenceCertificate) -> Report:
    exact = preferences.is_exact
    count = len(certificate.support)
    return Report(
        False,
        (
            f"{count} of the {preferences.num_pairs:,} preferences contradict each other"
            if count > 1
            else "one preference contradicts itself"
        )
        + ("" if exact else ", up to rounding"),
        status="refuted",
        margin=Fraction(0) if exact else 0.0,
        certificate=certificate,
        named=certificate.name,
        exact=exact,
        num_pairs=preferences.num_pairs,
    )


def _irreducible(preferences: Preferences, found: PreferenceCertificate) -> PreferenceCertificate:
    """Return a contradiction of as few of these preferences as are needed.

    In a circle any could be left out only if its differences depend on each other in a second way.
    """
    part = preferences.take(found.support)
    rows = part.differences[:, np.unique(part.differences.indices)].toarray()
    if len(rows) < 3 or np.linalg.matrix_rank(rows) == len(rows) - 1:
        return found
    weights: Mapping[int, Number]
    if part.is_exact:
        weights = largest_margin(part).weights
    else:
        weights = float_margin(part, guess_margin(part)).weights
    smaller = PreferenceCertificate.of(
        preferences, {found.support[i]: w for i, w in weights.items()}
    )
    return smaller if smaller.verify() else found


def _exact_report(preferences: Preferences) -> Report:
    small = max(preferences.num_pairs, 4 * preferences.num_outcomes) <= _SMALL
    hint = None if small else _hint(guess_margin(preferences))
    found = largest_margin(preferences, hint)
    if found.margin == 0:
        certificate = PreferenceCertificate.of(preferences, dict(found.weights))
        return _refuted(preferences, certificate)
    weights: dict[int, Number] = dict(found.weights)
    return _representable(preferences, found.utility, found.margin, weights)


def _hint(guess: MarginGuess) -> Hint:
    heavy = np.argsort(-np.abs(guess.weights), kind="stable")
    pairs = [(int(guess.pairs[k]), 1 if guess.weights[k] > 0 else -1) for k in heavy]
    free = np.flatnonzero(np.abs(guess.utility) < 1 - 1e-9)
    return Hint(tuple(pairs), frozenset(free.tolist()))


def _representable(
    preferences: Preferences,
    utility: Sequence[Number],
    margin: Number,
    weights: Mapping[int, Number],
) -> Report:
    resolution = 2 / margin
    return Report(
        True,
        f"a utility explains all {preferences.num_pairs:,} preferences with margin "
        f"{number_text(margin)}",
        utility=dict(zip(preferences.outcomes, utility, strict=True)),
        margin=margin,
        resolution=resolution,
        certificate=MarginCertificate.of(preferences, weights, margin),
        exact=preferences.is_exact,
        num_pairs=preferences.num_pairs,
    )


def _float_report(preferences: Preferences, guess: MarginGuess) -> Report:
    found = float_margin(preferences, guess)
    if found.status == "representable":
        return _representable(preferences, found.utility, found.low, found.weights)
    if found.status == "refuted":
        return _refuted(preferences, PreferenceCertificate.of(preferences, found.weights))
    evidence: dict[str, Any] = {"margin_interval": (found.low, found.high)}
    return Report(
        False,
        f"in floats the largest margin is between {found.low:.3g} and {found.high:.3g}, too small "
        f"to tell a utility from a contradiction; give the weights as fractions",
        evidence=evidence,
        status="ambiguous",
        exact=False,
        num_pairs=preferences.num_pairs,
    )
