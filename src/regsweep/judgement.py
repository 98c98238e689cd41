"""What the test rows say: scores with intervals, paired differences, and the verdict in one sentence.

In: the target of the test rows and predictions for them, each of shape (n,) in target units. Out: `TestScores`,
`PairedDifference`, a sentence. Main calls: `score_with_intervals`, `paired_difference`, `verdict`; of classes
`class_scores_with_intervals`.

Intervals are percentile bootstrap intervals over rows (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
They take the rows for independent: of rows ordered in time or in groups they are too narrow.

Every metric is a function of means over rows, so a resample is known by the mean of a few columns (|error|, error², ...), and
all metrics share it: counts of rows times columns, in batches of some megabytes. Where resamples times rows exceeds
`MOST_DRAWS`, only the `FAR_ROWS` rows with the farthest values are drawn one by one; the sum of the others, none of which is far
out, is drawn from its normal limit. 9,999 resamples take some tenths of a second for any number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from regsweep import metrics
from regsweep.baselines import describe
from regsweep.tasks import METRICS, REGRESSION

FloatArray = npt.NDArray[np.float64]

MOST_DRAWS: Final = 50_000_000

FAR_ROWS: Final = 500

FEWEST_ROWS: Final = 10

# Stands for the best networks where baselines are named; no baseline has this name.
NETWORK: Final = "network"

_BATCH: Final = 250_000


@dataclass(frozen=True)
class Interval:
    """A value on the test rows and the ends of its interval, all in the unit of the value; nan where it is undefined."""

    value: float
    low: float
    high: float


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
        mse, mae, mean, square = _resampled_means(columns, resamples, seed).T
        variance = square - mean**2
        r2 = 1 - mse / (scale**2 * variance)
        return TestScores(
            mse=_interval(scores.mse, mse, level),
            rmse=_interval(scores.rmse, np.sqrt(mse), level),
            mae=_interval(scores.mae, mae, level),
            # Below this the variance of a resample is rounding: all its targets are equal.
            r2=_interval(scores.r2, r2[variance > 1e-10 * square], level),
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
    log_loss, error_rate = _resampled_means(np.column_stack([losses, errors]), resamples, seed).T
    return ClassTestScores(
        log_loss=_interval(float(losses.mean()), log_loss, level),
        accuracy=_interval(1.0 - float(errors.mean()), 1.0 - error_rate, level),
        auc=_interval(metrics.auc(target, predicted), _resampled_aucs(target, predicted, resamples, seed), level),
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
        found = _interval(value, _resampled_means(column[:, None], resamples, seed)[:, 0], level)
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


def _interval(value: float, resampled: FloatArray, level: float) -> Interval:
    if not math.isfinite(value) or not resampled.size:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _resampled_means(columns: FloatArray, resamples: int, seed: int) -> FloatArray:
    """Means of `columns` (n, k) over n rows drawn with replacement, `resamples` times: (resamples, k).

    nan for a column that is not finite. The draws depend on n, `resamples` and `seed` alone, so that calls on the same rows
    see the same resamples (beyond `MOST_DRAWS`, the rows drawn one by one depend on the columns too).
    """
    rng = np.random.default_rng(seed)
    found = np.full((resamples, columns.shape[1]), np.nan)
    finite = np.isfinite(columns).all(axis=0)
    if finite.any():
        many = resamples * len(columns) > MOST_DRAWS and len(columns) >= 4 * FAR_ROWS
        found[:, finite] = (_mixed_means if many else _drawn_means)(columns[:, finite], resamples, rng)
    return found


def _drawn_means(columns: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    found = np.empty((resamples, columns.shape[1]))
    for part, counts in _drawn_counts(len(columns), resamples, rng):
        found[part] = counts @ columns
    return found / len(columns)


def _drawn_counts(rows: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
    """How often each row is drawn, in batches of shape (size, rows), each with its place among the resamples."""
    for part in _batches(resamples, rows):
        size = part.stop - part.start
        drawn = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield part, np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)


def _resampled_aucs(target: FloatArray, predicted: FloatArray, resamples: int, seed: int) -> FloatArray:
    """AUC of rows drawn with replacement, of every resample with both classes; beyond `MOST_DRAWS` its linear part.

    That is a mean over rows of DeLong's components: how a row's probability ranks among those of the other class (DeLong, DeLong
    and Clarke-Pearson 1988).
    """
    rows, ones = len(target), target > 0.5
    order = np.argsort(predicted, kind="stable")
    ties = np.flatnonzero(np.diff(predicted[order], prepend=-np.inf))
    ones = ones[order]
    if not ones.any() or ones.all():
        return np.empty(0)
    if resamples * rows > MOST_DRAWS and rows >= 4 * FAR_ROWS:
        column = _ranked_components(ones, predicted[order])
        return _resampled_means(column[:, None], resamples, seed)[:, 0]
    found = np.empty(resamples)
    for part, counts in _drawn_counts(rows, resamples, np.random.default_rng(seed)):
        drawn = counts[:, order]
        of_one, of_zero = (np.add.reduceat(drawn * kept, ties, axis=1) for kept in (ones, ~ones))
        wins = (of_one * (np.cumsum(of_zero, axis=1) - 0.5 * of_zero)).sum(axis=1)
        pairs = of_one.sum(axis=1) * of_zero.sum(axis=1)
        found[part] = np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0)
    return found[~np.isnan(found)]


def _ranked_components(ones: npt.NDArray[np.bool_], predicted: FloatArray) -> FloatArray:
    """A column (n,) whose mean is AUC, and whose mean over a resample is AUC's linear part there."""
    column = np.empty(len(ones))
    for mine, sign in ((ones, 1.0), (~ones, -1.0)):
        others = np.sort(predicted[~mine])
        below = 0.5 * (np.searchsorted(others, predicted[mine], "left") + np.searchsorted(others, predicted[mine], "right"))
        wins = below / len(others)
        column[mine] = wins if sign > 0 else 1 - wins
    area = column[ones].mean()
    share = np.where(ones, ones.mean(), 1 - ones.mean())
    linear: FloatArray = area + (column - area) / share
    return linear


def _mixed_means(columns: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """As `_drawn_means`: how often a far row is drawn exactly, the sum over the m draws of near rows by its normal limit.

    That sum has mean m μ and covariance m Σ, with μ and Σ of the near rows.
    """
    rows = len(columns)
    spread = columns.std(axis=0)
    distance = np.abs(columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)
    order = np.argpartition(distance.max(axis=1), -FAR_ROWS)
    near, far = columns[order[:-FAR_ROWS]], columns[order[-FAR_ROWS:]]
    centre, spread = near.mean(axis=0), near.std(axis=0)
    # Columns differ in size by many powers of ten; the eigenvalues of their correlations do not.
    standard = (near - centre) / np.where(spread > 0, spread, 1)
    correlation = standard.T @ standard / len(near)
    found = np.empty((resamples, columns.shape[1]))
    for part in _batches(resamples, FAR_ROWS):
        of_far = rng.binomial(rows, FAR_ROWS / rows, size=part.stop - part.start)
        of_near = (rows - of_far)[:, None]
        noise = rng.multivariate_normal(np.zeros(len(centre)), correlation, size=len(of_far), method="eigh", check_valid="ignore")
        counts = rng.multinomial(of_far, np.full(FAR_ROWS, 1 / FAR_ROWS))
        found[part] = counts @ far + of_near * centre + np.sqrt(of_near) * noise * spread
    return found / rows


def _batches(resamples: int, width: int) -> Iterator[slice]:
    size = max(1, _BATCH // width)
    return (slice(start, min(start + size, resamples)) for start in range(0, resamples, size))
