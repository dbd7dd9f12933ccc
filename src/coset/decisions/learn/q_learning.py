"""Tabular lexicographic Q-learning, from a model or from a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, NotConvergedError, RangeError, ShapeError
from coset.core.results import Record
from coset.decisions.learn.selection import checked_slack, kept_actions, lexicographic_argmax
from coset.decisions.processes.mdp import MDP

__all__ = ["LexQ", "LexQAgent"]

# Steps between two looks at the clock of the caller.
_CHUNK = 1 << 18


@dataclass(frozen=True, eq=False)
class LexQAgent(Record):
    """What was learned: a table of values for each objective, and the policy that it names.

    Attributes:
        q: (S, A, d) float64.
        visits: (S, A) int64, updates of each entry.
        mask: (S, A) bool, the actions that exist.
        slack: (S, d) float64, the slack of each objective in each state at the end; 0 in the last.
        num_steps: steps learned from.
        counter: state of the random numbers, so that `LexQ.fit` can continue.
        state: where the walk stands, −1 between episodes.
        first_state: number of the first row, where an environment's states do not begin at 0.
        first_action: number of the first column, likewise.

    Claims: decisions.C13.
    """

    q: Tensor
    visits: Tensor
    mask: Tensor
    slack: Tensor
    num_steps: int
    counter: int = 0
    state: int = -1
    first_state: int = 0
    first_action: int = 0

    def __repr__(self) -> str:
        return f"LexQAgent({'×'.join(map(str, self.q.shape))} values, {self.num_steps:,} steps)"

    @property
    def policy(self) -> Tensor:
        """The column of each row's greedy action, (S,) int64; −1 where there is none."""
        return lexicographic_argmax(self.q, self.slack[:, :-1], self.mask)

    @property
    def value(self) -> Tensor:
        """Q of the greedy action, (S, d) float64; 0 where there is none."""
        chosen = self.policy
        index = chosen.clamp(min=0)[:, None, None].expand(-1, 1, self.q.shape[2])
        return self.q.gather(1, index)[:, 0] * (chosen >= 0)[:, None]

    def act(self, state: Any) -> int:
        """Return the greedy action in a state.

        Args:
            state: its number, as an environment gives it.

        Returns:
            The action, as the environment takes it.

        Raises:
            RangeError: if there is no such state.
            DomainError: if no action exists there.
        """
        s = int(state) - self.first_state
        if not 0 <= s < len(self.q):
            last = self.first_state + len(self.q) - 1
            raise RangeError(f"a state must be in {self.first_state}…{last}; given {state}")
        if not bool(self.mask[s].any()):
            raise DomainError(f"an action must exist to be taken; state {state} has none")
        chosen = lexicographic_argmax(self.q[s], self.slack[s, :-1], self.mask[s])
        return int(chosen) + self.first_action

    def gaps(self) -> Tensor:
        """Return by how much rejected actions lost at each level, at least, over all states.

        Learning finds an optimal policy only if the slack τ_k lies below the true gap and above the
        error of the values: a gap measured here that is hardly larger than τ_k is a warning.

        Returns:
            (d,) float64; infinite where no action was rejected at that level.
        """
        kept, gaps = self.mask, []
        for k in range(self.q.shape[2]):
            level = self.q[..., k].masked_fill(~kept, -torch.inf)
            best = level.amax(1, keepdim=True)
            stays = kept & (level >= best - self.slack[:, k : k + 1])
            lost = (best - level)[kept & ~stays]
            gaps.append(lost.min() if lost.numel() else lost.new_tensor(torch.inf))
            kept = stays
        return torch.stack(gaps)

    def tie_set(self) -> Tensor:
        """Return the actions that survive all objectives, (S, A) bool."""
        return kept_actions(self.q, self.slack[:, :-1], self.mask)


@dataclass(frozen=True)
class LexQ:
    """Lexicographic Q-learning: one table for each objective, one greedy action for all of them.

    Q_k(s, a) ← Q_k(s, a) + α (r_k + Σ_{j≤k} Γ_kj Q_j(s', b) − Q_k(s, a)) with the same b, the
    lexicographic choice in s' (`lexicographic_argmax`), for all k; α = rate / (1 + decay·n)^power,
    n the visits of (s, a). The slack of a state is τ / (1 + decay·n)^slack_power, n the visits of
    its least tried action. A level with multiplier 1 has many fixed points: start it from the side
    from which its value is the limit, 0 for rewards ≤ 0.

    Attributes:
        slack: τ ≥ 0 of the objectives but the last: a number, or d − 1 of them; above the error of
            the values, below the gap of the actions that should lose.
        exploration: probability of a random action, in (0, 1].
        initial: value at the start of all entries, a number or d of them.
        rate: α at the first visit, in (0, 1].
        rate_decay: ≥ 0.
        rate_power: in [0, 1]; above 1/2 for convergence.
        slack_power: ≥ 0; 0 keeps the slack, less than half of `rate_power` shrinks it slower than
            the error.
        restart: probability that a step is followed by a new start though the episode has not
            ended (the step bootstraps), in [0, 1]; for models only.

    Raises:
        DomainError: if a setting is outside of these.
        DtypeError: if a setting is no number.

    Claims: decisions.C13.

    Example:
        >>> # State 0: a gets 1 and then nothing; b gets 1 now and 1 for the second objective.
        >>> mdp = MDP(
        ...     [[[1], [1]], [[1], [1]]],
        ...     torch.ones(2, 2, 1),
        ...     torch.tensor([[[[1.0, 0.0]], [[1.0, 1.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]]),
        ...     0.9,
        ...     terminal=[False, True],
        ... )
        >>> agent = LexQ().fit(mdp, 1000, generator=torch.Generator().manual_seed(0))
        >>> agent.policy.tolist(), agent.value[0].tolist()
        ([1, -1], [1.0, 1.0])
    """

    slack: float | tuple[float, ...] = 0.01
    exploration: float = 0.3
    initial: float | tuple[float, ...] = 0.0
    rate: float = 1.0
    rate_decay: float = 0.05
    rate_power: float = 0.75
    slack_power: float = 0.0
    restart: float = 0.0

    def __post_init__(self) -> None:
        top = float("inf")
        for name, low, high, strict in (
            ("exploration", 0.0, 1.0, True),
            ("rate", 0.0, 1.0, True),
            ("rate_decay", 0.0, top, False),
            ("rate_power", 0.0, 1.0, False),
            ("slack_power", 0.0, top, False),
            ("restart", 0.0, 1.0, False),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number):
                raise DtypeError(f"{name} must be a number; given {value!r}")
            inside = low < value <= high if strict else low <= value <= high
            if not inside or value == top:
                bracket = "(" if strict else "["
                raise DomainError(f"{name} must be in {bracket}{low:g}, {high:g}]; given {value}")
        # Length is checked against d when a model is known.
        size = np.asarray(self.slack).size if np.ndim(self.slack) else 1
        checked_slack(self.slack, size + 1)

    def fit(
        self,
        model: MDP | gymnasium.Env[Any, Any],
        num_steps: int,
        *,
        generator: torch.Generator | None = None,
        agent: LexQAgent | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> LexQAgent:
        """Learn from steps.

        Args:
            model: an `MDP` with multipliers ≥ 0, sampled in a compiled loop, whose episodes start
                uniformly in a state that is not terminal; or an environment with discrete states
                and actions that gives rewards (d,) and ``info["multiplier"]`` (d, d) as those of
                `coset.decisions.envs` do. ``info["action_mask"]`` (A,) is honored; a truncated step
                bootstraps. States and actions may begin at another number than 0.
            num_steps: how many, ≥ 0.
            generator: source of randomness; None: torch's global one.
            agent: learn on from there; with a model, as if the run had not been interrupted.
            progress: told the number of steps done, now and then.

        Returns:
            The agent.

        Raises:
            DtypeError: if the model is neither, or its spaces are not discrete.
            UnsupportedError: if the environment has no vector rewards with multipliers.
            DomainError: if a setting does not fit the model.
            ShapeError: if the agent is of another size, or rewards have the wrong shape.
            NotConvergedError: if the values became infinite.

        Complexity: O(S·A·d) memory; about 0.2 µs a step of a model of four actions, 20 µs of an
        environment.
        """
        if isinstance(num_steps, bool) or not isinstance(num_steps, int | np.integer):
            raise DtypeError(f"num_steps must be an integer; given {num_steps!r}")
        if num_steps < 0:
            raise DomainError(f"num_steps must be ≥ 0; given {num_steps}")
        if agent is not None and not isinstance(agent, LexQAgent):
            raise DtypeError(f"agent must be a LexQAgent; given {type(agent).__name__}")
        walk: Callable[..., LexQAgent]
        if isinstance(model, MDP):
            walk = self._walk_model
        elif isinstance(model, gymnasium.Env):
            walk = self._walk_env
        else:
            raise DtypeError(
                f"model must be an MDP or a Gymnasium environment; given {type(model).__name__}"
            )
        fresh = int(torch.randint(2**62, (), generator=generator))
        found = walk(model, int(num_steps), agent, fresh, progress or (lambda done: None))
        if not bool(torch.isfinite(found.q).all()):
            raise NotConvergedError(
                "values must stay finite; they grew beyond all bounds: some policy multiplies "
                "faster than it discounts (see coset.decisions.solvers.transience)"
            )
        return found

    def _tables(
        self, shape: tuple[int, int], size: int, agent: LexQAgent | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return values and visits to learn on: of the agent, or fresh ones."""
        if agent is not None:
            if tuple(agent.q.shape) != (*shape, size):
                raise ShapeError(
                    f"the agent must be of shape {(*shape, size)}, as the model is; given "
                    f"{tuple(agent.q.shape)}"
                )
            return agent.q.numpy().copy(), agent.visits.numpy().copy()
        try:
            start = np.asarray(self.initial, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DtypeError(f"initial must be numbers; given {self.initial!r}") from error
        if start.shape not in ((), (size,)):
            raise ShapeError(f"initial must be a number or {size} numbers; given {start.shape}")
        if not np.isfinite(start).all():
            raise DomainError(f"initial must be finite; given {self.initial}")
        return np.full((*shape, size), 1.0) * start, np.zeros(shape, np.int64)

    @property
    def _rates(self) -> np.ndarray:
        return np.array([self.rate, self.rate_decay, self.rate_power, self.slack_power])

    def _walk_model(
        self, mdp: Any, num_steps: int, agent: Any, fresh: int, progress: Callable[[int], object]
    ) -> LexQAgent:
        from coset.decisions.learn import kernels

        compiled: Any = kernels.walk_model
        arrays, starts = model_arrays(mdp)
        shape, size = (mdp.num_states, mdp.num_actions), mdp.num_objectives
        q, visits = self._tables(shape, size, agent)
        slack = checked_slack(self.slack, size).numpy()
        counter = np.array([fresh if agent is None else agent.counter], np.uint64)
        options = (float(self.exploration), float(self.restart))
        state, done = -1 if agent is None else agent.state, 0
        while done < num_steps:
            part = min(_CHUNK, num_steps - done)
            state = compiled(
                arrays, starts, q, visits, slack, self._rates, options, counter, state, part
            )
            done += part
            progress(done)
        seed, before = int(counter[0]), 0 if agent is None else agent.num_steps
        return self._agent(q, visits, arrays[4], before + num_steps, seed, int(state))

    def _walk_env(
        self, env: Any, num_steps: int, agent: Any, fresh: int, progress: Callable[[int], object]
    ) -> LexQAgent:
        from coset.decisions.learn.episodes import num_objectives_of, walk_environment

        if self.restart:
            raise DomainError(
                f"restart must be 0 with an environment, which cannot be put into any state; given "
                f"{self.restart}; learn from an MDP"
            )
        spaces = _discrete(env, "observation"), _discrete(env, "action")
        shape = tuple(int(space.n) for space in spaces)
        size = num_objectives_of(env)
        q, visits = self._tables((shape[0], shape[1]), size, agent)
        mask = np.ones(shape, np.bool_) if agent is None else agent.mask.numpy().copy()
        slack = checked_slack(self.slack, size).numpy()
        settings = (slack, self._rates, float(self.exploration))
        walk_environment(env, (q, visits, mask), settings, num_steps, fresh, progress)
        before = 0 if agent is None else agent.num_steps
        found = self._agent(q, visits, mask, before + num_steps, 0, -1)
        first, second = (int(space.start) for space in spaces)
        return replace(found, first_state=first, first_action=second)

    def _agent(
        self,
        q: np.ndarray,
        visits: np.ndarray,
        mask: np.ndarray,
        num_steps: int,
        counter: int,
        state: int,
    ) -> LexQAgent:
        least = np.where(mask, visits, np.iinfo(np.int64).max).min(1)
        shrink = (1.0 + self.rate_decay * np.where(mask.any(1), least, 0)) ** -self.slack_power
        slack = checked_slack(self.slack, q.shape[2])[None] * torch.from_numpy(shrink)[:, None]
        return LexQAgent(
            q=torch.from_numpy(q),
            visits=torch.from_numpy(visits),
            mask=torch.from_numpy(mask.copy()),
            slack=slack,
            num_steps=num_steps,
            counter=counter,
            state=state,
        )


def _discrete(env: Any, name: str) -> Any:
    space = getattr(env, f"{name}_space")
    if not hasattr(space, "n") or not hasattr(space, "start"):
        raise DtypeError(
            f"tabular learning needs a Discrete {name} space; given {space}; use LexDQN or LexPPO"
        )
    return space


def model_arrays(mdp: MDP) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return a process as the arrays that the compiled loop walks through, and its starts.

    Args:
        mdp: the process, with multipliers ≥ 0.

    Returns:
        (successor, cumulative probabilities, rewards, multipliers (…, d, d), mask, terminal), and
        the states that are not terminal.

    Raises:
        DomainError: if every state is terminal, or a multiplier is negative.
    """
    assert isinstance(mdp.multiplier, Tensor)
    assert isinstance(mdp.terminal, Tensor)
    if mdp.has_negative_multiplier:
        raise DomainError("multipliers must be ≥ 0 to learn; given a negative one; see signed")
    terminal = mdp.terminal.cpu().numpy()
    starts = np.flatnonzero(~terminal)
    if not len(starts):
        raise DomainError("a state must be left that is not terminal; all are")
    gamma = mdp.multiplier.double().cpu()
    if gamma.dim() == 3:
        gamma = gamma[..., None].expand(*gamma.shape, mdp.num_objectives)
    if gamma.dim() == 4:
        gamma = torch.diag_embed(gamma)
    arrays: Sequence[Tensor] = (
        mdp.successor,
        mdp.probability.double().cumsum(-1),
        mdp.reward.double(),
        gamma,
        mdp.allowed,
    )
    plain = (np.ascontiguousarray(array.cpu().numpy()) for array in arrays)
    return (*plain, terminal), starts
