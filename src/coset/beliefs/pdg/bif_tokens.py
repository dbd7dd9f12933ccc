"""The words of a BIF file, and where they stand."""

from __future__ import annotations

import re
from collections import Counter

from coset.core.errors import FileFormatError
from coset.core.foreign_files import show

__all__ = ["Tokens", "quoted"]

# No alternative of these can match in two ways, so that both scans are linear in the text.
_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)')
_TOKEN = re.compile(r'"[^"\n]*"|[{}()\[\];,|]|[^\s{}()\[\];,|"]+|"')
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Letters that a number has and "nan", "inf", "1_0" and digits of other scripts do not.
_DIGITS = re.compile(r"[0-9.eE+-]*")
_UNWRITABLE = re.compile('["\n\ud800-\udfff]')
_MARKS = frozenset('{}()[];,|"')
_MAX_NAME = 1000
_A_NAME = f"a word or text in quotes of 1 to {_MAX_NAME:,} characters"


class Tokens:
    """The words, numbers and marks of a BIF file, taken one after another.

    A quoted name is one token with its quotes. Comments (``//`` and ``/* */``) are blank.

    Args:
        text: the file's content.
        where: what an error calls the file.

    Attributes:
        place: the index of the next token.

    Raises:
        FileFormatError: if a comment is not closed.

    Example:
        >>> tokens = Tokens("network dogs { } // none", "dogs.bif")
        >>> tokens.expect("network")
        >>> tokens.name("the network's name")
        'dogs'
    """

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._text = text
        if "//" in text or "/*" in text:
            self._text = _COMMENT.sub(self._blank, text)
        self._tokens: list[str] = _TOKEN.findall(self._text)
        self.place = 0

    def _blank(self, match: re.Match[str]) -> str:
        found = match.group()
        if found[0] == '"':
            return found
        if found.startswith("/*") and (len(found) < 4 or not found.endswith("*/")):
            line = match.string.count("\n", 0, match.start()) + 1
            raise FileFormatError(f"{self._where}:{line}: a comment /* … must end with */")
        return " " + "\n" * found.count("\n")  # lines keep their numbers

    def error(self, message: str, place: int | None = None) -> FileFormatError:
        """Return an error at a token, the next one if none is named.

        Args:
            message: what must hold and what is there.
            place: the token's index.

        Returns:
            The error, with file and line.
        """
        place = self.place if place is None else place
        start = len(self._text)
        for index, match in enumerate(_TOKEN.finditer(self._text)):
            if index == place:
                start = match.start()
                break
        line = self._text.count("\n", 0, start) + 1
        return FileFormatError(f"{self._where}:{line}: {message}")

    def peek(self) -> str:
        """Return the next token, "" at the end."""
        return self._tokens[self.place] if self.place < len(self._tokens) else ""

    def given(self) -> str:
        """Return what an error says of the next token."""
        return f"given {show(self.peek())}" if self.peek() else "the file ends here"

    def expect(self, token: str) -> None:
        """Pass one token.

        Args:
            token: what must be next.

        Raises:
            FileFormatError: if it is not.
        """
        if self.peek() != token:
            raise self.error(f"here must be {token!r}; {self.given()}")
        self.place += 1

    def name(self, what: str) -> str:
        """Take a name.

        Args:
            what: what an error calls it.

        Returns:
            The name, without its quotes.

        Raises:
            FileFormatError: if the next token is no name of 1 to 1,000 characters.
        """
        name = _name(self.peek())
        if not name:
            raise self.error(f"here must be {what}, {_A_NAME}; {self.given()}")
        self.place += 1
        return name

    def names(self, end: str, what: str) -> list[str]:
        """Take the names up to a mark, with commas between all of them, or between none.

        Args:
            end: the mark, which is passed.
            what: what an error calls each of them.

        Returns:
            The names, without their quotes; possibly none.

        Raises:
            FileFormatError: as `name` and `items`, or if a name is there twice.
        """
        start = self.place
        names = [_name(item) for item in self.items(end)]
        if "" in names:
            raise self.error(f"here must be {what} up to {end!r}, {_A_NAME}", start)
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise self.error(f"{what} must be there once; {show(twice)} is twice", start)
        return names

    def until(self, end: str) -> list[str]:
        """Take the tokens before a mark, and pass the mark.

        Args:
            end: the mark; no brace may come before it, unless it is one.

        Returns:
            The tokens.

        Raises:
            FileFormatError: if the mark is missing.
        """
        try:
            stop = self._tokens.index(end, self.place)
        except ValueError:
            raise self.error(f"a {end!r} must follow; the file ends without it") from None
        run = self._tokens[self.place : stop]
        if end not in "{}" and ("{" in run or "}" in run):
            raise self.error(f"a {end!r} must follow before any brace")
        self.place = stop + 1
        return run

    def items(self, end: str) -> list[str]:
        """Take a list up to a mark: items with commas between all of them, or between none.

        Args:
            end: the mark, which is passed.

        Returns:
            The items, as they are written.

        Raises:
            FileFormatError: if the mark is missing, or a comma is missing or too much.
        """
        start = self.place
        run = self.until(end)
        if "," not in run:
            return run
        items = run[::2]
        if "," in items or run.count(",") != len(items) - 1 or len(run) % 2 == 0:
            raise self.error(
                "a list must have one comma between any two items, or none at all", start
            )
        return items

    def numbers(self) -> list[float]:
        """Take the numbers up to a semicolon, and pass it.

        Returns:
            The numbers; one too large for a float is infinite.

        Raises:
            FileFormatError: if an item is no decimal number.
        """
        start = self.place
        items = self.items(";")
        try:
            if _DIGITS.fullmatch("".join(items)):
                return list(map(float, items))
        except ValueError:
            pass
        bad = next(item for item in items if not _NUMBER.fullmatch(item))
        raise self.error(
            f"here must be numbers up to ';'; given {show(bad)}",
            self._tokens.index(bad, start),
        )


def _name(token: str) -> str:
    """Return a token without its quotes, "" if it is no name."""
    name = token[1:-1] if len(token) > 1 and token[0] == '"' else token
    return name if token not in _MARKS and len(name) <= _MAX_NAME else ""


def quoted(name: str) -> str:
    """Return a name as a BIF file writes it: in quotes only if it must be.

    Args:
        name: the name.

    Returns:
        The token, or "" if no token can hold it: it is empty, too long, or has a quotation mark or
        a line break, or is no text that UTF-8 can hold.

    Example:
        >>> quoted("<7.5"), quoted("7.5 // or less")
        ('<7.5', '"7.5 // or less"')
    """
    if not 1 <= len(name) <= _MAX_NAME or _UNWRITABLE.search(name):
        return ""
    plain = _TOKEN.fullmatch(name) and name not in _MARKS and "//" not in name and "/*" not in name
    return name if plain else f'"{name}"'
