"""The claims of preferences and sequential decisions, with their near misses."""
