"""Compiled loops of ssm, imported where they are first run."""
