"""Why input dependence alone, and negative eigenvalues alone, do not compute parity."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.witness.finite import trace_labels
from coset.ssm.witness.parity import nonnegative_pair, time_invariant_pair
from coset.ssm.witness.words import Word

PARITY = np.array([[0, 1], [1, 0]])
STACKS = ("t", "p", "tt", "tp", "pt", "pp")
# By preset: random stacks of three or four layers.
DEEPER = {"smoke": 60, "cpu": 2000, "paper": 20_000}


def finite_layers(letter: str, num_cells: int) -> Tensor:
    """List all layers on two states over bits that are of a class and finite.

    Class p, eigenvalues in [0, 1] that may depend on what the layer sees: finite only if each is 1
    (the state is held) or 0 (it is set), so h ← h, 0 or 1 in each cell. Class t, one eigenvalue for
    all: −1 (about one center, or the states would spread), so a clock; 1, so nothing; or 0, so
    the state is set in each cell.

    Args:
        letter: "t" or "p".
        num_cells: states of the layers below.

    Returns:
        (L, num_cells, 2 tokens, 2) int64: the increment, and the value that is set or −1.

    Claims: ssm.C6.
    """
    places = 2 * num_cells
    if letter == "p":
        return _layers(itertools.product([(0, -1), (0, 0), (0, 1)], repeat=places), num_cells)
    sets = itertools.product([(0, 0), (0, 1)], repeat=places)
    return _layers(itertools.chain(sets, [((0, -1),) * places, ((1, -1),) * places]), num_cells)


def _layers(options: Iterator[tuple[tuple[int, int], ...]], num_cells: int) -> Tensor:
    return torch.tensor(list(options), dtype=torch.int64).reshape(-1, num_cells, 2, 2)


def _turning_p(letter: str, num_cells: int) -> Tensor:
    if letter != "p":
        return finite_layers(letter, num_cells)
    options = itertools.product([(0, -1), (1, -1), (0, 0)], repeat=2 * num_cells)
    return _layers(options, num_cells)


def _token_dependent_t(letter: str, num_cells: int) -> Tensor:
    if letter != "t":
        return finite_layers(letter, num_cells)
    steps = itertools.product([(0, -1), (1, -1)], repeat=2)
    return _layers(iter([pair * num_cells for pair in steps]), num_cells)


def _cell_dependent_t(letter: str, num_cells: int) -> Tensor:
    right = finite_layers(letter, num_cells)
    if letter != "t" or num_cells == 1:
        return right
    cells = itertools.product([(0, -1), (1, -1)], repeat=num_cells)
    more = [tuple(step for step in choice for _ in range(2)) for choice in cells]
    return torch.cat((right, _layers(iter(more), num_cells)))


def _phase_layer(table: Tensor) -> PhaseLayer:
    increments, resets = table.numpy()[..., :1], table.numpy()[..., 1:]
    return PhaseLayer((2,), increments, resets)


def _tracks_parity(tables: tuple[Tensor, ...]) -> bool:
    """Search all states: does every reachable one stand for one parity."""
    cascade = Cascade(tuple(_phase_layer(table) for table in tables), 2)
    return trace_labels(cascade.step, cascade.num_codes, PARITY).conflict is None


def _stacks(
    listed: Callable[[str, int], Tensor], preset: str, generator: torch.Generator
) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Give every stack of one or two layers, and random ones of three or four."""
    for letters in STACKS:
        choices = [listed(letter, 2**level) for level, letter in enumerate(letters)]
        for tables in itertools.product(*choices):
            yield letters, tables
    deep: dict[tuple[str, int], Tensor] = {}
    for _ in range(DEEPER[preset]):
        depth = 3 + int(torch.randint(2, (), generator=generator))
        letters = "".join("tp"[int(i)] for i in torch.randint(2, (depth,), generator=generator))
        drawn_tables: list[Tensor] = []
        for level, letter in enumerate(letters):
            # The layers of many cells are drawn cell by cell from those of one cell.
            if letter == "t" and bool(torch.rand((), generator=generator) < 0.5):
                drawn_tables.append(torch.tensor([[[1, -1]] * 2] * 2**level))
                continue
            one = deep.setdefault((letter, 1), listed(letter, 1))
            cells = one if letter == "p" else one[one[:, 0, 0, 1] >= 0]
            cells = one if not len(cells) else cells
            drawn = torch.randint(len(cells), (2**level,), generator=generator)
            drawn_tables.append(cells[drawn, 0])
        yield letters, tuple(drawn_tables)


@claim(
    "ssm.C6",
    title="input dependence and negative eigenvalues, each alone, do not compute parity",
    statement="""A stack of any depth and order, in which every layer is either time-invariant (with
        any eigenvalues) or input-dependent with eigenvalues in [0, ∞), does not compute parity at
        finite precision: some state is reached by words of both parities.""",
    hypotheses="""finite states; two a layer: every stack of one and of two layers, gated by token
        and lower state in any way, and random stacks of three and four""",
    source="[paper] Parity Requires Unified Input Dependence and Negative Eigenvalues in SSMs",
    kind="exhaustive",
    expected="holds",
    mutants={
        "a non-negative layer may turn": _turning_p,
        "a time-invariant layer sees the token": _token_dependent_t,
        "a time-invariant layer sees the layer below": _cell_dependent_t,
    },
    near_misses=lambda: [("t", 1), ("p", 1)],
)
def C6(
    listed: Callable[[str, int], Tensor] = finite_layers,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C6: search all states of each stack for one that both parities reach."""
    tracking, first, cases = 0, None, 0
    for letters, tables in _stacks(listed, preset, generator):
        cases += 1
        if _tracks_parity(tables):
            tracking += 1
            first = first or {"layers": letters, "tables": [t.tolist() for t in tables]}
            if tracking >= 10:
                break
    return ClaimResult(
        holds=tracking == 0,
        measured=float(tracking),
        bound=0.0,
        detail=f"{tracking} of {cases:,} stacks compute parity",
        sample_size=cases,
        counterexample=first,
    )


def parity_words(a: Tensor, b: Tensor, start: Tensor) -> list[list[int]]:
    """Return two words of different parity whose states are at most 0.001 apart.

    Args:
        a: (2, d) float64 in [0, 1) or, equal for both tokens, in (−1, 1).
        b: (2, d) float64.
        start: (d,) float64 h₀.

    Returns:
        The words as runs [token, count, token, count, …]: 1·0ⁿ and 0·0ⁿ where a is the same for
        both tokens, else 1ⁿ and 1ⁿ⁺¹.

    Claims: ssm.C6b.
    """
    if torch.equal(a[0], a[1]):
        scale = float((b[1] - b[0]).abs().max())
        words = time_invariant_pair(a[0].numpy(), min(0.5, 1e-3 / max(scale, 1e-9)))
    else:
        words = nonnegative_pair(a[1].numpy(), b[1].numpy(), 1e-3, start.numpy())
    return [_runs(word) for word in words]


def _runs(word: Word) -> list[int]:
    return [number for run in word.rules[-1] for number in run] if word.rules else []


def _mean_eigenvalue(a: Tensor, b: Tensor, start: Tensor) -> list[list[int]]:
    if not torch.equal(a[0], a[1]):
        return parity_words(a, b, start)
    mean = a.abs().mean(1, keepdim=True).expand_as(a)
    return parity_words(mean, b, start)


def _start_at_zero(a: Tensor, b: Tensor, start: Tensor) -> list[list[int]]:
    return parity_words(a, b, torch.zeros_like(start))


def _first_coordinate(a: Tensor, b: Tensor, start: Tensor) -> list[list[int]]:
    return parity_words(a[:, :1], b[:, :1], start[:1])


def _near_layers() -> list[tuple[Tensor, Tensor, Tensor]]:
    one = torch.ones(2, 1, dtype=torch.float64)
    bits = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    return [(0.9 * one, bits, zero), (1 - 0.1 * bits, bits, zero)]


@claim(
    "ssm.C6b",
    title="words that fool three of the four kinds of gate",
    statement="""One layer with a constant |λ| < 1 has states at most max|λ|ⁿ |b(1) − b(0)| apart
        after 1·0ⁿ and 0·0ⁿ; one with 0 ≤ a < 1 that depends on the token has states exactly
        aⁿ |b − (1 − a) h₀| apart after 1ⁿ and 1ⁿ⁺¹. Both pairs differ in parity. For |λ| = 0.999,
        n = 6,905; for a(1) = (0.3, 0.95), b(1) = (1, 0.2), n = 104, at resolution 0.001.""",
    hypotheses="float64, resolution 0.001; words are read token by token",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the mean eigenvalue instead of the largest": _mean_eigenvalue,
        "the state before the first token is taken as zero": _start_at_zero,
        "only the first coordinate": _first_coordinate,
    },
    near_misses=_near_layers,
)
def C6b(
    words_of: Callable[[Tensor, Tensor, Tensor], list[list[int]]] = parity_words,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C6b: the verified lengths, and random layers whose states the words bring close."""
    number = {"smoke": 40, "cpu": 400, "paper": 2000}[preset]
    wrong, first = 0, None
    for a, b, start in itertools.chain(_verified(), _random_layers(number, generator)):
        runs = words_of(a, b, start)
        ends = [_read(run, a, b, start) for run in runs]
        ones = [sum(run[1::2][i] for i, t in enumerate(run[::2]) if t == 1) for run in runs]
        apart = float((ends[0] - ends[1]).abs().max())
        if apart > 1e-3 * (1 + 1e-9) or (ones[0] - ones[1]) % 2 == 0:
            wrong += 1
            first = first or {"a": a.tolist(), "b": b.tolist(), "start": start.tolist()}
    found = [words_of(*case) for case in _verified()]
    exact = found == [[[1, 1, 0, 6905], [0, 6906]], [[1, 104], [1, 105]]]
    return ClaimResult(
        holds=wrong == 0 and exact,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {number + 2} layers are not fooled; verified lengths "
        f"{'are' if exact else 'are not'} met",
        sample_size=number + 2,
        counterexample=first,
    )


def _verified() -> list[tuple[Tensor, Tensor, Tensor]]:
    a = torch.full((2, 1), 0.999, dtype=torch.float64)
    b = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    slope = torch.tensor([[1.0, 0.5], [0.3, 0.95]], dtype=torch.float64)
    shift = torch.tensor([[0.0, 0.0], [1.0, 0.2]], dtype=torch.float64)
    return [
        (a, b, torch.zeros(1, dtype=torch.float64)),
        (slope, shift, torch.zeros(2, dtype=torch.float64)),
    ]


def _random_layers(
    number: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    for at in range(number):
        d = 1 + at % 3
        a = 0.995 * torch.rand(2, d, generator=generator, dtype=torch.float64)
        if at % 2:
            a = (2 * a[:1] - 0.995).expand(2, d).clone()
        b, start = (
            torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2, d), (d,))
        )
        yield a, b, start


def _read(run: list[int], a: Tensor, b: Tensor, start: Tensor) -> Tensor:
    state = start.clone()
    for token, count in zip(run[::2], run[1::2], strict=True):
        for _ in range(count):
            state = a[token] * state + b[token]
    return state
