"""The figures of preferences and sequential decisions."""
