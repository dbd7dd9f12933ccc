"""Learning lexicographically optimal policies from experience."""
