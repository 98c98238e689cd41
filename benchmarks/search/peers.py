"""The libraries' own loops at their best: Optuna's `optimize` and Keras Tuner's `search` around `keras.Model.fit`.

In: cells. Out: what each found, in seconds since its loop began. The space, the sealed rows, the features and the standardised
target are regsweep's; validation is a hold-out, as the libraries' own pages have it. `fit` is called as by someone who knows
where the time goes (a cached pipeline, an epoch in one call of the graph, one metric), and nothing is recorded but what the
library itself records. Keras Tuner has no conditions: it draws what a network without hidden layers does not need, too. A peer
runs in a process of its own, on one core and one thread. It is asked whether its time is up when a trial ends; the one
that ends later is kept, and not counted.

    search(cells)
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.keras_parts import Declared, compiled, pipelines, unconditional
from benchmarks.search.cells import Cell
from benchmarks.search.scoring import Searched
from regsweep.config import compose
from regsweep.material import Material, gather
from regsweep.trial import FoldResult, Network, State, TrialResult, TrialSpec, spec_from_values, trial_seed

# Keras Tuner takes 0 for no seed.
NO_SEED = 10_000

if TYPE_CHECKING:
    import keras
    import optuna

    from regsweep.data.features import FoldData


def material(cell: Cell) -> Material:
    """What a peer searches on: the same sealed rows as ours; a fifth of the others validates."""
    return gather(compose([f"dataset={cell.table}", "split=holdout", f"split.seed={cell.seed}"])[0])


def search(cells: Sequence[Cell]) -> list[Searched]:
    """Run peers at the same time, each on a core of its own."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    pools = [ProcessPoolExecutor(1, mp_context=context, initializer=_settle, initargs=(cores[at],)) for at in range(len(cells))]
    try:
        futures = [pool.submit(_run, cell) for pool, cell in zip(pools, cells, strict=True)]
        return [future.result() for future in futures]
    finally:
        for pool in pools:
            pool.shutdown()


def _settle(core: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.simplefilter("ignore")
    os.sched_setaffinity(0, {core})


def _run(cell: Cell) -> Searched:
    from regsweep.train.runtime import start_backend

    start_backend("tensorflow", threads=1)
    with TemporaryDirectory() as folder:
        began = time.process_time()
        searched = PEERS[cell.system](cell, Path(folder))
        searched.cpu_seconds = round(time.process_time() - began, 1)
        return searched


def _optuna(cell: Cell, _folder: Path) -> Searched:
    import keras
    import optuna

    from regsweep.space import draw

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = material(cell)
    fold, space = found.prepared.folds[0], found.config.space
    searched = Searched()

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        spec = spec_from_values(draw(space, trial), seed=trial_seed(cell.seed, trial.number))
        model = _compiled(spec, fold)
        errors = _fit(model, spec, fold).history["val_mse"]
        if searched.take(time.perf_counter() - started, errors[-1] * fold.std**2, len(errors)):
            searched.best.append((trial.number, _result(spec, model)))
        return float(errors[-1])

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=cell.seed))
    started = time.perf_counter()
    study.optimize(objective, timeout=cell.limit)
    return searched


def _tuner(kind: str, **options: Any) -> Callable[[Cell, Path], Searched]:
    """Keras Tuner's tuner of this name. Its model of a trial is its checkpoint of the best epoch, and so is its objective."""

    def run(cell: Cell, folder: Path) -> Searched:
        import keras_tuner

        from regsweep.space import draw

        found = material(cell)
        fold, space = found.prepared.folds[0], unconditional(found.config.space)
        # Its model of a trial is the checkpoint of its best epoch.
        searched, counted = Searched(keep="best"), [0]
        better: list[tuple[int, TrialSpec, Any]] = []

        def spec_of(hp: Any) -> TrialSpec:
            values = draw(space, Declared(hp))
            # Hyperband's own, where it is Hyperband.
            values["epochs"] = hp.values.get("tuner/epochs", values["epochs"])
            return spec_from_values(values, seed=trial_seed(cell.seed, counted[0]))

        class Networks(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Sequential:
                return _compiled(spec_of(hp), fold, hp.values.get("tuner/initial_epoch", 0))

            def fit(self, hp: Any, model: keras.Sequential, **kwargs: Any) -> keras.callbacks.History:
                counted[0] += 1
                done.append(_fit(model, spec_of(hp), fold, **kwargs))
                return done[-1]

        done: list[keras.callbacks.History] = []

        class Tuner(getattr(keras_tuner, kind)):
            def _configure_tensorboard_dir(self, *_: Any) -> None:
                """Does nothing: it imports tensorboard, which TensorFlow 2.21 no longer brings, only to see it is not used."""

            def on_trial_end(self, trial: Any) -> None:
                super().on_trial_end(trial)
                seconds = time.perf_counter() - started
                epochs = len(done.pop().epoch) if done else 0
                value = trial.score * fold.std**2 if trial.status == "COMPLETED" and trial.score is not None else None
                number = len(searched.seconds)
                if searched.take(seconds, value, epochs):
                    # Hyperband writes into these values when it goes on with the trial.
                    better.append((number, spec_of(trial.hyperparameters), trial))
                if seconds >= cell.limit:
                    self.oracle.max_trials = len(self.oracle.trials)

        objective = keras_tuner.Objective("val_mse", "min")
        tuner = Tuner(Networks(), objective, seed=cell.seed or NO_SEED, directory=str(folder), project_name="tuner", **options)
        started = time.perf_counter()
        try:
            tuner.search(verbose=0)
        except RuntimeError as error:
            # It gives up after some failed trials in a row.
            searched.problem = str(error).splitlines()[0]
        searched.best += [(number, _result(spec, tuner.load_model(trial))) for number, spec, trial in better]
        return searched

    return run


PEERS: dict[str, Callable[[Cell, Path], Searched]] = {
    "optuna": _optuna,
    "keras_tuner_random": _tuner("RandomSearch", max_trials=10**6),
    "keras_tuner_bayesian": _tuner("BayesianOptimization", max_trials=10**6),
    # Its longest round is as long as the space's longest training; its brackets begin anew until the time is up.
    "keras_tuner_hyperband": _tuner("Hyperband", max_epochs=100, hyperband_iterations=10**6),
}


def _compiled(spec: TrialSpec, fold: FoldData, initial_epoch: int = 0) -> keras.Sequential:
    seen = fold.encoded(spec.encoding)
    steps = math.ceil(len(seen.z_train) / spec.batch_size)
    return compiled(spec, seen, metrics=["mse"], epochs=spec.epochs - initial_epoch, steps_per_execution=steps)


def _fit(model: keras.Sequential, spec: TrialSpec, fold: FoldData, **options: Any) -> keras.callbacks.History:
    batches, held_out = pipelines(fold.encoded(spec.encoding), spec)
    return model.fit(batches, **{"epochs": spec.epochs, "validation_data": held_out, "shuffle": False, "verbose": 0, **options})


def _result(spec: TrialSpec, model: keras.Sequential) -> TrialResult:
    """A trained network as regsweep keeps it; its curves are not looked at."""
    weights = model.get_weights()
    network = Network(tuple(weights[0::2]), tuple(weights[1::2]))
    return TrialResult(spec, State.COMPLETE, (FoldResult(np.zeros((1, 6)), network, 0),), 0.0, "keras_fit")
