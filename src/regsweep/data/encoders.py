"""Fits encoders on training rows: one per raw column, the segments of numbers, the target's scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.config.schema import FeaturesConfig
from regsweep.predictor import CategoryColumn, Column, NumberColumn, OrdinalColumn, SegmentsColumn, TargetScale, days

Array64 = npt.NDArray[np.float64]

# A number that all training rows share trains no weight, so other rows' must not reach one: measured by this, far above every
# number that a table may hold (1e150), all of them are 0.
_FLAT = 1e300


def fit_columns(frame: pd.DataFrame, config: FeaturesConfig) -> tuple[Column, ...]:
    """Fit one column encoder per raw column of the training rows."""
    return tuple(_fit_column(name, frame[name], config) for name in frame.columns)


def segments(
    columns: Sequence[Sequence[Column]], frames: Sequence[pd.DataFrame], bins: int
) -> tuple[tuple[SegmentsColumn, ...], ...]:
    """For every fold the segments of its numbers, between quantiles of its training rows.

    Ties make for fewer than `bins`. Folds get equally many of a column, so that their networks have one shape and share a stack:
    where there are fewer, the widest are halved.
    """
    found: list[list[SegmentsColumn]] = [[] for _ in frames]
    names = [column.name for column in columns[0] if isinstance(column, NumberColumn)] if columns else []
    for name in names:
        edges = [_edges(_present(frame[name]), bins) for frame in frames]
        most = max(map(len, edges))
        if most < 3:
            continue
        for fold, frame in enumerate(frames):
            plain = next(column for column in columns[fold] if isinstance(column, NumberColumn) and column.name == name)
            cuts = tuple(_halved(edges[fold], most))
            column = SegmentsColumn(name, cuts, (0.0,) * (most - 1), plain.fill, plain.date)
            found[fold].append(replace(column, centre=tuple(column.encode(frame[name]).mean(axis=0).tolist())))
    return tuple(map(tuple, found))


def fit_target(y: Array64, config: FeaturesConfig) -> TargetScale:
    """Fit the target's transformation on training targets of shape (rows,)."""
    values = np.log(y) if config.target_log else y
    if not config.target_standardise:
        return TargetScale(config.target_log, 0.0, 1.0)
    return TargetScale(config.target_log, float(values.mean()), deviation(values))


def _fit_column(name: str, values: pd.Series, config: FeaturesConfig) -> Column:
    is_date = pd.api.types.is_datetime64_any_dtype(values)
    if not is_date and not pd.api.types.is_numeric_dtype(values):
        one_hot = _fit_category(name, values)
        return one_hot if config.category == "one_hot" else _fit_ordinal(one_hot, values, config)
    present = _present(values)
    missing = len(values) - len(present)
    present = present if len(present) else np.zeros(1)
    # The mean of equal numbers may be off by rounding, and where all are equal every bit counts.
    fill = float(np.clip(present.mean() if config.impute == "mean" else np.median(present), present.min(), present.max()))
    # Where all are missing, the indicator would be one more bias, and one that later rows may lack.
    return NumberColumn(name, *_shift_and_scale(present, config), fill, 0 < missing < len(values), is_date)


def _shift_and_scale(numbers: Array64, config: FeaturesConfig) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    match config.numeric:
        case "standard":
            return (float(numbers.mean()), deviation(numbers)) if low < high else (low, _FLAT)
        case "minmax":
            return low, high - low if low < high else _FLAT
        case "max":
            return 0.0, max(-low, high) or _FLAT
        case "none":
            return 0.0, 1.0 if low or high else _FLAT


def _fit_category(name: str, values: pd.Series) -> CategoryColumn:
    missing = values.isna()
    levels = tuple(sorted(set(values[~missing].astype(str))))
    plain = CategoryColumn(name, levels, bool(missing.any()), (0.0,) * (len(levels) + bool(missing.any())))
    return CategoryColumn(name, levels, plain.missing_level, tuple(plain.encode(values).mean(axis=0).tolist()))


def _fit_ordinal(fitted: CategoryColumn, values: pd.Series, config: FeaturesConfig) -> OrdinalColumn:
    plain = OrdinalColumn(fitted.name, fitted.levels, fitted.missing_level, 0.0, 1.0, 0.0)
    positions = plain.encode(values)[:, 0]
    shift, scale = _shift_and_scale(positions, config)
    return replace(plain, shift=shift, scale=scale, unknown=float(positions.mean()))


def _present(values: pd.Series) -> Array64:
    """The values of a number's column that are not missing."""
    dates = pd.api.types.is_datetime64_any_dtype(values)
    numbers = days(values) if dates else values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers[~np.isnan(numbers)]


def _edges(numbers: Array64, bins: int) -> list[float]:
    if not len(numbers):
        return [0.0, _FLAT]
    edges: list[float] = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1))).tolist()
    return edges if len(edges) > 1 else [edges[0], _FLAT]


def _halved(edges: list[float], count: int) -> list[float]:
    """Edges with the widest segments halved until there are so many."""
    while len(edges) < count:
        widest = int(np.argmax(np.diff(edges)))
        edges = [*edges[: widest + 1], (edges[widest] + edges[widest + 1]) / 2, *edges[widest + 1 :]]
    return edges


def deviation(values: Array64) -> float:
    """The standard deviation; 1 where all are equal, of which rounding in the mean may leave some."""
    return (float(values.std()) or 1.0) if values.min() < values.max() else 1.0
