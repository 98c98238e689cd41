"""Forward and backward pass of K networks of one form, and their errors.

Every operation treats the networks alike and apart, so what one of them computes does not depend on the others.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from regsweep.train.plan import LANE
from regsweep.train.stacked.activations import ACTIVATIONS, Back
from regsweep.train.stacked.arguments import Fixed, Table


class _Layer(NamedTuple):
    """What the way back needs of a hidden layer: its input, its activation's way back, its dropout mask."""

    entered: tf.Tensor
    back: Back | None
    mask: tf.Tensor | None


class Net:
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
            return c + 1, sums + sums_of(self.error(out, z)[None], table.present[c][None])

        start = tf.zeros(tf.stack([tf.shape(params)[0], 2]))
        _, sums = tf.while_loop(lambda c, _: c < chunks, chunk, [tf.constant(0), start], parallel_iterations=1)
        return sums


def sums_of(errors: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Sums of squares and of absolute values of errors (S, K, b) where `present` (S, b) is 1; shape (K, 2)."""
    by_network = tf.transpose(tf.where(present[:, None, :] > 0, errors, 0.0), [1, 0, 2])
    flat = tf.reshape(by_network, [tf.shape(by_network)[0], -1])
    return tf.stack([tf.reduce_sum(tf.square(flat), 1), tf.reduce_sum(tf.abs(flat), 1)], 1)
