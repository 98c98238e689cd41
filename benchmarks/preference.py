"""What trials TPE comes to prefer, quick ones or long ones, and whether a glance at the table tells it beforehand.

    python -m benchmarks.preference [--seeds S] [--trials N] [--only NAME ...]

Searches of the default space, without baselines, champion and MLflow. What a training costs is what the cost model says; the
preference is the mean cost of the trials after TPE's random start, relative to that of the space. Beside it what the search of a
plan comes to, which leans by what a forest's error is of a linear model's, and what it would come to without that: the middle one
of three goes each. Data sets that are not on this machine are left out, and named.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1, make_friedman2, make_regression

from benchmarks.common import save, show
from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.errors import RegsweepError
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.planning.costs import seconds_of
from regsweep.planning.draws import random_specs
from regsweep.planning.estimate import GOES
from regsweep.planning.preference import Lean, forest_to_linear, lean_of
from regsweep.planning.simulate import Machine, simulate
from regsweep.runner import warm_up
from regsweep.search import Search
from regsweep.study import Unwatched, run_study
from regsweep.train.plan import Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regsweep.material import Material
    from regsweep.trial import TrialSpec

DRAWN = 1_000
START = 10
COLUMNS = ("data", "seed", "forest to linear", "preference", "leaning", "by chance")
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
    """One search: the table's ratio of errors, the search's preference, and what a plan makes of it, leaning and by chance."""

    dataset: str
    seed: int
    ratio: float
    preference: float
    leaning: float
    by_chance: float


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
    """Run one search, and rehearse it."""
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
        found = preference([record.result.spec for record in RecordBook(place).trials()], material)
        lean = lean_of(config, material.prepared)
        leaning = rehearsed(lean, material, Path(folder) / "leaning")
        by_chance = rehearsed(replace(lean, lean=0.0), material, Path(folder) / "chance")
        return Ran(name, seed, forest_to_linear(material.prepared, config.seed), found, leaning, by_chance)


def preference(specs: Sequence[TrialSpec], material: Material) -> float:
    """Mean cost of the trials after the random start, relative to that of the space."""
    config, data = material.config, material.prepared
    space = mean(seconds_of(spec, config, data) for spec in random_specs(config.space, DRAWN, 0))
    return mean(seconds_of(spec, config, data) for spec in specs[START:]) / space


def rehearsed(lean: Lean, material: Material, folder: Path) -> float:
    """The preference of the middle one of some goes at the search, which no training delays."""

    def plan(specs: Sequence[TrialSpec]) -> list[Load]:
        return [Load((position,), 0.0, (1, "relu", False)) for position in range(len(specs))]

    found = []
    for go in range(GOES):
        place = Workspace(folder / str(go))
        place.root.mkdir(parents=True)
        objectives = partial(lean, rng=np.random.default_rng(go))
        search = Search(place, "plan", material.config)
        course = simulate(material.config, search, plan, Machine(1, 0.0, 0.0), 60, objectives=objectives)
        found.append(preference(course.specs, material))
    return median(found)


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
    show(f"Cost of {asked.trials} trials of TPE after its random start, relative to the space's", COLUMNS, [*map(astuple, ran)])
    off = {
        way: float(np.exp(np.sqrt(np.mean([np.log(getattr(one, way) / one.preference) ** 2 for one in ran]))))
        for way in ("leaning", "by_chance")
    }
    print("off by a factor of " + ", ".join(f"{factor:.2f} {way.replace('_', ' ')}" for way, factor in off.items()))
    save("preference", {**vars(asked), "off by a factor of": off, "searches": [asdict(one) for one in ran]})


if __name__ == "__main__":
    main()
