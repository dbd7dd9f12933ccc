"""What a diagonal recurrence can track: compile it, refute it, harden it."""
