"""Gives early cells of Keras Tuner's RandomSearch their configurations back, and trains these anew with their best epochs.

    python -m benchmarks.search.replay

Lines that were collected before configurations were kept in them hold what these came to at their last epoch, though Keras
Tuner's trials are their best epochs. What RandomSearch draws follows from its seed alone, so its draws are made again; the
epochs of every trial, which the line has, tell whether they are the same. Seed 0 was no seed to Keras Tuner, which then takes
one of 1 to 10,000: that one is found by the epochs. A line that was replayed says so.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from benchmarks.keras_parts import Declared, unconditional
from benchmarks.search.__main__ import FOLDER
from benchmarks.search.cells import Cell
from benchmarks.search.peers import material
from benchmarks.search.scoring import kept, trained_anew
from regsweep.config.space import SpaceConfig
from regsweep.data.sealed import unseal
from regsweep.environment import Environment
from regsweep.folder import write_text
from regsweep.space import draw
from regsweep.trial import State, TrialResult, spec_from_values, trial_seed


def main() -> None:
    """Rewrite the lines of RandomSearch that hold no configurations."""
    place = FOLDER / "peers.jsonl"
    lines = [json.loads(text) for text in place.read_text(encoding="utf-8").splitlines()]
    names = [field.name for field in fields(Cell)]
    for position, line in enumerate(lines):
        cell = Cell(**{name: line[name] for name in names})
        if cell.system == "keras_tuner_random" and "kept" not in line:
            lines[position] = replayed(cell, line)
            write_text(place, "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in lines))
            print(f"{cell.name}: test R² trained anew {line['best'][-1]['anew']['test_r2']:.4f}, with its best epochs "
                  f"{lines[position]['best'][-1]['anew']['test_r2']:.4f}", flush=True)  # fmt: skip


def replayed(cell: Cell, line: dict[str, Any]) -> dict[str, Any]:
    """The line with its configurations, trained anew with their best epochs."""
    found = material(cell)
    space, epochs = unconditional(found.config.space), line["epochs"]
    for seed in [cell.seed] if cell.seed else range(1, 10_001):
        if all(values["epochs"] == trained for values, trained in zip(values_of(space, seed), epochs, strict=False)):
            break
    else:
        raise LookupError(f"{cell.name}: no seed draws its epochs")
    specs = [
        spec_from_values(values, seed=trial_seed(cell.seed, number + 1))
        for number, values in enumerate(itertools.islice(values_of(space, seed), len(epochs)))
    ]
    results = [TrialResult(specs[entry["trial"]], State.COMPLETE, (), 0.0, "keras_fit") for entry in line["best"]]
    again = trained_anew(results, found, unseal(found.dataset, found.split), cell.seed, "best")
    best = [
        {**entry, "spec": kept(result.spec), "anew": one} for entry, result, one in zip(line["best"], results, again, strict=True)
    ]
    told = {"command": "python -m benchmarks.search.replay", "commit": Environment.here().commit, "seed": seed}
    return {**line, "kept": "best", "best": best, "replayed": told}


def values_of(space: SpaceConfig, seed: int) -> Iterator[dict[str, Any]]:
    """The hyperparameters that RandomSearch proposes, in order."""
    import keras_tuner

    class Oracle(keras_tuner.oracles.RandomSearchOracle):
        def save(self, *_: object) -> None: ...

        def _save_trial(self, *_: object) -> None: ...

    hp = keras_tuner.HyperParameters()
    draw(space, Declared(hp))
    oracle = Oracle(objective=keras_tuner.Objective("val_mse", "min"), max_trials=10**6, seed=seed, hyperparameters=hp)
    oracle.verbose = 0
    while True:
        trial = oracle.create_trial("tuner0")
        yield draw(space, Declared(trial.hyperparameters))
        oracle.update_trial(trial.trial_id, {"val_mse": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)


if __name__ == "__main__":
    main()
