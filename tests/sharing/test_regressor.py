"""SharingRegressor: scikit-learn's conventions, the optimality conditions, ties, weights."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from coset.core.errors import ConfigError, DomainError, DtypeError, UnsupportedError
from coset.sharing.regressor import SharingRegressor


@parametrize_with_checks(
    [
        SharingRegressor(),
        SharingRegressor(alpha=0.01, l1_ratio=0.5),
        SharingRegressor(alpha=0.1, fit_intercept=False, group="row"),
        SharingRegressor(alpha=0.0),
    ]
)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 8))
    coefficients = np.array([1.0, 1.0, 1.0, -2.0, -2.0, 0.0, 0.0, 3.0])
    return X, X @ coefficients + 4.0 + 0.1 * rng.normal(size=60), coefficients


def objective(model, X, y, weight=None):
    """Return the objective as the docstring states it, by loops over pairs."""
    weight = np.ones(len(X)) if weight is None else weight
    residual = (np.asarray(y).T - np.asarray(model.predict(X)).T).reshape(-1, len(X))
    loss = (weight * residual**2).sum() / (2 * weight.sum())
    w = np.asarray(model.coef_).reshape(1, -1)
    groups = w if model.group == "tensor" else np.atleast_2d(model.coef_)
    d = groups.shape[1]
    pairs = sum(abs(g[i] - g[j]) for g in groups for i in range(d) for j in range(i))
    sharing = pairs / max(1, d - 1)
    ratio = model.l1_ratio
    return loss + model.alpha * ((1 - ratio) * sharing + ratio * np.abs(w).sum())


def test_it_finds_the_tied_coefficients(data):
    # With few samples correlations between the features tear clusters, as they spoil the lasso.
    rng, coefficients = np.random.default_rng(6), data[2]
    X = rng.normal(size=(2000, 8))
    y = X @ coefficients + 4.0 + 0.1 * rng.normal(size=2000)
    model = SharingRegressor(alpha=0.1, tol=1e-10).fit(X, y)
    assert model.n_clusters_ == 4
    np.testing.assert_array_equal(model.clusters_, [2, 2, 2, 0, 0, 1, 1, 3])
    assert model.coef_[0] == model.coef_[1] == model.coef_[2]
    assert np.abs(model.coef_ - coefficients).max() < 0.3
    assert abs(model.intercept_ - 4.0) < 0.1
    assert model.score(X, y) > 0.99


def test_lasso_is_the_special_case(data):
    X, y, _ = data
    ours = SharingRegressor(alpha=0.2, l1_ratio=1.0, tol=1e-13).fit(X, y)
    lasso = Lasso(alpha=0.2, tol=1e-13, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, lasso.coef_, atol=1e-6)
    assert ours.intercept_ == pytest.approx(lasso.intercept_, abs=1e-6)


@pytest.mark.parametrize("n", [60, 5])
def test_no_strength_is_least_squares_of_least_norm(data, n):
    X, y, _ = data
    ours = SharingRegressor(alpha=0).fit(X[:n], y[:n])
    plain = LinearRegression().fit(X[:n], y[:n])
    np.testing.assert_allclose(ours.coef_, plain.coef_, atol=1e-10)
    assert ours.n_iter_ == 1


def test_a_large_strength_leaves_one_value_or_none(data):
    X, y, _ = data
    shared = SharingRegressor(alpha=1e6).fit(X, y)
    assert shared.n_clusters_ == 1
    total = X.sum(1) - X.sum(1).mean()
    assert shared.coef_[0] == pytest.approx(total @ y / (total @ total), rel=1e-4)
    with_l1 = SharingRegressor(alpha=1e6, l1_ratio=0.5).fit(X, y)
    assert not with_l1.coef_.any()
    assert with_l1.intercept_ == pytest.approx(y.mean())


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("group", ["tensor", "row"])
def test_no_nearby_model_is_better_than_the_gap_says(data, group, ratio):
    X, y, _ = data
    rng = np.random.default_rng(1)
    targets = np.stack([y, y**2 / 10, rng.normal(size=len(y))], axis=1)
    model = SharingRegressor(alpha=0.1, l1_ratio=ratio, group=group, tol=1e-9).fit(X, targets)
    best = objective(model, X, targets)
    assert model.dual_gap_ <= 1e-9 * objective(
        SharingRegressor(alpha=0.0, group=group).fit(X * 0, targets), X, targets
    )
    for size in (1e-1, 1e-3):
        for _ in range(20):
            near = copy.copy(model)
            near.coef_ = model.coef_ + size * rng.normal(size=model.coef_.shape)
            near.intercept_ = model.intercept_ + size * rng.normal(size=3)
            assert objective(near, X, targets) > best - model.dual_gap_


def test_rows_are_fits_of_their_own_and_a_tensor_shares_among_targets(data):
    X, y, _ = data
    targets = np.stack([y, -y + 0.3 * X[:, 0]], axis=1)
    rows = SharingRegressor(alpha=0.1, group="row", tol=1e-12).fit(X, targets)
    for k in range(2):
        alone = SharingRegressor(alpha=0.1, tol=1e-12).fit(X, targets[:, k])
        np.testing.assert_allclose(rows.coef_[k], alone.coef_, atol=1e-5)
    whole = SharingRegressor(alpha=0.5, tol=1e-12).fit(X, np.stack([y, y], axis=1))
    np.testing.assert_array_equal(whole.clusters_[0], whole.clusters_[1])
    assert whole.n_clusters_ == len(np.unique(whole.coef_))


def test_whole_number_weights_are_repeated_samples(data):
    X, y, _ = data
    counts = np.random.default_rng(2).integers(0, 4, size=len(y))
    weighted = SharingRegressor(alpha=0.1, tol=1e-12).fit(X, y, sample_weight=counts)
    repeated = SharingRegressor(alpha=0.1, tol=1e-12).fit(X.repeat(counts, 0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)
    assert weighted.intercept_ == pytest.approx(repeated.intercept_, abs=1e-9)
    huge = SharingRegressor(alpha=0.1, tol=1e-12).fit(X, y, sample_weight=counts * 5e307)
    np.testing.assert_allclose(huge.coef_, weighted.coef_, atol=1e-12)


def test_an_offset_of_the_features_changes_nothing_but_the_intercept(data):
    X, y, _ = data
    plain = SharingRegressor(alpha=0.1, tol=1e-12).fit(X, y)
    moved = SharingRegressor(alpha=0.1, tol=1e-12).fit(X + 1e6, y)
    np.testing.assert_allclose(moved.coef_, plain.coef_, atol=1e-6)
    np.testing.assert_array_equal(moved.clusters_, plain.clusters_)


def test_what_is_constant_explains_nothing_and_needs_no_explanation(data):
    X, y, _ = data
    weight = np.random.default_rng(3).random(60)
    for value in (0.1, 1e-151):
        model = SharingRegressor(alpha=0.1).fit(X, np.full(60, value), sample_weight=weight)
        assert not model.coef_.any()
        assert model.intercept_ == value
    model = SharingRegressor(alpha=1e-9).fit(np.full((60, 3), 0.1), y, sample_weight=weight)
    assert not model.coef_.any()


def test_too_few_steps_warn_and_bound_the_error(data):
    X, y, _ = data
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        model = SharingRegressor(alpha=0.01, max_iter=2, tol=1e-12).fit(X, y)
    best = SharingRegressor(alpha=0.01, tol=1e-13).fit(X, y)
    excess = objective(model, X, y) - objective(best, X, y)
    assert model.n_iter_ == 2
    assert 0 < excess <= model.dual_gap_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SharingRegressor(alpha=0.01).fit(X, y)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_one_sample_or_one_feature(shape):
    X = np.arange(1.0, 1.0 + shape[0] * shape[1]).reshape(shape)
    y = np.arange(float(shape[0])) + 2
    model = SharingRegressor(alpha=0.1).fit(X, y)
    assert model.coef_.shape == (shape[1],)
    if shape[0] == 1:
        assert not model.coef_.any()
        assert model.predict(X) == pytest.approx(y)
    else:  # one coefficient has nothing to share with
        assert model.coef_ == pytest.approx([1.0], rel=1e-3)


def test_layout_and_width_of_the_input_do_not_matter(data):
    X, y, _ = data
    plain = SharingRegressor(alpha=0.1).fit(X, y)
    strided = SharingRegressor(alpha=0.1).fit(np.asfortranarray(X), y[::-1][::-1])
    np.testing.assert_allclose(strided.coef_, plain.coef_, atol=1e-12)
    narrow = SharingRegressor(alpha=0.1).fit(X.astype(np.float32), y.astype(np.float32))
    assert narrow.coef_.dtype == np.float64
    np.testing.assert_allclose(narrow.coef_, plain.coef_, atol=1e-5)
    whole = SharingRegressor(alpha=0.1).fit((X * 10).astype(int), y)
    assert whole.coef_.dtype == np.float64


def test_a_model_is_cloned_pickled_and_tuned(data):
    X, y, _ = data
    search = GridSearchCV(SharingRegressor(), {"alpha": [1e-3, 0.05, 10.0]}, cv=3).fit(X, y)
    assert search.best_params_["alpha"] < 10
    copied = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copied.predict(X), search.best_estimator_.predict(X))


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"alpha": -1.0}, DomainError),
        ({"alpha": np.nan}, DomainError),
        ({"alpha": np.inf}, DomainError),
        ({"alpha": "much"}, DtypeError),
        ({"l1_ratio": 1.5}, DomainError),
        ({"group": "column"}, ConfigError),
        ({"solver": "lars"}, UnsupportedError),
        ({"max_iter": 0}, DomainError),
        ({"max_iter": 2.5}, DomainError),
        ({"tol": -1.0}, DomainError),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(data, parameters, error):
    X, y, _ = data
    with pytest.raises(error, match=next(iter(parameters))):
        SharingRegressor(**parameters).fit(X, y)


def test_wrong_data_is_refused(data):
    X, y, _ = data
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[3, 2] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            SharingRegressor().fit(broken, y)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            SharingRegressor().fit(X, np.where(np.arange(len(y)) == 1, bad, y))
    with pytest.raises(DomainError, match="divide x"):
        SharingRegressor(fit_intercept=False).fit(X * 1e200, y)
    with pytest.raises(DomainError, match="finite"):
        SharingRegressor().fit(np.where(X > 0, 1e308, 0.9e308), y)
    with pytest.raises(DomainError, match="divide y"):
        SharingRegressor().fit(X, y * 1e-200)
    with pytest.raises(ValueError, match=r"Negative|negative"):
        SharingRegressor().fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match=r"zero|positive"):
        SharingRegressor().fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        SharingRegressor().fit(scipy.sparse.csr_matrix(X), y)
    with pytest.raises(ValueError, match="0 sample"):
        SharingRegressor().fit(X[:0], y[:0])
