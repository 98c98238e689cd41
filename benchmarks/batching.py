"""What it costs the search to ask for several trials at once: TPE asked 1, 8 and 32 at a time.

    python -m benchmarks.batching

A batch is proposed before any of its trials is told, so larger batches learn later; but they train and keep workers busy
together. For each data set and batch size: the best validation MSE after 40 trials, over ten seeds of the search, relative to
the same seed asked one at a time. Data sets that are not on this machine are left out, and named.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from regsweep.config import compose
from regsweep.environment import Environment
from regsweep.errors import DataError
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.train import make_trainer
from regsweep.trial import State, spec_from_values, trial_seed

DATASETS = ("diabetes", "insurance", "sine")
BATCHES = (1, 8, 32)
SEEDS = range(10)
TRIALS = 40
# The search differs between seeds, the split does not.
SETTINGS = ("space=broad", "split=holdout", "split.seed=0", f"n_trials={TRIALS}")


@dataclass(frozen=True)
class Searched:
    """One search: least validation MSE after each trial, and seconds spent training and searching."""

    dataset: str
    batch: int
    seed: int
    best: tuple[float, ...]
    seconds: float


def search(task: tuple[str, int, int]) -> Searched:
    """Run one search without tracking."""
    name, batch, seed = task
    config = compose([f"dataset={name}", f"seed={seed}", f"parallel_trials={batch}", *SETTINGS])[0]
    data, trainer, errors = gather(config).prepared, make_trainer(config.trainer), []
    with tempfile.TemporaryDirectory() as folder:
        asked = Search(Workspace(Path(folder)), "study", config)
        started = time.perf_counter()
        while proposals := asked.next_batch(config.n_trials):
            specs = [spec_from_values(proposal.params, seed=trial_seed(seed, proposal.number)) for proposal in proposals]
            for proposal, result in zip(proposals, trainer.fit(specs, data), strict=True):
                value = result.final["val/mse"] if result.state is State.COMPLETE else None
                asked.tell(proposal.number, result.state, value)
                errors.append(np.inf if value is None else value)
        seconds = time.perf_counter() - started
    return Searched(name, batch, seed, tuple(np.minimum.accumulate(errors).tolist()), seconds)


def present() -> list[str]:
    """The data sets that can be loaded here; the others are named on the console."""
    found = []
    for name in DATASETS:
        try:
            gather(compose([f"dataset={name}", *SETTINGS])[0])
            found.append(name)
        except DataError as error:
            Console().print(f"left out: {name} ({error})")
    return found


def main() -> None:
    """Run all searches, print the table and write it to benchmarks/results/batching.json."""
    tasks = list(product(present(), BATCHES, SEEDS))
    # Long searches first, so that no worker is left with one at the end.
    tasks.sort(key=lambda task: task[1])
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        searches = list(pool.map(search, tasks))
    table = Table(
        "data", "asked at once", "best val/mse, median", "relative to 1 at a time", "better in", "s per trial",
        title=f"TPE, best of {TRIALS} trials over {len(SEEDS)} seeds",
    )  # fmt: skip
    rows = []
    for name, batch in product(dict.fromkeys(task[0] for task in tasks), BATCHES):
        mine, single = (
            {one.seed: one for one in searches if (one.dataset, one.batch) == (name, size)} for size in (batch, BATCHES[0])
        )
        best = np.array([mine[seed].best[-1] for seed in SEEDS])
        ratio = best / np.array([single[seed].best[-1] for seed in SEEDS])
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75]).tolist()
        seconds = float(np.median([mine[seed].seconds for seed in SEEDS])) / TRIALS
        rows.append(
            {
                "dataset": name, "batch": batch, "best": best.tolist(), "median_ratio": middle, "quartiles": [low, high],
                "curves": [mine[seed].best for seed in SEEDS], "seconds_per_trial": seconds,
            }
        )  # fmt: skip
        shown = f"{middle:.4f} ({low:.4f} to {high:.4f})"
        better = f"{int((ratio < 1).sum())} of {len(SEEDS)}"
        table.add_row(name, str(batch), f"{np.median(best):.5g}", shown, better if batch > 1 else "", f"{seconds:.3f}")
    Console(width=120).print(table)
    content = {"command": "python -m benchmarks.batching", "searches": rows, "environment": Environment.here().to_json()}
    path = Path(__file__).parent / "results" / "batching.json"
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
