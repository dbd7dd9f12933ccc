"""Where a line of code lies: pages with numbered lines, and the way back into the checkout."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import coset
from coset.report.formats import slug

__all__ = ["CodePages", "Link", "checkout_folder"]

MAX_LINES = 5_000


@dataclass(frozen=True)
class Link:
    """A text and where it leads.

    Attributes:
        text: what the reader sees.
        href: a relative address, or "" if there is nothing to lead to.
    """

    text: str
    href: str = ""


def checkout_folder() -> Path | None:
    """Return the checkout that the package runs from.

    Returns:
        The folder that holds ``pyproject.toml`` and ``src``; ``None`` for an installed package.
    """
    package = _package_folder()
    root = package.parent.parent
    is_checkout = package.parent.name == "src" and (root / "pyproject.toml").is_file()
    return root if is_checkout else None


def _package_folder() -> Path:
    return Path(coset.__file__).resolve().parent


@dataclass
class CodePages:
    """The source files that the report refers to; each becomes a page with an anchor a line.

    Attributes:
        root: the checkout, or ``None``.
        files: page name to the file it shows; filled by the `code` and `test` links.
    """

    root: Path | None
    files: dict[str, Path] = field(default_factory=dict)

    def code(self, file: str, line: int | None = None) -> Link:
        """Return the link to a line of the package.

        Args:
            file: the path from the package's name on, "coset/sharing/claims.py".
            line: the line, from 1.

        Returns:
            The link; without an address if there is no such file in the package.
        """
        text = f"{file}:{line}" if line else file
        package = _package_folder()
        path = (package.parent / file).resolve()
        return self._link(text, path, package, line)

    def test(self, target: str) -> Link:
        """Return the link to a test.

        Args:
            target: a pytest target, "tests/sharing/test_claims.py::test_C5".

        Returns:
            The link; without an address outside a checkout or if the file is not there.
        """
        if self.root is None:
            return Link(target)
        file, _, name = target.partition("::")
        path = (self.root / file).resolve()
        function = name.split("[")[0].split("::")[-1]
        return self._link(target, path, self.root / "tests", _line_of(path, function))

    def _link(self, text: str, path: Path, inside: Path, line: int | None) -> Link:
        if not path.is_relative_to(inside) or path.suffix != ".py" or not path.is_file():
            return Link(text)
        page = slug("-".join(path.relative_to(inside.parent).parts)) + ".html"
        self.files[page] = path
        return Link(text, f"code/{page}#L{line}" if line else f"code/{page}")

    def lines(self, page: str) -> list[str]:
        """Return the lines that a page shows, the first `MAX_LINES` of its file."""
        text = self.files[page].read_text(encoding="utf-8", errors="replace")
        return text.splitlines()[:MAX_LINES]

    def name(self, page: str) -> str:
        """Return the file's name as the reader knows it: from the checkout or the package on."""
        above = self.root or _package_folder().parent
        return str(self.files[page].relative_to(above))

    def way_back(self, page: str, folder: Path) -> str:
        """Return the relative link from a page's folder into the checkout, "" outside of one.

        Args:
            page: the page's name.
            folder: where the page will lie.

        Returns:
            The address, with forward slashes.
        """
        if self.root is None:
            return ""
        return quote(Path(os.path.relpath(self.files[page], folder)).as_posix())


def _line_of(path: Path, function: str) -> int | None:
    """Return the line on which a test function starts, ``None`` if it is not there."""
    if not function or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(f"def {function}("):
            return number
    return None
