"""Exact solutions of x = b + W x in fractions: elimination for few unknowns, p-adic digits else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from coset.core.errors import DomainError

__all__ = ["solve_fixed_point"]

Row = Mapping[int, Fraction]

# Up to so many unknowns elimination with fractions is faster than digits.
_FEW = 32
# Products of two residues of these primes fit in 64 bits. A matrix that is singular modulo each of
# them is taken to be singular; an answer is never taken from them without an exact check.
_PRIMES = (2_147_483_647, 2_147_483_629, 2_147_483_587)


def solve_fixed_point(rows: Sequence[Row], right: Sequence[Fraction]) -> list[Fraction]:
    """Solve x_i = b_i + Σ_j W_ij x_j exactly.

    Many unknowns are found digit by digit to a prime base (Dixon's lifting), put together to
    fractions, and checked by inserting them: what is returned is right, not just probably.

    Args:
        rows: the nonzero W_ij of each row, column → weight.
        right: b.

    Returns:
        x.

    Raises:
        DomainError: if I − W is singular.

    Complexity: n³/3 operations on fractions for few unknowns; n³ on 64-bit integers and n² for each
    of as many digits as the answer has, else.

    Examples:
        >>> half = Fraction(1, 2)
        >>> solve_fixed_point([{0: half, 1: half}, {}], [Fraction(1), Fraction(3)])
        [Fraction(5, 1), Fraction(3, 1)]
    """
    if len(right) <= _FEW:
        return _eliminate(rows, right)
    return _Lifting(rows, right).solve()


def _eliminate(rows: Sequence[Row], right: Sequence[Fraction]) -> list[Fraction]:
    size = len(right)
    table: list[dict[int, Fraction]] = []
    for i, row in enumerate(rows):
        entries = {j: -w for j, w in row.items() if w}
        entries[i] = entries.get(i, Fraction(0)) + 1
        entries[size] = right[i]
        table.append({j: w for j, w in entries.items() if w})
    pivot_of: list[int] = []
    left = list(range(size))
    for column in range(size):
        candidates = [i for i in left if column in table[i]]
        if not candidates:
            raise DomainError(_SINGULAR)
        pivot = min(candidates, key=lambda i: len(table[i]))
        left.remove(pivot)
        pivot_of.append(pivot)
        scale = 1 / table[pivot][column]
        table[pivot] = {j: w * scale for j, w in table[pivot].items()}
        for i in candidates:
            if i != pivot:
                _subtract(table[i], table[i][column], table[pivot])
    answer = [Fraction(0)] * size
    for column in reversed(range(size)):
        row = table[pivot_of[column]]
        known = sum((w * answer[j] for j, w in row.items() if column < j < size), Fraction(0))
        answer[column] = row.get(size, Fraction(0)) - known
    return answer


def _subtract(row: dict[int, Fraction], factor: Fraction, other: Row) -> None:
    for j, w in other.items():
        entry = row.get(j, 0) - factor * w
        if entry:
            row[j] = entry
        else:
            row.pop(j, None)


_SINGULAR = "I − W must be invertible; it is singular: some states keep their whole mass for ever"


class _Lifting:
    """The system as integers, A x = b, and its digits."""

    def __init__(self, rows: Sequence[Row], right: Sequence[Fraction]) -> None:
        self.size = len(right)
        self.start, columns, entries, bounds = [0], [], [], 0.0
        self.right: list[int] = []
        for i, row in enumerate(rows):
            full = {j: -w for j, w in row.items() if w}
            full[i] = full.get(i, Fraction(0)) + 1
            scale = math.lcm(right[i].denominator, *(w.denominator for w in full.values()))
            whole = {j: int(w * scale) for j, w in full.items()}
            columns += list(whole)
            entries += list(whole.values())
            self.start.append(len(columns))
            self.right.append(int(right[i] * scale))
            size = max(1, sum(abs(w) for w in whole.values()), abs(self.right[-1]))
            bounds += size.bit_length() + 1
        self.columns = np.array(columns)
        self.entries = np.array(entries, dtype=object)
        # By Cramer and Hadamard numerators and denominators have at most so many bits.
        self.bits = bounds

    def solve(self) -> list[Fraction]:
        """Lift until the digits are fractions that solve the system."""
        prime, inverse = self._invert()
        rest = np.array(self.right, dtype=object)
        found = np.zeros(self.size, dtype=object)
        power, digits = 1, 0
        most = 2 + int(2 * (self.bits + 2) / math.log2(prime))
        goal = 8
        while digits < most:
            for _ in range(min(goal, most) - digits):
                digit = _times(inverse, np.array(rest % prime, dtype=np.int64), prime)
                found = found + digit.astype(object) * power
                rest = (rest - self._product(digit.astype(object))) // prime
                power *= prime
                digits += 1
            answer = self._fractions(found, power)
            if answer is not None:
                return answer
            goal *= 2
        raise DomainError(_SINGULAR)

    def _product(self, vector: np.ndarray) -> np.ndarray:
        terms = self.entries * vector[self.columns]
        return np.asarray(np.add.reduceat(terms, self.start[:-1]))

    def _invert(self) -> tuple[int, np.ndarray]:
        row = np.repeat(np.arange(self.size), np.diff(self.start))
        for prime in _PRIMES:
            matrix = np.zeros((self.size, self.size), dtype=np.int64)
            matrix[row, self.columns] = np.array(self.entries % prime, dtype=np.int64)
            inverse = _inverse_modulo(matrix, prime)
            if inverse is not None:
                return prime, inverse
        raise DomainError(_SINGULAR)

    def _fractions(self, found: np.ndarray, power: int) -> list[Fraction] | None:
        """Return fractions that agree with the digits and solve the system, if there are any."""
        bound = math.isqrt(power // 2)
        common = 1
        numerators: list[int] = []
        for x in found.tolist():
            value = x * common % power
            numerator, denominator = _reconstruct(value, power, bound)
            if denominator == 0 or common * denominator > bound:
                return None
            if denominator != 1:
                numerators = [n * denominator for n in numerators]
                common *= denominator
            numerators.append(numerator)
        check = self._product(np.array(numerators, dtype=object))
        if any(a != b * common for a, b in zip(check.tolist(), self.right, strict=True)):
            return None
        return [Fraction(n, common) for n in numerators]


def _reconstruct(value: int, modulus: int, bound: int) -> tuple[int, int]:
    """Return n, d with n ≡ d · value, |n| ≤ bound and 0 < d ≤ bound; d = 0 if there is none."""
    before, now = (modulus, 0), (value, 1)
    while now[0] > bound:
        quotient = before[0] // now[0]
        before, now = now, (before[0] - quotient * now[0], before[1] - quotient * now[1])
    numerator, denominator = now
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    return (numerator, denominator) if 0 < denominator <= bound else (0, 0)


def _times(matrix: np.ndarray, vector: np.ndarray, prime: int) -> np.ndarray:
    return np.asarray((matrix * vector % prime).sum(1) % prime)


def _inverse_modulo(matrix: np.ndarray, prime: int) -> np.ndarray | None:
    """Invert in place by Gauss and Jordan; ``None`` if it is singular modulo the prime."""
    size = len(matrix)
    order = np.arange(size)
    for k in range(size):
        pivot = k + int(np.argmax(matrix[k:, k] != 0))
        if matrix[pivot, k] == 0:
            return None
        matrix[[k, pivot]] = matrix[[pivot, k]]
        order[[k, pivot]] = order[[pivot, k]]
        scale = pow(int(matrix[k, k]), -1, prime)
        matrix[k, k] = 1
        matrix[k] = matrix[k] * scale % prime
        factor = matrix[:, k].copy()
        factor[k] = 0
        others = np.flatnonzero(factor)
        matrix[others, k] = 0
        matrix[others] = (matrix[others] - factor[others, None] * matrix[k] % prime) % prime
    inverse = np.empty_like(matrix)
    inverse[:, order] = matrix
    return inverse
