"""The reference trainer: one `keras.Model.fit` per trial and fold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.tasks import BINARY, VAL_LOSS, Task
from regsweep.train.contract import (
    StopRule,
    epoch_order,
    failure,
    in_target_units,
    kept_epoch,
    outcome,
    seeds,
    stops,
    waves_of,
)
from regsweep.train.keras_model import build, compiled, on_metric_scale, on_tensorflow
from regsweep.train.plan import Speed
from regsweep.trial import Array32, Array64, FoldResult, Network, TrialResult, TrialSpec

if TYPE_CHECKING:
    import tensorflow as tf

# Validation is one step up to this many rows, so that its metrics are a single sum.
VALIDATION_ROWS = 65_536


class KerasFit:
    """Trains specs one after the other; the trials share nothing but the process."""

    name = "keras_fit"

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config

    def fit(self, specs: Sequence[TrialSpec], data: Prepared, stop: StopRule | None = None) -> tuple[TrialResult, ...]:
        """Train every spec on every fold, one after the other; with a rule, the folds of a spec take turns."""
        return tuple(self._fit_one(spec, data, stop) for spec in specs)

    def speed(self, *, timed: bool = True) -> Speed:
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
                if stop is not None and folds and stops(stop, spec, [fold.curves for fold in folds], data.task):
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
        scale = None if on_metric_scale(fold) else (fold.target, fold.mean, fold.std)
        # A level or a missing value that only one fold's training rows have makes its rows longer.
        key = (fold.inputs, steps, scale)
        if key not in self._compiled:
            self._compiled[key] = _Compiled(compiled(self._spec, fold, steps))
        return self._compiled[key]


class _Training:
    """One fold of one spec in training: between its turns it holds the values of its model's variables."""

    def __init__(self, spec: TrialSpec, fold: FoldData, index: int, config: TrainerConfig, models: _Models) -> None:
        self._spec, self._fold, self._config, self.task = spec, fold, config, fold.task
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
        curves = in_target_units(np.array(self._keep.rows, dtype=np.float64), self._fold)
        if self.task == BINARY:
            # To Keras the AUC of one class alone is 0.
            for part, y in (("train", self._fold.y_train), ("val", self._fold.y_val)):
                if y.min() == y.max():
                    curves[:, BINARY.curves.index(f"{part}/auc")] = np.nan
        return curves

    def advance(self, epochs: int) -> None:
        """Train until so many epochs are done, or it has ended."""
        done = self._done
        if self.ended or done >= epochs:
            return
        draw = batches if on_tensorflow() else array_batches
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
        if stop is not None and stops(stop, spec, [*before, *(training.curves for training in trainings)], trainings[0].task):
            return True
        epochs += every


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
