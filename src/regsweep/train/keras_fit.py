"""The reference trainer: one `keras.Model.fit` per trial and fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.predictor import Member
from regsweep.tasks import BINARY, VAL_LOSS, Task
from regsweep.train.contract import (
    StopRule,
    epoch_order,
    failure,
    first_weights,
    in_target_units,
    kept_epoch,
    outcome,
    seeds,
    stops,
    waves_of,
)
from regsweep.train.initial import glorot_uniform
from regsweep.train.plan import Speed
from regsweep.trial import Array32, Array64, FoldResult, Network, TrialResult, TrialSpec

if TYPE_CHECKING:
    import tensorflow as tf

# A tensor of whatever backend Keras runs on.
Tensor = Any

# Validation is one step up to this many rows, so that its metrics are a single sum.
VALIDATION_ROWS = 65_536

OPTIMIZERS: dict[str, Callable[[float | keras.optimizers.schedules.LearningRateSchedule], keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "sgd_momentum": partial(keras.optimizers.SGD, momentum=0.9),
}


class KerasFit:
    """Trains specs one after the other; the trials share nothing but the process."""

    name = "keras_fit"

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config

    def fit(self, specs: Sequence[TrialSpec], data: Prepared, stop: StopRule | None = None) -> tuple[TrialResult, ...]:
        """Train every spec on every fold, one after the other; with a rule, the folds of a spec take turns."""
        return tuple(self._fit_one(spec, data, stop) for spec in specs)

    def speed(self) -> Speed:
        """The cost model's defaults: nothing is stacked here."""
        return Speed()

    def _fit_one(self, spec: TrialSpec, data: Prepared, stop: StopRule | None) -> TrialResult:
        started = time.perf_counter()
        folds: list[FoldResult] = []
        stopped = None
        try:
            # What an earlier trial left in Keras's global state goes.
            keras.backend.clear_session()
            seen, models = [fold.encoded(spec.encoding) for fold in data.folds], _Models(spec)
            for wave in waves_of(stop, len(data.folds)):
                if stop is not None and folds and stops(stop, spec, [fold.curves for fold in folds]):
                    stopped = stop
                    break
                for group in [wave] if stop is not None and stop.every is not None else [[index] for index in wave]:
                    trainings = [_Training(spec, seen[index], index, self._config, models) for index in group]
                    if _take_turns(trainings, [fold.curves for fold in folds], spec, stop):
                        stopped = stop
                    folds += [training.result() for training in trainings]
                if stopped is not None:
                    break
        except Exception as error:
            # Whatever one training raises is that trial's failure, not the study's.
            return failure(spec, error, folds, seconds=time.perf_counter() - started, trainer=self.name, task=data.task)
        seconds = time.perf_counter() - started
        return outcome(spec, folds, seconds=seconds, trainer=self.name, stopped=stopped, task=data.task)


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


def batches(fold: FoldData, spec: TrialSpec, order_seed: int, first: int = 0) -> tf.data.Dataset:
    """All batches from epoch `first` on; epoch e visits the rows in an order of (seed, e); its last batch may be short."""
    import tensorflow as tf

    x, z = tf.constant(fold.x_train, tf.float32), tf.constant(fold.z_train[:, None])

    def orders() -> Iterator[npt.NDArray[np.int32]]:
        for epoch in range(first, spec.epochs):
            yield epoch_order(order_seed, epoch, len(fold.z_train))

    return (
        tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec([len(fold.z_train)], tf.int32))
        .flat_map(lambda order: tf.data.Dataset.from_tensor_slices(order).batch(spec.batch_size))
        .map(lambda rows: (tf.gather(x, rows), tf.gather(z, rows)))
        .prefetch(8)
    )


def array_batches(fold: FoldData, spec: TrialSpec, order_seed: int, first: int = 0) -> Iterator[tuple[Array32, Array32]]:
    """The same batches as `batches` as arrays, for backends other than TensorFlow."""
    x, z = fold.x_train.astype(np.float32), fold.z_train[:, None]
    for epoch in range(first, spec.epochs):
        order = epoch_order(order_seed, epoch, len(z))
        for start in range(0, len(z), spec.batch_size):
            rows = order[start : start + spec.batch_size]
            yield x[rows], z[rows]


def _dense(units: int, activation: str, l2: float, seed: int) -> keras.layers.Dense:
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=_initializer(seed),
        kernel_regularizer=keras.regularizers.L2(l2) if l2 > 0 else None,
    )


def _initializer(seed: int) -> Callable[..., Tensor]:
    if _on_tensorflow():
        initializer: Callable[..., Tensor] = keras.initializers.GlorotUniform(seed=seed)
        return initializer
    # Other backends' generators would draw other numbers.
    return lambda shape, dtype=None: keras.ops.convert_to_tensor(glorot_uniform(seed, *shape), dtype=dtype)


def _on_tensorflow() -> bool:
    return bool(keras.backend.backend() == "tensorflow")


class _Compiled:
    """A compiled model that trainings share; `first` are the values that its optimizer begins with."""

    def __init__(self, model: keras.Sequential) -> None:
        self.model = model
        self.first = _values(model.optimizer.variables)

    def hand_over(self, values: Sequence[np.ndarray]) -> None:
        """Give every variable its value, in the order of `handed_back`."""
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)

    def handed_back(self) -> list[np.ndarray]:
        """The values of all that a training changes: kernels and biases layer by layer, states of dropout, of the optimizer."""
        return _values(self._variables())

    def _variables(self) -> list[keras.Variable]:
        return [*_own(self.model), *self.model.optimizer.variables]


class _Models:
    """The compiled models of one spec: folds with equal graphs share one, as tracing takes longer than training."""

    def __init__(self, spec: TrialSpec) -> None:
        self._spec = spec
        self._compiled: dict[tuple[object, ...], _Compiled] = {}

    def of(self, fold: FoldData, steps: int) -> _Compiled:
        """One for a fold, with variables as they happen to be."""
        scale = None if _standard(fold) else (fold.target, fold.mean, fold.std)
        key = (steps, scale)
        if key not in self._compiled:
            model = build(self._spec, fold.inputs)
            model.compile(
                optimizer=OPTIMIZERS[self._spec.optimizer](_learning_rate(self._spec, steps)),
                loss=keras.losses.BinaryCrossentropy(from_logits=True) if fold.task == BINARY else "mse",
                metrics=_metrics(fold),
                # JAX runs every operation by itself where it may not compile.
                jit_compile=keras.backend.backend() == "jax",
                # One call into TensorFlow's graph per epoch: the same numbers, without Python between the steps.
                steps_per_execution=steps if _on_tensorflow() else 1,
            )
            model.optimizer.build(model.trainable_variables)
            self._compiled[key] = _Compiled(model)
        return self._compiled[key]


class _Training:
    """One fold of one spec in training: between its turns it holds the values of its model's variables."""

    def __init__(self, spec: TrialSpec, fold: FoldData, index: int, config: TrainerConfig, models: _Models) -> None:
        self._spec, self._fold, self._config = spec, fold, config
        self._order = seeds(spec, index).order
        self._steps = -(-len(fold.z_train) // spec.batch_size)
        self._shared = models.of(fold, self._steps)
        self._values = [*_values(_own(build(spec, fold.inputs, index))), *self._shared.first]
        self._keep = _Keep(config, fold.task)

    @property
    def ended(self) -> bool:
        """Whether it has no epochs left."""
        return self._keep.ended or self._done >= self._spec.epochs

    @property
    def _done(self) -> int:
        return self._spec.initial_epoch + len(self._keep.rows)

    @property
    def curves(self) -> Array64:
        """What it has come to, shape (epochs, 6)."""
        return in_target_units(np.array(self._keep.rows, dtype=np.float64), self._fold)

    def advance(self, epochs: int) -> None:
        """Train until so many epochs are done, or it has ended."""
        done = self._done
        if self.ended or done >= epochs:
            return
        draw = batches if _on_tensorflow() else array_batches
        self._shared.hand_over(self._values)
        self._shared.model.fit(
            draw(self._fold, self._spec, self._order, done),
            initial_epoch=done,
            epochs=min(epochs, self._spec.epochs),
            steps_per_epoch=self._steps,
            validation_data=(self._fold.x_val.astype(np.float32), self._fold.z_val[:, None]),
            validation_batch_size=VALIDATION_ROWS,
            callbacks=[self._keep],
            shuffle=False,
            verbose=0,
        )
        self._values = self._shared.handed_back()

    def result(self) -> FoldResult:
        """The curves, and the weights that are kept."""
        curves = self.curves
        weights = self._keep.best_weights or self._values[: 2 * (self._spec.depth + 1)]
        return FoldResult(curves, Network(tuple(weights[0::2]), tuple(weights[1::2])), kept_epoch(curves, self._config))


def _own(model: keras.Sequential) -> list[keras.Variable]:
    """Kernels and biases, layer by layer, then the states from which masks of dropout are drawn."""
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    return [*model.trainable_variables, *(layer.seed_generator.state for layer in dropouts)]


def _values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _take_turns(trainings: Sequence[_Training], before: Sequence[Array64], spec: TrialSpec, stop: StopRule | None) -> bool:
    """Train to the end, or until the rule, asked about all folds at equal epochs, stops it: then return True."""
    every = spec.epochs if stop is None or stop.every is None else stop.every
    epochs = spec.initial_epoch + every
    while True:
        for training in trainings:
            training.advance(epochs)
        if all(training.ended for training in trainings):
            return False
        if stop is not None and stops(stop, spec, [*before, *(training.curves for training in trainings)]):
            return True
        epochs += every


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
    if _standard(fold):
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


def _standard(fold: FoldData) -> bool:
    """Whether the network's target is what metrics are taken on, or a class."""
    target = fold.target
    return fold.task == BINARY or (not target.log and target.shift == fold.mean and target.scale == fold.std)


def _right(y_true: Tensor, logits: Tensor) -> Tensor:
    """1 where the class is right, else 0: a probability above 0.5 is a logit above 0."""
    return keras.ops.cast(keras.ops.equal(logits > 0, y_true > 0.5), "float32")


def _on_scale(base: type[keras.metrics.Metric], scale: Callable[[Tensor], Tensor], name: str) -> keras.metrics.Metric:
    class Scaled(base):
        def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
            super().update_state(scale(y_true), scale(y_pred), sample_weight)

    return Scaled(name=name)


class _Keep(keras.callbacks.Callback):
    """Collects the six curves, keeps the best weights where asked, stops on patience and on values that are not finite."""

    def __init__(self, config: TrainerConfig, task: Task) -> None:
        super().__init__()
        self._config, self._curves = config, task.curves
        self.ended = False
        self._best = np.inf
        self._since = 0
        self.rows: list[list[float]] = []
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = logs or {}
        self.rows.append([float(values[name.replace("train/", "").replace("val/", "val_")]) for name in self._curves])
        error = self.rows[-1][VAL_LOSS]
        if error < self._best:
            self._best, self._since = error, 0
            if self._config.keep == "best":
                self.best_weights = self.model.get_weights()
        else:
            self._since += 1
        impatient = self._config.patience is not None and self._since >= self._config.patience
        self.ended = impatient or not np.isfinite(self.rows[-1]).all()
        if self.ended:
            self.model.stop_training = True
