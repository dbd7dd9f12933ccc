"""The hot paths of preferences and sequential decisions."""
