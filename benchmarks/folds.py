"""Up to how many rows five folds are worth what they cost: the default study with folds and with a hold-out, on tables that grow.

    python -m benchmarks.folds [--rows N ...] [--seeds S] [--trials N] [--noise SD]

Tables are Friedman's first (Friedman 1991, equation 61: ten inputs, of which five count), with noise. Missed is the default
champion's squared error against the function without noise, on 20,000 fresh rows, as a share of the function's variance: what a
model could have learnt and did not. Three studies on the same rows: folds, a hold-out with as many trials, a hold-out with
as many seconds. `--rows` are those that are left when the sealed fifth is taken off.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1

from benchmarks.common import save, show
from regsweep.book import judged_model
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.runner import warm_up
from regsweep.study import Unwatched, run_study

if TYPE_CHECKING:
    from collections.abc import Sequence

WAYS = ("folds", "hold-out", "hold-out, as long")
FRESH = 20_000
# More than any study here gets through in its seconds.
MANY = 2_000
COLUMNS = ("rows", *(f"{way}: {what}" for way in WAYS for what in ("missed", "s")), "hold-out to folds", "as long to folds")


class Watch(Unwatched):
    """Notes when the search ends."""

    ended: float

    def judging(self) -> None:
        self.ended = time.perf_counter()


@dataclass(frozen=True)
class Ran:
    """One study: seconds of its search, its trials, and what its champion missed."""

    rows: int
    way: str
    seed: int
    trials: int
    seconds: float
    missed: float


def table(rows: int, seed: int, noise: float) -> pd.DataFrame:
    """Rows of Friedman's first function: inputs x0 to x9 and y."""
    x, y = make_friedman1(rows, n_features=10, noise=noise, random_state=seed)
    return pd.DataFrame(x, columns=[f"x{column}" for column in range(10)]).assign(y=y)


def run(rows: int, way: str, seed: int, noise: float, search: Sequence[str]) -> Ran:
    """Run one study on a table that is drawn by the seed."""
    with tempfile.TemporaryDirectory() as folder:
        table(round(rows / 0.8), seed, noise).to_csv(f"{folder}/friedman.csv", index=False)
        split = ["split=kfold"] if way == "folds" else ["split=holdout"]
        data = ["dataset=csv", f"dataset.path={folder}/friedman.csv", "dataset.target=y"]
        config = compose([*data, *split, *search, f"seed={seed}", f"split.seed={seed}", "baselines=none"])[0]
        warm_up(config)
        material, watch, began = gather(config), Watch(), time.perf_counter()
        book = run_study(material, Workspace(Path(folder) / "mlruns"), watch, bare=True).book
        fresh = table(FRESH, 1_000 + seed, 0.0)
        error = judged_model(book).predict(fresh.drop(columns="y")) - fresh["y"].to_numpy()
        missed = float(np.mean(error**2)) / float(np.var(fresh["y"]))
        return Ran(rows, way, seed, len(book.numbers()), watch.ended - began, missed)


def compared(rows: int, seed: int, noise: float, trials: int) -> list[Ran]:
    """The three ways on the same rows."""
    folds = run(rows, "folds", seed, noise, [f"n_trials={trials}"])
    as_many = run(rows, "hold-out", seed, noise, [f"n_trials={trials}"])
    as_long = run(rows, "hold-out, as long", seed, noise, [f"n_trials={MANY}", f"budget.seconds={folds.seconds}"])
    return [folds, as_many, as_long]


def summary(ran: Sequence[Ran]) -> list[str | float]:
    """A row of the table: means over seeds, and mean ratios of what was missed with their standard errors."""
    parts = {way: [one for one in ran if one.way == way] for way in WAYS}
    cells: list[str | float] = [ran[0].rows]
    for part in parts.values():
        cells += [mean(one.missed for one in part), mean(one.seconds for one in part)]
    for way in WAYS[1:]:
        ratios = [other.missed / one.missed for one, other in zip(parts["folds"], parts[way], strict=True)]
        cells.append(f"{mean(ratios):.2f} ± {stdev(ratios) / len(ratios) ** 0.5:.2f}" if len(ratios) > 1 else f"{ratios[0]:.2f}")
    return cells


def main() -> None:
    """Run all studies, print the table and write it to benchmarks/results/folds.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1_000, 2_000, 4_000, 8_000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--noise", type=float, default=3.0)
    asked = parser.parse_args()
    ran: list[Ran] = []
    for rows in asked.rows:
        for seed in range(asked.seeds):
            ran += compared(rows, seed, asked.noise, asked.trials)
            print(
                *(f"{one.rows} {one.way} {one.seed}: {one.missed:.4f}, {one.trials} in {one.seconds:.0f} s" for one in ran[-3:]),
                sep="\n",
            )
    rows_of = [summary([one for one in ran if one.rows == rows]) for rows in asked.rows]
    show(f"Default champion, {asked.trials} trials, noise {asked.noise:g}, {asked.seeds} seeds", COLUMNS, rows_of)
    save("folds", {**vars(asked), "studies": [asdict(one) for one in ran]})


if __name__ == "__main__":
    main()
