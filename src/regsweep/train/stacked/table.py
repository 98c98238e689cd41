"""The data of a stack as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from regsweep.data.features import FoldData
from regsweep.train.plan import VALIDATION_CHUNK
from regsweep.train.stacked.arguments import Table
from regsweep.trial import Array64


class FoldTable:
    """Folds with equally many training rows, validation rows and inputs."""

    def __init__(self, folds: Sequence[FoldData]) -> None:
        self.folds = folds
        self.rows, self.val_rows = len(folds[0].z_train), len(folds[0].z_val)
        chunk = min(self.val_rows, VALIDATION_CHUNK)
        chunks = -(-self.val_rows // chunk)
        x_val = np.zeros((len(folds), chunks * chunk, folds[0].inputs), np.float32)
        z_val = np.zeros((len(folds), chunks * chunk), np.float32)
        for index, fold in enumerate(folds):
            x_val[index, : self.val_rows], z_val[index, : self.val_rows] = fold.x_val, fold.z_val
        present = (np.arange(chunks * chunk) < self.val_rows).astype(np.float32)
        self.tensors = Table(
            x=tf.constant(np.concatenate([fold.x_train for fold in folds]), tf.float32),
            z=tf.constant(np.concatenate([fold.z_train for fold in folds])),
            x_val=tf.constant(x_val.reshape(len(folds), chunks, chunk, -1)),
            z_val=tf.constant(z_val.reshape(len(folds), chunks, chunk)),
            present=tf.constant(present.reshape(chunks, chunk)),
        )


def curves_of(sums: Array64, fold: FoldData) -> Array64:
    """Six curves (epochs, 6) from a network's sums of errors (epochs, 5), as far as it was in training."""
    sums = sums[sums[:, 4] > 0]
    factor = fold.std if fold.target.log else fold.target.scale
    sides = []
    with np.errstate(over="ignore", invalid="ignore"):
        for squares, absolutes, y in ((sums[:, 0], sums[:, 1], fold.y_train), (sums[:, 2], sums[:, 3], fold.y_val)):
            spread = np.sum((y - y.mean()) ** 2) if y.min() < y.max() else 0.0
            # As in Keras, R² is 0 where all targets are equal.
            missed = squares * factor**2 / spread if spread > 0 else np.ones_like(squares)
            sides += [squares * (factor**2 / len(y)), absolutes * (factor / len(y)), 1 - missed]
    return np.stack(sides, axis=1)
