"""Allais's four lotteries, and what several tests of preferences do with lotteries."""

from __future__ import annotations

from fractions import Fraction

from coset.decisions.preferences.lottery import Lottery

__all__ = ["A", "B", "C", "D", "floats", "money"]


def money(*weights):
    return Lottery(["0", "1M", "5M"], [Fraction(w) for w in weights])


A = money(0, 1, 0)
B = money("1/100", "89/100", "1/10")
C = money("89/100", "11/100", 0)
D = money("9/10", 0, "1/10")


def floats(lottery):
    """Return a lottery with its weights rounded to floats."""
    return Lottery(lottery.outcomes, [float(w) for w in lottery.weights])
