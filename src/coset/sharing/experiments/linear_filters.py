"""Learning an image filter from few pairs of real digits, pixels in place or shuffled.

Which of ridge, lasso and sharing predicts best, alone and followed by the same second stage.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
from coset.sharing.experiments.second_stage import group_weights, refit_values
from coset.sharing.torus import prepare_torus

__all__ = ["FILTERS", "LinearFiltersConfig", "linear_filters"]

_SIDE = 7
# The filters by rows, on a torus. They differ in how their few values are spread: box has two,
# emboss three, sobel five of both signs, ring two over 5×5 pixels.
FILTERS: dict[str, tuple[tuple[float, ...], ...]] = {
    "box": ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    "emboss": ((-1, -1, 0), (-1, 0, 1), (0, 1, 1)),
    "sobel": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "ring": (
        (1, 1, 1, 1, 1),
        (1, 0, 0, 0, 1),
        (1, 0, 0, 0, 1),
        (1, 0, 0, 0, 1),
        (1, 1, 1, 1, 1),
    ),
}


@dataclass(frozen=True)
class LinearFiltersConfig:
    """One run of `sharing.linear-filters`.

    Attributes:
        filter: "box", "emboss", "sobel" or "ring".
        shuffled: apply one random permutation to the pixels of all inputs and outputs.
        seed: decides images, shifts, noise and permutation.
        dataset: "digits" (in the package) or "mnist" (needs `coset data get mnist`).
        num_samples: image pairs to fit with, and as many others to choose with.
        noise: standard deviation of the noise, as a fraction of that of the outputs.
        num_strengths: strengths tried for each method, ≥ 2.
        num_values: numbers of values k tried in the second stage, for each strength.
        max_iter: steps of the solver for each fit.
        tol: duality gap at which it stops, as a fraction of the objective at 0.
    """

    filter: Literal["box", "emboss", "sobel", "ring"] = "box"
    shuffled: bool = False
    seed: int = 0
    dataset: Literal["digits", "mnist"] = "digits"
    num_samples: int = 80
    noise: float = 0.3
    num_strengths: int = 16
    num_values: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    max_iter: int = 3000
    tol: float = 1e-5


_CPU = LinearFiltersConfig()


@experiment(
    "sharing.linear-filters",
    title="An image filter from 80 pairs: sharing, lasso and ridge, alone and refitted",
    presets={
        "smoke": Preset(
            replace(_CPU, num_strengths=6, num_values=(2, 3, 5)),
            {"filter": ("box", "sobel"), "shuffled": (False, True), "seed": (0,)},
        ),
        "cpu": Preset(
            _CPU,
            {"filter": tuple(FILTERS), "shuffled": (False, True), "seed": tuple(range(11, 21))},
        ),
        "paper": Preset(
            replace(_CPU, dataset="mnist", num_strengths=24, max_iter=20_000, tol=1e-8),
            {
                "filter": tuple(FILTERS),
                "shuffled": (False, True),
                "num_samples": (40, 80, 160, 300),
                "seed": tuple(range(11, 31)),
            },
        ),
    },
    data=("digits", "mnist"),
    figures=(
        "coset.sharing.figures:linear_filter_errors",
        "coset.sharing.figures:linear_filter_matrices",
    ),
    cost={"smoke": 4.0, "cpu": 155.0},
)
def linear_filters(config: LinearFiltersConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Learn a filter as a free 49×49 map from pairs of images and filtered images.

    Digits pooled to 7×7, each shifted once on the torus; Y = filter of X + noise. Ridge, lasso and
    sharing try equally many strengths. Alone, the strength of least validation error is reported.
    With the second stage, each strength's map is grouped by exact k-means into each number of
    values tried, the values are refitted by least squares on the same pairs, and the (strength, k)
    of least validation error is reported: equally many trials again. The convolution with 49 free
    taps knows the geometry that it is shown. Only what is chosen is tested; all trials are in the
    run's metrics.

    Args:
        config: the settings.
        run: where to write.

    Yields:
        A row for each method and stage: the relative squared errors, and the test error ÷ that of
        the lasso in the same stage; num_distinct (of 2,401); circulance; tie_agreement (adjusted
        Rand index of the ties with the true ones); what was chosen, and whether its strength lies
        at an edge of those tried.

    Raises:
        ConfigError: if a setting is impossible.
        UnavailableError: if the complete MNIST is asked for and not there.
    """
    for name, least in (("num_samples", 1), ("num_strengths", 2), ("max_iter", 1)):
        if getattr(config, name) < least:
            raise ConfigError(f"{name} must be ≥ {least}; given {getattr(config, name)}")
    if not config.num_values or min(config.num_values) < 1:
        raise ConfigError(f"num_values must be numbers ≥ 1; given {config.num_values}")
    positions = cyclic_positions([_SIDE, _SIDE])
    pairs, order = _read_pairs(config, positions, run)
    back = order.argsort()
    truth = pairs.truth[back][:, back]
    rows: list[dict[str, Any]] = []
    arrays = {"truth": number_ties(truth)}
    for method, stage, fits in _all_fits(pairs, positions, config, run):
        errors = [pairs.validation_error(fit.weights) for fit, _ in fits]
        for (fit, k), error in zip(fits, errors, strict=True):
            run.log(
                step=len(arrays),
                method=method,
                stage=stage,
                strength=fit.strength,
                num_values=k,
                validation_error=error,
            )
        best = min(range(len(fits)), key=errors.__getitem__)
        fit, k = fits[best]
        weights = fit.weights[back][:, back]
        arrays[f"{method}, {stage}"] = number_ties(weights)
        row = {
            "method": method,
            "stage": stage,
            "test_error": pairs.test_error(fit.weights),
            "validation_error": errors[best],
            "num_weights": weights.numel(),
            "num_distinct": int(number_ties(weights).max()) + 1,
            "true_distinct": int(arrays["truth"].max()) + 1,
            "circulance": circulance_of_map(weights, positions),
            "tie_agreement": tie_agreement(weights, truth),
            "chosen_strength": fit.strength,
            "chosen_values": k,
            "num_trials": len(fits),
            "at_edge": fit.strength in (fits[0][0].strength, fits[-1][0].strength),
            "worst_gap": max(fit.relative_gap for fit, _ in fits),
        }
        rows.append(row)
    store_ties(run.folder, arrays)
    lasso = {row["stage"]: row["test_error"] for row in rows if row["method"] == "lasso"}
    for row in rows:
        yield row | {"error_to_lasso": row["test_error"] / lasso[row["stage"]]}


def _read_pairs(
    config: LinearFiltersConfig, positions: Tensor, run: RunContext
) -> tuple[Pairs, Tensor]:
    """Return the pairs as shown, and the order of the pixels; filters share images and noise."""
    from coset.data import load_digits, load_mnist

    read = load_digits if config.dataset == "digits" else load_mnist
    train, test = read("train"), read("test")
    ignored = [f.name for f in fields(config) if f.name not in ("seed", "dataset", "num_samples")]
    generator = run.generator("data", without=ignored)
    # Outputs are filtered before pixels are shuffled, so that the images come in place.
    data = prepare_torus(
        (train.images, train.labels),
        (test.images, test.labels),
        side=_SIDE,
        num_train=config.num_samples,
        num_validation=config.num_samples,
        generator=generator,
    )
    images = (data.train_images, data.validation_images, data.test_images)
    inputs = [part.flatten(1).to(torch.float64) for part in images]
    truth = _true_map(config.filter, positions)
    clean = [x @ truth.T for x in inputs]
    scale = config.noise * float(clean[0].std())
    noisy = [
        y + scale * torch.randn(y.shape, generator=generator, dtype=torch.float64)
        for y in clean[:2]
    ]
    order = torch.randperm(len(positions), generator=generator)
    pairs = Pairs(inputs[0], noisy[0], inputs[1], noisy[1], inputs[2], clean[2], truth)
    if not config.shuffled:
        return pairs, torch.arange(len(positions))
    return pairs.permuted(order), order


def _true_map(name: str, positions: Tensor) -> Tensor:
    rows = torch.tensor(FILTERS[name], dtype=torch.float64)
    taps = torch.zeros(_SIDE, _SIDE, dtype=torch.float64)
    taps[: rows.shape[0], : rows.shape[1]] = rows
    middle = tuple(-(side // 2) for side in rows.shape)
    return map_of_taps(taps.roll(middle, (0, 1)).flatten(), positions)


def _all_fits(
    pairs: Pairs, positions: Tensor, config: LinearFiltersConfig, run: RunContext
) -> Iterator[tuple[str, str, list[tuple[Fit, int | None]]]]:
    x, y, num = pairs.x, pairs.y, config.num_strengths
    gram, cross = x.T @ x, y.T @ x
    done = itertools.count(1)

    def report(method: str) -> None:
        run.progress(next(done), 2 * num, method)

    for method in ("ridge", "lasso", "sharing"):
        if method == "ridge":
            fits = ridge_fits(x, y, num)
        else:
            ratio = float(method == "lasso")
            fits = shared_fits(
                x,
                y,
                num,
                l1_ratio=ratio,
                max_iter=config.max_iter,
                tol=config.tol,
                report=partial(report, method),
            )
        yield method, "alone", [(fit, None) for fit in fits]
        yield method, "refitted", _refitted(fits, config.num_values, gram, cross)
    yield "convolution", "alone", [(fit, None) for fit in convolution_fits(x, y, num, positions)]


def _refitted(
    fits: Sequence[Fit], num_values: Sequence[int], gram: Tensor, cross: Tensor
) -> list[tuple[Fit, int | None]]:
    return [
        (replace(fit, weights=refit_values(group_weights(fit.weights, k), gram, cross)), k)
        for fit in fits
        for k in num_values
    ]
