from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from regsweep.metrics import Scores, mae, mse, r2, rmse, score

pytestmark = pytest.mark.filterwarnings("error")

METRICS = (mse, rmse, mae, r2)


def test_values_by_hand() -> None:
    # Errors 0, 0, -1, 2: SSE = 5, and SST of 1, 2, 3, 4 about 2.5 is 5 as well.
    assert score([1, 2, 3, 4], [1, 2, 4, 2]) == Scores(mse=1.25, rmse=math.sqrt(1.25), mae=0.75, r2=0.0)


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = 1e6 + rng.normal(size=500)
    prediction = y + rng.normal(size=500)
    found = score(y, prediction)
    assert found.mse == pytest.approx(mean_squared_error(y, prediction), rel=1e-12)
    assert found.rmse == pytest.approx(math.sqrt(found.mse), rel=1e-12)
    assert found.mae == pytest.approx(mean_absolute_error(y, prediction), rel=1e-12)
    assert found.r2 == pytest.approx(r2_score(y, prediction), rel=1e-12)


def test_float32_predictions_are_summed_in_float64() -> None:
    y = np.zeros(100_000)
    prediction = np.full(100_000, 0.1, dtype=np.float32)
    assert mae(y, prediction) == pytest.approx(float(np.float32(0.1)), rel=1e-14)


@pytest.mark.parametrize("constant", [0.0, 0.1, 7e8])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_r2_of_a_constant_target_is_nan_without_a_warning(constant: float, rows: int) -> None:
    y = np.full(rows, constant)
    assert math.isnan(r2(y, y + 1))
    assert math.isnan(r2(y, y))


def test_an_infinite_prediction_is_a_bad_score_and_no_warning() -> None:
    found = score([1.0, 2.0], [1.0, np.inf])
    assert (found.mse, found.rmse, found.mae, found.r2) == (np.inf, np.inf, np.inf, -np.inf)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(3, 1), (2,), (1, 3)])
def test_other_shapes_are_refused_instead_of_broadcast(metric: Callable[..., float], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"same shape \(n,\) with n >= 1, but got \(3,\) and"):
        metric(np.zeros(3), np.zeros(shape))


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"but got \(0,\) and \(0,\)"):
        score([], [])
