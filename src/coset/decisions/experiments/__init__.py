"""The experiments of preferences and sequential decisions."""
