"""The networks of specs as Keras models: built with their initial weights, compiled with optimizer, loss and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np

from regsweep.data.features import FoldData
from regsweep.predictor import Member
from regsweep.tasks import BINARY
from regsweep.train.contract import first_weights, seeds
from regsweep.train.initial import glorot_uniform
from regsweep.trial import TrialSpec

# A tensor of whatever backend Keras runs on.
Tensor = Any

OPTIMIZERS: dict[str, Callable[[float | keras.optimizers.schedules.LearningRateSchedule], keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "sgd_momentum": partial(keras.optimizers.SGD, momentum=0.9),
}


def build(spec: TrialSpec, inputs: int, fold: int = 0) -> keras.Sequential:
    """Build the network of a spec with its initial weights, for rows of shape (inputs,)."""
    drawn, start = seeds(spec, fold), first_weights(spec, fold)
    model = keras.Sequential([keras.Input((inputs,))])
    for layer, (width, activation, rate) in enumerate(zip(spec.widths, spec.activations, spec.dropouts, strict=True)):
        model.add(_dense(width, activation, spec.l2, drawn.kernels[layer]))
        if rate > 0:
            # Keras draws masks in a row: one that goes on draws others than those of its beginning.
            model.add(keras.layers.Dropout(rate, seed=drawn.dropout[layer] + spec.initial_epoch))
    model.add(_dense(1, "linear", spec.l2, drawn.kernels[-1]))
    if start is not None:
        model.set_weights([array for pair in zip(start.kernels, start.biases, strict=True) for array in pair])
    return model


def rebuild(member: Member) -> keras.Sequential:
    """A trained network as Keras sees it, for encoded rows."""
    model = keras.Sequential([keras.Input((len(member.kernels[0]),))])
    for activation, kernel in zip(member.activations, member.kernels[:-1], strict=True):
        model.add(keras.layers.Dense(kernel.shape[1], activation=activation))
    model.add(keras.layers.Dense(1))
    model.set_weights([array for pair in zip(member.kernels, member.biases, strict=True) for array in pair])
    return model


def compiled(spec: TrialSpec, fold: FoldData, steps: int) -> keras.Sequential:
    """The network of a spec with its optimizer, loss and metrics, for a fold of so many steps per epoch."""
    # With weights of its own: those that a training goes on from are another fold's, perhaps with other inputs.
    model = build(replace(spec, rounds=(), start=()), fold.inputs)
    model.compile(
        optimizer=OPTIMIZERS[spec.optimizer](_learning_rate(spec, steps)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True) if fold.task == BINARY else "mse",
        metrics=_metrics(fold),
        # JAX runs every operation by itself where it may not compile.
        jit_compile=keras.backend.backend() == "jax",
        # One call into TensorFlow's graph per epoch: the same numbers, without Python between the steps.
        steps_per_execution=steps if on_tensorflow() else 1,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def on_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow in this process."""
    return bool(keras.backend.backend() == "tensorflow")


def on_metric_scale(fold: FoldData) -> bool:
    """Whether the network's target is what metrics are taken on, or a class."""
    target = fold.target
    return fold.task == BINARY or (not target.log and target.shift == fold.mean and target.scale == fold.std)


def _dense(units: int, activation: str, l2: float, seed: int) -> keras.layers.Dense:
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=_initializer(seed),
        kernel_regularizer=keras.regularizers.L2(l2) if l2 > 0 else None,
    )


def _initializer(seed: int) -> Callable[..., Tensor]:
    if on_tensorflow():
        initializer: Callable[..., Tensor] = keras.initializers.GlorotUniform(seed=seed)
        return initializer
    # Other backends' generators would draw other numbers.
    return lambda shape, dtype=None: keras.ops.convert_to_tensor(glorot_uniform(seed, *shape), dtype=dtype)


def _learning_rate(spec: TrialSpec, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if spec.schedule == "constant":
        return spec.learning_rate
    return _Cosine(spec.learning_rate, spec.epochs * steps, spec.initial_epoch * steps)


class _Cosine(keras.optimizers.schedules.CosineDecay):
    """From step `first` on: the optimizer of a training that goes on counts from 0."""

    def __init__(self, rate: float, steps: int, first: int) -> None:
        super().__init__(rate, decay_steps=steps)
        self._first = first

    def __call__(self, step: Tensor) -> Tensor:
        return super().__call__(step + self._first)


def _metrics(fold: FoldData) -> list[keras.metrics.Metric]:
    if fold.task == BINARY:
        return [
            keras.metrics.BinaryCrossentropy(from_logits=True, name="log_loss"),
            keras.metrics.MeanMetricWrapper(_right, name="accuracy"),
            # By Keras's 200 thresholds.
            keras.metrics.AUC(from_logits=True, name="auc"),
        ]
    # Metrics are taken on (y - mean) / std of the training targets: R² sums squares in float32, which a large mean would drown.
    target = fold.target
    if on_metric_scale(fold):
        return [keras.metrics.MeanSquaredError("mse"), keras.metrics.MeanAbsoluteError("mae"), keras.metrics.R2Score(name="r2")]

    def standard(z: Tensor) -> Tensor:
        if not target.log:
            return z * (target.scale / fold.std) + (target.shift - fold.mean) / fold.std
        return keras.ops.exp(z * target.scale + (target.shift - np.log(fold.std))) - fold.mean / fold.std

    return [
        _on_scale(keras.metrics.MeanSquaredError, standard, "mse"),
        _on_scale(keras.metrics.MeanAbsoluteError, standard, "mae"),
        _on_scale(keras.metrics.R2Score, standard, "r2"),
    ]


def _right(y_true: Tensor, logits: Tensor) -> Tensor:
    """1 where the class is right, else 0: a probability above 0.5 is a logit above 0."""
    return keras.ops.cast(keras.ops.equal(logits > 0, y_true > 0.5), "float32")


def _on_scale(base: type[keras.metrics.Metric], scale: Callable[[Tensor], Tensor], name: str) -> keras.metrics.Metric:
    class Scaled(base):
        def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
            super().update_state(scale(y_true), scale(y_pred), sample_weight)

    return Scaled(name=name)
