"""Reads a report as a strict reader would: tags balance, links lead somewhere, nothing runs."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """One page: its links, anchors, images, visible text and faults."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.images: list[str] = []
        self.anchors: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        if self._open:
            self.faults.append(f"never closed: {self._open}")

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if len(values) != len(attrs):
            self.faults.append(f"an attribute of {tag} is given twice")
        self.faults += [f"{tag} has {name}" for name in values if name.startswith("on")]
        if tag in ("script", "iframe", "object", "embed", "form", "link"):
            self.faults.append(f"there is a {tag}")
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values["src"])
            if not values.get("alt"):
                self.faults.append("an image has no text")
        if "id" in values:
            self.anchors.append(values["id"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data


def read_report(folder: Path) -> dict[str, Page]:
    return {
        path.relative_to(folder).as_posix(): Page(path) for path in sorted(folder.rglob("*.html"))
    }


def faults(pages: dict[str, Page]) -> list[str]:
    """Return all that is wrong with a report's pages and the links between them."""
    found = []
    by_path = {page.path.resolve(): page for page in pages.values()}
    for name, page in pages.items():
        found += [f"{name}: {fault}" for fault in page.faults]
        if len(set(page.anchors)) != len(page.anchors):
            found.append(f"{name}: an anchor is there twice")
        for address in [*page.links, *page.images]:
            file, _, anchor = address.partition("#")
            target = (page.path.parent / unquote(file)).resolve() if file else page.path.resolve()
            if ":" in file or not target.is_file():
                found.append(f"{name}: {address} leads nowhere")
            elif anchor and target in by_path and anchor not in by_path[target].anchors:
                found.append(f"{name}: there is no anchor {address}")
    return found
