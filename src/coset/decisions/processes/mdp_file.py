"""Decision processes in files: JSON to write by hand, exact; npz for large arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from coset.core.errors import DomainError, FileFormatError, UnknownNameError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.mdp_outcomes import Outcome

__all__ = ["NamedMDP", "ordered", "read_mdp", "write_mdp"]


@dataclass(frozen=True, eq=False)
class NamedMDP:
    """A decision process whose states, actions and objectives have names.

    Attributes:
        mdp: the process in floats.
        states: S names.
        actions: A names.
        objectives: d names, the first priority first.
        start: the first state.
        name: of the whole.
        outcomes: every outcome in exact numbers, if they are known; else ``None``.
    """

    mdp: MDP
    states: tuple[str, ...]
    actions: tuple[str, ...]
    objectives: tuple[str, ...]
    start: int = 0
    name: str = ""
    outcomes: tuple[Outcome, ...] | None = None

    def __post_init__(self) -> None:
        sizes = (self.mdp.num_states, self.mdp.num_actions, self.mdp.num_objectives)
        for what, names, size in zip(
            ("states", "actions", "objectives"),
            (self.states, self.actions, self.objectives),
            sizes,
            strict=True,
        ):
            if len(names) != size or len(set(names)) != size:
                raise DomainError(
                    f"{what} must be {size} distinct names; given {len(names)}, "
                    f"{len(set(names))} of them distinct"
                )
        if not 0 <= self.start < sizes[0]:
            raise DomainError(f"start must be a state 0…{sizes[0] - 1}; given {self.start}")

    def __repr__(self) -> str:
        title = f"{self.name}, " if self.name else ""
        return f"NamedMDP({title}{' > '.join(self.objectives)}, {self.mdp!r})"

    @classmethod
    def of(cls, mdp: MDP, name: str = "", start: int = 0) -> NamedMDP:
        """Name states, actions and objectives by their numbers.

        Args:
            mdp: the process.
            name: of the whole.
            start: the first state.

        Returns:
            The process with names "0", "1", … and "objective 1", ….

        Raises:
            DomainError: if there is no such state.
        """
        return cls(
            mdp,
            tuple(map(str, range(mdp.num_states))),
            tuple(map(str, range(mdp.num_actions))),
            tuple(f"objective {k + 1}" for k in range(mdp.num_objectives)),
            start,
            name,
        )


def ordered(named: NamedMDP, objectives: Sequence[str]) -> NamedMDP:
    """Return a process with its objectives in another order, or fewer of them.

    An order is possible if no objective comes before one that its multiplier takes values from.

    Args:
        named: the process.
        objectives: names of objectives, the first priority first.

    Returns:
        The process.

    Raises:
        UnknownNameError: if there is no objective of a name.
        DomainError: if there is none, one is there twice, or the multipliers do not allow it.

    Example:
        >>> mdp = MDP([[[0]]], [[[1.0]]], torch.tensor([[[[1.0, 2.0]]]]), 0.5)
        >>> ordered(NamedMDP.of(mdp), ["objective 2"]).mdp.reward.item()
        2.0
    """
    for name in objectives:
        if name not in named.objectives:
            raise UnknownNameError.of("objective", name, named.objectives)
    if not objectives or len(set(objectives)) != len(objectives):
        raise DomainError(f"objectives must be distinct, at least one; given {list(objectives)}")
    places = [named.objectives.index(name) for name in objectives]
    _check_order(named, places)
    mdp = named.mdp
    multiplier = mdp.multiplier
    assert isinstance(multiplier, torch.Tensor)
    if multiplier.ndim == 5:
        multiplier = multiplier[..., places, :][..., places]
    elif multiplier.ndim == 4:
        multiplier = multiplier[..., places]
    changed = replace(mdp, reward=mdp.reward[..., places], multiplier=multiplier)
    outcomes = named.outcomes and tuple(
        replace(
            one,
            reward=tuple(one.reward[i] for i in places),
            multiplier=tuple(tuple(one.multiplier[i][j] for j in places) for i in places),
        )
        for one in named.outcomes
    )
    return replace(named, mdp=changed, objectives=tuple(objectives), outcomes=outcomes)


def _check_order(named: NamedMDP, places: Sequence[int]) -> None:
    """Refuse an order in which an objective comes before one that it takes values from."""
    for rank, i in enumerate(places):
        for j in range(named.mdp.num_objectives):
            if j not in places[: rank + 1] and bool((named.mdp.entry(i, j) != 0).any()):
                raise DomainError(
                    f"{named.objectives[i]} takes values from {named.objectives[j]} (its "
                    f"multiplier is not diagonal), which must then come before it; given "
                    f"{', '.join(named.objectives[k] for k in places)}"
                )


def read_mdp(path: Path) -> NamedMDP:
    """Read a decision process from a file.

    Args:
        path: ends in ".json" (at most 64 MiB, see `mdp_json`) or ".npz" (at most
            8 GiB when unpacked, see `mdp_npz`).

    Returns:
        The process; with exact numbers if the file is JSON.

    Raises:
        FileFormatError: if the file is missing, too large or malformed, or a field is wrong; names
            file, field and index.
    """
    from coset.decisions.processes import mdp_json, mdp_npz

    suffix = path.suffix.lower()
    if suffix == ".json":
        return mdp_json.read(path)
    if suffix == ".npz":
        return mdp_npz.read(path)
    raise FileFormatError(
        f"a decision process is a file ending in .json or .npz; given {path}; for a Gymnasium "
        f"environment give its name, such as FrozenLake-v1"
    )


def write_mdp(path: Path, named: NamedMDP) -> None:
    """Write a decision process as a file that `read_mdp` reads.

    Args:
        path: ends in ".json" (from exact numbers, if they are known) or ".npz".
        named: the process.

    Raises:
        FileFormatError: if the ending is another one.
        StorageError: if the file cannot be written.
    """
    from coset.decisions.processes import mdp_json, mdp_npz

    suffix = path.suffix.lower()
    if suffix == ".json":
        mdp_json.write(path, named)
    elif suffix == ".npz":
        mdp_npz.write(path, named)
    else:
        raise FileFormatError(f"a decision process is written to .json or .npz; given {path}")
