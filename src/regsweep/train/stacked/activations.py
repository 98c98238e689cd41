"""The activations of a stack and their derivatives, as Keras defines them.

Each takes z of any shape and returns f(z) and a function that turns the gradient by f(z) into the gradient by z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import tensorflow as tf

Back = Callable[[tf.Tensor], tf.Tensor]
Activation = Callable[[tf.Tensor], tuple[tf.Tensor, Back]]

LEAKY_SLOPE = 0.2


def _linear(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    return z, lambda g: g


def _relu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    y = tf.nn.relu(z)
    return y, lambda g: tf.raw_ops.ReluGrad(gradients=g, features=y)


def _leaky_relu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    return tf.nn.leaky_relu(z, LEAKY_SLOPE), lambda g: tf.raw_ops.LeakyReluGrad(gradients=g, features=z, alpha=LEAKY_SLOPE)


def _elu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    y = tf.nn.elu(z)
    return y, lambda g: tf.raw_ops.EluGrad(gradients=g, outputs=y)


def _selu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    y = tf.nn.selu(z)
    return y, lambda g: tf.raw_ops.SeluGrad(gradients=g, outputs=y)


def _gelu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    # f(z) = z Φ(z), so f'(z) = Φ(z) + z φ(z), with the normal distribution's Φ and density φ.
    below = 0.5 + 0.5 * tf.math.erf(z * math.sqrt(0.5))
    return z * below, lambda g: g * (below + z * tf.exp(-0.5 * tf.square(z)) * (1 / math.sqrt(2 * math.pi)))


def _silu(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    s = tf.sigmoid(z)
    y = z * s
    return y, lambda g: g * (s + y * (1.0 - s))


def _softplus(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    return tf.nn.softplus(z), lambda g: tf.raw_ops.SoftplusGrad(gradients=g, features=z)


def _tanh(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    y = tf.tanh(z)
    return y, lambda g: tf.raw_ops.TanhGrad(y=y, dy=g)


def _sigmoid(z: tf.Tensor) -> tuple[tf.Tensor, Back]:
    y = tf.sigmoid(z)
    return y, lambda g: tf.raw_ops.SigmoidGrad(y=y, dy=g)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "linear": _linear,
        "relu": _relu,
        "leaky_relu": _leaky_relu,
        "elu": _elu,
        "selu": _selu,
        "gelu": _gelu,
        "silu": _silu,
        "softplus": _softplus,
        "tanh": _tanh,
        "sigmoid": _sigmoid,
    }
)
