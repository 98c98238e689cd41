"""What a raw table's column holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def numbers_of(values: pd.Series) -> npt.NDArray[np.float64]:
    """Numbers, and dates as microseconds, of shape (n,), with NaN where they are missing."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(values.isna(), np.nan, values.to_numpy().astype("datetime64[us]").astype(np.float64))
    return values.to_numpy(dtype=np.float64)


def is_text(values: pd.Series) -> bool:
    """Whether values are neither numbers nor dates."""
    return not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values))


def is_constant(values: pd.Series) -> bool:
    """Whether there is one value, or none."""
    return bool(values.isna().all() or (values == values.iloc[0]).all())
