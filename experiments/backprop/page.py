"""The chain rule, the stacked trainer's gradients, and a linear network whose weights are the derivatives."""

from __future__ import annotations

import numpy as np

from experiments.backprop import gradients
from experiments.linear import composed
from experiments.page import FEW_SPLITS, Cell, Page, markdown, verdict_blocks
from experiments.replicate import System, replicate
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import metric_by_epoch, predicted_against_true
from regsweep.trial import CURVES

LINEAR = System(
    "a linear network",
    ("experiments=backprop", "split=holdout"),
    {"depth": 0, "optimizer": "sgd", "learning_rate": 0.1, "epochs": 200, "batch_size": 16},
)
POINT = (2.0, 3.0)


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    found = replicate(LINEAR)
    repeats = repeat_splits(["experiments=backprop"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    dataset, rows = found.material.dataset, found.rows
    curve = [("training", result.curves[:, CURVES.index("train/mse")]) for result in found.results[:1]]
    curve += [("validation", result.curves[:, CURVES.index("val/mse")]) for result in found.results[:1]]
    thetas = np.array([composed(model) for model in found.models])
    weights: list[list[Cell]] = [
        [name, f"{values.mean():.6f}", f"{np.abs(values - exact).max():.1e}", exact]
        for name, values, exact in zip(("intercept", "df/dx", "df/dy"), thetas.T, (0.0, 11.0, 5.0), strict=True)
    ]
    return Page(
        {
            "tape": _tape(),
            "gradients": _gradients(),
            "weights": markdown(["", "mean over five seeds", "farthest from it", "exact"], weights),
            **verdict_blocks(repeats),
        },
        {
            "learning_curve": metric_by_epoch(
                curve, metric="mse", unit=dataset.unit, title="f = 11x + 5y: a linear network under SGD, seed 0"
            ),
            "predicted_against_true": predicted_against_true(
                dataset.y[rows],
                found.models[0].predict(dataset.x.iloc[rows]),
                dataset.target,
                dataset.unit,
                "f = 11x + 5y: a linear network on test rows, seed 0",
            ),
            "repeated_splits": repeats.figure(),
        },
    )


def _tape() -> str:
    tape = gradients.by_tape(*POINT)
    rows: list[list[Cell]] = [
        [f"df/d{name}", gradients.by_chain_rule(name).sentence.partition(" = ")[2], tape[name]] for name in ("u", "v", "x", "y")
    ]
    return markdown(["", "chain rule", "GradientTape at x = 2, y = 3"], rows)


def _gradients() -> str:
    """The greatest deviation of each activation over all depths, without and with dropout and L2."""
    plain, noisy = gradients.table(), gradients.table(dropout=0.3, l2=0.01)
    rows: list[list[Cell]] = []
    for name in dict.fromkeys(one.activation for one in plain):
        cells: list[Cell] = [name]
        for table in (plain, noisy):
            mine = [one for one in table if one.activation == name]
            cells += [f"{max(one.from_tape for one in mine):.1e}", f"{max(one.from_differences for one in mine):.1e}"]
        rows.append(cells)
    ways = ["from GradientTape", "from finite differences"]
    return markdown(["activation", *ways, *(f"with dropout, {way}" for way in ways)], rows)
