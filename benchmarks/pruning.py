"""What pruning saves and what it costs: best validation and epochs trained, each pruner against none.

    python -m benchmarks.pruning [--trials N] [--seeds K]

Random search over the broad space with `epochs=budget`, on the hold-out split, for ten seeds. Neither the proposals of
random search nor a trial's curve depend on a pruner, which only decides where the curve is cut off. So every trial is trained
once, to its end, and the studies with pruners are played back from these curves by the rule that workers ask, with the same lag:
the tables that `regsweep run` gives, which `tests/e2e/test_pruned.py` holds it to. `fewer trials` is what the unpruned study had
found when it had trained as many epochs. Data sets that are not on this machine are left out, and named.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks.common import material, save, show
from regsweep.config import StudyConfig, compose
from regsweep.errors import DataError
from regsweep.search import Told
from regsweep.search.pruning import Asked, PruneRule, compared_with, reports_of
from regsweep.train import make_trainer
from regsweep.trial import State, TrialResult, TrialSpec, spec_from_values, trial_seed

DATASETS = ("diabetes", "insurance", "sine")
SETTINGS = ("sampler=random", "space=broad", "epochs=budget", "split=holdout", "split.seed=0")
# What is compared: overrides of the pruner.
PRUNERS: dict[str, tuple[str, ...]] = {
    "median": ("pruner=median",),
    "median, lag 0": ("pruner=median", "pruner.lag=0"),
    "median, lag 4": ("pruner=median", "pruner.lag=4"),
    "percentile 25": ("pruner=percentile",),
    "successive halving": ("pruner=successive_halving",),
    "successive halving, lag 0": ("pruner=successive_halving", "pruner.lag=0"),
    "hyperband": ("pruner=hyperband",),
    "patience": ("pruner=patience",),
    "patient median": ("pruner=patient_median",),
}


@dataclass(frozen=True)
class Outcome:
    """A study: least validation MSE, epochs trained, trials pruned; `at_equal` is the unpruned study's after as many epochs."""

    dataset: str
    pruner: str
    seed: int
    best: float
    epochs: int
    pruned: int
    at_equal: float


def studies(task: tuple[str, int, int]) -> list[Outcome]:
    """Train the trials of one data set and seed, and play back every pruner."""
    name, seed, trials = task
    found = material(f"dataset={name}", f"seed={seed}", f"n_trials={trials}", *SETTINGS)
    results = make_trainer(found.config.trainer).fit(specs(found.config), found.prepared)
    outcomes = []
    for label, overrides in {"none": ("pruner=none",), **PRUNERS}.items():
        config = compose([f"dataset={name}", f"seed={seed}", f"n_trials={trials}", *SETTINGS, *overrides])[0]
        played = play_back(config, results)
        epochs = sum(len(result.curves) for result in played)
        pruned = sum(result.state is State.PRUNED for result in played)
        outcomes.append(Outcome(name, label, seed, best_of(played), epochs, pruned, best_of(affordable(results, epochs))))
    return outcomes


def specs(config: StudyConfig) -> list[TrialSpec]:
    """What random search proposes, by the study's own search."""
    import tempfile
    from pathlib import Path

    from regsweep.paths import Workspace
    from regsweep.search import Search

    plain = config.model_copy(update={"pruner": compose(["pruner=none"])[0].pruner})
    with tempfile.TemporaryDirectory() as folder:
        proposals = Search(Workspace(Path(folder)), "study", plain).next_batch(config.n_trials, config.n_trials)
    return [spec_from_values(one.params, seed=trial_seed(config.seed, one.number)) for one in proposals]


def play_back(config: StudyConfig, results: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials of the study with its pruner, from the trials trained to the end, one fold each."""
    seen: list[Told] = []
    played = []
    size = config.parallel_trials
    for number, whole in enumerate(results):
        asked = Asked(number, compared_with(config, number // size * size, ahead=True))
        rule = PruneRule(config, seen[: asked.bound], {whole.spec: asked})
        result = cut(whole, rule) if rule.every is not None and whole.folds else whole
        value, reports = result.final["val/mse"] if result.state is State.COMPLETE else None, reports_of(config, result)
        seen.append(Told(number, result.state, value, {}, (), reports, rule.marks(asked, reports)))
        played.append(result)
    return played


def cut(whole: TrialResult, rule: PruneRule) -> TrialResult:
    """A trial up to where the rule stops it, which may be before it diverges."""
    (fold,) = whole.folds
    assert rule.every is not None
    for epochs in range(rule.every, len(fold.curves), rule.every):
        if rule(whole.spec, [fold.curves[:epochs]]):
            short = replace(fold, curves=fold.curves[:epochs], kept_epoch=epochs - 1)
            return replace(whole, state=State.PRUNED, folds=(short,))
    return whole


def best_of(results: Sequence[TrialResult]) -> float:
    """Least validation MSE of complete trials."""
    return min((result.final["val/mse"] for result in results if result.state is State.COMPLETE), default=float("inf"))


def affordable(results: Sequence[TrialResult], epochs: int) -> list[TrialResult]:
    """The first trials whose epochs together are no more than these."""
    trained = np.cumsum([len(result.curves) for result in results])
    return [result for result, total in zip(results, trained, strict=True) if total <= epochs]


def summary(outcomes: Sequence[Outcome], name: str, label: str) -> dict[str, Any]:
    """One pruner on one data set against none, over seeds.

    Within noise: its mean best is no more than a standard error (over seeds) above the unpruned mean.
    """
    mine, free = ([one for one in outcomes if (one.dataset, one.pruner) == (name, key)] for key in (label, "none"))
    best, unpruned = (np.array([one.best for one in some]) for some in (mine, free))
    share = np.array([a.epochs / b.epochs for a, b in zip(mine, free, strict=True)])
    error = float(unpruned.std(ddof=1) / np.sqrt(len(unpruned)))
    return {
        "dataset": name,
        "pruner": label,
        "loss": float((best / unpruned - 1).mean()),
        "standard_error": error / float(unpruned.mean()),
        "within_noise": bool(best.mean() <= unpruned.mean() + error),
        "same_best": int((best == unpruned).sum()),
        "epochs": float(share.mean()),
        "pruned": float(np.mean([one.pruned for one in mine])),
        "loss_of_fewer_trials": float((np.array([one.at_equal for one in mine]) / unpruned - 1).mean()),
    }


def present() -> list[str]:
    """The data sets that can be loaded here; the others are named."""
    found = []
    for name in DATASETS:
        try:
            material(f"dataset={name}")
            found.append(name)
        except DataError as error:
            print(f"left out: {name} ({error})")
    return found


def main() -> None:
    """Train, play back, print the table and write it to benchmarks/results/pruning.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    tasks = [(name, seed, arguments.trials) for name, seed in product(present(), range(arguments.seeds))]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        outcomes = [one for some in pool.map(studies, tasks) for one in some]
    rows = [summary(outcomes, name, label) for name in dict.fromkeys(task[0] for task in tasks) for label in PRUNERS]
    show(
        f"random search, {arguments.trials} trials of 60 epochs, {arguments.seeds} seeds: best val/mse against no pruner",
        ("data", "pruner", "epochs, %", "worse by, %", "one s.e., %", "within noise", "same best", "pruned", "fewer trials, %"),
        [
            [
                row["dataset"], row["pruner"], 100 * row["epochs"], f"{100 * row['loss']:.2f}",
                f"{100 * row['standard_error']:.2f}",
                "yes" if row["within_noise"] else "no", f"{row['same_best']} of {arguments.seeds}", f"{row['pruned']:.1f}",
                f"{100 * row['loss_of_fewer_trials']:.2f}",
            ]
            for row in rows
        ],
    )  # fmt: skip
    save("pruning", {"summary": rows, "studies": [asdict(one) for one in outcomes]})


if __name__ == "__main__":
    main()
