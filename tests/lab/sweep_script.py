"""A user's script that runs a sweep: ``python -m lab.sweep_script EXPERIMENT NUM_WORKERS``."""

from __future__ import annotations

import sys

from coset.lab.runner import run_preset
from coset.lab.sweeps import LocalEngine

if __name__ == "__main__":
    run_preset(sys.argv[1], "smoke", engine=LocalEngine(int(sys.argv[2])), module="lab.toys")
    print("done")
