"""The loops of tabular lexicographic Q-learning for numba, over a model and for one step."""

# mypy: disable-error-code="no-untyped-def,call-arg,var-annotated"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["choose", "greedy", "random_unit", "update", "walk_model"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = (np.uint64(n) for n in (30, 27, 31, 11))
_UNIT = 1.0 / 9007199254740992.0  # 2^−53


@njit(cache=True, nogil=True)
def random_unit(counter):
    """Return a number in [0, 1): SplitMix64, whose whole state is counter[0]."""
    counter[0] += _STEP
    z = counter[0]
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    z = z ^ (z >> _S31)
    return np.float64(z >> _S11) * _UNIT


@njit(cache=True, nogil=True)
def greedy(q, visits, mask, slack, rates, kept):
    """Return the lexicographic choice in one state; `kept` (A,) is work.

    The slack of every level but the last is τ / (1 + decay · n)^p, n the visits of the action that
    was tried least: p below half of the learning rate's power shrinks slower than their error.
    """
    num_actions, size = q.shape
    least = -1
    for a in range(num_actions):
        kept[a] = mask[a]
        if mask[a] and (least < 0 or visits[a] < least):
            least = visits[a]
    shrink = 1.0
    if rates[3] != 0.0:
        shrink = (1.0 + rates[1] * least) ** -rates[3]
    for k in range(size):
        best = -np.inf
        for a in range(num_actions):
            if kept[a] and q[a, k] > best:
                best = q[a, k]
        limit = best - slack[k] * shrink
        for a in range(num_actions):
            if kept[a] and q[a, k] < limit:
                kept[a] = False
    for a in range(num_actions):
        if kept[a]:
            return a
    return -1


@njit(cache=True, nogil=True)
def choose(q, visits, mask, slack, rates, exploration, counter, kept):
    """Return a random action with probability `exploration`, else the greedy one."""
    if random_unit(counter) < exploration:
        num = 0
        for a in range(mask.shape[0]):
            num += mask[a]
        left = int(random_unit(counter) * num)
        for a in range(mask.shape[0]):
            if mask[a]:
                if left == 0:
                    return a
                left -= 1
    return greedy(q, visits, mask, slack, rates, kept)


@njit(cache=True, nogil=True)
def update(q, visits, state, action, after, reward, gamma, ended, mask, slack, rates, kept):
    """Move Q(s, a) towards r + Γ Q(s', b), b the one greedy action in s' for all objectives."""
    size = q.shape[2]
    alpha = rates[0] * (1.0 + rates[1] * visits[state, action]) ** -rates[2]
    visits[state, action] += 1
    b = -1
    if not ended:
        b = greedy(q[after], visits[after], mask[after], slack, rates, kept)
    # From the last level up: a step that stays in its state reads values from before the update.
    for k in range(size - 1, -1, -1):
        target = reward[k]
        if b >= 0:
            for j in range(k + 1):
                target += gamma[k, j] * q[after, b, j]
        q[state, action, k] += alpha * (target - q[state, action, k])


@njit(cache=True, nogil=True)
def walk_model(model, starts, q, visits, slack, rates, options, counter, state, num_steps):
    """Learn for `num_steps` steps of a model; return the state reached, −1 after an end.

    A step that ends the episode, or is followed by a restart of probability options[1], leads to a
    start drawn uniformly.
    """
    successor, cumulative, rewards, gammas, mask, terminal = model
    exploration, restart = options
    num_k = successor.shape[2]
    kept = np.empty(q.shape[1], np.bool_)
    for _ in range(num_steps):
        if state < 0:
            state = starts[int(random_unit(counter) * starts.shape[0])]
        a = choose(q[state], visits[state], mask[state], slack, rates, exploration, counter, kept)
        u = random_unit(counter) * cumulative[state, a, num_k - 1]
        k = 0
        while k < num_k - 1 and cumulative[state, a, k] <= u:
            k += 1
        after = successor[state, a, k]
        # Rewards and multipliers may have size 1 where they do not depend on s, a or k.
        reward = rewards[state, a, min(k, rewards.shape[2] - 1)]
        gamma = gammas[
            min(state, gammas.shape[0] - 1),
            min(a, gammas.shape[1] - 1),
            min(k, gammas.shape[2] - 1),
        ]
        ended = terminal[after] or not np.any(gamma)
        update(q, visits, state, a, after, reward, gamma, ended, mask, slack, rates, kept)
        state = after
        if ended or (restart > 0.0 and random_unit(counter) < restart):
            state = -1
    return state
