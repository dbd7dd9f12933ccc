"""``coset ssm witness``: two words that show that a model does not track a group."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from coset.core.files import dump_json
from coset.core.terminal import printable
from coset.ssm.commands.loading import check_reads_tokens, check_tracks, open_model

if TYPE_CHECKING:
    from coset.groups import Group
    from coset.ssm.witness import TrackingWitness, WitnessSearch

__all__ = ["witness"]


def witness(
    file: Annotated[Path, tyro.conf.Positional],
    /,
    group: str,
    layers: int | None = None,
    alphabet: Literal["all", "generators"] | None = None,
    resolution: float = 1e-3,
    radius: float = 1e3,
    max_length: int = 100_000,
    levels: str = "ABCD",
    like: str | None = None,
    seed: int = 0,
    json: bool = False,
) -> int:
    """Find two words of different value that a model cannot tell apart, or a word it blows up on.

    The methods: A searches its states on a grid; B reads the coordinates of one layer, or lets a
    long common ending erase the difference; C nests commutators, which bring every layer back; D
    reads random words and rearrangements of them. What is shown was run, and fails. If something is
    found, the exit code is 1; if nothing is, that proves little, unless all states are integers and
    were searched.

    Example: coset ssm witness model.safetensors --group A5

    Args:
        file: a model file; it is only read.
        group: a name such as S4, A5, Z60, SL(2,3), S4xZ2.
        layers: how many layers the model has, if it does not say.
        alphabet: what the tokens are, if the model does not say: by default all elements or the
            generators, whichever has as many as the model reads.
        resolution: states at most so far apart count as one.
        radius: a state larger than that counts as lost.
        max_length: words are no longer.
        levels: which methods to use.
        like: builds a model whose file does not say how, as package.module:factory.
        seed: of the random words.
        json: print JSON.
    """
    model = open_model(file, like)
    check_reads_tokens(model, file)
    import torch

    from coset.ssm.alphabet import as_group
    from coset.ssm.witness import search_witness

    named = as_group(group)
    check_tracks(model, named, file, alphabet)
    search = search_witness(
        model,
        named,
        num_layers=layers,
        alphabet=alphabet,
        resolution=resolution,
        radius=radius,
        max_length=max_length,
        levels=levels,
        generator=torch.Generator().manual_seed(seed),
    )
    if json:
        print(dump_json({"file": str(file), **_report(search, named)}), end="")
    else:
        _print(search, named)
    return 0 if search.witness is None else 1


def _report(search: WitnessSearch, group: Group) -> dict[str, Any]:
    found, probe = search.witness, search.probe
    return {
        "group": group.name,
        "witness": None if found is None else _describe(found, group),
        "tried": list(search.tried),
        "proved": search.proved,
        "accuracy": None if probe is None else dict(_accuracies(search)),
        "first_failing_length": None if probe is None else probe.first_failing_length,
    }


def _accuracies(search: WitnessSearch) -> list[tuple[str, float]]:
    probe = search.probe
    if probe is None:
        return []
    return [(str(n), a) for n, a in zip(probe.lengths, probe.accuracies, strict=True)]


def _describe(found: TrackingWitness, group: Group) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "level": found.level,
        "words": [str(word) for word in found.words],
        "rules": [[list(map(list, rule)) for rule in word.rules] for word in found.words],
        "lengths": [word.length for word in found.words],
        "values": list(found.values),
        "labels": [group.labels[value] for value in found.values],
        "distance": found.distance,
        "growth": _finite(found.growth),
        "reason": found.reason,
        "text": found.explain(),
    }


def _finite(size: float | None) -> float | None:
    """Return a size as JSON can write it: null where it is NaN or infinite."""
    return size if size is not None and math.isfinite(size) else None


def _print(search: WitnessSearch, group: Group) -> None:
    console = Console(highlight=False)
    found = search.witness
    if found is None:
        console.print(
            "[green]✓[/green] all states were searched: the model tracks "
            f"{escape(group.name)} at every length"
            if search.proved
            else "nothing was found, which is no proof"
        )
    else:
        isnan = found.growth is not None and math.isnan(found.growth)
        kind = "its state becomes NaN" if isnan else found.kind
        console.print(f"[red]✗[/red] the model does not track {escape(group.name)}: {kind}")
        names = ("u", "w")
        for name, word, value in zip(names, found.words, found.values, strict=True):
            if found.kind == "unbounded" and name == "u":
                continue  # the second word alone matters
            console.print(escape(f"  {name} = {printable(str(word))}"))
            label = printable(group.labels[value])
            console.print(escape(f"      {word.length:,} tokens, value {label}"))
        if found.distance is not None:
            console.print(f"  distance of the states: {found.distance:.3g}")
        if found.growth is not None:
            size = "NaN" if isnan else f"{found.growth:.4g} large"
            console.print(f"  the state after w is {size}")
        console.print(escape(f"  {found.reason} (method {found.level})"))
    for line in search.tried:
        console.print(escape(f"tried {line}"), style="dim")
    if search.probe is not None:
        shown = "  ".join(f"{n}: {100 * a:.0f} %" for n, a in _accuracies(search)[::2])
        console.print(f"right answers by position: {shown}")
