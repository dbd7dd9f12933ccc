"""The seven subjects and the nine papers: names only, each subject's code loaded when asked for."""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Any

from coset.core.errors import FileFormatError, UnknownNameError

__all__ = [
    "MODEL_CLASSES",
    "PARTS",
    "SUBJECTS",
    "Paper",
    "Subject",
    "built_subjects",
    "find_subject",
    "is_built",
    "load",
    "published",
]


@dataclass(frozen=True)
class Paper:
    """One of the nine papers.

    Attributes:
        id: the short name used in the code.
        title: the title as published.
        venue: where it appeared.
        year: when it appeared.
    """

    id: str
    title: str
    venue: str
    year: int


@dataclass(frozen=True)
class Subject:
    """One subject folder of the library and the papers it realizes.

    Attributes:
        name: the package's name under ``coset``.
        title: what it is about, as a user would say it.
        papers: its papers.
    """

    name: str
    title: str
    papers: tuple[Paper, ...]


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "sharing",
        "make many weights of a network exactly equal",
        (Paper("weight-sharing", "Weight-Sharing Regularization", "AISTATS", 2024),),
    ),
    Subject(
        "ssm",
        "what a diagonal recurrence can track",
        (
            Paper(
                "diagonal-ssm",
                "The Expressive Limits of Diagonal SSMs for State-Tracking",
                "ICLR",
                2026,
            ),
            Paper(
                "parity",
                "Parity Requires Unified Input Dependence and Negative Eigenvalues in SSMs",
                "preprint",
                2025,
            ),
        ),
    ),
    Subject(
        "sphere",
        "networks on a sphere that are exactly equivariant to rotations",
        (Paper("pixelized-spheres", "Equivariant Networks for Pixelized Spheres", "ICML", 2021),),
    ),
    Subject(
        "invariants",
        "representations on which an unknown transformation acts simply",
        (
            Paper(
                "transformation-coding",
                "Transformation Coding: Simple Objectives for Equivariant Representations",
                "preprint",
                2022,
            ),
        ),
    ),
    Subject(
        "landscape",
        "equivalent networks, exact curvature, the best conditioned twin",
        (
            Paper(
                "overparameterization",
                "The Role of Symmetry in Optimizing Overparameterized Networks",
                "preprint",
                2026,
            ),
        ),
    ),
    Subject(
        "decisions",
        "from preferences to the right reward, to a certified policy",
        (
            Paper("utility", "Utility Theory for Sequential Decision Making", "ICML", 2022),
            Paper(
                "lexicographic",
                "Beyond Scalar Rewards: An Axiomatic Framework for Lexicographic MDPs",
                "NeurIPS",
                2025,
            ),
        ),
    ),
    Subject(
        "beliefs",
        "how inconsistent a set of beliefs is, where it hurts, and its resolution",
        (Paper("lir", "Local Inconsistency Resolution", "AISTATS", 2026),),
    ),
)

PARTS = ("claims", "experiments", "figures", "benchmarks", "commands")

# The closed list of classes that a model file may name; nothing else is ever constructed from one.
MODEL_CLASSES: dict[str, str] = {
    "decisions.LexicographicActorCritic": "coset.decisions.learn.networks:LexicographicActorCritic",
    "decisions.LexicographicQNetwork": "coset.decisions.learn.networks:LexicographicQNetwork",
    "sharing.PositionMLP": "coset.sharing.models:PositionMLP",
    "sharing.TorusCNN": "coset.sharing.models:TorusCNN",
    "ssm.AutomatonTracker": "coset.ssm.automata.module:AutomatonTracker",
    "ssm.BlockStack": "coset.ssm.blocks.stack:BlockStack",
    "ssm.ComplexTracker": "coset.ssm.phasor_modules:ComplexTracker",
    "ssm.IntTracker": "coset.ssm.modules:IntTracker",
    "ssm.MLPTracker": "coset.ssm.mlp_module:MLPTracker",
    "ssm.RealTracker": "coset.ssm.phasor_modules:RealTracker",
    "ssm.RecurrentBaseline": "coset.ssm.baselines:RecurrentBaseline",
    "ssm.SSMStack": "coset.ssm.stack:SSMStack",
    "ssm.TableTracker": "coset.ssm.modules:TableTracker",
}


def is_built(subject: Subject) -> bool:
    """Tell whether the subject's package exists (its paper may be listed before its code).

    Args:
        subject: the subject.

    Returns:
        Whether ``coset.NAME`` can be imported.
    """
    return importlib.util.find_spec(f"coset.{subject.name}") is not None


def built_subjects() -> list[Subject]:
    """Return the subjects whose package exists, in the order of `SUBJECTS`."""
    return [subject for subject in SUBJECTS if is_built(subject)]


def find_subject(name: str) -> Subject:
    """Return the subject of that name.

    Args:
        name: for instance "sharing".

    Returns:
        The subject.

    Raises:
        UnknownNameError: if there is none, with the nearest name.
    """
    for subject in SUBJECTS:
        if subject.name == name:
            return subject
    raise UnknownNameError.of("subject", name, [s.name for s in SUBJECTS])


def load(subject: str, part: str) -> ModuleType | None:
    """Import ``coset.SUBJECT.PART`` and return it.

    Args:
        subject: a subject's name.
        part: one of `PARTS`.

    Returns:
        The module, or ``None`` if the subject is not built or has no such part.

    Raises:
        UnknownNameError: if the subject or the part is unknown.
    """
    if part not in PARTS:
        raise UnknownNameError.of("part of a subject", part, PARTS)
    if not is_built(find_subject(subject)):
        return None
    name = f"coset.{subject}.{part}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def published(subject: str) -> dict[str, Any]:
    """Return the published numbers of a subject's papers, from its ``published.json``.

    Args:
        subject: a subject's name.

    Returns:
        The decoded file, or an empty dictionary if the subject is not built.

    Raises:
        UnknownNameError: if the subject is unknown.
        FileFormatError: if the file is not what the package should hold.
    """
    if not is_built(find_subject(subject)):
        return {}
    source = resources.files(f"coset.{subject}") / "published.json"
    if not source.is_file():
        return {}
    try:
        value = json.loads(source.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{source} must be JSON; line {error.lineno}: {error.msg}") from error
    if not isinstance(value, dict) or not isinstance(value.get("numbers"), list):
        raise FileFormatError(f"{source} must be an object with a list `numbers`")
    return value
