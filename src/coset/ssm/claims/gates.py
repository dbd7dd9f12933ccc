"""The corner of the 2×2 table of gates that computes parity, and the three that do not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.scan import scan
from coset.ssm.parity import parity_layer

# By preset: the length of the long random word, and the length of which all words are read.
LONG = {"smoke": 20_000, "cpu": 200_000, "paper": 1_000_000}
ALL_UP_TO = {"smoke": 10, "cpu": 14, "paper": 16}


@torch.no_grad()
def signed_gate(bits: Tensor) -> Tensor:
    """Return the parities (…, T) that the one-layer network reads off the sign of its state."""
    states = parity_layer()(bits[..., None].float())[..., 0]
    parities: Tensor = (states < 0).long()
    return parities


def _read(multiplier: Callable[[Tensor], Tensor], threshold: float = 0.0) -> Callable[..., Tensor]:
    """Return a one-layer network h_t = a(x_t) h_{t−1}, h_0 = 1, that says 1 below a threshold."""

    def network(bits: Tensor) -> Tensor:
        a = multiplier(bits.double())[..., None]
        start = torch.ones_like(a[..., 0, :])
        return (scan(a, torch.zeros_like(a), start)[..., 0] < threshold).long()

    return network


@torch.no_grad()
def _is_exact() -> bool:
    """Tell whether the start is 1, the multipliers are 1 and −1, and nothing is added.

    Products of 1 and −1 are exact in floating point, so that all states of all words are.
    """
    layer = parity_layer()
    a, b = layer.transition(torch.tensor([[0.0], [1.0]]))
    return a.tolist() == [[1.0], [-1.0]] and not b.any() and layer.initial_state().tolist() == [1.0]


def _others_fail(words: Tensor) -> bool:
    """Tell whether the other corners do what the statement says."""
    positions = torch.arange(1, words.shape[-1] + 1).expand(words.shape)
    constant = _read(lambda x: -torch.ones_like(x))(words)
    counts_positions = torch.equal(constant, positions % 2)
    never = [not _read(_scaled(1.0, -c))(words).any() for c in (0.0, 0.5, 1.0)]
    ones = torch.ones((1, 1000))
    faded = [not _read(_scaled(0.0, a), -1e-3)(ones)[0, -2:].any() for a in (-0.5, -0.99)]
    return counts_positions and all(never) and all(faded)


def _scaled(offset: float, slope: float) -> Callable[[Tensor], Tensor]:
    """Return the multiplier a(x) = offset + slope · x."""
    return lambda x: offset + slope * x


def _all_words(length: int) -> Tensor:
    return torch.arange(2**length)[:, None] >> torch.arange(length) & 1


@claim(
    "ssm.C6c",
    title="the corner of the table that computes parity",
    statement="""One real coordinate h_t = a(x_t) h_{t−1} with a(0) = 1, a(1) = −1, h_0 = 1 computes
        parity at every length. With a constant a = −1 it computes the parity of the position; with
        a(1) ≥ 0 the sign never changes; with −1 < a(1) < 0 the state fades from sight.""",
    hypotheses="""float32; every word up to a length, and one long random word; that the states are
        exactly 1 and −1 at all positions makes the finite check a proof for every length""",
    source="[paper] Parity Requires Unified Input Dependence and Negative Eigenvalues in SSMs",
    kind="exhaustive",
    expected="holds",
    mutants={
        "the eigenvalue is −1, but constant": _read(lambda x: -torch.ones_like(x)),
        "the gate reads the input, but is non-negative": _read(lambda x: 1 - x / 2, 0.75),
        "the eigenvalue is −0.9, read at resolution 0.001": _read(lambda x: 1 - 1.9 * x, -1e-3),
    },
    near_misses=lambda: [
        (torch.tensor([[1, 1, 1, 1, 1]]),),  # the position is the number of ones
        (torch.tensor([[0, 0, 1, 0, 0]]),),  # a single one
    ],
)
def C6c(
    network: Callable[[Tensor], Tensor] = signed_gate, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C6c: every word up to a length, one long word, exact states, other corners."""
    words = _all_words(ALL_UP_TO[preset])
    long = torch.randint(2, (1, LONG[preset]), generator=generator)
    num_wrong, first = 0, None
    for bits in (words, long):
        wrong = network(bits) != bits.cumsum(-1) % 2
        num_wrong += int(wrong.sum())
        if first is None and bool(wrong.any()):
            row, place = (int(i) for i in wrong.nonzero()[0])
            first = {"position": place + 1, "bits": bits[row, : place + 1].tolist()}
    exact, others = _is_exact(), _others_fail(words)
    holds = num_wrong == 0 and exact and others
    return ClaimResult(
        holds=holds,
        measured=float(num_wrong),
        bound=0.0,
        detail=(
            f"{num_wrong} wrong positions of {words.numel() + long.numel():,}; states "
            f"{'exactly' if exact else 'not exactly'} 1 and −1"
            f"{'' if others else '; another corner does not behave as stated'}"
        ),
        sample_size=words.numel() + long.numel(),
        counterexample=None if holds else first,
    )
