"""What trials TPE comes to prefer, quick ones or long ones, and whether a glance at the table tells it beforehand.

    python -m benchmarks.preference [--seeds S] [--trials N] [--only NAME ...]

Searches of the default space, without baselines, champion and MLflow. What a training costs is what the cost model says; the
preference is the mean cost of the trials after TPE's random start, relative to that of the space. Beside it what `regsweep plan`
looks at: the validation error of a random forest relative to a linear model's. None of the studies of `benchmarks.planning` is
here. Data sets that are not on this machine are left out, and named.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1, make_friedman2, make_regression

from benchmarks.common import save, show
from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.errors import RegsweepError
from regsweep.paths import Workspace
from regsweep.planning.draws import random_specs
from regsweep.planning.preference import forest_to_linear
from regsweep.planning.rehearsal import seconds_of
from regsweep.runner import warm_up
from regsweep.study import Unwatched, gather, run_study

DRAWN = 1_000
START = 10
COLUMNS = ("data", "forest to linear", "preference", "of each seed")
REGISTERED = ("diabetes", "insurance", "economics", "sine", "cubic", "line")
MADE = ("friedman 1", "friedman 1, noisy", "friedman 2", "linear", "linear, noisy", "nothing")


class Over(Exception):
    """The search has ended."""


class Watch(Unwatched):
    """Ends the study where its search ends."""

    def judging(self) -> None:
        raise Over


@dataclass(frozen=True)
class Ran:
    """One search: forest to linear error on its validation rows, and the preference of the trials after the random start."""

    dataset: str
    seed: int
    ratio: float
    preference: float
    half: float


def made(name: str, seed: int) -> pd.DataFrame:
    """A table with inputs x0, x1, ... and y."""
    rows = 600
    match name:
        case "friedman 1":
            x, y = make_friedman1(rows, n_features=10, noise=1.0, random_state=seed)
        case "friedman 1, noisy":
            x, y = make_friedman1(rows, n_features=10, noise=5.0, random_state=seed)
        case "friedman 2":
            x, y = make_friedman2(rows, noise=50.0, random_state=seed)
        case "linear":
            x, y = make_regression(rows, n_features=10, noise=5.0, random_state=seed)
        case "linear, noisy":
            x, y = make_regression(rows, n_features=10, noise=200.0, random_state=seed)
        case _:
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(rows, 10)), rng.normal(size=rows)
    return pd.DataFrame(x, columns=[f"x{column}" for column in range(x.shape[1])]).assign(y=y)


def search(name: str, seed: int, trials: int) -> Ran:
    """Run one search and look at its trials."""
    with tempfile.TemporaryDirectory() as folder:
        data = [f"dataset={name}"]
        if name in MADE:
            made(name, seed).to_csv(f"{folder}/made.csv", index=False)
            data = ["dataset=csv", f"dataset.path={folder}/made.csv", "dataset.target=y"]
        config = compose([*data, f"n_trials={trials}", f"seed={seed}", f"split.seed={seed}", "baselines=none"])[0]
        warm_up(config)
        material, workspace = gather(config), Workspace(Path(folder) / "mlruns")
        with contextlib.suppress(Over):
            run_study(material, workspace, Watch(), bare=True)
        (place,) = workspace.records.iterdir()
        costs = [seconds_of(record.result.spec, config, material.prepared) for record in RecordBook(place).trials()]
        space = mean(seconds_of(spec, config, material.prepared) for spec in random_specs(config.space, DRAWN, 0))
        ratio = forest_to_linear(material.prepared, seed)
        return Ran(name, seed, ratio, mean(costs[START:]) / space, mean(costs[-len(costs) // 2 :]) / space)


def main() -> None:
    """Search, print the table and write it to benchmarks/results/preference.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--only", nargs="*", choices=(*REGISTERED, *MADE), default=[*REGISTERED, *MADE])
    asked = parser.parse_args()
    ran: list[Ran] = []
    for name in asked.only:
        for seed in range(asked.seeds):
            try:
                ran.append(search(name, seed, asked.trials))
            except RegsweepError as problem:
                print(f"{name} is left out: {problem}")
                break
            print(*asdict(ran[-1]).values(), flush=True)
    rows = []
    for name in dict.fromkeys(one.dataset for one in ran):
        part = [one for one in ran if one.dataset == name]
        each = ", ".join(f"{one.preference:.2f}" for one in part)
        rows.append([name, mean(one.ratio for one in part), mean(one.preference for one in part), each])
    show(f"Cost of {asked.trials} trials of TPE after its random start, relative to the space's", COLUMNS, rows)
    save("preference", {**vars(asked), "searches": [asdict(one) for one in ran]})


if __name__ == "__main__":
    main()
