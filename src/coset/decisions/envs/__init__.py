"""Gymnasium environments whose rewards are vectors in an order of importance, and their models."""

from __future__ import annotations

from coset.decisions.envs.lex_reward import LexReward, LinearReward
from coset.decisions.envs.model_env import ModelEnv
from coset.decisions.envs.safety_first import SafetyFirst
from coset.decisions.envs.toy_text import ToyText, from_toy_text

__all__ = ["LexReward", "LinearReward", "ModelEnv", "SafetyFirst", "ToyText", "from_toy_text"]
