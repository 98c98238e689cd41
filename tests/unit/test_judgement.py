from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from regsweep import bootstrap
from regsweep.bootstrap import Interval
from regsweep.judgement import PairedDifference, paired_difference, score_with_intervals, verdict
from regsweep.metrics import score

FloatArray = npt.NDArray[np.float64]

pytestmark = pytest.mark.filterwarnings("error")


def target_and_prediction(rows: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """A skewed target far from 0 and errors with heavy tails."""
    rng = np.random.default_rng(seed)
    y = 1e6 + rng.gamma(1, 1000, rows)
    return y, y + 300 * rng.standard_t(3, rows)


def _mse(y: FloatArray, prediction: FloatArray, axis: int = -1) -> Any:
    return np.mean((y - prediction) ** 2, axis=axis)


def _rmse(y: FloatArray, prediction: FloatArray, axis: int = -1) -> Any:
    return np.sqrt(_mse(y, prediction, axis))


def _mae(y: FloatArray, prediction: FloatArray, axis: int = -1) -> Any:
    return np.mean(np.abs(y - prediction), axis=axis)


def _r2(y: FloatArray, prediction: FloatArray, axis: int = -1) -> Any:
    return 1 - _mse(y, prediction, axis) / np.var(y, axis=axis)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_intervals_agree_with_scipy(level: float) -> None:
    y, prediction = target_and_prediction(80)
    found = score_with_intervals(y, prediction, resamples=20_000, seed=1, level=level)
    for interval, statistic in ((found.mse, _mse), (found.rmse, _rmse), (found.mae, _mae), (found.r2, _r2)):
        low, high = stats.bootstrap(
            (y, prediction), statistic, paired=True, n_resamples=20_000, method="percentile", confidence_level=level, rng=5
        ).confidence_interval
        assert [interval.low, interval.high] == pytest.approx([low, high], abs=0.03 * (high - low))
        assert interval.value == pytest.approx(statistic(y, prediction), rel=1e-12)


def test_values_are_those_of_the_metrics_and_the_seed_fixes_the_intervals() -> None:
    y, prediction = target_and_prediction(50)
    found = score_with_intervals(y, prediction, resamples=200, seed=1)
    plain = score(y, prediction)
    assert (found.mse.value, found.rmse.value, found.mae.value, found.r2.value) == (plain.mse, plain.rmse, plain.mae, plain.r2)
    assert found == score_with_intervals(y, prediction, resamples=200, seed=1)
    assert found.mae != score_with_intervals(y, prediction, resamples=200, seed=2).mae
    assert found.rmse.low == pytest.approx(math.sqrt(found.mse.low), rel=1e-2)


def test_95_percent_intervals_cover_the_truth_about_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(400):
        found = score_with_intervals(np.zeros(100), rng.normal(size=100), resamples=400, seed=seed).mae
        held += found.low <= math.sqrt(2 / math.pi) <= found.high
    assert 0.92 <= held / 400 <= 0.97


def test_many_rows_give_the_normal_interval_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    y, error = rng.normal(size=200_000), rng.normal(size=200_000)
    tracemalloc.start()
    found = score_with_intervals(y, y + error, resamples=9_999, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    half = 1.96 * np.abs(error).std() / math.sqrt(len(y))
    centre = np.abs(error).mean()
    assert [found.mae.low, found.mae.high] == pytest.approx([centre - half, centre + half], abs=0.05 * half)


def test_far_rows_drawn_one_by_one_agree_with_all_rows_drawn_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    y, prediction = target_and_prediction(4_000)
    prediction[:2] += 30_000
    exact = score_with_intervals(y, prediction, resamples=5_000, seed=1)
    monkeypatch.setattr(bootstrap, "MOST_DRAWS", 0)
    mixed = score_with_intervals(y, prediction, resamples=5_000, seed=1)
    assert mixed.mae.low != exact.mae.low, "another way, by the same seed"
    for one, other in ((exact.mse, mixed.mse), (exact.rmse, mixed.rmse), (exact.mae, mixed.mae), (exact.r2, mixed.r2)):
        width = one.high - one.low
        assert [other.low, other.high] == pytest.approx([one.low, one.high], abs=0.06 * width)
        assert other.value == one.value


@pytest.mark.parametrize("constant", [0.0, 0.1, 7e8])
def test_a_constant_target_has_no_r2(constant: float) -> None:
    y = np.full(30, constant)
    found = score_with_intervals(y, y + np.arange(30.0), resamples=200, seed=0)
    assert all(math.isnan(number) for number in (found.r2.value, found.r2.low, found.r2.high))
    assert found.mae.value == pytest.approx(14.5)
    assert 10 < found.mae.low < 14.5 < found.mae.high < 19


def test_resamples_with_a_constant_target_are_left_out_of_r2() -> None:
    # Half of the resamples of two rows are twice the same row; the others are the table itself.
    found = score_with_intervals([1.0, 3.0], [1.5, 2.5], resamples=400, seed=0)
    assert [found.r2.value, found.r2.low, found.r2.high] == pytest.approx([0.75, 0.75, 0.75])


def test_one_row_has_an_interval_of_no_length() -> None:
    found = score_with_intervals([1.0], [4.0], resamples=100, seed=0)
    assert (found.mse, found.rmse, found.mae) == (Interval(9, 9, 9), Interval(3, 3, 3), Interval(3, 3, 3))
    assert math.isnan(found.r2.low)


def test_perfect_predictions() -> None:
    y = np.arange(20.0)
    found = score_with_intervals(y, y, resamples=100, seed=0)
    assert (found.mae, found.r2) == (Interval(0, 0, 0), Interval(1, 1, 1))


def test_an_infinite_prediction_has_no_interval() -> None:
    y, prediction = target_and_prediction(50)
    prediction[3] = np.inf
    found = score_with_intervals(y, prediction, resamples=100, seed=0)
    assert found.mae.value == np.inf
    assert math.isnan(found.mae.low)
    difference = paired_difference(y, y, prediction, baseline="mean", resamples=100, seed=0)
    assert not difference.distinguishable
    assert _verdict(difference, best="mean") == (
        "The network is not comparable with the mean, the best baseline by validation, because an error is not finite."
    )


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(3,\) and \(3, 1\)"):
        score_with_intervals(np.zeros(3), np.zeros((3, 1)), resamples=100, seed=0)
    with pytest.raises(ValueError, match=r"got \(3,\) and \(2,\)"):
        paired_difference(np.zeros(3), np.zeros(3), np.zeros(2), baseline="mean", resamples=100, seed=0)


@pytest.mark.parametrize(("metric", "power"), [("mae", 1), ("mse", 2)])
def test_paired_difference_is_the_baselines_error_minus_the_champions_row_by_row(metric: Any, power: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    # The errors share a large part, so that only a paired interval is narrow.
    shared = rng.normal(size=400)
    champion, baseline = y + shared, y + 1.1 * shared
    found = paired_difference(y, champion, baseline, baseline="svr", metric=metric, resamples=9_999, seed=0)
    row = np.abs(1.1 * shared) ** power - np.abs(shared) ** power
    half = 1.96 * row.std() / 20
    assert (found.baseline, found.metric, found.rows, found.level) == ("svr", metric, 400, 0.95)
    assert found.value == pytest.approx(row.mean(), rel=1e-9)
    assert [found.low, found.high] == pytest.approx([row.mean() - half, row.mean() + half], abs=0.1 * half)
    assert found.half_width == pytest.approx(half, rel=0.05)
    assert found.distinguishable
    swapped = paired_difference(y, baseline, champion, baseline="svr", metric=metric, resamples=9_999, seed=0)
    assert [swapped.value, swapped.low, swapped.high] == pytest.approx([-found.value, -found.high, -found.low])


@pytest.mark.parametrize(("low", "high", "expected"), [(0.1, 2, True), (-2, -0.1, True), (-1, 1, False), (0, 1, False)])
def test_distinguishable_means_that_the_interval_excludes_zero(low: float, high: float, expected: bool) -> None:
    assert PairedDifference("mean", "mae", (low + high) / 2, low, high, rows=50).distinguishable is expected


def difference(baseline: str, value: float, half: float, metric: Any = "mae", rows: int = 90) -> PairedDifference:
    return PairedDifference(baseline, metric, value, value - half, value + half, rows)


def _verdict(*differences: PairedDifference, best: str | None, unit: str = "dollars", metric: Any = "mae") -> str:
    return verdict(unit, "the network", differences, best_baseline=best, metric=metric)


QR = "least_squares_qr"


@pytest.mark.parametrize(
    ("reference", "best", "expected"),
    [
        (
            (1537.4, 213.2),
            (3, 50),
            "The network is better than closed-form least squares by 1,537 ± 213 dollars of MAE (95 % interval), "
            "and not distinguishable from random forest, the best baseline by validation.",
        ),
        (
            (1537.4, 213.2),
            (-320, 99.04),
            "The network is better than closed-form least squares by 1,537 ± 213 dollars of MAE (95 % interval), "
            "and worse than random forest, the best baseline by validation, by 320.0 ± 99.0 dollars of MAE.",
        ),
        (
            (-12_345.6, 2_345.6),
            (-0.5, 0.0123),
            "The network is worse than closed-form least squares by 12,350 ± 2,350 dollars of MAE (95 % interval), "
            "and worse than random forest, the best baseline by validation, by 0.5000 ± 0.0123 dollars of MAE.",
        ),
        (
            (1, 50),
            (20, 5),
            "The network is not distinguishable from closed-form least squares, "
            "and better than random forest, the best baseline by validation, by 20.00 ± 5.00 dollars of MAE (95 % interval).",
        ),
        (
            (1, 50),
            (-2, 50),
            "The network is not distinguishable from closed-form least squares, "
            "nor from random forest, the best baseline by validation (MAE, 95 % interval).",
        ),
    ],
)
def test_verdict_on_reference_and_best(reference: tuple[float, float], best: tuple[float, float], expected: str) -> None:
    others = (difference("mean", 9_000, 10), difference(QR, 7e9, 1, "mse"))
    assert _verdict(difference(QR, *reference), difference("random_forest", *best), *others, best="random_forest") == expected


ONE_CLAUSE = "The network is better than {}, the best baseline by validation, by 1,537 ± 213 dollars of MAE (95 % interval)."


def test_verdict_when_the_reference_is_the_best() -> None:
    expected = ONE_CLAUSE.format("closed-form least squares")
    assert _verdict(difference(QR, 1537.4, 213.2), difference("mean", 9e3, 10), best=QR) == expected


def test_verdict_when_the_best_predicts_the_same_as_the_reference() -> None:
    y, prediction = target_and_prediction(90)
    rounding = 1 + 1e-14 * np.arange(90)
    found = [
        paired_difference(y, y + 20, guess, baseline=name, resamples=500, seed=0)
        for name, guess in ((QR, prediction), ("linear_regression", prediction * rounding), ("mean", prediction * 1.00001))
    ]
    sentence = _verdict(*found, best="linear_regression")
    assert sentence.startswith("The network is better than closed-form least squares, the best baseline by validation, by ")
    assert "linear" not in sentence
    assert "the mean" in _verdict(*found, best="mean")


def test_verdict_without_the_reference() -> None:
    assert _verdict(difference("svr", 1537.4, 213.2), best="svr") == ONE_CLAUSE.format("support vector regression")


def test_verdict_without_a_best_baseline_or_without_any() -> None:
    expected = "The network is not distinguishable from closed-form least squares (MAE, 95 % interval)."
    assert _verdict(difference(QR, 1, 2), best=None) == expected
    assert _verdict(best=None) == "There was no baseline to compare the network with."


def test_verdict_on_too_few_rows() -> None:
    small = "The test part is too small for a verdict on the network: it has {}, and 10 are needed."
    assert _verdict(difference(QR, 50, 1, rows=9), best=QR) == small.format("9 rows")
    assert _verdict(difference(QR, 50, 1, rows=1), best=QR) == small.format("1 row")
    assert _verdict(difference(QR, 50, 1, rows=10), best=QR).startswith("The network is better than")


@pytest.mark.parametrize(
    ("unit", "metric", "amount"),
    [
        ("", "mae", "20.00 ± 5.00 of MAE"),
        ("points", "mse", "20.00 ± 5.00 points² of MSE"),
        ("thousand persons", "mse", "20.00 ± 5.00 (thousand persons)² of MSE"),
        ("", "mse", "20.00 ± 5.00 of MSE"),
    ],
)
def test_units(unit: str, metric: str, amount: str) -> None:
    sentence = _verdict(difference("mean", 20, 5, metric), best="mean", unit=unit, metric=metric)
    assert sentence == f"The network is better than the mean, the best baseline by validation, by {amount} (95 % interval)."


@pytest.mark.parametrize(
    ("value", "low", "high", "amount"),
    [
        (1.2, 0.1, 2.7, "1.20 (0.10 to 2.70) dollars"),
        (-1.2, -2.7, -0.1, "1.20 (0.10 to 2.70) dollars"),
        (3.0, 3.0, 3.0, "3.00 ± 0.00 dollars"),
        (2e-12, 1e-12, 3e-12, "2e-12 ± 1e-12 dollars"),
        (5e15, 4.5e15, 5.5e15, "5e+15 ± 5e+14 dollars"),
    ],
)
def test_amounts_of_every_size(value: float, low: float, high: float, amount: str) -> None:
    sentence = _verdict(PairedDifference("mean", "mae", value, low, high, rows=50), best="mean")
    assert f" by {amount} of MAE (95 % interval)." in sentence


def test_verdict_says_the_level_and_who_is_compared() -> None:
    found = PairedDifference(QR, "mae", 20, 15, 25, rows=50, level=0.995)
    assert verdict("", "the linear model (depth 0)", [found], best_baseline=None) == (
        "The linear model (depth 0) is better than closed-form least squares by 20.00 ± 5.00 of MAE (99.5 % interval)."
    )


@pytest.mark.parametrize("best", ["svr", None])
def test_verdict_needs_a_difference_for_what_it_is_asked(best: str | None) -> None:
    with pytest.raises(ValueError, match=f"best_baseline must be one of mean, but got {best}"):
        _verdict(difference("mean", 1, 2), best=best)
