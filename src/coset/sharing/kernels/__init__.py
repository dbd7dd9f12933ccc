"""Compiled kernels of the sharing prox; imported at the first use, never by `import coset`."""
