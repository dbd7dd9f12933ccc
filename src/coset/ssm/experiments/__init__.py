"""The experiments of the subject."""
