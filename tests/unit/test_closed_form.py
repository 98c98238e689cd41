from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_diabetes, make_regression
from sklearn.linear_model import LinearRegression, Ridge

from regsweep.baselines.closed_form import (
    LinearFit,
    least_squares_pinv,
    least_squares_qr,
    least_squares_svd,
    ridge_closed_form,
)

FloatArray = npt.NDArray[np.float64]
Fit = Callable[[FloatArray, FloatArray], LinearFit]

pytestmark = pytest.mark.filterwarnings("error")

every_way = pytest.mark.parametrize("fit", [least_squares_qr, least_squares_svd, least_squares_pinv])


def one_hot_table(rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """A number, two categorical columns with every level, an unknown bucket that stays empty: rank 5 of 8 with the ones."""
    rng = np.random.default_rng(seed)
    colour, size, number = rng.integers(3, size=rows), rng.integers(2, size=rows), rng.normal(size=rows)
    x = np.column_stack([number, np.eye(4)[colour], np.eye(2)[size]])
    return x, 20 + 3 * number + np.array([5.0, -2.0, 9.0])[colour] + 4.0 * size + rng.normal(size=rows)


@every_way
def test_the_line_of_the_issue(fit: Fit) -> None:
    x, y = make_regression(n_features=1, noise=30, random_state=42, bias=100)
    found = fit(x, y)
    assert [found.intercept, *found.coefficients] == pytest.approx([103.49534596, 49.82930935], abs=5e-9)


@every_way
def test_diabetes_as_scikit_learn(fit: Fit) -> None:
    x, y = load_diabetes(return_X_y=True)
    expected = LinearRegression().fit(x, y)
    found = fit(x, y)
    assert found.intercept == pytest.approx(expected.intercept_, rel=1e-8)
    np.testing.assert_allclose(found.coefficients, expected.coef_, rtol=1e-8)


@every_way
def test_a_rank_deficient_one_hot_design_predicts_new_rows_as_scikit_learn(fit: Fit) -> None:
    x, y = one_hot_table(200, seed=1)
    assert np.linalg.matrix_rank(np.column_stack([np.ones(200), x])) == 5
    new, _ = one_hot_table(50, seed=2)
    np.testing.assert_allclose(fit(x, y).predict(new), LinearRegression().fit(x, y).predict(new), rtol=1e-8)


def test_qr_gives_superfluous_columns_zero_and_the_others_the_shortest_solution() -> None:
    x, y = one_hot_table(200, seed=1)
    basic = least_squares_qr(x, y)
    assert np.count_nonzero([basic.intercept, *basic.coefficients]) == 5
    shortest = least_squares_pinv(x, y)
    np.testing.assert_allclose(shortest.coefficients, least_squares_svd(x, y).coefficients, atol=1e-10)
    assert shortest.coefficients[4] == pytest.approx(0, abs=1e-10)


@every_way
def test_a_column_that_repeats_another_but_for_rounding_is_collinear(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    celsius = rng.normal(15, 8, size=300)
    x = np.column_stack([celsius, celsius * 1.8 + 32])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = 2 * celsius + rng.normal(size=300)
    assert np.abs(fit(x, y).coefficients).max() < 20
    np.testing.assert_allclose(fit(x, y).predict(x), LinearRegression().fit(x[:, :1], y).predict(x[:, :1]), rtol=1e-8)


@every_way
def test_units_of_the_columns_do_not_matter(fit: Fit) -> None:
    x, y = load_diabetes(return_X_y=True)
    units = np.logspace(-12, 12, x.shape[1])
    np.testing.assert_allclose(fit(x * units, y).predict(x * units), fit(x, y).predict(x), rtol=1e-8)


@every_way
def test_more_columns_than_rows_interpolate(fit: Fit) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 30)), rng.normal(size=10)
    np.testing.assert_allclose(fit(x, y).predict(x), y, rtol=1e-8)


def test_ridge_equals_scikit_learn_and_solves_its_equation() -> None:
    x, y = load_diabetes(return_X_y=True)
    expected = Ridge(alpha=1).fit(x, y)
    found = ridge_closed_form(x, y)
    assert found.intercept == pytest.approx(expected.intercept_, rel=1e-10)
    np.testing.assert_allclose(found.coefficients, expected.coef_, rtol=1e-8)
    centred = x - x.mean(axis=0)
    left = (centred.T @ centred + np.eye(x.shape[1])) @ found.coefficients
    np.testing.assert_allclose(left, centred.T @ (y - y.mean()), rtol=1e-9)


def test_ridge_of_a_collinear_design_equals_scikit_learn() -> None:
    x, y = one_hot_table(200, seed=1)
    expected = Ridge(alpha=1, solver="svd").fit(x, y)
    np.testing.assert_allclose(ridge_closed_form(x, y).predict(x), expected.predict(x), rtol=1e-10)


def test_ridge_does_not_shrink_the_intercept() -> None:
    x = np.array([[-1.0], [1.0]])
    found = ridge_closed_form(x, np.array([1e6 - 3, 1e6 + 3]))
    assert found.intercept == pytest.approx(1e6, rel=1e-12)
    # xᵀx = 2 and xᵀy = 6, so b = 6 / (2 + 1).
    assert found.coefficients == pytest.approx([2.0], rel=1e-9)


@pytest.mark.parametrize("fit", [least_squares_qr, least_squares_svd, least_squares_pinv, ridge_closed_form])
def test_one_row_and_a_constant_target_give_that_target(fit: Fit) -> None:
    assert fit(np.array([[2.0, 3.0]]), np.array([7.0])).predict(np.array([[2.0, 3.0]])) == pytest.approx([7.0])
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert fit(x, np.full(20, 7.3)).predict(x) == pytest.approx(np.full(20, 7.3), rel=1e-12)
