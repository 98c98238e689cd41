"""A scale that a few wild values can't flatten.

In: values of a metric. Out: a `Scale`, which knows its ends, whether it is logarithmic and where a value stands on it.
Main calls: `fit_scale`, `tamed`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from regsweep.metrics import FENCE
from regsweep.report.style import log_ticks

FloatArray = npt.NDArray[np.float64]

# Values farther than so many interquartile ranges beyond the quartiles don't widen a linear scale.
WILD: Final = 25.0

_FEWEST: Final = 5


@dataclass(frozen=True)
class Scale:
    """From `low` to `high` in the metric's unit, both shown; `log` scales have `low > 0`."""

    log: bool
    low: float
    high: float

    def position(self, values: npt.ArrayLike) -> FloatArray:
        """Where values stand, as fractions of the way from `low` to `high`; what is off the scale stands at its end."""
        low, high = _transform([self.low, self.high], log=self.log)
        places: FloatArray = np.clip((_transform(values, log=self.log) - low) / (high - low), 0.0, 1.0)
        return places

    def holds(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which values are on the scale."""
        low, high = _transform([self.low, self.high], log=self.log)
        places = (_transform(values, log=self.log) - low) / (high - low)
        # The ends were rounded on their way through the logarithm.
        return np.asarray((places >= -1e-9) & (places <= 1 + 1e-9))

    def widened(self, below: float, above: float) -> Scale:
        """A scale on which this one leaves the fractions `below` and `above` free at its ends."""
        low, high = _transform([self.low, self.high], log=self.log).tolist()
        length = (high - low) / (1 - below - above)
        low, high = low - below * length, high + above * length
        return Scale(self.log, 10.0**low if self.log else low, 10.0**high if self.log else high)

    def apply(self, axes: Axes) -> None:
        """Make it the scale of the y axis."""
        if self.log:
            axes.set_yscale("log")
            log_ticks(axes.yaxis, self.low, self.high)
        axes.set_ylim(self.low, self.high)


def fit_scale(
    values: npt.ArrayLike,
    *,
    higher_is_better: bool,
    cut: bool = True,
    also: Iterable[float] = (),
) -> Scale:
    """The scale for `values` (n,), of which at least one is finite; the others are ignored.

    Errors that differ by more than a factor of ten are shown on a logarithmic scale. With `cut`, values beyond the fence on the
    worse side are off the scale, if the others gain at least half as much room by it. Values of `also` (reference lines) widen
    the scale at most fourfold, else they are off it.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    positive = not higher_is_better and bool(array.min() > 0)
    worse = -1.0 if higher_is_better else 1.0
    found = worse * _transform(array, log=positive)
    if cut and len(found) >= _FEWEST:
        first, third = np.quantile(found, [0.25, 0.75])
        kept = found[found <= third + FENCE * (third - first)]
        if third > first and np.ptp(found) > 1.5 * np.ptp(kept):
            found = kept
    low, high = float((worse * found).min()), float((worse * found).max())
    span = max(high - low, 1.0 if positive else 0.1 * max(abs(low), abs(high)))
    for place in _transform([value for value in also if math.isfinite(value)], log=positive):
        if low - 1.5 * span <= place <= high + 1.5 * span:
            low, high = min(low, place), max(high, place)
    log = positive and high - low > 1
    if positive:
        low, high = 10.0**low, 10.0**high
    # Rounding alone is no difference.
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        around = 0.05 * abs(low) or 1.0
        low, high = low - around, high + around
    return Scale(log, low, high)


def tamed(values: FloatArray) -> FloatArray:
    """Those of the finite `values` (n,) that are not `WILD`; all of them where most are equal."""
    first, third = np.quantile(values, [0.25, 0.75])
    reach = WILD * (third - first)
    return values[(values >= first - reach) & (values <= third + reach)] if reach > 0 else values


def padded(values: FloatArray, room: float = 0.04) -> tuple[float, float]:
    """Ends of a linear axis on which all `values` (n,) have `room`, a share of what they span; n is 1 at least."""
    low, high = float(values.min()), float(values.max())
    margin = room * (high - low) or 0.05 * abs(low) or 1.0
    return low - margin, high + margin


def _transform(values: npt.ArrayLike, *, log: bool) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not log:
        return array
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(array))
