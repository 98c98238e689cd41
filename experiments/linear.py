"""What a network without activations comes to: one line, whatever its depth."""

from __future__ import annotations

import numpy as np

from regsweep.data.features import Array64
from regsweep.predictor import Model, NumberColumn


def composed(model: Model) -> Array64:
    """Intercept and slopes, shape (1 + columns,), in target units per unit of each raw column, of a model of one linear network.

    Layers without activation are matrices, and their product is one matrix. Raises ValueError for activations or columns that
    are no plain numbers.
    """
    (member,) = model.members
    columns = [column for column in member.columns if isinstance(column, NumberColumn) and not column.indicator]
    if {*member.activations} - {"linear"} or len(columns) != len(member.columns) or member.target.log:
        raise ValueError("only a network without activations, on numbers and a plain target, is a line")
    slopes, intercept = np.eye(len(columns)), np.zeros(len(columns))
    for kernel, bias in zip(member.kernels, member.biases, strict=True):
        slopes, intercept = slopes @ kernel.astype(np.float64), intercept @ kernel.astype(np.float64) + bias
    raw = slopes[:, 0] / np.array([column.scale for column in columns])
    base = intercept[0] - raw @ np.array([column.shift for column in columns])
    return np.append(base * member.target.scale + member.target.shift, raw * member.target.scale)
