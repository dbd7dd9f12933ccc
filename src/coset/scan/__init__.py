"""Recurrences h_t = a_t h_{t−1} + b_t in parallel or fused: real, complex, matrices, exact phases.

One operator with every derivative; loops as the reference, whole-tensor operations, compiled loops
for the CPU and Triton kernels for CUDA.
"""

from __future__ import annotations

from coset.scan.affine import affine_compose, scan, step
from coset.scan.matrix import matrix_compose, matrix_scan
from coset.scan.phase import phase_scan
from coset.scan.reference import matrix_scan_reference, phase_scan_reference, scan_reference

__all__ = [
    "affine_compose",
    "matrix_compose",
    "matrix_scan",
    "matrix_scan_reference",
    "phase_scan",
    "phase_scan_reference",
    "scan",
    "scan_reference",
    "step",
]
