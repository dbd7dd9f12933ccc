"""Draw the README's picture from the rows of an experiment: ``python docs/picture.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from coset.lab.figure_style import save_svg, style
from coset.lab.records import rows_of
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing.figures import particle_lines

PICTURE = Path(__file__).parent / "images" / "overview.svg"


def main() -> None:
    """Run the small experiment in a folder of its own and draw its first picture."""
    with tempfile.TemporaryDirectory() as folder:
        records = run_preset("sharing.particles", "smoke", store=RunStore(Path(folder)))
        PICTURE.parent.mkdir(exist_ok=True)
        with style():
            save_svg(particle_lines(rows_of(records), []), PICTURE)
    print(f"written: {PICTURE.name}")


if __name__ == "__main__":
    main()
