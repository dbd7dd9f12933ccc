"""The claims of the subject, with their near misses."""
