"""Draw the READMEs' pictures from the rows of experiments: ``python docs/picture.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from coset.beliefs.figures import blame_hypergraph, resolution_scatter, tree_scaling
from coset.core.files import read_json
from coset.decisions.figures import lake_maps, penalty_phases
from coset.lab.figure_style import save_svg, style
from coset.lab.records import rows_of
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing.figures import particle_lines
from coset.ssm.figures import near_solution_lengths, series_diagram

DOCS = Path(__file__).parent


def small_rows(experiment: str) -> list[dict[str, Any]]:
    """Return the rows of an experiment's smoke preset, run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return rows_of(run_preset(experiment, "smoke", store=RunStore(Path(folder))))


def stored_rows(experiment: str) -> list[dict[str, Any]]:
    """Return the rows that `docs/results.py` exported."""
    stored = read_json(DOCS / "results" / f"{experiment}.cpu.json")
    return [stored["in_every_row"] | row for row in stored["rows"]]


def main() -> None:
    """Draw each picture."""
    pictures = {
        "overview": (particle_lines, small_rows("sharing.particles")),
        "ssm_series": (series_diagram, stored_rows("ssm.compile")),
        "ssm_near_solution": (near_solution_lengths, stored_rows("ssm.near-solution")),
        "decisions_lake": (lake_maps, stored_rows("decisions.frozen-lake")),
        "decisions_penalties": (penalty_phases, stored_rows("decisions.cliff")),
        "beliefs_resolution": (resolution_scatter, stored_rows("beliefs.attention-study")),
        "beliefs_tree": (tree_scaling, stored_rows("beliefs.tree-scaling")),
        "beliefs_blame": (blame_hypergraph, stored_rows("beliefs.planted-conflict")),
    }
    for name, (draw, rows) in pictures.items():
        with style():
            save_svg(draw(rows, []), DOCS / "images" / f"{name}.svg")
        print(f"written: {name}.svg")


if __name__ == "__main__":
    main()
