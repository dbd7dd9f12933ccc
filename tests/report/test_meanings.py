from __future__ import annotations

from types import SimpleNamespace

from coset.report.meanings import Meanings, column_meanings


class Config:
    """One run.

    Attributes:
        side: pixels a side,
            after pooling.
        rate (float): learning rate: at the start.

    Example:
        >>> nothing: here
    """


def _run(config, context):
    """Train one network.

    The column num_distinct counts values.

    Args:
        config: the settings.

    Yields:
        One row: accuracies,
        and counts.

    Raises:
        ConfigError: never.

    Claims: sharing.C19.
    """


def test_settings_and_rows_are_read_from_the_docstrings():
    found = column_meanings(SimpleNamespace(config_class=Config, run=_run))
    assert found.settings == (
        ("side", "pixels a side, after pooling."),
        ("rate", "learning rate: at the start."),
    )
    assert found.rows == (
        "Train one network.\n\nThe column num_distinct counts values.\n\n"
        "One row: accuracies,\nand counts."
    )


def test_without_docstrings_nothing_is_said():
    bare = SimpleNamespace(config_class=type("Bare", (), {}), run=lambda config, context: ())
    for item in (bare, None, SimpleNamespace()):
        assert column_meanings(item) == Meanings()
        assert not column_meanings(item)
