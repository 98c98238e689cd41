"""Baselines as models: what is saved of a fit predicts the same numbers, and opens nothing that was not looked at."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from regsweep.baselines import fit_baseline
from regsweep.config.names import BASELINES, CLASSIFIERS, CLOSED_FORM
from regsweep.predictor import EstimatorMember, LinearMember, Model, NumberColumn, encode
from regsweep.tasks import BINARY, REGRESSION, Task

COLUMNS = tuple(NumberColumn(name, shift, 2.0, 0.0, False, False) for name, shift in (("a", 1.0), ("b", -1.0), ("c", 0.0)))
CASES = [*((name, REGRESSION) for name in BASELINES), *((name, BINARY) for name in CLASSIFIERS)]


def rows(count: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(count, 3)), columns=["a", "b", "c"])
    return frame, np.where(frame["a"] > 0, 3.0, -1.0) + rng.normal(size=count)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_saved_baseline_predicts_the_fits_numbers(name: str, task: Task, tmp_path: Path) -> None:
    (frame, y), (other, _) = rows(90, 0), rows(40, 1)
    target = (y > 1).astype(float) if task == BINARY else y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [fit_baseline(name, encode(frame, COLUMNS), target, seed=seed, task=task) for seed in (0, 1)]
    model = Model("y", "points", tuple(fit.member(COLUMNS) for fit in fits))
    model.save(tmp_path)
    loaded = Model.load(tmp_path / "model.json", tmp_path / "weights.npz")
    expected = np.mean([fit.predict(encode(other, COLUMNS)) for fit in fits], axis=0)
    np.testing.assert_array_equal(loaded.predict(other), expected)
    assert loaded.networks == ()
    assert loaded.packages == (() if name in CLOSED_FORM else ("scikit-learn", "skops"))
    assert {member.classes for member in loaded.members} == {task == BINARY}
    assert all(isinstance(member, LinearMember) == (name in CLOSED_FORM) for member in loaded.members)


@pytest.mark.parametrize("name", ["least_squares_svd", "ridge_cv", "random_forest"])
def test_a_saved_baseline_answers_no_rows_with_no_numbers(name: str) -> None:
    x = np.arange(12.0)[:, None]
    fit = fit_baseline(name, x, 2 * x[:, 0], seed=0)
    model = Model("y", "", (fit.member((NumberColumn("a", 0.0, 1.0, 0.0, indicator=False, date=False),)),))
    assert model.predict(pd.DataFrame({"a": [1.0]}).iloc[:0]).tolist() == []


def test_an_estimator_file_that_holds_other_things_is_not_opened() -> None:
    harmful = np.frombuffer(skops.io.dumps({"a": Path}), np.uint8)
    with pytest.raises(UntrustedTypesFoundException, match=r"pathlib\.Path"):
        EstimatorMember(COLUMNS, False, harmful).predict_encoded(np.zeros((1, 3)))
