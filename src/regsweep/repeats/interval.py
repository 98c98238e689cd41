"""The interval of a mean difference over splits that share most of their rows.

Their training parts overlap, so differences are correlated and the plain t-interval is far too narrow. Nadeau & Bengio (Inference
for the Generalization Error, Machine Learning 52, 2003, section 3) widen the variance of the mean over k splits from s²/k to
(1/k + n_test/n_train) s².
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from regsweep.bootstrap import Interval


def corrected_interval(differences: Sequence[float], *, test_rows: float, train_rows: float, level: float = 0.95) -> Interval:
    """The mean of paired differences, one per split, with the ends of its interval by the corrected resampled t-test.

    `train_rows` are all rows that the search may see, validation rows included. The ends are nan where a difference is not
    finite. ValueError for fewer than two differences.
    """
    from scipy.stats import t

    found = np.asarray(differences, dtype=np.float64)
    splits = len(found)
    if splits < 2:
        raise ValueError(f"at least two differences are needed, but got {splits}")
    with np.errstate(invalid="ignore"):
        mean = float(found.mean())
    if not np.isfinite(found).all():
        return Interval(mean, math.nan, math.nan)
    half = float(t.ppf((1 + level) / 2, splits - 1)) * math.sqrt((1 / splits + test_rows / train_rows) * float(found.var(ddof=1)))
    return Interval(mean, mean - half, mean + half)
