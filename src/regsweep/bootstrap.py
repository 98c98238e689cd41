"""Bootstrap intervals over rows: percentile intervals (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

They take the rows for independent: of rows ordered in time or in groups they are too narrow.

Every metric is a function of means over rows, so a resample is known by the mean of a few columns (|error|, error², ...), and
all metrics share it: counts of rows times columns, in batches of some megabytes. Where resamples times rows exceeds
`MOST_DRAWS`, only the `FAR_ROWS` rows with the farthest values are drawn one by one; the sum of the others, none of which is far
out, is drawn from its normal limit. 9,999 resamples take some tenths of a second for any number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MOST_DRAWS: Final = 50_000_000

FAR_ROWS: Final = 500

_BATCH: Final = 250_000


@dataclass(frozen=True)
class Interval:
    """A value on the test rows and the ends of its interval, all in the unit of the value; nan where it is undefined."""

    value: float
    low: float
    high: float


def percentile_interval(value: float, resampled: FloatArray, level: float) -> Interval:
    """The middle `level` of the resampled values around a value; nan where the value or all of them are undefined."""
    if not math.isfinite(value) or not resampled.size:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def resampled_means(columns: FloatArray, resamples: int, seed: int) -> FloatArray:
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


def resampled_aucs(target: FloatArray, predicted: FloatArray, resamples: int, seed: int) -> FloatArray:
    """AUC of rows drawn with replacement, of every resample with both classes; beyond `MOST_DRAWS` its linear part.

    That is made of means over each class of DeLong's components: how a row's probability ranks among those of the other class
    (DeLong, DeLong and Clarke-Pearson 1988).
    """
    rows, ones = len(target), target > 0.5
    order = np.argsort(predicted, kind="stable")
    ties = np.flatnonzero(np.diff(predicted[order], prepend=-np.inf))
    ones = ones[order]
    if not ones.any() or ones.all():
        return np.empty(0)
    if resamples * rows > MOST_DRAWS and rows >= 4 * FAR_ROWS:
        return _linear_aucs(ones, predicted[order], resamples, seed)
    found = np.empty(resamples)
    for part, counts in _drawn_counts(rows, resamples, np.random.default_rng(seed)):
        drawn = counts[:, order]
        of_one, of_zero = (np.add.reduceat(drawn * kept, ties, axis=1) for kept in (ones, ~ones))
        wins = (of_one * (np.cumsum(of_zero, axis=1) - 0.5 * of_zero)).sum(axis=1)
        pairs = of_one.sum(axis=1) * of_zero.sum(axis=1)
        found[part] = np.divide(wins, pairs, out=np.full(len(wins), np.nan), where=pairs > 0)
    return found[~np.isnan(found)]


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


def _linear_aucs(ones: npt.NDArray[np.bool_], predicted: FloatArray, resamples: int, seed: int) -> FloatArray:
    """AUC's linear part in resamples: means over the rows of either class that were drawn."""
    column = np.empty(len(ones))
    for mine, sign in ((ones, 1.0), (~ones, -1.0)):
        others = np.sort(predicted[~mine])
        below = 0.5 * (np.searchsorted(others, predicted[mine], "left") + np.searchsorted(others, predicted[mine], "right"))
        wins = below / len(others)
        column[mine] = wins if sign > 0 else 1 - wins
    columns = np.column_stack([np.where(ones, column, 0), ones, np.where(ones, 0, column), ~ones])
    of_one, drawn_ones, of_zero, drawn_zeros = resampled_means(columns, resamples, seed).T
    both = (drawn_ones > 0) & (drawn_zeros > 0)
    linear = of_one[both] / drawn_ones[both] + of_zero[both] / drawn_zeros[both] - column[ones].mean()
    # A sum of two parts near 1 may pass it; no AUC does.
    found: FloatArray = np.clip(linear, 0.0, 1.0)
    return found


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
