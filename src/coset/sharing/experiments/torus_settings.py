"""The settings that `sharing.torus-tuning` chose, and how a configuration takes them.

A test compares them with the stored rows of that experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from coset.sharing.experiments.torus_training import TorusSettings, usual_size

__all__ = ["OWN_FIELDS", "TUNED", "describe", "resolve"]

# Fields that only one method reads, beside learning rate and momentum.
OWN_FIELDS: Mapping[str, tuple[str, ...]] = {
    "fc": (),
    "fc+sharing": ("strength", "rewind"),
    "fc+dual-averaging": ("kappa",),
    "fc+l1": ("l1",),
    "fc+beta-lasso": ("l1", "beta"),
    "fc+kmeans": ("num_values",),
    "cnn": ("kernel_size",),
}

# (side, method) to the best of eight trials on validation images of seed 0.
TUNED: Mapping[tuple[int, str], Mapping[str, float]] = {
    (7, "fc"): {"learning_rate": 3.0, "momentum": 0.9},
    (7, "fc+sharing"): {"learning_rate": 3.0, "momentum": 0.9, "strength": 0.001, "rewind": 0.0},
    (7, "fc+dual-averaging"): {"learning_rate": 3.0, "momentum": 0.9, "kappa": 1.7},
    (7, "fc+l1"): {"learning_rate": 3.0, "momentum": 0.9, "l1": 0.0002},
    (7, "fc+beta-lasso"): {"learning_rate": 3.0, "momentum": 0.9, "l1": 1e-05, "beta": 300.0},
    (7, "fc+kmeans"): {"learning_rate": 3.0, "momentum": 0.9, "num_values": 32},
    (7, "cnn"): {"learning_rate": 1.0, "momentum": 0.9, "kernel_size": 7},
    (14, "fc"): {"learning_rate": 3.0, "momentum": 0.9},
    (14, "fc+sharing"): {"learning_rate": 3.0, "momentum": 0.9, "strength": 0.00033, "rewind": 0.0},
    (14, "fc+dual-averaging"): {"learning_rate": 3.0, "momentum": 0.9, "kappa": 1.7},
    (14, "fc+l1"): {"learning_rate": 3.0, "momentum": 0.9, "l1": 0.0002},
    (14, "fc+beta-lasso"): {"learning_rate": 3.0, "momentum": 0.9, "l1": 3.3e-05, "beta": 50.0},
    (14, "fc+kmeans"): {"learning_rate": 3.0, "momentum": 0.9, "num_values": 16},
    (14, "cnn"): {"learning_rate": 0.3, "momentum": 0.9, "kernel_size": 7},
}


def resolve(config: Any) -> TorusSettings:
    """Return the settings of a configuration whose fields may be ``None``.

    Args:
        config: has the fields of `TorusSettings`; ``None`` takes the tuned value of side and
            method, else the usual size, else the default. Sides beyond 7 take the values of 14.

    Returns:
        The settings.
    """
    channels, num_epochs = usual_size(config.side)
    tuned = TUNED.get((7 if config.side <= 7 else 14, config.method), {})
    given = {field.name: getattr(config, field.name) for field in fields(TorusSettings)}
    usual: dict[str, Any] = {"channels": channels, "num_epochs": num_epochs, **tuned}
    if given["later_strength"] is None and given["strength"] is not None:
        usual["later_strength"] = given["strength"]
    known = {name: usual.get(name) if value is None else value for name, value in given.items()}
    return TorusSettings(**{name: value for name, value in known.items() if value is not None})


def describe(settings: TorusSettings) -> str:
    """Return what was tuned as text.

    Args:
        settings: the settings.

    Returns:
        Learning rate, momentum and the method's own fields.

    Example:
        >>> describe(TorusSettings(method="fc+dual-averaging"))
        'learning_rate=3, momentum=0.9, kappa=1.7'
    """
    names = ("learning_rate", "momentum", *OWN_FIELDS[settings.method])
    return ", ".join(f"{name}={getattr(settings, name):g}" for name in names)
