from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression

from regsweep.baselines import CLOSED_FORM, FittedBaseline, describe, estimators, fit_baseline
from regsweep.config.names import BASELINES, SCIKIT_LEARN
from regsweep.config.names import CLOSED_FORM as CLOSED_FORM_NAMES
from regsweep.metrics import r2

FloatArray = npt.NDArray[np.float64]

pytestmark = pytest.mark.filterwarnings("error")

# A tree without limits learns the noise of 300 rows by heart; the mean is the mean.
NO_BETTER_THAN_THE_MEAN = ("mean", "decision_tree")


@cache
def diabetes() -> tuple[FloatArray, FloatArray]:
    x, y = load_diabetes(return_X_y=True)
    return (x - x[:300].mean(axis=0)) / x[:300].std(axis=0), y


@cache
def fitted(name: str) -> FittedBaseline:
    x, y = diabetes()
    return fit_baseline(name, x[:300], y[:300], seed=3)


def test_the_registries_hold_the_names_that_configs_may_use() -> None:
    assert tuple(CLOSED_FORM) == CLOSED_FORM_NAMES
    assert tuple(estimators.BUILDERS) == SCIKIT_LEARN


def test_each_has_its_own_label() -> None:
    assert len({describe(name) for name in BASELINES}) == len(BASELINES)
    assert describe("least_squares_qr") == "closed-form least squares"
    assert describe("mean") == "the mean"


@pytest.mark.parametrize("name", BASELINES)
def test_predicts_unseen_rows_better_than_the_mean(name: str) -> None:
    x, y = diabetes()
    prediction = fitted(name).predict(x[300:])
    assert prediction.shape == (142,)
    assert prediction.dtype == np.float64
    score = r2(y[300:], prediction)
    assert score < 0.1 if name in NO_BETTER_THAN_THE_MEAN else score > 0.35


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_seed_gives_the_same_numbers_also_through_a_pickle(name: str) -> None:
    x, y = diabetes()
    again = fit_baseline(name, x[:300], y[:300], seed=3)
    assert again.parameters == fitted(name).parameters
    np.testing.assert_array_equal(again.predict(x), fitted(name).predict(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).predict(x), again.predict(x))


@pytest.mark.parametrize("name", ["random_forest", "decision_tree"])
def test_another_seed_gives_other_numbers(name: str) -> None:
    x, y = diabetes()
    other = fit_baseline(name, x[:300], y[:300], seed=2**63 - 1)
    assert 0 <= int(other.parameters["random_state"]) < 2**32
    assert not np.array_equal(other.predict(x), fitted(name).predict(x))


def test_small_seeds_reach_scikit_learn_unchanged() -> None:
    assert [estimators.random_state(seed) for seed in (0, 7, 2**32 - 1)] == [0, 7, 2**32 - 1]


def test_what_is_logged() -> None:
    x, y = diabetes()
    expected = LinearRegression().fit(x[:300], y[:300])
    assert fitted("mean").parameters == {"intercept": pytest.approx(y[:300].mean())}
    assert fitted("least_squares_qr").parameters == {"intercept": pytest.approx(expected.intercept_), "rcond": 1e-10}
    assert fitted("ridge_closed_form").parameters == {"intercept": pytest.approx(y[:300].mean()), "penalty": 1.0}
    assert fitted("linear_regression").parameters == {"intercept": pytest.approx(expected.intercept_)}
    assert fitted("ridge_cv").parameters["alpha"] in np.logspace(-3, 3, 13)
    assert fitted("svr").parameters == {"kernel": "rbf", "C": 1.0, "epsilon": 0.1, "rows": 300}
    assert fitted("k_nearest_neighbours").parameters == {"n_neighbors": 5}
    assert fitted("random_forest").parameters == {"n_estimators": 100, "random_state": 3}
    assert set(fitted("decision_tree").parameters) == {"tree_depth", "leaves", "random_state"}
    assert fitted("gradient_boosting").parameters == {
        "n_estimators": 100,
        "learning_rate": 0.1,
        "tree_depth": 3,
        "random_state": 3,
    }
    assert fitted("hist_gradient_boosting").parameters == {"n_estimators": 100, "learning_rate": 0.1, "random_state": 3}
    for name in BASELINES:
        assert {type(value) for value in fitted(name).parameters.values()} <= {str, int, float}


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_few_rows_and_a_constant_target(name: str, rows: int) -> None:
    x, y = diabetes()
    assert np.isfinite(fit_baseline(name, x[:rows], y[:rows], seed=0).predict(x)).all()
    constant = fit_baseline(name, x[:rows], np.full(rows, 7.3), seed=0)
    np.testing.assert_allclose(constant.predict(x[:rows]), 7.3, rtol=1e-9)


def test_fewer_rows_than_neighbours_average_all_of_them() -> None:
    x, y = diabetes()
    found = fit_baseline("k_nearest_neighbours", x[:3], y[:3], seed=0)
    assert found.parameters == {"n_neighbors": 3}
    assert found.predict(x[10:11]) == pytest.approx([y[:3].mean()])


def test_svr_does_not_depend_on_the_unit_of_the_target() -> None:
    x, y = diabetes()
    scaled = fit_baseline("svr", x[:300], 1000 * y[:300], seed=3)
    np.testing.assert_allclose(scaled.predict(x), 1000 * fitted("svr").predict(x), rtol=1e-6)


@pytest.mark.parametrize("name", estimators.TREES)
def test_trees_do_not_depend_on_the_unit_of_the_target(name: str) -> None:
    x, y = diabetes()
    small = fit_baseline(name, x[:300], 1e-10 * y[:300], seed=3)
    assert small.parameters.keys() == fitted(name).parameters.keys()
    assert r2(1e-10 * y[300:], small.predict(x[300:])) == pytest.approx(r2(y[300:], fitted(name).predict(x[300:])), abs=0.02)


def test_svr_takes_a_seeded_sample_of_a_long_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "SVR_ROWS", 50)
    x, y = diabetes()
    found = [fit_baseline("svr", x, y, seed=seed) for seed in (0, 0, 1)]
    assert found[0].parameters["rows"] == 50
    np.testing.assert_array_equal(found[0].predict(x), found[1].predict(x))
    assert not np.array_equal(found[0].predict(x), found[2].predict(x))


class _WarnsWhenFitted:
    def fit(self, x: FloatArray, y: FloatArray) -> None:
        warnings.warn("not there yet", ConvergenceWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)

    def predict(self, x: FloatArray) -> FloatArray:
        return np.zeros(len(x))


def test_a_solver_that_did_not_converge_says_so_in_its_parameters_and_other_warnings_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimators, "BUILDERS", {"lasso_cv": lambda rows, state: _WarnsWhenFitted()})
    x, y = diabetes()
    with pytest.warns(UserWarning, match="something else") as caught:
        found = fit_baseline("lasso_cv", x, y, seed=0)
    assert found.parameters == {"converged": "no"}
    assert len(caught) == 1
    assert "converged" not in fitted("lasso_cv").parameters


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    x, y = diabetes()
    with pytest.raises(ValueError, match=r"unknown baseline 'random_forrest' \(did you mean random_forest\?\)"):
        fit_baseline("random_forrest", x, y, seed=0)
    with pytest.raises(ValueError, match="unknown baseline 'lasso'"):
        describe("lasso")


@pytest.mark.parametrize("name", ["ridge_closed_form", "mean"])
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    x, y = diabetes()
    with pytest.raises(ValueError, match=r"x must be \(n, p\) and y \(n,\) with n >= 1, but got \(442, 10\) and \(441,\)"):
        fit_baseline(name, x, y[1:], seed=0)
    with pytest.raises(ValueError, match=r"but got \(442, 10\) and \(442, 1\)"):
        fit_baseline(name, x, y[:, None], seed=0)


def test_naming_baselines_does_not_import_scikit_learn() -> None:
    code = "import sys, regsweep.baselines, regsweep.judgement; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
