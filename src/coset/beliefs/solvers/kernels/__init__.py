"""Kernels of mirror descent on dense problems."""
