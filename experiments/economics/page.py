"""The tutorial's network on its split, what it lacks, and the verdicts for months drawn at random and for months ahead."""

from __future__ import annotations

from experiments.page import Cell, Page, markdown, systems, verdict_blocks
from experiments.replicate import System, replicate
from regsweep import metrics
from regsweep.baselines import describe, fit_baseline
from regsweep.champion.training import whole
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.predictor import encode
from regsweep.repeats import repeat_splits
from regsweep.report.plots import predicted_by_index, strip

SPLIT = ("dataset=economics", "split=holdout", "split.train=0.6", "split.val=0.1", "split.test=0.3", "split.seed=40")
NETWORK = {
    "depth": 3, "width_1": 500, "width_2": 100, "width_3": 50, "activation": "relu",
    "learning_rate": 0.001, "epochs": 20, "batch_size": 32, "optimizer": "adam",
}  # fmt: skip
UNSCALED = "features.target_standardise=false"
# The tutorial trains on all 401 rows that are not for test.
AS_WRITTEN = System("the tutorial's network", (*SPLIT, "features=max", UNSCALED), NETWORK, "train and val")
LONGER = System("the same, 200 epochs", (*SPLIT, "features=max", UNSCALED), {**NETWORK, "epochs": 200}, "train and val")
SCALED = System("20 epochs, inputs and target standardised", SPLIT, NETWORK, "train and val")


AHEAD = ("least_squares_qr", "ridge_cv", "random_forest", "gradient_boosting", "k_nearest_neighbours")


def one_origin() -> str:
    """R² of baselines trained on all months before the last 20 % or 30 % of them, which they are tested on."""
    rows: dict[str, list[Cell]] = {name: [describe(name)] for name in AHEAD}
    for test in (0.2, 0.3):
        shares = (f"split.train={0.8 - test}", "split.val=0.2", f"split.test={test}")
        config = compose(["dataset=economics", "split=time_ordered", *shares])[0]
        material = gather(config)
        fold = whole(config, material.dataset, material.split, "plain").folds[0]
        x, y = encode(material.dataset.x.iloc[material.split.test], fold.columns), material.dataset.y[material.split.test]
        for name, row in rows.items():
            fit = fit_baseline(name, fold.x_train, fold.y_train, seed=0)
            row.append(f"{metrics.r2(y, fit.predict(x)):.2f}")
    return markdown(["R² on the months ahead", "the last 20 %", "the last 30 %"], list(rows.values()))


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    written, longer, scaled = (replicate(system) for system in (AS_WRITTEN, LONGER, SCALED))
    line = written.lines[0]
    table = systems([written, longer, scaled], {AS_WRITTEN.name: "RMSE 1,825; training RMSE 1,856"})
    random = repeat_splits(["experiments=economics"], splits=splits, workspace=workspace)
    ahead = repeat_splits(["experiments=economics_ahead"], splits=splits, workspace=workspace)
    dataset, rows = written.material.dataset, written.rows
    return Page(
        {"tutorial": table, **verdict_blocks(random), "one origin": one_origin(), **verdict_blocks(ahead, "ahead ")},
        {
            "seeds": strip(
                [(one.system.name, one.values("rmse")) for one in (written, longer, scaled)],
                axis_label=f"RMSE on the tutorial's test rows [{dataset.unit}]",
                title="economics: the tutorial's network under five seeds",
                references=[(line.rmse, "least squares"), (1825.0, "the tutorial's figure")],
            ),
            "predicted_by_index": predicted_by_index(
                dataset.y[rows],
                written.models[0].predict(dataset.x.iloc[rows]),
                dataset.target,
                dataset.unit,
                "economics: the tutorial's network, seed 0, on its test rows",
            ),
            "repeated_splits": random.figure(),
            "ahead": ahead.figure(),
        },
    )
