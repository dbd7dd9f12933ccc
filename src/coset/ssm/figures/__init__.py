"""The pictures of the subject."""
