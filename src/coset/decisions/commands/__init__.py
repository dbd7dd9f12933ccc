"""The front doors of the subject, ``coset decisions …``."""
