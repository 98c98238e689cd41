"""Networks on a sine that is seen through a noisy copy of its argument, the ceiling, and what was meant."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_regression

from experiments.page import FEW_SPLITS, Page, markdown, systems, verdict_blocks
from experiments.replicate import System, replicate
from regsweep import metrics
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import fitted_line, strip

BUILT = ("dataset=sine", "split=holdout", "features.target_standardise=false")
MEANT = ("dataset=sine_of_x", "split=holdout", "features.target_standardise=false")
ADAM = {"optimizer": "adam", "batch_size": 32, "epochs": 1000}
BIG = {
    "depth": 5, "width": 100, **{f"activation_{layer}": "sigmoid" if layer < 4 else "tanh" for layer in range(1, 6)},
    "learning_rate": 0.001, **ADAM,
}  # fmt: skip
SMALL = {"depth": 2, "width": 5, "activation": "sigmoid", "learning_rate": 0.1, **ADAM}
# The tutorial has no split: it trains and scores on all 500 points.
SYSTEMS = (
    System(
        "5-1 without activation", BUILT, {"depth": 1, "width": 5, "activation": "linear", "learning_rate": 0.1, **ADAM}, "all"
    ),
    System("5-5 sigmoids", BUILT, SMALL, "all"),
    System("100, three layers of sigmoids below two of tanh", BUILT, BIG, "all"),
)
AS_MEANT = (
    System("5-5 sigmoids, x as meant", MEANT, SMALL, "all"),
    System(
        "32-32 tanh, x as meant", MEANT, {"depth": 2, "width": 32, "activation": "tanh", "learning_rate": 0.01, **ADAM}, "all"
    ),
)


def ceiling() -> float:
    """R² on the tutorial's 500 points of the best that can be known of the target.

    With x ~ N(0, 1) and y = c x + e, e ~ N(0, s²): x given y is normal with mean m = c y / (c² + s²) and variance
    v = s² / (c² + s²), and the expectation of sin(4 x) is sin(4 m) exp(-8 v).
    """
    noise = 10.0
    x, y, coefficient = make_regression(n_features=1, noise=noise, random_state=42, n_samples=500, coef=True)
    c = float(coefficient)
    m, v = c * y / (c * c + noise**2), noise**2 / (c * c + noise**2)
    return metrics.r2(np.sin(4 * x[:, 0]), np.sin(4 * m) * np.exp(-8 * v))


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    found, meant = [replicate(system) for system in SYSTEMS], [replicate(system) for system in AS_MEANT]
    line, most = found[0].lines[0], ceiling()
    built = repeat_splits(["experiments=intuition_sine"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    of_x = ["experiments=intuition_sine", "dataset=sine_of_x", "experiment=intuition_sine_of_x"]
    as_meant = repeat_splits(of_x, splits=min(splits, FEW_SPLITS), workspace=workspace)
    dataset = found[0].material.dataset
    x, y = dataset.x["x"].to_numpy(), dataset.y
    across = np.linspace(x.min(), x.max(), 400)
    frame = dataset.x.iloc[:0].reindex(range(len(across))).assign(x=across)
    return Page(
        {
            "tutorial": systems([*found, *meant], {}, metrics=("rmse", "r2")),
            "ceiling": markdown(
                ["R² on all 500 points", ""], [["the best that the noisy copy of x tells", most], ["a line", line.r2]]
            ),
            **verdict_blocks(built),
            **verdict_blocks(as_meant, "meant "),
        },
        {
            "fitted_line": fitted_line(
                [(one.system.name, across, one.models[0].predict(frame)) for one in found],
                [("all", x, y)],
                feature="x1, the made y",
                target="sin 4x",
                unit="",
                title="sine: what the tutorial's networks make of it, seed 0",
            ),
            "seeds": strip(
                [(one.system.name, one.values("r2")) for one in (*found, *meant)],
                axis_label="R² on all 500 points",
                title="sine: the tutorial's networks under five seeds",
                references=[(most, "ceiling of the noisy copy")],
                higher_is_better=True,
            ),
            "repeated_splits": built.figure(),
            "meant": as_meant.figure(),
        },
    )
