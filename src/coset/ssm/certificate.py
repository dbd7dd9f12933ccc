"""The proof that a cascade tracks a group: every (state, token) pair, checked in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Certificate
from coset.ssm.cascade import Cascade
from coset.ssm.phase_layer import PhaseLayer

__all__ = ["TrackerCertificate", "first_failure", "label_codes", "merged_values"]

# So many (state, token) pairs are checked at a time.
_CHUNK = 2**22


def first_failure(
    cascade: Cascade,
    elements: np.ndarray,
    products: np.ndarray,
    identity: int,
    table: np.ndarray | None = None,
) -> dict[str, int] | None:
    """Check every (state, token) pair: the state after the token must name the product.

    If code 0 names the identity and elements[step(c, x)] = elements[c]·x for every code c that
    names an element and every token x, then by induction the cascade is right on every word.

    Args:
        cascade: the cascade.
        elements: (num_codes,) the element that each code names, −1 for none.
        products: (n, X) y·x for every element y and token x.
        identity: the element of the empty word.
        table: (num_codes, X) the code after each code and token, if the tracker reads this instead
            of the layers.

    Returns:
        The first pair that fails, as {"code", "token", "expected", "found"}, or ``None``; token −1
        where the code itself names no element that there is.

    Raises:
        ShapeError: if there is not one element for each code.

    Complexity: O(codes · X) steps of the cascade, in parts of constant memory.

    Claims: ssm.C2.

    Example:
        >>> import numpy as np
        >>> clock = Cascade((PhaseLayer((3,), np.array([[[1]]])),), 1)
        >>> first_failure(clock, np.arange(3), np.array([[1], [2], [0]]), 0) is None
        True
    """
    if elements.shape != (cascade.num_codes,):
        raise ShapeError(
            f"elements must name one element for each of {cascade.num_codes} codes; "
            f"given shape {elements.shape}"
        )
    if elements[0] != identity:
        return {"code": 0, "token": -1, "expected": identity, "found": int(elements[0])}
    wrong = np.flatnonzero((elements < -1) | (elements >= len(products)))
    if wrong.size:
        code = int(wrong[0])
        return {"code": code, "token": -1, "expected": -1, "found": int(elements[code])}
    codes = np.flatnonzero(elements >= 0)
    tokens = np.arange(cascade.num_tokens)[None]
    width = max(1, _CHUNK // max(1, cascade.num_tokens))
    for begin in range(0, len(codes), width):
        part = codes[begin : begin + width, None]
        after = cascade.step(part, tokens) if table is None else table[part, tokens]
        known = (after >= 0) & (after < len(elements))
        found = np.where(known, elements[np.where(known, after, 0)], -1)
        expected = products[elements[part[:, 0]]]
        if not np.array_equal(found, expected):
            row, x = (int(i) for i in np.argwhere(found != expected)[0])
            return {
                "code": int(part[row, 0]),
                "token": x,
                "expected": int(expected[row, x]),
                "found": int(found[row, x]),
            }
    return None


def label_codes(cascade: Cascade, products: np.ndarray, identity: int) -> np.ndarray:
    """Return the element that each reachable code names, or say that two share one.

    Args:
        cascade: any cascade.
        products: (n, X) y·x for every element y and token x.
        identity: the element of the empty word.

    Returns:
        (num_codes,) int64: the element, −1 where no word leads.

    Raises:
        DomainError: if some code is reached by words of different value; no decoder can be right.

    Complexity: O(reachable codes · X).
    """
    elements, conflict = merged_values(cascade, products, identity)
    if conflict is not None:
        code, one, other = conflict
        raise DomainError(
            f"each state must be reached by words of one value; code {code} is reached by words of "
            f"value {one} and of value {other}: the cascade does not track the group"
        )
    return elements


def merged_values(
    cascade: Cascade, products: np.ndarray, identity: int
) -> tuple[np.ndarray, tuple[int, int, int] | None]:
    """Search all reachable (code, value) pairs for a code with two values.

    Args:
        cascade: any cascade.
        products: (n, X) y·x for every element y and token x.
        identity: the element of the empty word.

    Returns:
        (num_codes,) int64 the first value found for each code, −1 where no word leads; and the
        first conflict (code, value, other value), or ``None``.
    """
    cascade.check_codes()
    elements = np.full(cascade.num_codes, -1, dtype=np.int64)
    elements[0] = identity
    frontier = np.zeros(1, dtype=np.int64)
    tokens = np.arange(cascade.num_tokens)[None]
    while frontier.size:
        after = cascade.step(frontier[:, None], tokens).ravel()
        values = products[elements[frontier]].ravel()
        new = elements[after] < 0
        # Of several new arrivals at one code the first is kept; the others are compared with it.
        elements[after[new][::-1]] = values[new][::-1]
        wrong = np.flatnonzero(elements[after] != values)
        if wrong.size:
            code = int(after[wrong[0]])
            return elements, (code, int(elements[code]), int(values[wrong[0]]))
        frontier = np.unique(after[new])
    return elements, None


@dataclass(frozen=True)
class TrackerCertificate(Certificate):
    """Proof that a cascade tracks a group at every length: all (state, token) pairs.

    Attributes:
        group: the group's name.
        products: (n, X) integers, y·x for every element y and token x.
        identity: the element of the empty word.
        moduli: the moduli of each layer.
        increments: Θ of each layer.
        resets: the resets of each layer, ``None`` where it has none.
        elements: (num_codes,) int64, the element that each code names, −1 for none.
        table: (num_codes, X) int64, the code after each code and token, where the tracker reads it
            instead of the layers; both are checked.
        numbers: the dtype of the states, if they are floats that round; the proof is of the
            integer tables that the float ones were made from.
        horizon: an estimate from below of how many tokens such a tracker is right for.
    """

    group: str
    products: Tensor
    identity: int
    moduli: tuple[tuple[int, ...], ...]
    increments: tuple[Tensor, ...]
    resets: tuple[Tensor | None, ...]
    elements: Tensor
    table: Tensor | None = None
    numbers: str | None = None
    horizon: int | None = None

    def __repr__(self) -> str:
        moduli = "".join(str(list(m)) for m in self.moduli) or "no layer"
        return f"TrackerCertificate({self.group}, {moduli}, {self.num_pairs} pairs)"

    @property
    def num_pairs(self) -> int:
        """How many (state, token) pairs are checked."""
        return int((self.elements >= 0).sum()) * self.products.shape[1]

    def failure(self) -> Mapping[str, int] | None:
        """Return the first pair that fails, or ``None``.

        Returns:
            {"code", "token", "expected", "found"}, or ``None``.
        """
        layers = tuple(
            PhaseLayer(m, i.numpy(), None if r is None else r.numpy())
            for m, i, r in zip(self.moduli, self.increments, self.resets, strict=True)
        )
        cascade = Cascade(layers, self.products.shape[1])
        labels = self.elements.numpy(), self.products.numpy(), self.identity
        failure = first_failure(cascade, *labels)
        if failure is None and self.table is not None:
            return first_failure(cascade, *labels, self.table.numpy())
        return failure

    def verify(self) -> bool:
        """Check all pairs from the stored tables alone.

        Returns:
            Whether the cascade is right on every word. Where `numbers` names a dtype, the tracker
            itself follows the cascade until rounding has moved a phase too far.

        Claims: ssm.C1, ssm.C2.
        """
        return self.failure() is None

    def reach(self) -> str:
        """Say on which words a tracker with such a proof is right, if nothing fails.

        Returns:
            A phrase; an estimate is called one.
        """
        if self.numbers is None:
            return "right on every word, of any length"
        return (
            f"the integer layers are right on every word, of any length; {self.numbers} numbers "
            f"drift by rounding, and are right for at least about {self.horizon or 0:,} tokens "
            f"(an estimate, margin/(error per token)); modes int and table do not drift"
        )

    def explain(self) -> str:
        """Say what was checked.

        Returns:
            One or two sentences.
        """
        failure = self.failure()
        pairs = f"{self.num_pairs:,} (state, token) pairs"
        if failure is None:
            return (
                f"code 0 names the identity of {self.group}, and at all {pairs} the next state "
                f"names the product: {self.reach()}"
            )
        return f"{self.group}: of {pairs} this one fails: {dict(failure)}"
