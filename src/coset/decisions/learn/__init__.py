"""Learning for several objectives in order: tables, deep Q-networks, policies."""

from __future__ import annotations

from coset.decisions.learn.deep import DeepAgent
from coset.decisions.learn.dqn import LexDQN
from coset.decisions.learn.networks import LexicographicActorCritic, LexicographicQNetwork
from coset.decisions.learn.pool import EnvPool, Episodes, run_episodes
from coset.decisions.learn.ppo import LexPPO
from coset.decisions.learn.q_learning import LexQ, LexQAgent
from coset.decisions.learn.replay import ReplayBuffer
from coset.decisions.learn.selection import kept_actions, lexicographic_argmax

__all__ = [
    "DeepAgent",
    "EnvPool",
    "Episodes",
    "LexDQN",
    "LexPPO",
    "LexQ",
    "LexQAgent",
    "LexicographicActorCritic",
    "LexicographicQNetwork",
    "ReplayBuffer",
    "kept_actions",
    "lexicographic_argmax",
    "run_episodes",
]
