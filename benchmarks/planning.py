"""How far off `regsweep plan` is: studies of different kinds, estimated, then run, each in a new process and workspace.

    python -m benchmarks.planning [--repeats R] [--only NAME ...]

With `--only`, what there is of the others stays. An estimate comes from the command's own calibration, right before the run. None
of these studies is what anything was fitted to: where a sampler learns, the tables are not those of `benchmarks.preference`. Wine
and tumours are scikit-learn's. The wall time of `regsweep run` counts, from the start of its process to its end, and the bytes in
its workspace. What else the machine does meanwhile is in the ratios: compare them on a machine that is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from sklearn.datasets import load_breast_cancer, load_wine, make_friedman3

from benchmarks.common import RESULTS, save, show

STUDIES: dict[str, tuple[str, ...]] = {
    "wine, 40 trials, TPE": ("dataset=csv", "dataset.path=wine.csv", "dataset.target=alcohol"),
    "insurance, 100 trials, random": ("dataset=insurance", "sampler=random", "n_trials=100"),
    "tumours, 24 trials, TPE, classes": (
        *("dataset=csv", "dataset.path=tumours.csv", "dataset.target=target"),
        *("task=binary_classification", "split=holdout", "n_trials=24"),
    ),
    "Friedman's third, 30 wide networks, TPE": (
        *("dataset=csv", "dataset.path=friedman.csv", "dataset.target=y", "n_trials=30", "baselines=closed_form"),
        "space.parameters.width={type: int, low: 128, high: 512, when: {parameter: depth, at_least: 1}}",
    ),
    "cubic, 100 trials, random, one worker": ("dataset=cubic", "sampler=random", "n_trials=100", "executor.workers=1"),
    "insurance, 150 trials, Keras Tuner's Hyperband": ("dataset=insurance", "sampler=kt_hyperband", "n_trials=150"),
    "wine, 60 trials, CMA-ES, finalists and a refit": (
        *("dataset=csv", "dataset.path=wine.csv", "dataset.target=alcohol", "sampler=cmaes", "n_trials=60"),
        *("champion=refit", "champion.finalists.top=5"),
    ),
}
PLAN = """
import sys, json, time
began = time.perf_counter()
from pathlib import Path
from regsweep.config import compose
from regsweep.planning import estimate
from regsweep.runner import warm_up
from regsweep.material import gather
import regsweep.show.plan
if __name__ == "__main__":
    (config,) = compose(sys.argv[1:])
    warm_up(config)
    expected = estimate(gather(config), time.perf_counter() - began)
    print(json.dumps([expected.seconds, expected.least, expected.most, expected.bytes, time.perf_counter() - began]))
"""


def write_tables(folder: Path) -> None:
    """Write the tables that are no data sets of regsweep's."""
    load_wine(as_frame=True).data.to_csv(folder / "wine.csv", index=False)
    load_breast_cancer(as_frame=True).frame.to_csv(folder / "tumours.csv", index=False)
    x, y = make_friedman3(600, noise=0.1, random_state=0)
    pd.DataFrame(x, columns=["a", "b", "c", "d"]).assign(y=y).to_csv(folder / "friedman.csv", index=False)


def measure(overrides: tuple[str, ...], folder: Path) -> dict[str, float]:
    """Estimate a study, then run it."""
    folder.mkdir()
    write_tables(folder)
    script = folder / "plan.py"
    script.write_text(PLAN, encoding="utf-8")
    said = subprocess.run([sys.executable, str(script), *overrides], cwd=folder, check=True, capture_output=True, text=True)
    seconds, least, most, size, calibration = json.loads(said.stdout.splitlines()[-1])
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "regsweep.cli", "run", *overrides], cwd=folder, check=True, capture_output=True)
    actual = time.perf_counter() - began
    found = sum(512 * place.lstat().st_blocks for place in (folder / "mlruns").rglob("*"))
    return {
        "estimate": seconds,
        "actual": actual,
        "actual / estimate": actual / seconds,
        "least": least,
        "most": most,
        "estimated MB": size / 1e6,
        "actual MB": found / 1e6,
        "calibration": calibration,
    }


def main() -> None:
    """Measure, print the table and write benchmarks/results/planning.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3, help="medians count")
    parser.add_argument("--only", nargs="*", choices=STUDIES, default=list(STUDIES))
    asked = parser.parse_args()
    place = RESULTS / "planning.json"
    known = json.loads(place.read_text(encoding="utf-8"))["studies"] if place.is_file() else {}
    found: dict[str, Any] = {name: known[name] for name in STUDIES if name in known and name not in asked.only}
    with tempfile.TemporaryDirectory() as temporary:
        for name in asked.only:
            load = os.getloadavg()[0]
            overrides = STUDIES[name]
            repeats = [measure(overrides, Path(temporary) / f"{name} {repeat}") for repeat in range(asked.repeats)]
            middle = {key: median(repeat[key] for repeat in repeats) for key in repeats[0]}
            found[name] = {"overrides": overrides, "load average before": load, "median": middle, "repeats": repeats}
            print(f"{name}: {middle['estimate']:.1f} s estimated, {middle['actual']:.1f} s actual", flush=True)
    columns = list(next(iter(found.values()))["median"])
    rows = [[name, *(one["median"][column] for column in columns)] for name, one in found.items()]
    show("medians", ("study", *columns), rows)
    save("planning", {"studies": {name: found[name] for name in STUDIES if name in found}})


if __name__ == "__main__":
    main()
