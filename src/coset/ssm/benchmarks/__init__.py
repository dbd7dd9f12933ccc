"""The hot paths of state tracking: the scan, compiling a group, running what was compiled."""

from __future__ import annotations

from coset.ssm.benchmarks.compiling import compile_case, track_case
from coset.ssm.benchmarks.scan import scan_case, scan_cuda_case

__all__ = ["compile_case", "scan_case", "scan_cuda_case", "track_case"]
