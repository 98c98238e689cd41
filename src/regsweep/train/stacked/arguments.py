"""What a program is called with, K networks of one form side by side, and what it changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Table(NamedTuple):
    """The data of F folds of equal size: training rows of all folds below one another, validation rows in C chunks of c.

    `x` (rows, inputs), `z` (rows,), `x_val` (F, C, c, inputs), `z_val` (F, C, c), `present` (C, c): 1, or 0 for padding.
    """

    x: tf.Tensor
    z: tf.Tensor
    x_val: tf.Tensor
    z_val: tf.Tensor
    present: tf.Tensor


class Fixed(NamedTuple):
    """What stays the same for a network: its optimizer's coefficients (see `optimizers`), penalty, fold and sizes.

    What follows the learning rate stands in `Steps`. `gradient` and `penalty` have shape (K, P), `fold` (K,), `dims`
    (depth + 2,): inputs, widths and 1, `keep_scale` (K, 1, units of all hidden layers), or (K, 1, 1) where all layers of each
    network have one rate; the rest (K, 1).
    Errors are taken of `exp(z * slope + offset)` in programs for log targets, of z in others.
    """

    gradient: tf.Tensor
    penalty: tf.Tensor
    second_decay: tf.Tensor
    square: tf.Tensor
    inside: tf.Tensor
    outside: tf.Tensor
    slope: tf.Tensor
    offset: tf.Tensor
    keep_scale: tf.Tensor
    fold: tf.Tensor
    dims: tf.Tensor


class Stopping(NamedTuple):
    """When a network stops and which weights it keeps, scalars; `closing`: the call ends with the end of an epoch."""

    patience: tf.Tensor
    keep_best: tf.Tensor
    closing: tf.Tensor


class State(NamedTuple):
    """What training changes: parameters and moments (K, P), the weights kept (K, P), sums of errors so far (K, 2).

    The rest has shape (K,): least validation error, epochs since then, and whether the network is still in training.
    """

    params: tf.Tensor
    first: tf.Tensor
    second: tf.Tensor
    kept: tf.Tensor
    sums: tf.Tensor
    best: tf.Tensor
    since: tf.Tensor
    active: tf.Tensor


class Steps(NamedTuple):
    """E epochs of S steps of b rows.

    `rows` (E, S, K, b) of the table, `weights` (S, b): 2 / rows of the batch, 0 where the batch was filled up, `paces`
    (E, S, 3, K, 1): rate, decay of the first moment and shrinkage (see `optimizers`), `masks` (E, S, K, b, units of all hidden
    layers): whether a unit stays.
    """

    rows: tf.Tensor
    weights: tf.Tensor
    paces: tf.Tensor
    masks: tf.Tensor


def signature(depth: int) -> list[Any]:
    """Types and shapes of a program's arguments for networks of so many hidden layers; None is any size."""

    def floats(*shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec(shape, tf.float32)

    def whole(*shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec(shape, tf.int32)

    flag, wide, column = tf.TensorSpec([], tf.bool), floats(None, None), floats(None, 1)
    return [
        Table(wide, floats(None), floats(None, None, None, None), floats(None, None, None), wide),
        Fixed(
            gradient=wide,
            penalty=wide,
            second_decay=column,
            square=column,
            inside=column,
            outside=column,
            slope=column,
            offset=column,
            keep_scale=floats(None, 1, None),
            fold=whole(None),
            dims=whole(depth + 2),
        ),
        Stopping(whole(), flag, flag),
        Steps(
            rows=whole(None, None, None, None),
            weights=wide,
            paces=floats(None, None, 3, None, 1),
            masks=tf.TensorSpec([None] * 5, tf.bool),
        ),
        State(
            params=wide,
            first=wide,
            second=wide,
            kept=wide,
            sums=floats(None, 2),
            best=floats(None),
            since=whole(None),
            active=tf.TensorSpec([None], tf.bool),
        ),
    ]
