"""Kernels of the Bellman sweep."""
