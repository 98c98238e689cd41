"""Backpropagation, by hand and checked: the chain rule on a graph of five edges, and the stacked trainer's own backward pass.

`by_chain_rule` and `by_tape` give the derivatives of f(u, v) = 3 u + 5 v with u = 2 x and v = x + y. `check` compares the
gradients that the stacked trainer steps by with TensorFlow's GradientTape and with central differences of a forward pass in
NumPy; the two know nothing of each other nor of the trainer. Main call: `table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import erf, expit

from regsweep.config.names import ACTIVATIONS
from regsweep.data.features import FoldData
from regsweep.predictor import TargetScale
from regsweep.train.runtime import start_backend
from regsweep.trial import Scalar, TrialSpec, spec_from_values

Array64 = npt.NDArray[np.float64]
Weights = tuple[tuple[Array64, ...], tuple[Array64, ...]]

DEPTHS = (0, 1, 2, 3)
ROWS, INPUTS, WIDTHS = 7, 4, (6, 5, 3)
# Rounding of a loss near 1 leaves 1e-10 in differences over it, far below float32's 1e-7; and the wider it is, the more often a
# unit crosses the kink of a relu within it, where there is no derivative.
H = 1e-6


@dataclass(frozen=True)
class Edge:
    """A step of a computation: `derivative` is that of the node `to` by the node `of`."""

    to: str
    of: str
    derivative: float


# f = 3 u + 5 v, u = 2 x, v = x + y.
GRAPH = (Edge("f", "u", 3), Edge("f", "v", 5), Edge("u", "x", 2), Edge("v", "x", 1), Edge("v", "y", 1))


@dataclass(frozen=True)
class Derivative:
    """Of f by an input: the derivatives along each path from f, and `value`, the sum of their products."""

    of: str
    paths: tuple[tuple[float, ...], ...]

    @property
    def value(self) -> float:
        return float(sum(np.prod(path) for path in self.paths))

    @property
    def sentence(self) -> str:
        """df/dx = 3·2 + 5·1 = 11."""
        products = " + ".join("·".join(f"{factor:g}" for factor in path) for path in self.paths)
        return f"df/d{self.of} = {products} = {self.value:g}"


def by_chain_rule(of: str, graph: Sequence[Edge] = GRAPH, output: str = "f") -> Derivative:
    """The derivative of `output` by a node: products along all paths, summed."""

    def paths(node: str) -> Iterator[tuple[float, ...]]:
        if node == of:
            yield ()
        for edge in graph:
            if edge.to == node:
                yield from ((edge.derivative, *rest) for rest in paths(edge.of))

    return Derivative(of, tuple(paths(output)))


def by_tape(x: float, y: float) -> dict[str, float]:
    """The same derivatives by TensorFlow, at a point; df/du and df/dv too."""
    start_backend("tensorflow", threads=1)
    import tensorflow as tf

    inputs = tf.Variable(x), tf.Variable(y)
    with tf.GradientTape() as tape:
        u, v = 2 * inputs[0], inputs[0] + inputs[1]
        f = 3 * u + 5 * v
    names = {"u": u, "v": v, "x": inputs[0], "y": inputs[1]}
    return {name: float(found) for name, found in zip(names, tape.gradient(f, list(names.values())), strict=True)}


@dataclass(frozen=True)
class Deviation:
    """Largest difference of the stacked trainer's gradient, in float32, from two others in float64, over their largest entry."""

    activation: str
    depth: int
    dropout: float
    l2: float
    from_tape: float
    from_differences: float


def table(dropout: float = 0.0, l2: float = 0.01) -> tuple[Deviation, ...]:
    """Every activation at every depth of 1 to 3, and the linear model."""
    deep = [check(activation, depth, dropout=dropout, l2=l2) for activation in ACTIVATIONS for depth in DEPTHS[1:]]
    return (check("linear", 0, dropout=dropout, l2=l2), *deep)


def check(activation: str, depth: int, *, dropout: float = 0.0, l2: float = 0.0, seed: int = 1) -> Deviation:
    """Compare the gradients of one network of `depth` hidden layers, by kernels and biases, at weights drawn from a seed."""
    start_backend("tensorflow", threads=1)
    values: dict[str, Scalar] = {
        "depth": depth, "activation": activation, "learning_rate": 0.01, "epochs": 1, "batch_size": ROWS, "optimizer": "sgd",
        "dropout": dropout, "l2": l2, **{f"width_{layer + 1}": width for layer, width in enumerate(WIDTHS[:depth])},
    }  # fmt: skip
    spec = spec_from_values(values, seed=seed)
    rng = np.random.default_rng([seed, depth])
    shapes = list(pairwise((INPUTS, *spec.widths, 1)))
    # Rounded to what the trainer holds.
    weights = (
        tuple(rng.normal(0, 0.5, shape).astype(np.float32).astype(np.float64) for shape in shapes),
        tuple(rng.normal(0, 0.5, fan_out).astype(np.float32).astype(np.float64) for _, fan_out in shapes),
    )
    x, z = (rng.normal(size=size).astype(np.float32).astype(np.float64) for size in ((ROWS, INPUTS), (ROWS,)))
    found, masks = _stacked(spec, dropout, weights, x, z)
    tape = _tape(activation, weights, x, z, masks, l2)
    differences = _differences(activation, weights, x, z, masks, l2)
    return Deviation(activation, depth, dropout, l2, _deviation(found, tape), _deviation(found, differences))


def _stacked(spec: TrialSpec, dropout: float, weights: Weights, x: Array64, z: Array64) -> tuple[Array64, list[Array64]]:
    """The gradient by which the trainer's program takes its first step, flat, and each layer's dropout mask, (rows, units)."""
    import tensorflow as tf

    from regsweep.train.contract import seeds
    from regsweep.train.plan import form_of
    from regsweep.train.stacked import arrays, draws
    from regsweep.train.stacked.layout import Layout
    from regsweep.train.stacked.program import Stopping, program
    from regsweep.train.stacked.table import FoldTable

    z32 = z.astype(np.float32)
    fold = FoldData((), TargetScale(False, 0.0, 1.0), float(z.mean()), float(z.std()), x, z, z32, x, z, z32)
    data, form = FoldTable([fold]), form_of(spec, INPUTS, ROWS)
    # A stack has two networks at least.
    lanes, layout, first = [arrays.Lane(spec, seeds(spec, 0), 0)] * 2, Layout(form), range(1)
    rows = arrays.batch_rows(form, lanes, data, first)
    steps = arrays.make_steps(form, lanes, rows, draws.batch_weights(ROWS, form.batch_size), first, first)
    packed = layout.pack(*([array.astype(np.float32) for array in part] for part in weights))
    state = arrays.first_state(form, lanes)._replace(params=tf.constant(np.stack([packed, packed])))
    stopping = Stopping(tf.constant(10), tf.constant(False), tf.constant(True))
    after, _ = program(*form.program, False)(data.tensors, arrays.fixed(form, lanes, data), stopping, steps, state)
    # Plain SGD's first moment is the gradient itself.
    gradient = layout.unpack(after.first[0].numpy(), spec.widths)
    kept = [np.ones((ROWS, width)) for width in spec.widths]
    if form.dropout:
        # The batch visits the rows in an order of its own; masks are turned back to the table's.
        drawn = steps.masks.numpy()[0, 0, 0][np.argsort(rows[0, 0, 0])] / (1 - dropout)
        starts = np.cumsum([0, *form.widths])
        kept = [drawn[:, start : start + width] for start, width in zip(starts, spec.widths, strict=False)]
    return _flat(gradient.kernels, gradient.biases), kept


def _tape(activation: str, weights: Weights, x: Array64, z: Array64, masks: Sequence[Array64], l2: float) -> Array64:
    """The gradient by TensorFlow's GradientTape in float64, flat; activations are Keras's."""
    import keras
    import tensorflow as tf

    kernels, biases = ([tf.Variable(array) for array in part] for part in weights)
    with tf.GradientTape() as tape:
        hidden = tf.constant(x)
        for kernel, bias, mask in zip(kernels, biases, masks, strict=False):
            hidden = keras.activations.get(activation)(hidden @ kernel + bias) * mask
        out = (hidden @ kernels[-1] + biases[-1])[:, 0]
        loss = tf.reduce_mean((out - z) ** 2) + l2 * sum(tf.reduce_sum(kernel**2) for kernel in kernels)
    by_kernels, by_biases = tape.gradient(loss, (kernels, biases))
    return _flat([g.numpy() for g in by_kernels], [g.numpy() for g in by_biases])


def _differences(activation: str, weights: Weights, x: Array64, z: Array64, masks: Sequence[Array64], l2: float) -> Array64:
    """The gradient by central differences of a forward pass in NumPy, flat."""

    def loss(kernels: Sequence[Array64], biases: Sequence[Array64]) -> float:
        hidden = x
        for kernel, bias, mask in zip(kernels, biases, masks, strict=False):
            hidden = NUMPY[activation](hidden @ kernel + bias) * mask
        out = (hidden @ kernels[-1] + biases[-1])[:, 0]
        return float(np.mean((out - z) ** 2) + l2 * sum(np.sum(kernel**2) for kernel in kernels))

    def slopes(array: Array64) -> Array64:
        found = np.empty_like(array)
        for index, value in np.ndenumerate(array):
            ends = []
            for moved in (value + H, value - H):
                array[index] = moved
                ends.append(loss(*copies))
            array[index] = value
            found[index] = (ends[0] - ends[1]) / (2 * H)
        return found

    copies = tuple([array.copy() for array in part] for part in weights)
    by_kernels, by_biases = ([slopes(array) for array in part] for part in copies)
    return _flat(by_kernels, by_biases)


def _flat(kernels: Sequence[npt.NDArray[np.floating]], biases: Sequence[npt.NDArray[np.floating]]) -> Array64:
    return np.concatenate([array.astype(np.float64).ravel() for array in (*kernels, *biases)])


def _deviation(found: Array64, expected: Array64) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _elu(z: Array64) -> Array64:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


NUMPY: Mapping[str, Callable[[Array64], Array64]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.2 * z),
    "elu": _elu,
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * _elu(z)),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
    "silu": lambda z: z * expit(z),
    "softplus": lambda z: np.logaddexp(z, 0),
    "tanh": np.tanh,
    "sigmoid": expit,
}
