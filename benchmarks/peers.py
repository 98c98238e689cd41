"""What users could pick instead of regsweep, trial by trial.

In: hyperparameters with the specs they make, prepared data, an empty folder. Out: the seconds of every trial, from the end of
the one before. Every peer trains what the specs say on the same rows and leaves the six curves and a loadable model in MLflow on
sqlite, unless its docstring says otherwise. Curves are on the scale of the network's target, models take encoded rows. Importing
libraries and making the database come before the clock starts; warming up and tracing do not.

    PEERS[name](pairs, data, folder)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import KEYS, PLAIN, History, Laps, Pair, Save, Store
from benchmarks.keras_parts import Declared, compiled, pipelines, unconditional
from regsweep.trial import TrialSpec, spec_from_values

if TYPE_CHECKING:
    import keras
    import optuna

    from regsweep.config.space import SpaceConfig
    from regsweep.data.features import FoldData, Prepared

Peer = Callable[[Sequence[Pair], "Prepared", Path], list[float]]


def naive(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """Optuna, `fit`, one `log_metric` per point and `log_model`, as the libraries' own pages show them."""
    import keras
    import mlflow

    from regsweep.space import draw

    fold, space = data.folds[0], _space()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("peer", str(folder / "artifacts"))
    mlflow.set_experiment("peer")

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        params = draw(space, trial)
        with mlflow.start_run():
            mlflow.log_params(params)
            model, history = _fit(spec_from_values(params, seed=pairs[trial.number][1].seed), fold)
            for name, key in KEYS.items():
                for step, value in enumerate(history[key]):
                    mlflow.log_metric(name, value, step)
            mlflow.keras.log_model(model, name="model")
        return float(history["val_mse"][-1])

    return _optimize(objective, pairs, f"sqlite:///{folder}/optuna.db")


def informed(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """The same by someone who knows where the time goes: `fit` on a cached `tf.data` pipeline, one batch, a cheap model."""
    import_module("mlflow.keras")
    return _search(partial(_train_well, data.folds[0]), pairs, folder)


def fit_alone(specs: Sequence[TrialSpec], data: Prepared) -> list[float]:
    """`keras.Model.fit` alone, as users write it: with the six curves, but nothing is searched and nothing recorded."""
    import keras

    laps = Laps()
    for spec in specs:
        keras.backend.clear_session()
        _fit(spec, data.folds[0])
        laps()
    return laps.seconds


def keras_tuner_random(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """Keras Tuner's RandomSearch: as many trials of its own drawing. Models are its own checkpoints of the best epoch."""
    import keras_tuner

    return _tune(keras_tuner.RandomSearch, pairs, data, folder)


def keras_tuner_hyperband(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """Keras Tuner's Hyperband: the first so many trials of its own drawing, which are its shortest; it sets their epochs."""
    import keras_tuner

    from regsweep.space import greatest

    return _tune(keras_tuner.Hyperband, pairs, data, folder, max_epochs=int(greatest(_space(), "epochs")))


def sklearn_mlp(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """scikit-learn's MLPRegressor under Optuna, an epoch at a time for the curves; training values are taken after the epoch.

    On one thread: networks this small are no faster on several. It has no dropout; ReLU stands in for ELU, GELU and SiLU, Adam
    for RMSprop.
    """
    from threadpoolctl import threadpool_limits

    for module in ("mlflow.sklearn", "skops.io", "sklearn.neural_network"):
        import_module(module)
    with threadpool_limits(1):
        return _search(partial(_train_sklearn, data.folds[0]), pairs, folder)


def ray_tune(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """Ray Tune on every core, each trial trained and recorded as in `informed` in an actor; actors are used again."""
    import ray
    from ray import tune

    Store(folder)

    def trainable(config: dict[str, Any]) -> None:
        spec = pairs[config["number"]][1]
        history, write = _train_well(data.folds[0], spec)
        Store(folder).record(f"trial {config['number']}", pairs[config["number"]][0], history, write)
        tune.report({"val_mse": history["val_mse"][-1]})

    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    laps = Laps()
    results = tune.Tuner(
        trainable,
        param_space={"number": tune.grid_search(list(range(len(pairs))))},
        tune_config=tune.TuneConfig(metric="val_mse", mode="min", reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), verbose=0),
    ).fit()
    laps()
    ray.shutdown()
    for error in results.errors:
        raise error
    return [laps.seconds[0] / len(pairs)] * len(pairs)


PEERS: dict[str, Peer] = {
    "naive": naive,
    "informed": informed,
    "fit_alone": lambda pairs, data, _: fit_alone([spec for _, spec in pairs], data),
    "keras_tuner_random": keras_tuner_random,
    "keras_tuner_hyperband": keras_tuner_hyperband,
    "sklearn_mlp": sklearn_mlp,
    "ray_tune": ray_tune,
}


def _space() -> SpaceConfig:
    from regsweep.config import compose

    return compose(PLAIN)[0].space


def _optimize(objective: Callable[[optuna.Trial], float], pairs: Sequence[Pair], storage: Any) -> list[float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage)
    for params, _ in pairs:
        study.enqueue_trial(dict(params))
    laps = Laps()
    study.optimize(objective, n_trials=len(pairs), callbacks=[laps])
    return laps.seconds


def _search(train: Callable[[TrialSpec], tuple[History, Save]], pairs: Sequence[Pair], folder: Path) -> list[float]:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from regsweep.space import draw

    store, space = Store(folder), _space()

    def objective(trial: optuna.Trial) -> float:
        params = draw(space, trial)
        history, write = train(spec_from_values(params, seed=pairs[trial.number][1].seed))
        store.record(f"trial {trial.number}", params, history, write)
        return float(history["val_mse"][-1])

    return _optimize(objective, pairs, JournalStorage(JournalFileBackend(str(folder / "optuna.log"))))


def _fit(spec: TrialSpec, fold: FoldData) -> tuple[keras.Sequential, History]:
    model = compiled(spec, fold)
    held_out = (fold.x_val, fold.z_val[:, None])
    options = {"batch_size": spec.batch_size, "epochs": spec.epochs, "validation_data": held_out, "verbose": 0}
    return model, model.fit(fold.x_train, fold.z_train[:, None], **options).history


def _train_well(fold: FoldData, spec: TrialSpec) -> tuple[History, Save]:
    import keras
    import mlflow.keras
    from mlflow.models import infer_signature

    keras.backend.clear_session()
    rows = len(fold.z_train)
    model = compiled(spec, fold, steps_per_execution=-(-rows // spec.batch_size))
    batches, held_out = pipelines(fold, spec)
    history = model.fit(batches, epochs=spec.epochs, validation_data=held_out, verbose=0).history
    signature = infer_signature(fold.x_train[:5], fold.z_train[:5, None])
    return history, partial(mlflow.keras.save_model, model, signature=signature, pip_requirements=_pinned("keras", "tensorflow"))


def _train_sklearn(fold: FoldData, spec: TrialSpec) -> tuple[History, Save]:
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=spec.widths,
        activation={"linear": "identity", "tanh": "tanh", "sigmoid": "logistic"}.get(
            next(iter(spec.activations), "linear"), "relu"
        ),
        solver="sgd" if spec.optimizer.startswith("sgd") else "adam",
        # It weighs the squares by alpha / (2 * rows of the batch) against half the squared error.
        alpha=spec.l2 * spec.batch_size,
        batch_size=spec.batch_size,
        learning_rate_init=spec.learning_rate,
        momentum=0.9 if spec.optimizer == "sgd_momentum" else 0.0,
        nesterovs_momentum=False,
        random_state=spec.seed % 2**32,
    )
    metrics = {"mse": mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
    history: dict[str, list[float]] = {key: [] for key in KEYS.values()}
    for _ in range(spec.epochs):
        model.partial_fit(fold.x_train, fold.z_train)
        for prefix, x, z in (("", fold.x_train, fold.z_train), ("val_", fold.x_val, fold.z_val)):
            predicted = model.predict(x)
            for name, metric in metrics.items():
                history[prefix + name].append(float(metric(z, predicted)))
    types = [f"sklearn.neural_network._stochastic_optimizers.{name}Optimizer" for name in ("Adam", "SGD")]
    signature = infer_signature(fold.x_train[:5], fold.z_train[:5])
    options = {"signature": signature, "pip_requirements": _pinned("scikit-learn"), "skops_trusted_types": types}
    return history, partial(mlflow.sklearn.save_model, model, **options)


def _pinned(*packages: str) -> list[str]:
    return [f"{package}=={version(package)}" for package in packages]


def _tune(kind: type, pairs: Sequence[Pair], data: Prepared, folder: Path, **options: Any) -> list[float]:
    import keras_tuner

    from regsweep.space import draw

    fold, store = data.folds[0], Store(folder)
    space = unconditional(_space())

    def spec_of(hp: Any) -> TrialSpec:
        return spec_from_values(draw(space, Declared(hp)), seed=1)

    class Networks(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Sequential:
            return compiled(spec_of(hp), fold)

        def fit(self, hp: Any, model: keras.Sequential, *args: Any, **kwargs: Any) -> keras.callbacks.History:
            spec = spec_of(hp)
            history = model.fit(*args, **{"epochs": spec.epochs, "batch_size": spec.batch_size, **kwargs})
            store.record("trial", hp.values, history.history)
            return history

    laps: list[Laps] = []

    class Tuner(kind):
        def _configure_tensorboard_dir(self, *_: Any) -> None:
            """Does nothing: it imports tensorboard, which TensorFlow 2.21 no longer brings, only to see that it is not used."""

        def on_search_begin(self) -> None:
            laps.append(Laps())

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            laps[0]()

    objective = keras_tuner.Objective("val_mse", "min")
    tuner = Tuner(Networks(), objective, seed=1, directory=str(folder), project_name="tuner", **options)
    tuner.oracle.max_trials = len(pairs)
    held_out = (fold.x_val, fold.z_val[:, None])
    tuner.search(fold.x_train, fold.z_train[:, None], validation_data=held_out, verbose=0)
    return laps[0].seconds
