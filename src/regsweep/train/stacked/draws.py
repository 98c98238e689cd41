"""What a stack draws before it trains on: batch orders and dropout masks, from each training's own seeds.

They are drawn by NumPy on the host, so a network draws the same numbers in any stack of its form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from regsweep.train.contract import epoch_order
from regsweep.trial import Array64

# Masks are drawn in blocks of up to so many steps and numbers, each block from a generator of its own.
BLOCK, BLOCK_NUMBERS = 64, 1 << 24
LEVELS = 1 << 16


def batch_rows(seed: int, epochs: range, rows: int, batch_size: int) -> npt.NDArray[np.int32]:
    """Rows of every batch, shape (epochs, steps, batch_size); the last batch is filled up with row 0."""
    steps = -(-rows // batch_size)
    drawn = np.zeros((len(epochs), steps * batch_size), np.int32)
    for index, epoch in enumerate(epochs):
        drawn[index, :rows] = epoch_order(seed, epoch, rows)
    return drawn.reshape(len(epochs), steps, batch_size)


def block(shape: tuple[int, int]) -> int:
    """How many steps' masks of a shape are drawn from one generator."""
    return max(1, min(BLOCK, BLOCK_NUMBERS // max(1, shape[0] * shape[1])))


def dropout_masks(
    seed: int,
    rate: float | Array64,
    epoch: int,
    steps: range,
    total: int,
    shape: tuple[int, int],
    out: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Whether units stay in steps of an epoch of `total` steps, shape (steps, *shape); each stays with probability 1 - rate.

    `rate` is one for all units, or one for each of the `shape[1]`. `out` is filled where it is given.
    The steps begin and end at multiples of `block` or at the epoch's ends. Probabilities are rounded to 1 / 65,536.
    """
    masks = np.empty((len(steps), *shape), np.bool_) if out is None else out
    size, length = shape[0] * shape[1], block(shape)
    # One number for all is compared without turning the draws into wider integers.
    threshold = np.rint((1 - rate) * LEVELS).astype(np.int32) if isinstance(rate, np.ndarray) else round((1 - rate) * LEVELS)
    for start in range(steps.start, steps.stop, length):
        count = min(length, total - start)
        # Four draws in each number: those of `Generator.bytes`, which takes 1.7 to 4 times as long to make a text of them.
        numbers = np.random.PCG64([seed, epoch, start // length]).random_raw(-(-count * size // 4))
        drawn = numbers.view(np.uint16)[: count * size].reshape(count, *shape)
        # Never below 2**16 means always: a rate of 0 keeps every unit.
        np.less(drawn, threshold, out=masks[start - steps.start : start - steps.start + count])
    return masks


def batch_weights(rows: int, batch_size: int) -> npt.NDArray[np.float32]:
    """2 / (rows of the batch) for every row of every batch, 0 where a batch was filled up; shape (steps, batch_size)."""
    steps = -(-rows // batch_size)
    counts = np.full(steps, batch_size)
    counts[-1] = rows - (steps - 1) * batch_size
    present = np.arange(batch_size) < counts[:, None]
    return (present * (2.0 / counts[:, None])).astype(np.float32)
