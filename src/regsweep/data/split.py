"""Row indices of train, val and test. Test rows are drawn first and belong to no fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One pair of training and validation rows, each of shape (rows,)."""

    train: Rows
    val: Rows


@dataclass(frozen=True)
class Split:
    """One fold (hold-out) or several (k-fold), and the sealed test rows of shape (rows,)."""

    folds: tuple[Fold, ...]
    test: Rows
