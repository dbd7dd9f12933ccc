"""Solving decision processes: one objective, several in order, exactly, under constraints."""
