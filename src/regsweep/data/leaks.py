"""Features that are the target, or as good as: what a model learns from them is worth nothing where the target is not known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.data.columns import is_text, numbers_of

# |r| from here on is printed as 1.000 by most tools: the feature is the target in other units.
LEAK = 0.9995
# In fewer rows a feature may go with the target by chance.
FEW = 10


def leaks_of(frame: pd.DataFrame, features: Sequence[str], target: str) -> dict[str, str]:
    """Say for each feature that is the target, or is almost linear in it, what it is."""
    y, leaks = numbers_of(frame[target]), {}
    for column in features:
        if is_text(frame[column]):
            if _tells_apart(frame[column], y):
                leaks[column] = f"feature {column!r} says which class {target!r} is"
            continue
        x = numbers_of(frame[column])
        present = ~np.isnan(x)
        if present.sum() < min(FEW, len(frame)):
            continue
        # Of a rare class, a column that is nearly empty may have none.
        if len(np.unique(y[present])) > 1 and np.array_equal(x[present], y[present]):
            leaks[column] = f"feature {column!r} equals target {target!r}"
        elif abs(r := _correlation(x[present], y[present])) >= LEAK:
            leaks[column] = f"feature {column!r} correlates with target {target!r} (r = {r:.5f})"
    return leaks


def _tells_apart(texts: pd.Series, y: npt.NDArray[np.float64]) -> bool:
    """Whether two texts stand for the two values of a target: of two classes, say, under other names."""
    present = texts.notna()
    if texts.nunique() != 2 or present.sum() < FEW or len(np.unique(y)) != 2:
        return False
    pairs = set(zip(texts[present], y[present.to_numpy()], strict=True))
    return len(pairs) == len({value for _, value in pairs}) == 2


def _correlation(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Pearson's r of two arrays of shape (n,); 0 where it is undefined or two points make it 1."""
    if len(x) < 3:
        return 0.0
    # Divided first, for squares of values near 1e200 overflow.
    u, v = (values / (np.abs(values).max() or 1.0) for values in (x, y))
    u, v = u - u.mean(), v - v.mean()
    norm = float(np.sqrt((u @ u) * (v @ v)))
    return float(u @ v) / norm if norm > 0 else 0.0
