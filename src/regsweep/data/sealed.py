"""The test rows, kept apart until the champion is known."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from regsweep.data.dataset import Dataset
from regsweep.data.features import Array64
from regsweep.data.split import Split


@dataclass(frozen=True)
class TestRows:
    """Raw features, shape (n, features), and targets of shape (n,) in target units."""

    # pytest would take a class of this name for a test.
    __test__ = False

    x: pd.DataFrame
    y: Array64


def unseal(dataset: Dataset, split: Split) -> TestRows:
    """Return the test rows. Called after an opening is on record: once to score a champion, and by its report."""
    return TestRows(dataset.x.iloc[split.test], dataset.y[split.test])
