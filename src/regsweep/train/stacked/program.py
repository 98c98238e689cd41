"""The graph that trains a stack: K networks of one form side by side, for some epochs, in one call.

A network's parameters are one row of an array of shape (K, P): kernel and bias of every layer, flattened, output layer last.
Every operation treats the K networks alike and apart, so what one of them computes does not depend on the others. Sizes are
arguments: one program serves every width, number of networks, batch size and number of epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import tensorflow as tf

from regsweep.train.plan import LANE
from regsweep.train.stacked.activations import ACTIVATIONS, Back


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


Program = Callable[[Table, Fixed, Stopping, Steps, State], tuple[State, tf.Tensor]]


@lru_cache(maxsize=256)
def program(activations: tuple[str, ...], dropout: bool, log: bool) -> Program:
    """Return the program for networks of hidden layers with these activations; it is traced once, by its first call.

    Its second result has shape (E, K, 5): sums of squared and of absolute errors in training and in validation, and 1 as long as
    the network was in training, else 0.
    """

    def train(table: Table, fixed: Fixed, stopping: Stopping, steps: Steps, state: State) -> tuple[State, tf.Tensor]:
        net = _Net(activations, fixed, log)
        epochs = tf.shape(steps.rows)[0]

        def epoch(e: tf.Tensor, state: State, curves: tf.TensorArray) -> tuple[tf.Tensor, State, tf.TensorArray]:
            moved, errors = _epoch(net, table, fixed, steps, state, e, dropout)
            sums = state.sums + _sums(errors, tf.sign(steps.weights))
            row = tf.concat([sums, net.validate(moved[0], table, stopping.closing)], 1)
            shown = tf.concat([row, tf.cast(state.active, tf.float32)[:, None]], 1)
            return e + 1, _close(state, moved, sums, row, stopping), curves.write(e, shown)

        curves = tf.TensorArray(tf.float32, epochs, element_shape=[None, 5])
        _, state, curves = tf.while_loop(lambda e, *_: e < epochs, epoch, [tf.constant(0), state, curves], parallel_iterations=1)
        return state, curves.stack()

    compiled: Program = tf.function(train, input_signature=_signature(len(activations)), autograph=False)
    return compiled


Moved = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def _epoch(
    net: _Net, table: Table, fixed: Fixed, steps: Steps, state: State, e: tf.Tensor, dropout: bool
) -> tuple[Moved, tf.Tensor]:
    """Train for one epoch; return parameters and moments, and the errors of all steps, shape (S, K, b)."""
    rows, paces = tf.gather(steps.rows, e), tf.gather(steps.paces, e)
    masks = tf.gather(steps.masks, e) if dropout else None
    count = tf.shape(rows)[0]

    def step(s: tf.Tensor, moved: Moved, errors: tf.TensorArray) -> tuple[tf.Tensor, Moved, tf.TensorArray]:
        params, first, second = moved
        batch = tf.gather(rows, s)
        x, z = tf.gather(table.x, batch), tf.gather(table.z, batch)
        kept = tf.cast(tf.gather(masks, s), tf.float32) * fixed.keep_scale if dropout else None
        kernels, biases = net.unpack(params)
        layers, out = net.forward(kernels, biases, x, kept)
        missed = out - z
        slope = tf.expand_dims(missed * tf.gather(steps.weights, s), 2)
        gradient = net.backward(kernels, layers, slope) + fixed.penalty * params
        rate, decay, shrink = tf.unstack(tf.gather(paces, s), num=3)
        first = decay * first + fixed.gradient * gradient
        second = fixed.second_decay * second + fixed.square * tf.square(gradient)
        change = rate * first / (tf.sqrt(second + fixed.inside) + fixed.outside)
        return s + 1, (params * shrink - change, first, second), errors.write(s, net.error(out, z))

    errors = tf.TensorArray(tf.float32, count, element_shape=[None, None])
    start = (state.params, state.first, state.second)
    _, moved, errors = tf.while_loop(lambda s, *_: s < count, step, [tf.constant(0), start, errors], parallel_iterations=1)
    return moved, errors.stack()


def _close(state: State, moved: Moved, sums: tf.Tensor, row: tf.Tensor, stopping: Stopping) -> State:
    """End an epoch: keep weights, count towards patience, end networks whose errors are no longer finite."""
    error, closing = row[:, 2], stopping.closing
    better = error < state.best
    keep = state.active & (better | ~stopping.keep_best) & closing
    since = tf.where(better, 0, state.since + 1)
    going = state.active & tf.reduce_all(tf.math.is_finite(row), 1) & (since < stopping.patience)
    return State(
        *moved,
        kept=tf.where(keep[:, None], moved[0], state.kept),
        sums=tf.where(closing, tf.zeros_like(sums), sums),
        best=tf.where(closing, tf.minimum(error, state.best), state.best),
        since=tf.where(closing, since, state.since),
        active=tf.where(closing, going, state.active),
    )


def _sums(errors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Sums of squares and of absolute values of errors (S, K, b) where `present` (S, b) is 1; shape (K, 2)."""
    by_network = tf.transpose(tf.where(present[:, None, :] > 0, errors, 0.0), [1, 0, 2])
    flat = tf.reshape(by_network, [tf.shape(by_network)[0], -1])
    return tf.stack([tf.reduce_sum(tf.square(flat), 1), tf.reduce_sum(tf.abs(flat), 1)], 1)


class _Layer(NamedTuple):
    """What the way back needs of a hidden layer: its input, its activation's way back, its dropout mask."""

    entered: tf.Tensor
    back: Back | None
    mask: tf.Tensor | None


class _Net:
    """The K networks' forward and backward pass; `dims` are inputs, widths of the hidden layers and 1."""

    def __init__(self, activations: tuple[str, ...], fixed: Fixed, log: bool) -> None:
        depth = len(activations)
        self._depth, self._activations = depth, [ACTIVATIONS[name] for name in activations]
        self._fixed, self._log = fixed, log
        self._dims = [fixed.dims[i] for i in range(depth + 2)]
        self._sizes = tf.stack(
            [size for i in range(depth + 1) for size in (self._dims[i] * self._dims[i + 1], self._dims[i + 1])]
        )
        self._kernel_shapes = [tf.stack([-1, self._dims[i], self._dims[i + 1]]) for i in range(depth + 1)]
        self._flat = tf.stack([tf.shape(fixed.gradient)[0], -1])
        self._hidden = fixed.dims[1:-1]

    def unpack(self, params: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Kernels (K, fan_in, fan_out) and biases (K, 1, fan_out) of parameters (K, P)."""
        parts = tf.split(params, self._sizes, axis=1, num=2 * (self._depth + 1))
        kernels = [tf.reshape(part, shape) for part, shape in zip(parts[0::2], self._kernel_shapes, strict=True)]
        return kernels, [tf.expand_dims(part, 1) for part in parts[1::2]]

    def forward(
        self, kernels: list[tf.Tensor], biases: list[tf.Tensor], x: tf.Tensor, kept: tf.Tensor | None = None
    ) -> tuple[list[_Layer], tf.Tensor]:
        """Outputs (K, rows) for x (K, rows, inputs), and the layers on the way; `kept` holds the dropout masks side by side."""
        masks = tf.split(kept, self._hidden, axis=2, num=self._depth) if kept is not None else [None] * self._depth
        layers, hidden = [], x
        for activation, kernel, bias, mask in zip(self._activations, kernels[:-1], biases[:-1], masks, strict=True):
            value, back = activation(tf.matmul(hidden, kernel) + bias)
            layers.append(_Layer(hidden, back, mask))
            hidden = value if mask is None else value * mask
        layers.append(_Layer(hidden, None, None))
        return layers, tf.squeeze(tf.matmul(hidden, kernels[-1]) + biases[-1], 2)

    def backward(self, kernels: list[tf.Tensor], layers: list[_Layer], gradient: tf.Tensor) -> tf.Tensor:
        """Gradient by all parameters, shape (K, P), from the one by the outputs, shape (K, rows, 1)."""
        parts = []
        for index in range(self._depth, -1, -1):
            parts.append(tf.reduce_sum(gradient, 1))
            parts.append(tf.reshape(tf.matmul(layers[index].entered, gradient, transpose_a=True), self._flat))
            if index:
                below = layers[index - 1]
                gradient = tf.matmul(gradient, kernels[index], transpose_b=True)
                if below.mask is not None:
                    gradient = gradient * below.mask
                assert below.back is not None
                gradient = below.back(gradient)
        return tf.concat(parts[::-1], 1)

    def error(self, out: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Errors on the scale that metrics are taken on, up to a factor."""
        if not self._log:
            return out - z
        slope, offset = self._fixed.slope, self._fixed.offset
        # The last numbers of an array take another path through exp: filled up, no network has them at its end.
        rows = tf.shape(out)[1]
        fill = [[0, 0], [0, -rows % LANE]]
        return (tf.exp(tf.pad(out * slope + offset, fill)) - tf.exp(tf.pad(z * slope + offset, fill)))[:, :rows]

    def validate(self, params: tf.Tensor, table: Table, closing: tf.Tensor) -> tf.Tensor:
        """Sums of squared and of absolute errors over the validation rows, shape (K, 2); zeros if no epoch is `closing`."""
        kernels, biases = self.unpack(params)
        chunks = tf.where(closing, tf.shape(table.x_val)[1], 0)

        def chunk(c: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            x, z = (tf.gather(tf.gather(values, c, axis=1), self._fixed.fold) for values in (table.x_val, table.z_val))
            _, out = self.forward(kernels, biases, x)
            return c + 1, sums + _sums(self.error(out, z)[None], table.present[c][None])

        start = tf.zeros(tf.stack([tf.shape(params)[0], 2]))
        _, sums = tf.while_loop(lambda c, _: c < chunks, chunk, [tf.constant(0), start], parallel_iterations=1)
        return sums


def _signature(depth: int) -> list[Any]:
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
