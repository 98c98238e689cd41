"""What peers that train with Keras have in common: a model, its input pipelines, and the space as Keras Tuner has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regsweep.trial import TrialSpec

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from regsweep.config.space import SpaceConfig
    from regsweep.data.features import FoldData


def compiled(spec: TrialSpec, fold: FoldData, epochs: int | None = None, **options: Any) -> keras.Sequential:
    """The network of a spec as Keras's users write it; a cosine schedule ends after `epochs`, by default the spec's.

    By default with the three metrics of the curves.
    """
    import keras

    from regsweep.train.keras_model import OPTIMIZERS

    keras.utils.set_random_seed(spec.seed)
    model = keras.Sequential([keras.Input((fold.inputs,))])
    for width, activation, rate in zip(spec.widths, spec.activations, spec.dropouts, strict=True):
        model.add(keras.layers.Dense(width, activation, kernel_regularizer=keras.regularizers.L2(spec.l2)))
        model.add(keras.layers.Dropout(rate))
    model.add(keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(spec.l2)))
    rate: Any = spec.learning_rate
    if spec.schedule == "cosine":
        steps = (spec.epochs if epochs is None else epochs) * -(-len(fold.z_train) // spec.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    metrics = ["mse", "mae", keras.metrics.R2Score(name="r2")]
    model.compile(OPTIMIZERS[spec.optimizer](rate), "mse", **{"metrics": metrics, **options})
    return model


def pipelines(fold: FoldData, spec: TrialSpec) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Training rows, shuffled anew in every epoch, and validation rows in one batch.

    Without TensorFlow's tuning of pipelines, beside which a core that has nothing else to do stands idle for a third of a fit.
    """
    batches = _cached(fold.x_train, fold.z_train).shuffle(len(fold.z_train)).batch(spec.batch_size).prefetch(2)
    return _untuned(batches), _untuned(_cached(fold.x_val, fold.z_val).batch(len(fold.z_val)))


def _untuned(rows: tf.data.Dataset) -> tf.data.Dataset:
    """The same without tuning in the background."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return rows.with_options(options)


def _cached(x: Any, z: Any) -> tf.data.Dataset:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), z[:, None])).cache()


def unconditional(space: SpaceConfig) -> SpaceConfig:
    """A space for Keras Tuner, which has no conditions like ours: what a linear network does not need is drawn too."""
    parameters = {name: parameter.model_copy(update={"when": None}) for name, parameter in space.parameters.items()}
    return space.model_copy(update={"parameters": parameters})


class Declared:
    """Keras Tuner's hyperparameters, asked as an Optuna trial is."""

    def __init__(self, hp: Any) -> None:
        self._hp = hp

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._hp.Int(name, low, high, step=None if log else step, sampling="log" if log else "linear"))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._hp.Float(name, low, high, sampling="log" if log else "linear"))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._hp.Choice(name, list(choices))
