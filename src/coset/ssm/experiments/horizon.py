"""How long a rotor in floating point counts: its drift, its first failure, and exact float orbits.

The state is a pair of floats that a random word multiplies by m-th roots of unity, each rounded to
the dtype, as every product and sum is. It fails when the nearest root is not the true one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.core.errors import ConfigError, UnsupportedError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["FloatOrbit", "HorizonConfig", "float_orbit", "horizon", "rounded_roots", "turn"]

Dtype = Literal["bfloat16", "float16", "float32"]
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
# Steps over which the drift per step is measured, before the prediction.
_CALIBRATION = 100
# |B| of a Brownian motion of variance c² a step leaves (−r, r) within 0.7577 (r/c)² steps with
# probability 1/2: (4/π) exp(−π² c² t / 8r²) = 1/2 but for terms below 2 %.
_MEDIAN_EXIT = 8 * math.log(8 / math.pi) / math.pi**2


@dataclass(frozen=True)
class HorizonConfig:
    """One run of `ssm.horizon`.

    Attributes:
        modulus: m ≥ 2.
        dtype: in which roots, products and sums are rounded.
        seed: decides the words.
        num_words: how many random words are read, ≥ 1.
        length: tokens of each, ≥ 200.
        num_times: how many times of a run are reported, ≥ 2, spread evenly over the logarithm.
        renormalize_every: divide each state by its modulus every so many tokens; 0 = never.
        max_states: stop looking for a closed orbit beyond so many float states, ≥ 1.
    """

    modulus: int = 60
    dtype: Dtype = "bfloat16"
    seed: int = 0
    num_words: int = 64
    length: int = 8000
    num_times: int = 24
    renormalize_every: int = 0
    max_states: int = 20_000


@dataclass(frozen=True)
class FloatOrbit:
    """The float states that words reach, as far as they were followed.

    Attributes:
        num_states: states found.
        depth: tokens after which no new state came, or of the shortest word that fails, or at
            which the search was given up.
        closed: every reachable state was found, and each is nearest to its true root: the rotor
            is right on words of every length.
        failed: some word of `depth` tokens fails.
    """

    num_states: int
    depth: int
    closed: bool
    failed: bool


def rounded_roots(modulus: int, dtype: torch.dtype) -> Tensor:
    """Return the m-th roots of unity, rounded to nearest: (cos 2πk/m, sin 2πk/m).

    Args:
        modulus: m ≥ 1.
        dtype: of the result.

    Returns:
        (m, 2); parts that are 0 are exactly 0.

    Example:
        >>> rounded_roots(3, torch.bfloat16).tolist()
        [[1.0, 0.0], [-0.5, 0.8671875], [-0.5, -0.8671875]]
    """
    angle = 2 * math.pi * torch.arange(modulus, dtype=torch.float64) / modulus
    parts = torch.stack([angle.cos(), angle.sin()], -1)
    return torch.where(parts.abs() < 1e-12, 0.0, parts).to(dtype)


def turn(state: Tensor, root: Tensor) -> Tensor:
    """Multiply two complex numbers; every product and sum is rounded to the dtype.

    Args:
        state: (…, 2) real and imaginary parts.
        root: (…, 2) of the same dtype.

    Returns:
        (…, 2).
    """
    (a, b), (c, d) = state.unbind(-1), root.unbind(-1)
    return torch.stack([a * c - b * d, a * d + b * c], -1)


def _angle_errors(states: Tensor, phases: Tensor, modulus: int) -> Tensor:
    """Return the angle from the true root to the state in (−π, π], NaN where there is no angle."""
    wide = states.double()
    error = torch.atan2(wide[..., 1], wide[..., 0]) - 2 * math.pi * phases.double() / modulus
    error = math.pi - torch.remainder(math.pi - error, 2 * math.pi)
    lost = (wide == 0).all(-1) | ~wide.isfinite().all(-1)
    return torch.where(lost, math.nan, error)


def _fails(errors: Tensor, modulus: int) -> Tensor:
    # The comparison is false for NaN; a tie with the next root counts as a failure.
    return ~(errors.abs() < math.pi / modulus * (1 - 1e-12))


def _keys(states: Tensor) -> Tensor:
    """Return one int64 a state that spells its two floats bit by bit."""
    width = torch.int32 if states.dtype == torch.float32 else torch.int16
    bits = states.contiguous().view(width).long()
    return bits[..., 0] * 2**32 + (bits[..., 1] & 0xFFFFFFFF)


def float_orbit(modulus: int, dtype: torch.dtype, max_states: int = 20_000) -> FloatOrbit:
    """Follow every word at once through the rounded rotor, until no new state comes [derived].

    A closed orbit proves that floats count for ever, drift or not: rounding itself corrects the
    errors that an affine map cannot.

    Args:
        modulus: m ≥ 1.
        dtype: bfloat16, float16 or float32.
        max_states: give up beyond so many.

    Returns:
        What was found; neither closed nor failed if the search was given up.

    Raises:
        UnsupportedError: if the dtype is another one.

    Complexity: O(m · states) products and a sort of them for each length.

    Claims: ssm.C8b.

    Example:
        >>> float_orbit(3, torch.bfloat16)
        FloatOrbit(num_states=27, depth=8, closed=True, failed=False)
    """
    if dtype not in _DTYPES.values():
        raise UnsupportedError(f"dtype must be one of {', '.join(_DTYPES)}; given {dtype}")
    roots, steps = rounded_roots(modulus, dtype), torch.arange(modulus)
    states, phases = roots[:1], steps[:1]
    seen, depth = _keys(states), 0
    while len(states) and len(seen) <= max_states:
        depth += 1
        # + 0.0 makes −0.0 and 0.0 one state: they decode alike, and so do all that follow.
        states = (turn(states[:, None], roots) + 0.0).reshape(-1, 2)
        phases = ((phases[:, None] + steps) % modulus).reshape(-1)
        if bool(_fails(_angle_errors(states, phases, modulus), modulus).any()):
            return FloatOrbit(len(seen), depth, closed=False, failed=True)
        keys, inverse = torch.unique(_keys(states), return_inverse=True)
        place = torch.empty_like(keys).scatter_(0, inverse, torch.arange(len(inverse)))
        new = place[~torch.isin(keys, seen)]
        states, phases = states[new], phases[new]
        seen = torch.cat([seen, _keys(states)])
    return FloatOrbit(len(seen), depth, closed=not len(states), failed=False)


@experiment(
    "ssm.horizon",
    title="How long does a rotor in floating point count?",
    presets={
        "smoke": Preset(
            HorizonConfig(length=3000),
            {"dtype": ("bfloat16", "float32"), "modulus": (3, 60)},
        ),
        "cpu": Preset(
            HorizonConfig(length=20_000, num_words=128, max_states=100_000),
            {
                "dtype": ("bfloat16", "float16", "float32"),
                "modulus": (2, 3, 4, 5, 6, 7, 8, 12, 24, 60),
            },
        ),
        "paper": Preset(
            HorizonConfig(length=200_000, num_words=1024, max_states=1_000_000),
            {
                "dtype": ("bfloat16", "float16", "float32"),
                "modulus": (2, 3, 4, 5, 6, 7, 8, 12, 24, 60),
                "seed": (0, 1, 2),
            },
        ),
    },
    claims=("ssm.C8b",),
    figures=("coset.ssm.figures:horizon_margins", "coset.ssm.figures:horizons"),
)
def horizon(config: HorizonConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Read random words with a rotor of m positions, and follow all words as far as they close.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        Rows "margin", one a time: the least and the median margin 1 − |error| ÷ (π/m) over words
        (0 or less is a failure) and the least and largest modulus; then one row "horizon":
        num_failed words, first_failure and median_failure in tokens (``None`` if none or fewer
        than half of the words failed), drift (standard deviation of the angle error after 100
        tokens, ÷ √100), predicted_median of a random walk of that drift, and of the orbit:
        num_states, orbit_depth, is_closed, is_refuted (0 and false where states are renormalized).

    Raises:
        ConfigError: if a count is too small.

    Claims: ssm.C8b.
    """
    _check(config)
    phases, states = _read_words(config, run)
    errors = _angle_errors(states, phases, config.modulus)
    failing = _fails(errors, config.modulus)
    limit = math.pi / config.modulus
    for time in _times(config):
        margins = 1 - errors[time - 1].nan_to_num(limit).abs() / limit
        radius = states[time - 1].double().norm(dim=-1)
        yield {
            **_labels(config, "margin"),
            "time": time,
            "least_margin": float(margins.min()),
            "median_margin": float(margins.median()),
            "least_modulus": float(radius.min()),
            "largest_modulus": float(radius.max()),
        }
    drift = float(errors[_CALIBRATION - 1].square().mean().sqrt()) / math.sqrt(_CALIBRATION)
    # The orbit is that of the bare rotor; one that is renormalized has another, not followed here.
    orbit = FloatOrbit(0, 0, closed=False, failed=False)
    if not config.renormalize_every:
        orbit = float_orbit(config.modulus, _DTYPES[config.dtype], config.max_states)
    yield {
        **_labels(config, "horizon"),
        **_failures(failing),
        "drift": drift,
        "predicted_median": _MEDIAN_EXIT * (limit / drift) ** 2 if drift > 0 else None,
        "num_states": orbit.num_states,
        "orbit_depth": orbit.depth,
        "is_closed": orbit.closed,
        "is_refuted": orbit.failed,
    }


def _check(config: HorizonConfig) -> None:
    least = {"modulus": 2, "num_words": 1, "length": 2 * _CALIBRATION, "num_times": 2}
    for name, bound in {**least, "renormalize_every": 0, "max_states": 1}.items():
        if getattr(config, name) < bound:
            raise ConfigError(f"{name} must be ≥ {bound}; given {getattr(config, name)}")


def _labels(config: HorizonConfig, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "modulus": config.modulus,
        "dtype": config.dtype,
        "seed": config.seed,
        "length": config.length,
        "num_words": config.num_words,
        "renormalize_every": config.renormalize_every,
    }


def _times(config: HorizonConfig) -> list[int]:
    exponents = torch.linspace(0, math.log(config.length), config.num_times, dtype=torch.float64)
    return sorted({round(math.exp(float(x))) for x in exponents})


def _read_words(config: HorizonConfig, run: RunContext) -> tuple[Tensor, Tensor]:
    """Return the true phases (T, W) and the float states (T, W, 2) after each token."""
    dtype = _DTYPES[config.dtype]
    roots = rounded_roots(config.modulus, dtype)
    # The same words in every dtype.
    generator = run.generator("words", without=["dtype", "renormalize_every", "max_states"])
    shape = (config.length, config.num_words)
    tokens = torch.randint(config.modulus, shape, generator=generator)
    states = torch.empty(*shape, 2, dtype=dtype)
    now = roots[:1].expand(config.num_words, 2)
    for time, x in enumerate(tokens):
        now = turn(now, roots[x])
        if config.renormalize_every and (time + 1) % config.renormalize_every == 0:
            now = now / (now * now).sum(-1, keepdim=True).sqrt()
        states[time] = now
        if time % 500 == 0:
            run.progress(time, config.length, "tokens")
    return tokens.cumsum(0) % config.modulus, states


def _failures(failing: Tensor) -> dict[str, Any]:
    """Return how many words fail, and when; failing is (T, W)."""
    failed = failing.any(0)
    first = torch.where(failed, failing.int().argmax(0) + 1, failing.shape[0] + 1).sort().values
    count, half = int(failed.sum()), (len(first) - 1) // 2
    return {
        "num_failed": count,
        "first_failure": int(first[0]) if count else None,
        "median_failure": int(first[half]) if count > half else None,
    }
