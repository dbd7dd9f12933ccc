"""A hidden convolution from few samples: when does sharing predict better, and does it tie?

Two designs side by side: a dense filter of three values, for which sharing is made, and a sparse
one of three taps, for which the lasso is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.experiments.linear_maps import (
    Fit,
    Pairs,
    circulance_of_map,
    convolution_fits,
    cyclic_positions,
    map_of_taps,
    number_ties,
    ridge_fits,
    shared_fits,
    store_ties,
    tie_agreement,
)

__all__ = ["HiddenConvolutionConfig", "filter_of", "hidden_convolution"]

_SIDE = 16
# Penalized fits by their share of L1.
_RATIOS = {"lasso": 1.0, "sharing": 0.0}


@dataclass(frozen=True)
class HiddenConvolutionConfig:
    """One run of `sharing.hidden-convolution`.

    Attributes:
        design: "dense": 1.0 five times, 2.0 once, −0.5 ten times; "sparse": 1, −0.6, 0.3 and 13
            zeros.
        num_samples: Gaussian samples to fit with, and as many others to choose with; the map is
            16×16.
        shuffled: apply one random permutation to the positions of all inputs and outputs.
        seed: decides samples, noise and permutation.
        num_test: samples to report on, without noise.
        noise: standard deviation of the noise of each output.
        num_strengths: strengths tried for each method, ≥ 2.
        mixed_ratio: share of L1 in "sharing+lasso".
        max_iter: steps of the solver for each fit.
        tol: duality gap at which it stops, as a fraction of the objective at 0.
    """

    design: Literal["dense", "sparse"] = "dense"
    num_samples: int = 14
    shuffled: bool = False
    seed: int = 0
    num_test: int = 2000
    noise: float = 0.1
    num_strengths: int = 12
    mixed_ratio: float = 0.5
    max_iter: int = 3000
    tol: float = 1e-5


_CPU = HiddenConvolutionConfig()
_DESIGNS = ("dense", "sparse")


@experiment(
    "sharing.hidden-convolution",
    title="A hidden convolution from few samples: sharing beside ridge and lasso",
    presets={
        "smoke": Preset(
            replace(_CPU, num_strengths=8), {"design": _DESIGNS, "shuffled": (False,), "seed": (0,)}
        ),
        "cpu": Preset(
            _CPU,
            {
                "design": _DESIGNS,
                "num_samples": (10, 12, 14, 20),
                "shuffled": (False, True),
                "seed": tuple(range(11, 21)),
            },
        ),
        "paper": Preset(
            replace(_CPU, num_strengths=24, max_iter=20_000, tol=1e-8),
            {
                "design": _DESIGNS,
                "num_samples": (8, 10, 12, 14, 16, 20, 40),
                "shuffled": (False, True),
                "seed": tuple(range(11, 41)),
            },
        ),
    },
    figures=(
        "coset.sharing.figures:hidden_convolution_errors",
        "coset.sharing.figures:hidden_convolution_matrices",
    ),
    cost={"smoke": 4.0, "cpu": 215.0},
)
def hidden_convolution(
    config: HiddenConvolutionConfig, run: RunContext
) -> Iterator[dict[str, Any]]:
    """Fit the map by each method along a path of strengths, and report the one chosen.

    Y = X Wᵀ + noise, W circulant 16×16. Every method tries `num_strengths` strengths; the one of
    least error on the validation samples is reported, and only that one is tested. The convolution
    with 16 free taps knows the geometry: what can be reached with it, and what is lost when the
    positions are shuffled. All trials are in the run's metrics.

    Args:
        config: the settings.
        run: where to write.

    Yields:
        A row for each method: the relative squared errors, and the test error ÷ that of ridge;
        num_distinct (of 256); circulance; tie_agreement (adjusted Rand index of the ties with the
        true ones); the strength, and whether it lies at an edge of those tried (at the weak end
        the penalty hardly matters).

    Raises:
        ConfigError: if a setting is impossible.
    """
    for name, least in (("num_samples", 1), ("num_test", 1), ("num_strengths", 2), ("max_iter", 1)):
        if getattr(config, name) < least:
            raise ConfigError(f"{name} must be ≥ {least}; given {getattr(config, name)}")
    positions = cyclic_positions([_SIDE])
    pairs, order = _draw(config, positions, run)
    back = order.argsort()
    rows: list[dict[str, Any]] = []
    arrays = {"truth": number_ties(pairs.truth[back][:, back])}
    for method, fits in _all_fits(pairs, positions, config, run):
        errors = [pairs.validation_error(fit.weights) for fit in fits]
        for fit, error in zip(fits, errors, strict=True):
            run.log(step=len(arrays), method=method, strength=fit.strength, validation_error=error)
        best = min(range(len(fits)), key=errors.__getitem__)
        weights = fits[best].weights[back][:, back]
        arrays[method] = number_ties(weights)
        row = {
            "method": method,
            "test_error": pairs.test_error(fits[best].weights),
            "validation_error": errors[best],
            "num_weights": weights.numel(),
            "num_distinct": int(arrays[method].max()) + 1,
            "circulance": circulance_of_map(weights, positions),
            "tie_agreement": tie_agreement(weights, pairs.truth[back][:, back]),
            "chosen_strength": fits[best].strength,
            "num_trials": len(fits),
            "at_edge": best in (0, len(fits) - 1),
            "worst_gap": max(fit.relative_gap for fit in fits),
        }
        rows.append(row)
    store_ties(run.folder, arrays)
    ridge = next(row["test_error"] for row in rows if row["method"] == "ridge")
    for row in rows:
        yield row | {"error_to_ridge": row["test_error"] / ridge}


def filter_of(design: str) -> Tensor:
    """Return the hidden filter.

    Args:
        design: "dense" or "sparse".

    Returns:
        (16,) float64.

    Raises:
        ConfigError: if the design is unknown.
    """
    taps = torch.zeros(_SIDE, dtype=torch.float64)
    if design == "dense":
        taps[:6], taps[6:] = 1.0, -0.5
        taps[2] = 2.0
    elif design == "sparse":
        taps[:3] = torch.tensor([1.0, -0.6, 0.3], dtype=torch.float64)
    else:
        raise ConfigError(f"design must be dense or sparse; given {design!r}")
    return taps


def _draw(
    config: HiddenConvolutionConfig, positions: Tensor, run: RunContext
) -> tuple[Pairs, Tensor]:
    """Return the pairs as shown, and the order of the positions; designs share their numbers."""
    ignored = [f.name for f in fields(config) if f.name not in ("seed", "num_samples", "num_test")]
    generator = run.generator("data", without=ignored)

    def normal(count: int) -> Tensor:
        return torch.randn(count, _SIDE, generator=generator, dtype=torch.float64)

    truth = map_of_taps(filter_of(config.design), positions)
    inputs = [normal(count) for count in (config.num_samples, config.num_samples, config.num_test)]
    clean = [x @ truth.T for x in inputs]
    noisy = [y + config.noise * normal(len(y)) for y in clean[:2]]
    order = torch.randperm(_SIDE, generator=generator)
    pairs = Pairs(inputs[0], noisy[0], inputs[1], noisy[1], inputs[2], clean[2], truth)
    if not config.shuffled:
        return pairs, torch.arange(_SIDE)
    return pairs.permuted(order), order


def _all_fits(
    pairs: Pairs, positions: Tensor, config: HiddenConvolutionConfig, run: RunContext
) -> Iterator[tuple[str, list[Fit]]]:
    x, y, num = pairs.x, pairs.y, config.num_strengths
    ratios = _RATIOS | {"sharing+lasso": config.mixed_ratio}
    yield "ridge", ridge_fits(x, y, num)
    done = itertools.count(1)

    def report(method: str) -> None:
        run.progress(next(done), num * len(ratios), method)

    for method, ratio in ratios.items():
        yield (
            method,
            shared_fits(
                x,
                y,
                num,
                l1_ratio=ratio,
                max_iter=config.max_iter,
                tol=config.tol,
                report=partial(report, method),
            ),
        )
    yield "convolution", convolution_fits(x, y, num, positions)
