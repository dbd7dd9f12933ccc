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
import re
from collections.abc import Callable

from coset.core.errors import DomainError, DtypeError
from coset.groups.errors import GroupNameError
from coset.groups.group import Group
from coset.groups.linear import general_linear, heisenberg, special_linear
from coset.groups.products import direct_product, wreath_product
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

_SIMPLE: dict[str, Callable[[int], Group]] = {
    "S": symmetric,
    "A": alternating,
    "Z": cyclic,
    "C": cyclic,
    "D": dihedral,
    "Q": quaternion,
    "Dic": dicyclic,
}
_CALLED: dict[str, tuple[int, Callable[..., Group]]] = {
    "SL": (2, special_linear),
    "GL": (2, general_linear),
    "Heis": (1, heisenberg),
    "M": (3, metacyclic),
}
_EXAMPLES = "S4, A5, Z60, D30, Q8, Dic3, SL(2,3), GL(2,3), Heis(3), M(7,3,2), Z2xZ4, Z2wrZ2, Z2^3"
_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+)|(?P<word>wr|x|[A-Z][a-z]*L?)|(?P<sign>[(),^]))")
_MAX_LENGTH = 200
_MAX_DIGITS = 9


class _Parser:
    """Recursive descent over the tokens of one name."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.next = text, [], 0
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                start = place + len(text[place:]) - len(text[place:].lstrip())
                raise self.error(f"{text[start]!r} cannot stand here", start)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()
        self.tokens.append(("end", "", len(text.rstrip())))

    def error(self, what: str, place: int | None = None) -> GroupNameError:
        place = self.tokens[self.next][2] if place is None else place
        return GroupNameError(
            f"a group must be named like {_EXAMPLES}; {what}:\n    {self.text}\n    {' ' * place}^"
        )

    def take(self, value: str) -> bool:
        if self.tokens[self.next][1] == value and self.tokens[self.next][0] != "end":
            self.next += 1
            return True
        return False

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

    def whole(self) -> Group:
        group = self.product()
        if self.tokens[self.next][0] != "end":
            raise self.error("the name must end here, or go on with x, wr or ^")
        return group

    def product(self) -> Group:
        start, factors = self.next, [self.wreath()]
        while self.take("x"):
            factors.append(self.wreath())
        return self.build(lambda: direct_product(*factors), start)

    def wreath(self) -> Group:
        start, group = self.next, self.power()
        while self.take("wr"):
            bottom, top = group, self.power()
            group = self.build(lambda a=bottom, b=top: wreath_product(a, b), start)  # type: ignore[misc]
        return group

    def power(self) -> Group:
        start, group = self.next, self.atom()
        if self.take("^"):
            place, exponent = self.next, self.number()
            if exponent < 1:
                self.next = place
                raise self.error("an exponent must be at least 1")
            group = self.build(lambda: _power(group, exponent), start)
        return group

    def atom(self) -> Group:
        start = self.next
        kind, word, _ = self.tokens[start]
        if self.take("("):
            group = self.product()
            self.need(")")
            return group
        if kind == "word" and word in _SIMPLE:
            self.next += 1
            number = self.number()
            return self.build(lambda: _SIMPLE[word](number), start)
        if kind == "word" and word in _CALLED:
            self.next += 1
            count, make = _CALLED[word]
            self.need("(")
            arguments = [self.number()]
            for _ in range(count - 1):
                self.need(",")
                arguments.append(self.number())
            self.need(")")
            return self.build(lambda: make(*arguments), start)
        close = difflib.get_close_matches(word, [*_SIMPLE, *_CALLED], n=1) if word else []
        advice = f"; did you mean {close[0]}?" if close else ""
        raise self.error(f"a group must stand here{advice}")

    def build(self, make: Callable[[], Group], start: int) -> Group:
        """Call a constructor; quote the input in what it refuses."""
        try:
            return make()
        except (DomainError, DtypeError) as error:
            if isinstance(error, GroupNameError):
                raise
            self.next = start
            raise self.error(str(error)) from error


def _power(group: Group, exponent: int) -> Group:
    name = f"{group.name}^{exponent}" if "x" not in group.name else f"({group.name})^{exponent}"
    if group.order > 1:
        check_order(group.order ** min(exponent, 64), name)
    elif exponent > 64:
        exponent = 1
    made = direct_product(*[group] * exponent)
    return made.renamed(name) if exponent > 1 else made


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
    return _Parser(name).whole()
