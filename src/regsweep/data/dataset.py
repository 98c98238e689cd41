"""A data set as the rest of the program sees it: a raw table, its target, and what is known about both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True)
class Dataset:
    """A checked raw table of n rows.

    `table` has every column of the source, in its order, with a fresh range index; `features` names the columns a model may
    read (not the target, not dropped, time or group columns, not constant ones). `target` is numeric and finite.
    `unit` is the target's. `notes` are warnings that name the columns they are about. For binary classification `classes` are
    the target's two values, text or numbers, class 1 last.
    """

    name: str
    table: pd.DataFrame
    target: str
    features: tuple[str, ...]
    unit: str
    licence: str
    source: str
    time: str | None = None
    group: str | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[str, str] | tuple[int, int] | None = None

    @property
    def rows(self) -> int:
        return len(self.table)

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and pandas type of every column of the table."""
        return tuple((str(name), str(kind)) for name, kind in self.table.dtypes.items())

    @cached_property
    def y(self) -> npt.NDArray[np.float64]:
        """The target, shape (n,), in `unit`; 0 or 1 where it is a class."""
        if self.classes is not None:
            return np.asarray(self.table[self.target] == self.classes[1], dtype=np.float64)
        return self.table[self.target].to_numpy(dtype=np.float64)

    @cached_property
    def x(self) -> pd.DataFrame:
        """The raw feature columns, shape (n, features)."""
        return self.table[list(self.features)]

    @cached_property
    def sha256(self) -> str:
        """Hash of column names, types and values; it does not depend on line ends or on where the table came from."""
        digest = hashlib.sha256()
        for column in self.table.columns:
            values = self.table[column]
            digest.update(repr((column, str(values.dtype))).encode())
            digest.update(pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes())
        return digest.hexdigest()
