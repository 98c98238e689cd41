"""What the test rows say: scores with intervals, paired differences, and the verdict in one sentence.

In: the target of the test rows and predictions for them, each of shape (n,) in target units. Out: `TestScores`,
`PairedDifference`, a sentence. Main calls: `score_with_intervals`, `paired_difference`, `verdict`; of classes
`class_scores_with_intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from regsweep import metrics
from regsweep.baselines import describe
from regsweep.bootstrap import FloatArray, Interval, percentile_interval, resampled_aucs, resampled_means
from regsweep.tasks import METRICS, REGRESSION

FEWEST_ROWS: Final = 10

# Stands for the best networks where baselines are named; no baseline has this name.
NETWORK: Final = "network"


@dataclass(frozen=True)
class TestScores:
    """`metrics.Scores` of the test rows with intervals: `mse` in target units squared, `rmse` and `mae` in target units."""

    mse: Interval
    rmse: Interval
    mae: Interval
    r2: Interval

    # pytest takes an imported class named Test* for a group of tests.
    __test__: ClassVar[bool] = False


@dataclass(frozen=True)
class ClassTestScores:
    """`metrics.ClassScores` of the test rows with intervals."""

    log_loss: Interval
    accuracy: Interval
    auc: Interval


@dataclass(frozen=True)
class PairedDifference:
    """A baseline's error minus the champion's on the same `rows` rows: positive where the champion is better.

    Where the champion is a baseline, `baseline` may be `NETWORK`: the best networks.
    `value`, `low` and `high` are in target units for `mae` and in target units squared for `mse`, and have no unit for `log_loss`
    and `error_rate`; `level` is the interval's.
    """

    baseline: str
    metric: str
    value: float
    low: float
    high: float
    rows: int
    level: float = 0.95

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def half_width(self) -> float:
        """Half the length of the interval, in the unit of `value`."""
        return (self.high - self.low) / 2


def score_with_intervals(
    y: npt.ArrayLike, prediction: npt.ArrayLike, *, resamples: int, seed: int, level: float = 0.95
) -> TestScores:
    """The four metrics of `prediction` against `y`, both (n,) in target units, with bootstrap intervals of `level`.

    R² is nan, and so is its interval, where `y` is constant; resamples in which `y` happens to be constant are left out of it.
    ValueError for other shapes.
    """
    target, predicted = metrics.checked_pair(y, prediction)
    scores = metrics.score_numbers(target, predicted)
    # Centred and scaled, so that the variance below is not the small difference of two large squares.
    centred = target - target.mean()
    scale = float(np.abs(centred).max()) or 1.0
    centred /= scale
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = target - predicted
        columns = np.column_stack([error**2, np.abs(error), centred, centred**2])
        mse, mae, mean, square = resampled_means(columns, resamples, seed).T
        variance = square - mean**2
        r2 = 1 - mse / (scale**2 * variance)
        return TestScores(
            mse=percentile_interval(scores.mse, mse, level),
            rmse=percentile_interval(scores.rmse, np.sqrt(mse), level),
            mae=percentile_interval(scores.mae, mae, level),
            # Below this the variance of a resample is rounding: all its targets are equal.
            r2=percentile_interval(scores.r2, r2[variance > 1e-10 * square], level),
        )


def class_scores_with_intervals(
    y: npt.ArrayLike, probability: npt.ArrayLike, *, resamples: int, seed: int, level: float = 0.95
) -> ClassTestScores:
    """The three metrics of probabilities of class 1 against `y` of 0 and 1, both (n,), with bootstrap intervals of `level`.

    AUC is nan, and so is its interval, where `y` has one class; resamples with one class are left out of it. ValueError for other
    shapes.
    """
    target, predicted = metrics.checked_pair(y, probability)
    losses, errors = metrics.row_log_losses(target, predicted), metrics.row_errors(target, predicted)
    log_loss, error_rate = resampled_means(np.column_stack([losses, errors]), resamples, seed).T
    return ClassTestScores(
        log_loss=percentile_interval(float(losses.mean()), log_loss, level),
        accuracy=percentile_interval(1.0 - float(errors.mean()), 1.0 - error_rate, level),
        auc=percentile_interval(metrics.auc(target, predicted), resampled_aucs(target, predicted, resamples, seed), level),
    )


def paired_difference(
    y: npt.ArrayLike,
    champion_prediction: npt.ArrayLike,
    baseline_prediction: npt.ArrayLike,
    *,
    baseline: str,
    metric: str = "mae",
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> PairedDifference:
    """The error of `baseline` minus the champion's, each row against itself, with its bootstrap interval.

    `y` and both predictions of shape (n,) in target units, else ValueError.
    """
    target, champion = metrics.checked_pair(y, champion_prediction)
    _, rival = metrics.checked_pair(y, baseline_prediction)
    with np.errstate(over="ignore", invalid="ignore"):
        column = _row_errors(metric, target, rival) - _row_errors(metric, target, champion)
        value = float(column.mean())
        found = percentile_interval(value, resampled_means(column[:, None], resamples, seed)[:, 0], level)
    return PairedDifference(baseline, metric, value, found.low, found.high, rows=len(target), level=level)


def verdict(
    unit: str,
    champion: str,
    differences: Sequence[PairedDifference],
    *,
    best_baseline: str | None,
    reference: str = REGRESSION.reference,
    metric: str = REGRESSION.verdict,
    over: str = "",
    network: str | None = None,
    instead: bool = True,
) -> str:
    """One sentence: is the champion better than the reference, and than the best baseline by validation?

    If the champion is a baseline, `network` is how the sentence calls the networks, which it is compared with before others; that
    they are not worth it is said where it stands `instead` of them and is not worse.

    `unit` is the target's, or empty; `champion` as it stands in a sentence (`the network`); of `differences` those in `metric`
    are read. `over` follows the word interval (` over 10 splits`). `value ± half the interval` stands for a difference whose
    interval excludes 0. ValueError if `best_baseline` has no difference, or if neither it nor the reference is there.
    """
    known = {difference.baseline: difference for difference in differences if difference.metric == metric}
    if not known:
        return f"There was no baseline to compare {champion} with."
    rivals = [known[name] for name in dict.fromkeys((reference, best_baseline)) if name is not None and name in known]
    compared = [*([known[NETWORK]] if network is not None else []), *rivals]
    if not compared or (best_baseline is not None and best_baseline not in known):
        raise ValueError(f"best_baseline must be one of {', '.join(known)}, but got {best_baseline}")
    rows = min(difference.rows for difference in compared)
    if rows < FEWEST_ROWS:
        held = "1 row" if rows == 1 else f"{rows} rows"
        return f"The test part is too small for a verdict on {champion}: it has {held}, and {FEWEST_ROWS} are needed."

    best = best_baseline
    if len(rivals) == 2 and _same(*rivals):
        best = reference
        del compared[-1]
    suffix = f", the best {'other ' if network is not None else ''}baseline by validation"
    names = [_called(each, network) + (suffix if each.baseline == best else "") for each in compared]
    interval = f"{100 * compared[0].level:.3g} % interval{over}"
    subject = f"{_capital(champion)} is"
    if network is not None and instead and not (math.isnan(compared[0].low) or compared[0].high < 0):
        subject = f"{_capital(network)} is not worth it here: {champion} is"
    if not any(each.distinguishable or math.isnan(each.low) for each in compared):
        return f"{subject} not distinguishable from {', nor from '.join(names)} ({METRICS[metric].label}, {interval})."
    clauses: list[str] = []
    note = f" ({interval})"
    for each, name in zip(compared, names, strict=True):
        if math.isnan(each.low):
            clauses.append(f"not comparable with {name}, because an error is not finite")
        elif each.distinguishable:
            comma = "," if each.baseline == best else ""
            clauses.append(f"{'better' if each.low > 0 else 'worse'} than {name}{comma} by {_amount(each, unit)}{note}")
            note = ""
        else:
            clauses.append(f"not distinguishable from {name}")
    return f"{subject} {_listed(clauses)}."


def _called(difference: PairedDifference, network: str | None) -> str:
    return network if network is not None and difference.baseline == NETWORK else describe(difference.baseline)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _listed(clauses: Sequence[str]) -> str:
    return ", and ".join(filter(None, (", ".join(clauses[:-1]), clauses[-1])))


def _same(one: PairedDifference, other: PairedDifference) -> bool:
    """Whether two baselines predict the same but for rounding: on the same resamples, their differences agree."""
    close = 1e-6 * max(one.half_width, abs(one.value))
    return bool(np.allclose([one.value, one.low, one.high], [other.value, other.low, other.high], rtol=0, atol=close))


def _amount(difference: PairedDifference, unit: str) -> str:
    """`1,540 ± 213 dollars of MAE`; a skewed interval that ± would stretch over 0 is given by its ends."""
    low, high = sorted((abs(difference.low), abs(difference.high)))
    value, half = abs(difference.value), difference.half_width
    # The half-width gives the digits; without one (every row differs by the same) the value does.
    decimals = 2 - math.floor(math.log10(half or value))
    shown, around, least, most = (_rounded(number, decimals) for number in (value, half, low, high))
    amount = f"{shown} ± {around}" if value > half else f"{shown} ({least} to {most})"
    metric = METRICS[difference.metric]
    if unit and metric.unit == "squared":
        unit = f"({unit})²" if " " in unit else f"{unit}²"
    unit = "" if metric.unit == "none" else unit
    return f"{amount}{' ' * bool(unit)}{unit} of {metric.label}"


def _row_errors(metric: str, target: FloatArray, predicted: FloatArray) -> FloatArray:
    """The errors whose mean a metric is."""
    match metric:
        case "log_loss":
            return metrics.row_log_losses(target, predicted)
        case "error_rate":
            return metrics.row_errors(target, predicted)
        case _:
            errors: FloatArray = np.abs(target - predicted) ** (1 if metric == "mae" else 2)
            return errors


def _rounded(number: float, decimals: int) -> str:
    if not -9 <= decimals <= 8:
        return f"{number:.3g}"
    return f"{round(number, decimals):,.{max(decimals, 0)}f}"
