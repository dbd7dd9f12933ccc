"""Names of groups on the command line: S4, A5, Z60, D30, Q8, SL(2,3), Z2xZ4, (S3xZ2)wrZ2 and such.

The grammar::

    product := wreath ("x" wreath)*
    wreath  := power ("wr" power)*
    power   := atom ("^" number)?
    atom    := S n | A n | Z n | C n | D n | Q n | Dic n | SL(d,p) | GL(d,p) | Heis(m)
             | M(n,k,r) | "(" product ")"
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from coset.core.errors import DomainError, DtypeError
from coset.groups.errors import GroupNameError
from coset.groups.group import Group
from coset.groups.linear import general_linear, heisenberg, linear_order, special_linear
from coset.groups.products import direct_product, factor_name, wreath_product
from coset.groups.tables import check_order
from coset.groups.zoo import (
    alternating,
    cyclic,
    dicyclic,
    dihedral,
    metacyclic,
    quaternion,
    symmetric,
)

__all__ = ["parse_group"]

# Of each family: how many numbers, the order they give, the constructor.
_FAMILIES: dict[str, tuple[int, Callable[..., int], Callable[..., Group]]] = {
    "S": (1, lambda n: math.factorial(min(n, 20)), symmetric),
    "A": (1, lambda n: math.factorial(min(n, 20)) // 2, alternating),
    "Z": (1, lambda n: n, cyclic),
    "C": (1, lambda n: n, cyclic),
    "D": (1, lambda n: 2 * n, dihedral),
    "Q": (1, lambda n: n, quaternion),
    "Dic": (1, lambda n: 4 * n, dicyclic),
    "SL": (2, lambda d, p: linear_order(d, p, special=True) if p > 1 else 1, special_linear),
    "GL": (2, lambda d, p: linear_order(d, p, special=False), general_linear),
    "Heis": (1, lambda m: m**3, heisenberg),
    "M": (3, lambda n, k, r: n * k, metacyclic),
}
_BARE = {"S", "A", "Z", "C", "D", "Q", "Dic"}
_EXAMPLES = "S4, A5, Z60, D30, Q8, Dic3, SL(2,3), GL(2,3), Heis(3), M(7,3,2), Z2xZ4, Z2wrZ2, Z2^3"
_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+)|(?P<word>wr|[x×]|[A-Za-z]+)|(?P<sign>[(),^]))")
_MAX_LENGTH = 200
_MAX_DIGITS = 9


@dataclass(frozen=True)
class _Plan:
    """A group that is not built yet: its order, its name, and how to build it."""

    order: int
    name: str
    build: Callable[[], Group]


class _Parser:
    """Recursive descent over the tokens of a name; nothing is built before all sizes are known."""

    def __init__(self, text: str) -> None:
        self.text, self.next = text, 0
        self.tokens: list[tuple[str, str, int]] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                start = place + len(text[place:]) - len(text[place:].lstrip())
                raise self.error(f"{text[start]!r} cannot stand here", start)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind].replace("×", "x"), match.start(kind)))
            place = match.end()
        self.tokens.append(("end", "", len(text.rstrip())))

    def error(self, what: str, place: int | None = None) -> GroupNameError:
        at = self.tokens[self.next][2] if place is None else place
        # A name that was understood needs no list of names.
        rule = "" if place is not None else f"a group must be named like {_EXAMPLES}; "
        return GroupNameError(f"{rule}{what}:\n    {self.text}\n    {' ' * at}^")

    def take(self, value: str) -> bool:
        found = self.tokens[self.next][1] == value
        self.next += found
        return found

    def need(self, value: str) -> None:
        if not self.take(value):
            raise self.error(f"there must be {value!r} here")

    def number(self) -> int:
        kind, value, _ = self.tokens[self.next]
        if kind != "number":
            raise self.error("there must be a number here")
        if len(value) > _MAX_DIGITS:
            raise self.error("this number is too large")
        self.next += 1
        return int(value)

    def plan(self, start: int, order: int, name: str, build: Callable[[], Group]) -> _Plan:
        """Check the size; whatever a constructor refuses later is said at the same place."""
        place = self.tokens[start][2]

        def attempt() -> Group:
            try:
                return build()
            except GroupNameError:
                raise
            except DomainError as error:
                raise self.error(str(error), place) from error

        try:
            check_order(order, name)
        except DomainError as error:
            raise self.error(str(error), place) from error
        return _Plan(order, name, attempt)

    def whole(self) -> _Plan:
        plan = self.product()
        if self.tokens[self.next][0] != "end":
            raise self.error("the name must end here, or go on with x, wr or ^")
        return plan

    def product(self) -> _Plan:
        start, factors = self.next, [self.wreath()]
        while self.take("x"):
            factors.append(self.wreath())
        if len(factors) == 1:
            return factors[0]
        return self.plan(
            start,
            math.prod(factor.order for factor in factors),
            "x".join(factor_name(factor.name, "x") for factor in factors),
            lambda: direct_product(*(factor.build() for factor in factors)),
        )

    def wreath(self) -> _Plan:
        start, plan = self.next, self.power()
        while self.take("wr"):
            plan = self.wreathed(start, plan, self.power())
        return plan

    def wreathed(self, start: int, bottom: _Plan, top: _Plan) -> _Plan:
        return self.plan(
            start,
            bottom.order ** min(top.order, 64 if bottom.order > 1 else 1) * top.order,
            f"{factor_name(bottom.name, 'wr')}wr{factor_name(top.name, 'wr')}",
            lambda: wreath_product(bottom.build(), top.build()),
        )

    def power(self) -> _Plan:
        start, plan = self.next, self.atom()
        if not self.take("^"):
            return plan
        exponent = self.number()
        if not 1 <= exponent <= 64:
            self.next -= 1
            raise self.error("an exponent must lie in 1 … 64")
        name = f"{factor_name(plan.name, '^')}^{exponent}"
        return self.plan(start, plan.order**exponent, name, lambda: _power(plan, exponent, name))

    def atom(self) -> _Plan:
        start = self.next
        kind, word, _ = self.tokens[start]
        if self.take("("):
            plan = self.product()
            self.need(")")
            return plan
        if kind != "word" or word not in _FAMILIES:
            raise self.error(f"a group must stand here{self.advice(word)}")
        self.next += 1
        count, order, make = _FAMILIES[word]
        arguments = self.arguments(count, bare=word in _BARE)
        name = word + (str(arguments[0]) if word in _BARE else f"({','.join(map(str, arguments))})")
        return self.plan(start, order(*arguments), name, lambda: make(*arguments))

    def advice(self, word: str) -> str:
        known = {family.lower(): family for family in _FAMILIES}
        close = difflib.get_close_matches(word.lower(), known, n=1) if word else []
        if not close:
            return ""
        start = self.tokens[self.next][2]
        whole = self.text[:start] + known[close[0]] + self.text[start + len(word) :]
        return f"; did you mean {whole}?"

    def arguments(self, count: int, *, bare: bool) -> list[int]:
        if bare:
            return [self.number()]
        self.need("(")
        found = [self.number()]
        for _ in range(count - 1):
            self.need(",")
            found.append(self.number())
        self.need(")")
        return found


def _power(plan: _Plan, exponent: int, name: str) -> Group:
    group = plan.build()
    return direct_product(*[group] * exponent).renamed(name) if exponent > 1 else group


def parse_group(name: str) -> Group:
    """Build the group of a name.

    Args:
        name: S4, A5, Z60 (or C60), D30 (order 60), Q8, Dic3, SL(2,3), GL(2,3), Heis(3), M(7,3,2)
            for Z7 ⋊ Z3 with b·a·b⁻¹ = a²; products with x, wreath products with wr, powers with ^,
            parentheses; at most 200 letters.

    Returns:
        The group.

    Raises:
        GroupNameError: if it cannot be read, or the group is too large; the message quotes the name
            and points at the place.
        DtypeError: if it is not a text.

    Example:
        >>> parse_group("S4xZ2")
        S4xZ2 (order 48)
        >>> parse_group("S4xY2")
        Traceback (most recent call last):
        ...
        coset.groups.errors.GroupNameError: a group must be named like S4, A5, Z60, D30, Q8, Dic3,
        SL(2,3), GL(2,3), Heis(3), M(7,3,2), Z2xZ4, Z2wrZ2, Z2^3; a group must stand here:
            S4xY2
               ^
    """
    if not isinstance(name, str):
        raise DtypeError(f"the name of a group must be a text; given {type(name).__name__}")
    if len(name) > _MAX_LENGTH:
        raise GroupNameError(
            f"the name of a group may have {_MAX_LENGTH} letters; given {len(name)}, beginning "
            f"{name[:40]!r}"
        )
    return _Parser(name).whole().build()
