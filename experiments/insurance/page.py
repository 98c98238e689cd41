"""The printed network, mended step by step, how low a linear model's training error can get, and the verdict over splits."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import train_test_split

from experiments.page import Page, markdown, systems, verdict_blocks
from experiments.replicate import Replicates, System, replicate_on_splits
from regsweep import metrics
from regsweep.baselines import fit_baseline
from regsweep.paths import Workspace
from regsweep.predictor import encode
from regsweep.repeats import repeat_splits
from regsweep.report.plots import predicted_against_true, strip

SPLIT = ("dataset=insurance", "split=holdout", "split.train=0.64", "split.val=0.16", "split.test=0.2")
FIVE_COLUMNS = ("dataset.drop=[children]", "features.category=ordinal")
RAW = ("features=none", "features.target_standardise=false")
NETWORK = {
    "depth": 1, "width": 64, "activation": "linear",
    "learning_rate": 0.001, "epochs": 200, "batch_size": 32, "optimizer": "adam",
}  # fmt: skip
RELU = {**NETWORK, "activation": "relu"}
PRINTED = System("as printed", (*SPLIT, *RAW, *FIVE_COLUMNS), NETWORK)
SCALED = System("inputs and target standardised", (*SPLIT, *FIVE_COLUMNS), NETWORK)
ACTIVE = System("and ReLU in the hidden layer", (*SPLIT, *FIVE_COLUMNS), RELU)
WHOLE = System("and one-hot categories, children too", SPLIT, RELU)
CLAIM = "MSE 41,614,964; MAE 4,095.5; R² 0.73; training MSE 28,009,306"
DRAWS = 1000


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    found = [replicate_on_splits(system) for system in (PRINTED, SCALED, ACTIVE, WHOLE)]
    printed, last = found[0], found[-1]
    dataset, rows = last.material.dataset, last.rows
    repeats = repeat_splits(["experiments=insurance"], splits=splits, workspace=workspace)
    return Page(
        {
            "tutorial": systems(found, {PRINTED.name: CLAIM}, metrics=("mse", "mae", "r2")),
            "linear": _linear(printed),
            **verdict_blocks(repeats),
        },
        {
            "seeds": strip(
                [(one.system.name, one.values("r2")) for one in found],
                axis_label="R² on test rows",
                title="insurance: the tutorial's network on five splits, mended step by step",
                references=[
                    (float(np.mean([line.r2 for line in printed.lines])), "least squares, same five columns"),
                    (0.73, "the tutorial's figure"),
                ],
                higher_is_better=True,
            ),
            "predicted_against_true": predicted_against_true(
                dataset.y[rows],
                last.models[0].predict(dataset.x.iloc[rows]),
                dataset.target,
                dataset.unit,
                "insurance: 64 ReLU units, scaled, one-hot, seed 0, on test rows",
            ),
            "repeated_splits": repeats.figure(),
        },
    )


def _linear(printed: Replicates) -> str:
    """Least squares on the tutorial's columns over many draws of its 64 % training rows."""
    dataset, columns = printed.material.dataset, printed.data.folds[0].columns
    x, y = encode(dataset.x, columns), dataset.y
    trained, tested = [], []
    for seed in range(DRAWS):
        rest, test = train_test_split(np.arange(dataset.rows), test_size=0.2, random_state=seed)
        train, _ = train_test_split(rest, test_size=0.2, random_state=seed)
        fit = fit_baseline("least_squares_qr", x[train], y[train], seed=0)
        trained.append(metrics.mse(y[train], fit.predict(x[train])))
        tested.append(metrics.r2(y[test], fit.predict(x[test])))
    network = [one.mse for one in printed.trained]
    first = tested[:10]
    return markdown(
        ["", "least", "mean", "greatest"],
        [
            [f"training MSE of least squares, {DRAWS:,} splits", min(trained), float(np.mean(trained)), max(trained)],
            ["training MSE of the printed network, five splits", min(network), float(np.mean(network)), max(network)],
            ["training MSE that the tutorial prints", None, 28_009_306.0, None],
            ["test R² of least squares, the first ten splits", min(first), float(np.mean(first)), max(first)],
        ],
    )
