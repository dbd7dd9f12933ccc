"""Compiled loops: numba for the CPU, Triton for CUDA; each is imported when it is first used."""
