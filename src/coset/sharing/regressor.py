"""Linear regression whose coefficients are tied: a scikit-learn estimator."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from coset.core.errors import DomainError, UnsupportedError
from coset.core.results import Status
from coset.sharing.penalty import read_number
from coset.sharing.proximal_gradient import shared_least_squares

__all__ = ["SharingRegressor"]

_SOLVERS = ("fista",)


class SharingRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares with coefficients that are pulled together until they are equal.

    min_{w,b} 1/(2S) Σ_i s_i (y_i − x_i·w − b)² + alpha ((1−ρ) R(w) + ρ ‖w‖₁) with sample weights
    s_i (1 unless given), S their sum, ρ = l1_ratio and R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| over
    the d coefficients of a group; the intercept b is not penalized. With ρ = 1 it is the lasso of
    scikit-learn with the same alpha. Like the lasso it compares coefficients as they are: bring
    features to like scales first. Computed in float64 whatever the input.

    Several targets: the squared errors are summed over them, and all coefficients of all targets
    are one group, so that targets share values too (`group="tensor"`, as `ProxSharing` groups a
    weight matrix); with `group="row"` each target is fitted by itself.

    Args:
        alpha: strength of the penalty, finite, ≥ 0; 0 is plain least squares, of least norm.
        l1_ratio: ρ in [0, 1].
        fit_intercept: whether to fit b; else b = 0.
        group: "tensor" or "row", which matters with several targets only.
        solver: "fista".
        max_iter: steps at most; a `ConvergenceWarning` says that they did not suffice.
        tol: stop when the duality gap is ≤ tol times half the weighted mean of squared (with
            intercept: centered) targets, summed over targets; ≥ 0.

    Attributes:
        coef_: (p,) float64, or (K, p) if y was (n, K).
        intercept_: float, or (K,) float64.
        clusters_: integers of the shape of `coef_`: coefficients of one group with the same number
            are equal to the last bit; numbered by increasing value.
        n_clusters_: how many distinct coefficients there are; with "row" summed over rows.
        dual_gap_: proved bound on how far the objective is from its minimum; 0 for alpha = 0.
        n_iter_: steps used, ≥ 1.
        n_features_in_: p.
        feature_names_in_: (p,) names, if X had names that are all strings.

    Claims: sharing.C9, sharing.C11.

    Example:
        >>> X = np.eye(4)
        >>> model = SharingRegressor(alpha=0.1875, fit_intercept=False)
        >>> model.fit(X, [0.0, 1.0, 10.0, 11.0]).coef_
        array([ 0.75,  1.25,  9.75, 10.25])
        >>> model.set_params(alpha=0.5).fit(X, [0.0, 1.0, 10.0, 11.0]).clusters_
        array([0, 0, 1, 1])
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        group: str = "tensor",
        solver: str = "fista",
        max_iter: int = 10_000,
        tol: float = 1e-6,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.group = group
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_tags__(self) -> Tags:
        """Say that several targets are fine."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the coefficients.

        Args:
            X: (n, p): the samples, dense, n and p ≥ 1, finite.
            y: (n,) or (n, K): the targets, finite.
            sample_weight: (n,) ≥ 0, not all 0, or a number; None: 1 each.

        Returns:
            The estimator itself.

        Raises:
            ValueError: if X, y or a weight does not fit or is not finite, or a parameter is out of
                range (`DomainError`, `ConfigError`).
            TypeError: if X is sparse, or a parameter has a wrong type.
            UnsupportedError: if the solver is unknown.
        """
        if self.solver not in _SOLVERS:
            raise UnsupportedError(
                f"solver must be one of {', '.join(_SOLVERS)}; given {self.solver!r}"
            )
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        targets = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        X, targets, weight = _used(X, targets, weight)
        design, centers = _center(X, weight, self.fit_intercept)
        centered, means = _center(targets, weight, self.fit_intercept)
        scale = np.sqrt(weight / weight.mean())[:, None]
        found = shared_least_squares(
            torch.from_numpy(design * scale),
            torch.from_numpy(centered * scale),
            read_number(self.alpha, "alpha"),
            l1_ratio=self.l1_ratio,
            group=self.group,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        if found.status is not Status.SOLVED:
            warnings.warn(found.advice, ConvergenceWarning, stacklevel=2)
        coefficients = found.value.numpy()
        intercept = means - coefficients @ centers
        self.clusters_, self.n_clusters_ = _clusters(coefficients, self.group)
        self.coef_, self.intercept_ = coefficients, intercept
        if y.ndim == 1:
            self.coef_, self.clusters_ = self.coef_[0], self.clusters_[0]
            self.intercept_ = float(intercept[0])
        self.dual_gap_, self.n_iter_ = found.error_bound, found.iterations
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return X·w + b.

        Args:
            X: (m, p): the samples, finite.

        Returns:
            (m,) or (m, K) float64.

        Raises:
            NotFittedError: before `fit`.
            ValueError: if X does not fit or is not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        predicted: np.ndarray = X @ self.coef_.T + self.intercept_
        return predicted


def _used(X: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Leave out samples of weight 0, so that they change nothing at all."""
    used = weight > 0
    if not used.any():
        raise DomainError(
            "sample_weight must be positive somewhere; all weights are 0; leave it out for weight 1"
        )
    # Only ratios of weights matter; the largest becomes 1 so that no sum of them overflows.
    return X[used], targets[used], weight[used] / weight.max()


def _center(values: np.ndarray, weight: np.ndarray, wanted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return columns without their weighted mean, and the means; as they are if not wanted."""
    if not wanted:
        return values, np.zeros(values.shape[1])
    # What overflows here is refused by the solver, with a message of its own.
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.average(values, axis=0, weights=weight)
        # Rounding must not make a constant column vary.
        means = np.clip(means, values.min(0), values.max(0))
        return values - means, means


def _clusters(coefficients: np.ndarray, group: str) -> tuple[np.ndarray, int]:
    groups = coefficients.reshape(1, -1) if group == "tensor" else coefficients
    found = [np.unique(row, return_inverse=True) for row in groups]
    ids = np.stack([inverse.reshape(-1) for _, inverse in found])
    return ids.reshape(coefficients.shape), sum(len(values) for values, _ in found)
