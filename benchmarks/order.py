"""What it costs that a study's table does not depend on workers: TPE in the fixed order and in the free one.

    python -m benchmarks.order [--trials N] [--seeds S]

Whole studies of the default config in worker processes, without MLflow, the orders by turns. Seconds per trial are those from the
first trial after TPE's random start to the last one, so the start of workers is not in them; beside them what it takes to train
the very specs of the fixed order's trials in that stretch, stacked, without a search. Best validation MSE: after all trials, in
the free order relative to the same seed in the fixed one. Data sets that are not on this machine are left out, and named.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.batching import present
from benchmarks.common import save, show
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.runner import make_executor, warm_up
from regsweep.study import Unwatched, run_study

if TYPE_CHECKING:
    from regsweep.material import Material
    from regsweep.record import TrialRecord

ORDERS = ("fixed", "free")
START = 10
COLUMNS = ("data", "fixed, s per trial", "free, s per trial", "training alone", "best val/mse, free to fixed", "better in")


@dataclass
class Watch(Unwatched):
    """Notes when trials are told."""

    times: list[float] = field(default_factory=list)

    def trial(self, _: TrialRecord) -> None:
        self.times.append(time.perf_counter())


@dataclass(frozen=True)
class Ran:
    """One study: best validation MSE; seconds per trial after the random start, in all and (fixed order) of training alone."""

    dataset: str
    order: str
    seed: int
    seconds: float
    training: float | None
    best: float


def run(dataset: str, order: str, seed: int, trials: int) -> Ran:
    """Run one study."""
    settings = [f"dataset={dataset}", f"search.order={order}", f"seed={seed}", "split=holdout", "split.seed=0", "baselines=none"]
    config = compose([*settings, f"n_trials={trials}", f"max_failures={trials}", f"sampler.startup_trials={START}"])[0]
    warm_up(config)
    material, watch = gather(config), Watch()
    with tempfile.TemporaryDirectory() as folder:
        records = list(run_study(material, Workspace(Path(folder)), watch, bare=True).book.trials())
    best = min(record.objective for record in records if record.objective is not None)
    seconds = (watch.times[-1] - watch.times[START]) / (len(watch.times) - START - 1)
    training = trained_alone(material, records[START:]) if order == "fixed" else None
    return Ran(dataset, order, seed, seconds, training, best)


def trained_alone(material: Material, records: Sequence[TrialRecord]) -> float:
    """Seconds per trial to train these trials in worker processes that are there already and know the machine's speed."""
    specs = [record.result.spec for record in records]
    with make_executor(material.config, material.prepared) as executor:
        executor.train([specs[0]] * executor.workers)
        began = time.perf_counter()
        executor.train(specs)
        return (time.perf_counter() - began) / len(specs)


def main() -> None:
    """Run all studies, print the table and write it to benchmarks/results/order.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    if asked.trials < START + 2:
        parser.error(f"--trials: must be at least {START + 2}, so that some come after the random start, but got {asked.trials}")
    datasets, seeds = present(), range(asked.seeds)
    # By turns: what else the machine does meets both orders.
    ran = [run(name, order, seed, asked.trials) for name, seed, order in product(datasets, seeds, ORDERS)]
    rows = [(name, *summary([one for one in ran if one.dataset == name])) for name in datasets]
    show(f"TPE, {asked.trials} trials, medians over {asked.seeds} seeds", COLUMNS, rows)
    save("order", {"trials": asked.trials, "seeds": asked.seeds, "studies": [asdict(one) for one in ran]})


def summary(ran: Sequence[Ran]) -> tuple[float, float, float, str, str]:
    """A row of the table, without its name."""
    fixed, free = ([one for one in ran if one.order == order] for order in ORDERS)
    ratio = np.array([one.best for one in free]) / np.array([one.best for one in fixed])
    low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75]).tolist()
    seconds = [median(one.seconds for one in part) for part in (fixed, free)]
    alone = median(one.training for one in fixed if one.training is not None)
    return seconds[0], seconds[1], alone, f"{middle:.4f} ({low:.4f} to {high:.4f})", f"{int((ratio < 1).sum())} of {len(ratio)}"


if __name__ == "__main__":
    main()
