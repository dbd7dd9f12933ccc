"""The experiments of sharing: digits on a torus, and particles that stick."""

from coset.sharing.experiments.particles import ParticlesConfig, particles
from coset.sharing.experiments.torus_digits import TorusConfig, torus_digits

__all__ = ["ParticlesConfig", "TorusConfig", "particles", "torus_digits"]
