"""Every linear model the same line: closed forms, one trained unit, and a deep network without activations, by its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.linear import composed
from experiments.page import FEW_SPLITS, Page, markdown, systems, verdict_blocks
from experiments.replicate import Replicates, System, replicate
from regsweep.baselines import closed_form
from regsweep.data.features import Array64
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import fitted_line, strip

DATA = ("dataset=line", "split=holdout", "features.target_standardise=false")
THETA = np.array([103.49534596, 49.82930935])
ADAM = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 1000, "batch_size": 32}
FULL = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 3000, "batch_size": 100}
DEEP = {"depth": 2, "width": 5, "activation": "linear"}
# The tutorial has no split: it trains and scores on all 100 points.
UNIT = System("one linear unit", DATA, {"depth": 0, **ADAM}, "all")
TWO_LAYERS = System("5-5-1 without activation", DATA, {**DEEP, **ADAM}, "all")
UNIT_FULL = System("one linear unit, full batch, 3,000 epochs", DATA, {"depth": 0, **FULL}, "all")
TWO_LAYERS_FULL = System("5-5-1 without activation, full batch, 3,000 epochs", DATA, {**DEEP, **FULL}, "all")
SIGMOID_BELOW = {"depth": 2, "width": 5, "activation_1": "sigmoid", "activation_2": "linear", **ADAM}
SIGMOID_ABOVE = {"depth": 2, "width": 5, "activation_1": "linear", "activation_2": "sigmoid", **ADAM}
SIGMOIDS = System("5 sigmoids, 5 linear, 1", DATA, SIGMOID_BELOW, "all")
SIGMOIDS_ABOVE = System("5 linear, 5 sigmoids, 1", DATA, SIGMOID_ABOVE, "all")


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    linear = [replicate(system) for system in (UNIT, TWO_LAYERS, UNIT_FULL, TWO_LAYERS_FULL)]
    curved = [replicate(system) for system in (SIGMOIDS, SIGMOIDS_ABOVE)]
    repeats = repeat_splits(["experiments=intuition_line"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    dataset = linear[0].material.dataset
    x, y = dataset.x["x"].to_numpy(), dataset.y
    across = np.linspace(x.min(), x.max(), 200)
    return Page(
        {
            "theta": _theta(x, y, linear),
            "tutorial": systems([linear[0], linear[1], *curved], {}),
            **verdict_blocks(repeats),
        },
        {
            "fitted_line": fitted_line(
                [
                    ("least squares", across, THETA[0] + THETA[1] * across),
                    *((one.system.name, across, _curve(one, across)) for one in (linear[1], *curved)),
                ],
                [("all", x, y)],
                feature="x",
                target="y",
                unit="",
                title="line: what the tutorial's networks make of 100 points, seed 0",
            ),
            "slopes": strip(
                [(one.system.name, [float(composed(model)[1]) for model in one.models]) for one in linear],
                axis_label="slope of the trained network, by composing its weights",
                title="line: slopes of networks without activations under five seeds",
                references=[(float(THETA[1]), "least squares")],
            ),
            "repeated_splits": repeats.figure(),
        },
    )


def _curve(one: Replicates, across: Array64) -> Array64:
    frame = one.material.dataset.x.iloc[:0].reindex(range(len(across))).assign(x=across)
    return one.models[0].predict(frame)


def _theta(x: Array64, y: Array64, linear: Sequence[Replicates]) -> str:
    """Intercept and slope of each linear model, and how far they lie from the tutorial's theta."""
    from sklearn.linear_model import LinearRegression

    column = x[:, None]
    sklearn = LinearRegression().fit(column, y)
    closed = {
        "pseudo-inverse": closed_form.least_squares_pinv(column, y),
        "SVD": closed_form.least_squares_svd(column, y),
        "QR": closed_form.least_squares_qr(column, y),
    }
    thetas = {name: [np.array([fit.intercept, fit.coefficients[0]])] for name, fit in closed.items()}
    thetas["scikit-learn's LinearRegression"] = [np.array([sklearn.intercept_, sklearn.coef_[0]])]
    thetas |= {one.system.name: [composed(model) for model in one.models] for one in linear}
    rows = []
    for name, found in thetas.items():
        apart = max(float(np.abs(theta / THETA - 1).max()) for theta in found)
        mean = np.mean(found, axis=0)
        rows.append([name, f"{mean[0]:.6f}", f"{mean[1]:.6f}", f"{apart:.1e}"])
    return markdown(["", "intercept", "slope", "farthest from theta, relative"], rows)
