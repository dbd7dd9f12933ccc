"""``coset data``: what data there is, bringing it, checking it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape

from coset.cli.output import console, print_json, table

__all__ = ["COMMAND"]


def list_datasets(json: bool = False) -> int:
    """List the data sets: where they are, how large, under which license.

    Example: coset data list

    Args:
        json: print JSON.
    """
    from coset.data import datasets

    rows = [
        {
            "name": item.name,
            "title": item.title,
            "bytes": item.num_bytes,
            "packaged": item.packaged,
            "here": item.is_here(),
            "license": item.license,
            "citation": item.citation,
        }
        for item in datasets()
    ]
    if json:
        print_json(rows)
        return 0
    cells = []
    for item, row in zip(datasets(), rows, strict=True):
        fetch = f"coset data get {row['name']}"
        where = "in the package" if row["packaged"] else "in the cache" if row["here"] else fetch
        size = f"{item.num_bytes / 1e6:.1f} MB"
        cells.append((str(row["name"]), escape(str(row["title"])), size, where))
    console().print(table(("name", "what", "size", "where"), cells))
    return 0


def get(name: Annotated[str, tyro.conf.Positional], /, from_folder: Path | None = None) -> int:
    """Bring a data set into the cache folder, and check its checksums.

    Example: coset data get mnist --from-folder ~/mnist

    Args:
        name: the data set.
        from_folder: take the files from here, and use no network.
    """
    from coset.data import find_dataset
    from coset.data import get as bring
    from coset.lab.progress import Progress

    if find_dataset(name).packaged:  # nothing to bring: no progress to show
        print(bring(name, from_folder=from_folder))
        return 0
    with Progress(f"get {name}", 0, unit="bytes") as progress:
        folder = bring(name, from_folder=from_folder, progress=progress.update)
    print(folder)
    return 0


def verify(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (), /, json: bool = False
) -> int:
    """Check the files of data sets against their SHA-256 digests; exit 1 if one differs.

    Example: coset data verify digits

    Args:
        names: data sets; none means those that are here.
        json: print JSON.
    """
    from coset.data import datasets
    from coset.data import verify as check

    chosen = names or tuple(item.name for item in datasets() if item.is_here())
    checks = [(name, item) for name in chosen for item in check(name)]
    if json:
        print_json(
            [
                {
                    "dataset": name,
                    "file": str(c.path),
                    "status": c.status,
                    "expected": c.expected,
                    "found": c.found,
                }
                for name, c in checks
            ]
        )
    else:
        signs = {"ok": "[green]✓ ok[/green]"}
        cells = [
            (name, escape(c.path.name), signs.get(c.status, f"[red]✗ {c.status}[/red]"))
            for name, c in checks
        ]
        console().print(table(("data set", "file", "state"), cells))
    return 0 if all(c.status == "ok" for _, c in checks) else 1


COMMAND = {"list": list_datasets, "get": get, "verify": verify}
