"""What should be known of a table that can be trained on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from regsweep.data.columns import is_constant, is_text, numbers_of
from regsweep.data.strict_csv import NUMBER

# Above, float64 no longer tells neighbouring integers apart.
EXACT = 2**53
COUNTED = 10**30


def notes_on(frame: pd.DataFrame, features: Sequence[str], target: str) -> list[str]:
    """What is remarkable about features and target, a line for each kind."""
    texts = [column for column in features if is_text(frame[column])]
    ids = [column for column in features if _is_id_like(frame[column])]
    wide = [column for column in texts if column not in ids and frame[column].nunique() > len(frame) / 10]
    huge = [column for column in (*features, target) if _has_huge_integers(frame[column])]
    found = (
        ([f"{column!r} (as {first!r})" for column, first in _duplicates(frame, features)], "features with the same values"),
        (map(repr, ids), "features that look like row ids, which a model can only memorise"),
        (
            [f"{column!r} (because of {first!r})" for column in texts if (first := _stray(frame[column])) is not None],
            "read as categories, though most of their values are numbers",
        ),
        (map(repr, wide), f"categories with more than {len(frame) / 10:g} levels, a tenth of the rows"),
        (map(repr, huge), "columns with integers beyond 2^53, which are rounded"),
        ([repr(target)] if is_constant(frame[target]) else [], "the target is constant, so R² is undefined"),
    )
    return [f"{what}: {', '.join(names)}" for names, what in ((list(names), what) for names, what in found) if names]


def _stray(texts: pd.Series) -> str | None:
    """The first text that is no number, where most are."""
    present = texts.dropna()
    numbers = present.str.fullmatch(NUMBER)
    return None if numbers.all() or numbers.mean() <= 0.5 else str(present[~numbers].iloc[0])


def _duplicates(frame: pd.DataFrame, features: Sequence[str]) -> list[tuple[str, str]]:
    firsts: dict[bytes, str] = {}
    pairs = []
    for column in features:
        values = frame[column]
        same = values.fillna("") if is_text(values) else pd.Series(numbers_of(values))
        key = pd.util.hash_pandas_object(same, index=False).to_numpy().tobytes()
        if (first := firsts.setdefault(key, column)) != column:
            pairs.append((column, first))
    return pairs


def _is_id_like(values: pd.Series) -> bool:
    """Distinct texts, or whole numbers that go up by one when sorted."""
    if pd.api.types.is_datetime64_any_dtype(values) or values.isna().any():
        return False
    if is_text(values):
        return bool(values.is_unique)
    return bool(float(values.max()) - float(values.min()) == len(values) - 1 and (values % 1 == 0).all() and values.is_unique)


def _has_huge_integers(values: pd.Series) -> bool:
    # Every float is whole from 2^53 on; those that nobody counts up to are measurements.
    low, high = (values.min(), values.max()) if pd.api.types.is_numeric_dtype(values) else (0, 0)
    return bool((EXACT < high < COUNTED or -COUNTED < low < -EXACT) and (values.dropna() % 1 == 0).all())
