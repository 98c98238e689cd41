"""The graph that trains a stack: K networks of one form side by side, for some epochs, in one call.

A network's parameters are one row of an array of shape (K, P): kernel and bias of every layer, flattened, output layer last.
Every operation treats the K networks alike and apart, so what one of them computes does not depend on the others. Sizes are
arguments: one program serves every width, number of networks, batch size and number of epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import tensorflow as tf

from regsweep.train.stacked.arguments import Fixed, State, Steps, Stopping, Table, signature
from regsweep.train.stacked.net import Net, sums_of

Program = Callable[[Table, Fixed, Stopping, Steps, State], tuple[State, tf.Tensor]]


@lru_cache(maxsize=256)
def program(activations: tuple[str, ...], dropout: bool, log: bool) -> Program:
    """Return the program for networks of hidden layers with these activations; it is traced once, by its first call.

    Its second result has shape (E, K, 5): sums of squared and of absolute errors in training and in validation, and 1 as long as
    the network was in training, else 0.
    """

    def train(table: Table, fixed: Fixed, stopping: Stopping, steps: Steps, state: State) -> tuple[State, tf.Tensor]:
        net = Net(activations, fixed, log)
        epochs = tf.shape(steps.rows)[0]

        def epoch(e: tf.Tensor, state: State, curves: tf.TensorArray) -> tuple[tf.Tensor, State, tf.TensorArray]:
            moved, errors = _epoch(net, table, fixed, steps, state, e, dropout)
            sums = state.sums + sums_of(errors, tf.sign(steps.weights))
            row = tf.concat([sums, net.validate(moved[0], table, stopping.closing)], 1)
            shown = tf.concat([row, tf.cast(state.active, tf.float32)[:, None]], 1)
            return e + 1, _close(state, moved, sums, row, stopping), curves.write(e, shown)

        curves = tf.TensorArray(tf.float32, epochs, element_shape=[None, 5])
        _, state, curves = tf.while_loop(lambda e, *_: e < epochs, epoch, [tf.constant(0), state, curves], parallel_iterations=1)
        return state, curves.stack()

    compiled: Program = tf.function(train, input_signature=signature(len(activations)), autograph=False)
    return compiled


Moved = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def _epoch(
    net: Net, table: Table, fixed: Fixed, steps: Steps, state: State, e: tf.Tensor, dropout: bool
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
