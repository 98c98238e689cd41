"""What a search found: the models of its best trials on the test rows, and their configurations trained anew, alike for all.

In: a `Searched`, the material it was searched on. Out: what a line keeps of it, JSON values. Main call: `content`.

A search ends at its best trial in part by luck: by its seed, by the rows that validated it. So the configurations are compared
by themselves, too: each is trained by regsweep on five folds under seeds that no search has seen, the same for every
system, and the mean over these seeds counts: of validation MSE over the folds, and of R² and RMSE on the test rows of the five
networks' mean. Where a system keeps the weights of a trial's best epoch, they are kept here, too. The folds are those that
regsweep searches on: its luck with rows stays in its validation values, not in those of the test rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from regsweep.config import compose
from regsweep.data.sealed import TestRows, unseal
from regsweep.material import Material, gather
from regsweep.metrics import score_numbers
from regsweep.runner import make_executor
from regsweep.trial import State, TrialResult, TrialSpec, trial_seed

AGAIN: Final = 3
# No study comes to a trial of this number, whose seeds are the ones for training anew.
NEUTRAL: Final = 10**9


@dataclass
class Searched:
    """A search as it went: per trial the seconds since it began, the objective (None: none) and the epochs of all its networks.

    `best`: number and training of each trial that was better than all before it. `champion`: what the study's own champion came
    to on the test rows, where there is one. `problem`: what kept the search from an end. `keep`: the epoch, `last` or `best`,
    whose weights and objective are a trial's. `cpu_seconds`: the processor time of a search in a process of its own.
    """

    seconds: list[float] = field(default_factory=list)
    objectives: list[float | None] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    best: list[tuple[int, TrialResult]] = field(default_factory=list)
    champion: dict[str, float] | None = None
    problem: str | None = None
    keep: str = "last"
    cpu_seconds: float | None = None

    def take(self, seconds: float, objective: float | None, epochs: int) -> bool:
        """Take in the next trial; whether it is the best so far."""
        objective = objective if objective is not None and math.isfinite(objective) else None
        before = min((value for value in self.objectives if value is not None), default=math.inf)
        self.seconds.append(seconds)
        self.objectives.append(objective)
        self.epochs.append(epochs)
        return objective is not None and objective < before


def content(searched: Searched, own: Material, seed: int, *, every: bool) -> dict[str, Any]:
    """What a line keeps of a search. `own`: what it was searched on; `every` best trial is trained anew, or the last one only."""
    test = unseal(own.dataset, own.split)
    asked = searched.best if every else searched.best[-1:]
    again = trained_anew([found for _, found in asked], own, test, seed, searched.keep)
    anew = dict(zip((number for number, _ in asked), again, strict=True))
    best = []
    for number, result in searched.best:
        scores = score_numbers(test.y, own.prepared.encoding.model(result).predict(test.x))
        entry = {
            "trial": number,
            "val_mse": searched.objectives[number],
            "test_r2": _finite(scores.r2),
            "test_rmse": _finite(scores.rmse),
            "spec": kept(result.spec),
        }
        best.append(entry | ({"anew": anew[number]} if number in anew else {}))
    return {
        "problem": searched.problem,
        "champion": searched.champion,
        "kept": searched.keep,
        "cpu_seconds": searched.cpu_seconds,
        "seconds": [round(value, 2) for value in searched.seconds],
        "objective": [value if value is None else float(f"{value:.7g}") for value in searched.objectives],
        "epochs": searched.epochs,
        "best": best,
    }


def trained_anew(
    found: Sequence[TrialResult], own: Material, test: TestRows, seed: int, keep: str
) -> list[dict[str, float | None]]:
    """Each configuration on five folds of the rows that are not sealed, mean over seeds."""
    if not found:
        return []
    config = compose([f"dataset={own.config.dataset.name}", "split=kfold", f"split.seed={seed}", f"trainer.keep={keep}"])[0]
    common = gather(config)
    again = [trial_seed(seed, NEUTRAL, number) for number in range(1, AGAIN + 1)]
    # A training that went on (Hyperband's) is trained in one go.
    specs = [replace(result.spec.bare, rounds=(), seed=one) for result in found for one in again]
    with make_executor(config, common.prepared) as executor:
        results = executor.train(specs)
    scored = []
    for start in range(0, len(results), AGAIN):
        trained = [result for result in results[start : start + AGAIN] if result.state is State.COMPLETE]
        scores = [score_numbers(test.y, common.prepared.encoding.model(result).predict(test.x)) for result in trained]
        values = {
            "val_mse": [result.final["val/mse"] for result in trained],
            "test_r2": [one.r2 for one in scores],
            "test_rmse": [one.rmse for one in scores],
        }
        scored.append({name: _finite(float(np.mean(each))) if each else None for name, each in values.items()})
    return scored


def kept(spec: TrialSpec) -> dict[str, Any]:
    """What a line keeps of a spec."""
    return {key: value for key, value in asdict(spec.bare).items() if key not in ("start", "rounds")}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
