"""The benchmarks of the subject."""
