"""A whole study from its data to its verdict, per trial, against what users could pick instead and against what is possible.

    python -m benchmarks.end_to_end [--trials N] [--peer-trials M] [--repeats R]

Ours: `run_study` on the default config with the random sampler and without baselines, from `gather` to the outcome: the start of
workers, TensorFlow's import in them, tracing, MLflow's database, the judgement and the report are in it; wall seconds over N. The
peers train M of the same specs, which stand for all N, see `benchmarks.peers`; their imports, databases and one trial to warm up
don't count, as they would not over hundreds of trials. Several processes of a peer have a database each. Everything runs in new
processes. Ratios within one run count; seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from benchmarks.common import KEYS, PLAIN, Laps, Pair, Store, material, recorded, representative, save, show
from benchmarks.peers import PEERS, Peer

if TYPE_CHECKING:
    from regsweep.data.features import Prepared

CORES = os.cpu_count() or 1
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
# What a peer is called, and what it does otherwise than the study.
LABELS = {
    "naive": ("Optuna, fit, log_metric, log_model", ""),
    "informed": ("the same, informed", ""),
    "fit_alone": ("keras.Model.fit alone", "records nothing"),
    "keras_tuner_random": ("Keras Tuner, random search", "its own specs; models are its checkpoints"),
    "keras_tuner_hyperband": ("Keras Tuner, Hyperband", "its shortest trials; models are its checkpoints"),
    "sklearn_mlp": ("Optuna, scikit-learn's MLPRegressor", "no dropout; ReLU for ELU, GELU, SiLU; Adam for RMSprop"),
    "ray_tune": (f"Ray Tune, informed, {CORES} cores", "with the start of its actors"),
}


@dataclass
class Phases:
    """Watches a study: seconds from its start to its first question, first trial, judgement, last recordings and end."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def begin(self, *_: Any, **__: Any) -> None:
        self._note("asked")

    def trial(self, _: Any) -> None:
        self._note("first trial")

    def redoing(self, _: Any) -> None: ...

    def judging(self) -> None:
        self._note("judging")

    def recording(self, *_: Any) -> None:
        self._note("recording")

    def end(self) -> None:
        """To be called when all is done."""
        self._note("end")

    def _note(self, phase: str) -> None:
        self.seconds.setdefault(phase, time.perf_counter() - self.started)


def ours(trials: int, folder: Path) -> tuple[dict[str, float], list[Pair]]:
    """Run a study; returns its phases and what its complete trials trained."""
    from regsweep.config import compose
    from regsweep.material import gather
    from regsweep.paths import Workspace
    from regsweep.runner import warm_up
    from regsweep.study import run_study
    from regsweep.trial import State, spec_from_values, trial_seed

    config = compose([*PLAIN, "sampler=random", "baselines=none", f"n_trials={trials}", f"max_failures={trials}"])[0]
    phases = Phases()
    warm_up(config)
    outcome = run_study(gather(config), Workspace(folder), phases)
    phases.end()
    if outcome.problem is not None:
        raise SystemExit(outcome.problem)
    complete = [content for content in outcome.book.contents("trial") if content["state"] == State.COMPLETE]
    seeded = [(content["params"], trial_seed(config.seed, content["number"])) for content in complete]
    return phases.seconds, [(params, spec_from_values(params, seed=seed)) for params, seed in seeded]


def training(pairs: Sequence[Pair], data: Prepared, _folder: Path) -> list[float]:
    """The default trainer alone, in this process, TensorFlow's import left out, tracing not."""
    from regsweep.config import compose
    from regsweep.train import make_trainer

    trainer, laps = make_trainer(compose([])[0].trainer), Laps()
    trainer.fit([spec for _, spec in pairs], data)
    laps()
    return [laps.seconds[0] / len(pairs)] * len(pairs)


def floor(pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    """What MLflow takes at least: a run with tags, one batch of six curves, a pyfunc model, the run's end; nothing is trained."""
    import numpy as np

    from regsweep.predictor import Member, Model
    from regsweep.tracking.models import save_model

    store, fold, laps = Store(folder), data.folds[0], Laps()
    for number, (params, spec) in enumerate(pairs):
        dims = (fold.inputs, *spec.widths, 1)
        kernels = tuple(np.ones((dims[layer], dims[layer + 1]), np.float32) for layer in range(len(dims) - 1))
        biases = tuple(np.zeros(width, np.float32) for width in dims[1:])
        model = Model(data.target, data.unit, (Member(fold.columns, spec.activations, kernels, biases, fold.target),))
        history = dict.fromkeys(KEYS.values(), np.linspace(1, 2, spec.epochs).tolist())
        store.record(f"trial {number}", params, history, lambda place, m=model: save_model(m, Path(place), {}))
        laps()
    return laps.seconds


BARS: dict[str, Peer] = {"training": training, "floor": floor}


def measured(name: str, pairs: Sequence[Pair], data: Prepared, folder: Path, processes: int = 1) -> list[float]:
    """Seconds per trial of a peer or a bar, dealt out to so many new processes at once; a peer warms up with one trial more."""
    with _new(processes) as pool:
        shares = range(processes)
        futures = [pool.submit(_run, name, pairs[share::processes], data, folder / str(share)) for share in shares]
        return [seconds / processes for future in futures for seconds in future.result()]


def repeat_ours(trials: int, data: Prepared, folder: Path) -> tuple[dict[str, Any], list[Pair]]:
    """One study and the bars on its specs, in seconds per trial; with the specs."""
    with _new() as pool:
        phases, pairs = pool.submit(ours, trials, folder / "ours").result()
    points, models = recorded(folder / "ours")
    return {
        "ours": phases["end"] / trials,
        "training": mean(measured("training", pairs, data, folder / "training")),
        "training on every core": mean(measured("training", pairs, data, folder / "trainings", CORES)),
        "floor": mean(measured("floor", pairs, data, folder / "floor")),
        "phases": phases,
        "points": points / trials,
        "models": models / trials,
    }, pairs


def measure_peers(names: Sequence[str], pairs: Sequence[Pair], data: Prepared, folder: Path) -> dict[str, dict[str, Any]]:
    """Peers' seconds, curve points and models, the latter two per trial; or why a peer has none."""
    found: dict[str, dict[str, Any]] = {}
    runs = [(name, 1) for name in names] + [("informed", CORES)] * ("informed" in names and CORES > 1)
    for name, processes in sorted(runs, key=lambda run: names.index(run[0])):
        label, note = LABELS[name]
        label += f", {processes} processes" if processes > 1 else ""
        place = folder / f"{name}-{processes}"
        try:
            seconds = measured(name, pairs, data, place, processes)
        except ModuleNotFoundError as error:
            found[label] = {"note": f"not installed: {error.name}"}
            continue
        points, models = (count / (len(seconds) + processes) for count in recorded(place))
        found[label] = {"seconds": seconds, "points": points, "models": models, "note": note}
        print(f"{label}: {mean(seconds):.3g} s per trial", flush=True)
    return found


def main() -> None:
    """Measure, print two tables and write benchmarks/results/end_to_end.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200, help="of our study")
    parser.add_argument("--peer-trials", type=int, default=6, help="of each peer")
    parser.add_argument("--repeats", type=int, default=3, help="of our study and of the bars; medians count")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, data = Path(temporary), material().prepared
        repeats = []
        for repeat in range(asked.repeats):
            found, pairs = repeat_ours(asked.trials, data, folder / f"repeat {repeat}")
            repeats.append(found)
            print(f"ours: {found['ours']:.3g} s per trial", flush=True)
        chosen = representative(pairs, asked.peer_trials, len(data.folds[0].z_train))
        peers = measure_peers(asked.peers, chosen, data, folder)
    middle = {name: median(found[name] for found in repeats) for name in repeats[0] if name != "phases"}
    _print(middle, peers, asked.trials)
    save("end_to_end", {"trials": asked.trials, "median": middle, "repeats": repeats, "peers": peers})


def _print(ours: dict[str, float], peers: dict[str, dict[str, Any]], trials: int) -> None:
    rows: list[list[Any]] = [["regsweep", trials, ours["ours"], 1.0, ours["points"], ours["models"], ""]]
    for label, peer in peers.items():
        seconds = peer.get("seconds", [])
        each = mean(seconds) if seconds else None
        ratio = each / ours["ours"] if each else None
        rows.append([label, len(seconds), each, ratio, peer.get("points"), peer.get("models"), peer.get("note", "")])
    show("a whole study", ("", "trials", "s per trial", "x ours", "points per trial", "models per trial", "note"), rows)
    bar = max(ours["training"], ours["floor"])
    rows = [
        ["our training alone, one process", ours["training"], None],
        [f"our training alone, {CORES} processes", ours["training on every core"], None],
        ["MLflow's floor", ours["floor"], None],
        ["whole study / the slower of training (one process) and floor", None, ours["ours"] / bar],
    ]
    if fit := peers.get(LABELS["fit_alone"][0]):
        rows.append(["keras.Model.fit / our training alone, one process", None, mean(fit["seconds"]) / ours["training"]])
    show("what is possible", ("", "s per trial", "ratio"), rows)


def _new(processes: int = 1) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_hush)


def _hush() -> None:
    os.environ |= QUIET
    warnings.simplefilter("ignore")


def _run(name: str, pairs: Sequence[Pair], data: Prepared, folder: Path) -> list[float]:
    folder.mkdir(parents=True)
    os.chdir(folder)
    if name in BARS:
        return BARS[name](pairs, data, folder)
    return PEERS[name]([pairs[0], *pairs], data, folder)[1:]


if __name__ == "__main__":
    main()
