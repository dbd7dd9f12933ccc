"""Claims about automata: compiled when every group is solvable, refused when one is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.holonomy import decompose
from coset.ssm.automata.images import Images
from coset.ssm.automata.monoid import TransitionMonoid
from coset.ssm.automata.permutations import derived_orders
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import merged_values
from coset.ssm.phase_layer import PhaseLayer

Compiled = tuple[Tensor, Tensor, int]

__all__ = ["C9", "EXAMPLES", "C9b", "C9c", "codes_and_states", "group_orders", "some_merge"]

# Each token's map of states; the monoid's size; the derived orders of its groups.
EXAMPLES: dict[str, tuple[tuple[tuple[int, ...], ...], int, list[tuple[int, ...]]]] = {
    "parity": (((0, 1), (1, 0)), 2, [(2, 1)]),
    "flip-flop": (((0, 1), (0, 0), (1, 1)), 3, []),
    "mod 3 with reset": (((1, 2, 0), (0, 0, 0)), 6, [(3, 1)]),
    "S3 with reset": (((1, 2, 0), (1, 0, 2), (0, 0, 0)), 9, [(6, 3, 1)]),
    "full T3": (((1, 2, 0), (1, 0, 2), (0, 0, 2)), 27, [(6, 3, 1), (2, 1)]),
    "full T4": (
        ((1, 2, 3, 0), (1, 0, 2, 3), (0, 0, 2, 3)),
        256,
        [(24, 12, 4, 1), (6, 3, 1), (2, 1)],
    ),
    "S5": (((1, 2, 3, 4, 0), (1, 0, 2, 3, 4)), 120, [(120, 60)]),
}
_ENOUGH = 5  # failures to count before a judge stops
_NUM_RANDOM = {"smoke": 40, "cpu": 600, "paper": 6000}


def _example(name: str) -> Tensor:
    return torch.tensor(EXAMPLES[name][0]).T.contiguous()


def _near_misses() -> list[tuple[Tensor]]:
    return [(_example(name),) for name in ("parity", "mod 3 with reset", "flip-flop")]


def _all_small() -> Iterator[np.ndarray]:
    """Yield every automaton of three states and two tokens."""
    maps = list(itertools.product(range(3), repeat=3))
    for pair in itertools.product(maps, repeat=2):
        yield np.array(pair).T


def _random_tables(count: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Yield automata of 2 to 5 states and 1 to 3 tokens, often with permutations among them."""
    for _ in range(count):
        num_states = int(torch.randint(2, 6, (), generator=generator))
        num_tokens = int(torch.randint(1, 4, (), generator=generator))
        delta = torch.randint(num_states, (num_states, num_tokens), generator=generator)
        if torch.rand((), generator=generator) < 0.7:
            delta[:, 0] = torch.randperm(num_states, generator=generator)
        if torch.rand((), generator=generator) < 0.3:
            delta[:, -1] = torch.randperm(num_states, generator=generator)
        yield delta.numpy()


def _cases(preset: str, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Yield the parts that words reach: examples, all small automata or some, random ones."""
    tables = [np.array(maps).T for maps, _, _ in EXAMPLES.values()]
    small = list(_all_small())
    chosen = small if preset != "smoke" else small[:: len(small) // 60]
    for delta in itertools.chain(tables, chosen, _random_tables(_NUM_RANDOM[preset], generator)):
        yield Automaton.from_dfa(delta).trim().delta


def _table(cascade: Cascade, *, see_current: bool = False) -> Tensor:
    """Return the code after each code and token, (num_codes, X)."""
    codes = np.arange(cascade.num_codes)[:, None]
    tokens = np.arange(cascade.num_tokens)[None]
    if not see_current:
        return torch.tensor(cascade.step(codes, tokens))
    before = cascade.decode(codes)
    cells, first = np.zeros((cascade.num_codes, cascade.num_tokens), dtype=np.int64), 0
    for layer in cascade.layers:
        mine = before[..., first : first + layer.num_phases]
        mine = np.broadcast_to(mine, (*cells.shape, layer.num_phases))
        after = layer.apply(cells, np.broadcast_to(tokens, cells.shape), mine)
        for j, m in enumerate(layer.moduli):
            cells = cells * m + after[..., j]
        first += layer.num_phases
    return torch.tensor(cells)


def codes_and_states(delta: Tensor) -> Compiled:
    """Return how the compiled phases move, what they stand for, and in how many layers.

    Args:
        delta: (n, X) int64: all states can be reached from state 0.

    Returns:
        (num_codes, X) the code after each code and token, (num_codes,) the state of each code, and
        the depth.

    Claims: ssm.C9.
    """
    cascade, states = decompose(delta.numpy())
    return _table(cascade), torch.tensor(states), len(cascade.layers)


def _with_resets(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], Compiled]:
    def codes_of(delta: Tensor) -> Compiled:
        cascade, states = decompose(delta.numpy())
        layers = tuple(
            layer
            if layer.resets is None
            else PhaseLayer(layer.moduli, layer.increments, change(layer.resets))
            for layer in cascade.layers
        )
        changed = Cascade(layers, cascade.num_tokens)
        return _table(changed), torch.tensor(states), len(layers)

    return codes_of


def _current_gates(delta: Tensor) -> Compiled:
    cascade, states = decompose(delta.numpy())
    return _table(cascade, see_current=True), torch.tensor(states), len(cascade.layers)


@claim(
    "ssm.C9",
    title="automata with solvable groups compile",
    statement="""If every group in the transition monoid of a finite automaton is solvable, a stack
        of diagonal layers (phases that tokens turn, a = exp(2πi·Θ/m), or reset, a = 0) tracks its
        state at every length; its depth is at least the largest derived length and at most the sum
        of max(1, derived length) over the heights of its images.""",
    hypotheses="finitely many states, all reachable; exact phases",
    source="[derived] from Krohn and Rhodes, and the holonomy decomposition",
    kind="proved",
    expected="holds",
    mutants={
        "tokens that reset hold instead": _with_resets(lambda resets: np.full_like(resets, -1)),
        "every reset leads to phase 0": _with_resets(lambda resets: np.minimum(resets, 0)),
        "gates see the new state below instead of the old": _current_gates,
    },
    near_misses=_near_misses,
)
def C9(
    compiled: Callable[[Tensor], Compiled] = codes_and_states,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C9: the phases must move as the automaton does, on all codes that words reach."""
    wrong, first, cases, pairs = 0, None, 0, 0
    for delta in _cases(preset, generator):
        verdict = Automaton.from_dfa(delta).verdict()
        if not verdict:
            continue
        cases += 1
        after, states, depth = compiled(torch.tensor(delta))
        seen, ok = _follow(after.numpy(), states.numpy(), delta)
        pairs += seen * delta.shape[1]
        if not ok or not verdict.depth_at_least <= depth <= verdict.depth_at_most:
            wrong += 1
            first = first or {"delta": delta.tolist(), "depth": depth}
        if wrong == _ENOUGH:
            break
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {cases} automata are not tracked; {pairs} pairs of code and token",
        sample_size=cases,
        counterexample=first,
    )


def _follow(after: np.ndarray, states: np.ndarray, delta: np.ndarray) -> tuple[int, bool]:
    """Walk all reachable codes; return their number, and whether each step is one of delta."""
    seen, waiting = {0}, [0]
    right = bool(states[0] == 0)
    while waiting and right:
        code = waiting.pop()
        right = states[code] >= 0 and np.array_equal(states[after[code]], delta[states[code]])
        fresh = set(after[code].tolist()) - seen
        seen |= fresh
        waiting += fresh
    return len(seen), bool(right)


def some_merge(delta: Tensor, moduli: Tensor, seed: Tensor, max_length: int = 10**6) -> bool:
    """Tell whether a random cascade confuses two states of an automaton.

    Args:
        delta: (n, X) int64.
        moduli: (k,) int64: one phase a layer; tokens turn it, or, one in four, reset it.
        seed: of the tables.
        max_length: of the words that are tried.

    Returns:
        Whether two words lead to the same phases and to different states.

    Claims: ssm.C9b.
    """
    generator, layers, cells = np.random.default_rng(int(seed)), [], 1
    for m in moduli.tolist():
        shape = (cells, delta.shape[1], 1)
        resets = np.where(generator.random(shape) < 0.25, generator.integers(m, size=shape), -1)
        keep_turns = generator.random() < 0.5  # half of the layers turn only
        added = generator.integers(m, size=shape)
        layers.append(PhaseLayer((m,), added, None if keep_turns else resets))
        cells *= m
    cascade = Cascade(tuple(layers), int(delta.shape[1]))
    if max_length >= cascade.num_codes * len(delta):
        return merged_values(cascade, delta.numpy(), 0)[1] is not None
    return _merge_in_short_words(cascade, delta.numpy(), max_length)


def _merge_in_short_words(cascade: Cascade, delta: np.ndarray, max_length: int) -> bool:
    pairs = {(0, 0)}
    for _ in range(max_length):
        pairs |= {
            (int(cascade.step(np.array(c), np.array(x))), int(delta[q, x]))
            for c, q in pairs
            for x in range(cascade.num_tokens)
        }
    return len({code for code, _ in pairs}) < len(pairs)


def _impossible() -> list[Tensor]:
    """Return automata with a group that is not solvable: S5, A5, S5 with a merging token."""
    a5 = torch.tensor([(1, 2, 0, 3, 4), (1, 2, 3, 4, 0)]).T.contiguous()
    five = _example("S5")
    return [five, a5, torch.cat([five, torch.tensor([[0], [0], [2], [3], [4]])], 1)]


@claim(
    "ssm.C9b",
    title="automata with a group that is not solvable do not",
    statement="""If a group in the transition monoid of a finite automaton is not solvable, every
        stack of diagonal layers on finitely many phases, of any depth, brings two words of
        different state to the same phases.""",
    hypotheses="all states reachable; layers that turn or reset finitely many phases",
    source="[derived] with ssm.C2",
    kind="proved",
    expected="holds",
    mutants={
        "words of at most 2 tokens": lambda delta, moduli, seed: some_merge(delta, moduli, seed, 2),
        "words of at most 3 tokens": lambda delta, moduli, seed: some_merge(delta, moduli, seed, 3),
    },
    near_misses=lambda: [(_example("S5"), torch.tensor([2]), torch.tensor(0))],
)
def C9b(
    merges: Callable[[Tensor, Tensor, Tensor], bool] = some_merge,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C9b: random cascades of 1 to 3 layers over automata with S5 or A5 inside."""
    survivors, first, cases = 0, None, 0
    for delta in _impossible():
        for _ in range({"smoke": 12, "cpu": 100, "paper": 1000}[preset]):
            depth = int(torch.randint(1, 4, (), generator=generator))
            moduli = torch.randint(2, 8, (depth,), generator=generator)
            seed = torch.randint(2**31, (), generator=generator)
            cases += 1
            if not merges(delta, moduli, seed):
                survivors += 1
                first = first or {
                    "delta": delta.tolist(),
                    "moduli": moduli.tolist(),
                    "seed": int(seed),
                }
    return ClaimResult(
        holds=survivors == 0,
        measured=float(survivors),
        bound=0.0,
        detail=f"{survivors} of {cases} random cascades keep all states apart",
        sample_size=cases,
        counterexample=first,
    )


def group_orders(delta: Tensor) -> list[tuple[int, ...]]:
    """Return the derived orders of the maximal groups of an automaton, found from its images.

    Args:
        delta: (n, X) int64.

    Returns:
        One tuple of orders for each group, largest first; trivial groups are left out.

    Claims: ssm.C9c.
    """
    groups = Automaton.from_dfa(delta).verdict().groups
    return sorted((group.orders for group in groups), reverse=True)


def _units_only(delta: Tensor) -> list[tuple[int, ...]]:
    """Return the groups of the tokens that permute all states."""
    columns = [c for c in delta.T.numpy() if len(np.unique(c)) == len(c)]
    orders = derived_orders(len(delta), columns)
    return [orders] if orders[0] > 1 else []


def _irregular_too(delta: Tensor) -> list[tuple[int, ...]]:
    """Return the groups of all images, also of those that no idempotent has."""
    images, found = Images.from_delta(delta.numpy()), []
    for label in np.unique(images.classes):
        representative = int(np.flatnonzero(images.classes == label)[0])
        moves = images.moves(images.bijections(representative))
        orders = derived_orders(int(images.sizes[representative]), moves.values())
        found += [orders] if orders[0] > 1 else []
    return sorted(found, reverse=True)


@claim(
    "ssm.C9c",
    title="the groups of an automaton are those of its images",
    statement="""The maximal groups of the transition monoid, one for each regular class, are the
        groups of permutations that words induce on the images Q·w of idempotent words, one for each
        class of images that words lead onto each other.""",
    hypotheses="finitely many states",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "tokens that permute all states only": _units_only,
        "images of no idempotent count": _irregular_too,
    },
    near_misses=lambda: [(_example("parity"),), (_example("mod 3 with reset"),)],
)
def C9c(
    groups: Callable[[Tensor], list[tuple[int, ...]]] = group_orders,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C9c: groups from images against groups from the list of all words' maps."""
    wrong, first, cases = 0, None, 0
    for name, (maps, size, orders) in EXAMPLES.items():
        monoid = TransitionMonoid.from_delta(np.array(maps).T)
        cases += 1
        if monoid.size != size or groups(_example(name)) != orders:
            wrong, first = wrong + 1, first or {"example": name, "size": monoid.size}
    # Words swap the image {1, 2} of the second token, and no idempotent has that image.
    irregular = np.array([(0, 2, 1), (1, 2, 2)]).T
    for delta in itertools.chain([irregular], _cases(preset, generator)):
        monoid, cases = TransitionMonoid.from_delta(delta), cases + 1
        listed = sorted(
            (derived_orders(len(g.points), g.permutations) for g in monoid.maximal_subgroups()),
            reverse=True,
        )
        if groups(torch.tensor(delta)) != listed:
            wrong, first = wrong + 1, first or {"delta": delta.tolist()}
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {cases} automata have other groups than their listed monoid",
        sample_size=cases,
        counterexample=first,
    )
