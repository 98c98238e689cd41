"""Networks of five units on a cube root, the ceiling that the noise sets, and the verdict over splits."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_regression

from experiments.page import FEW_SPLITS, Page, markdown, systems, verdict_blocks
from experiments.replicate import System, replicate
from regsweep import metrics
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import fitted_line, strip

DATA = ("dataset=cubic", "split=holdout", "features.target_standardise=false")
ADAM = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 1000, "batch_size": 32}
# The tutorial has no split: it trains and scores on all 500 points.
SYSTEMS = (
    System("5-5 without activation", DATA, {"depth": 2, "width": 5, "activation": "linear", **ADAM}, "all"),
    System("5 sigmoids", DATA, {"depth": 1, "width": 5, "activation": "sigmoid", **ADAM}, "all"),
    System("5 ReLU", DATA, {"depth": 1, "width": 5, "activation": "relu", **ADAM}, "all"),
    System("5-5 ReLU", DATA, {"depth": 2, "width": 5, "activation": "relu", **ADAM}, "all"),
)
SEEDS = range(20)


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    found = [replicate(system, SEEDS) for system in SYSTEMS]
    line = found[0].lines[0]
    dataset = found[0].material.dataset
    x, y = dataset.x["x"].to_numpy(), dataset.y
    # The tutorial cubes x after y was made of it: the truth is a line in the cube root.
    made, again, slope = make_regression(n_features=1, noise=20, random_state=42, bias=100, n_samples=500, coef=True)
    ceiling = metrics.r2(again, 100 + float(slope) * made[:, 0])
    repeats = repeat_splits(["experiments=intuition_cubic"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    across = np.linspace(x.min(), x.max(), 400)
    frame = dataset.x.iloc[:0].reindex(range(len(across))).assign(x=across)
    return Page(
        {
            "tutorial": systems(found, {}, metrics=("rmse", "r2")),
            "ceiling": markdown(
                ["R² on all 500 points", ""],
                [["the truth, 100 + 64.59 ∛x: no model can be expected to exceed it", ceiling], ["a line in x", line.r2]],
            ),
            **verdict_blocks(repeats),
        },
        {
            "fitted_line": fitted_line(
                [
                    ("the truth", across, 100 + float(slope) * np.cbrt(across)),
                    *((one.system.name, across, one.models[0].predict(frame)) for one in found),
                ],
                [("all", x, y)],
                feature="x",
                target="y",
                unit="",
                title="cubic: what the tutorial's networks make of a cube root, seed 0",
            ),
            "seeds": strip(
                [(one.system.name, one.values("r2")) for one in found],
                axis_label="R² on all 500 points",
                title="cubic: five units are a lottery",
                references=[(ceiling, "ceiling"), (line.r2, "a line in x")],
                higher_is_better=True,
            ),
            "repeated_splits": repeats.figure(),
        },
    )
