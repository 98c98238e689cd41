"""The tutorial's network on its split, what it lacks, and the verdicts for months drawn at random and for months ahead."""

from __future__ import annotations

from experiments.page import Page, systems, verdict_blocks
from experiments.replicate import System, replicate
from regsweep.paths import Workspace
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


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    written, longer, scaled = (replicate(system) for system in (AS_WRITTEN, LONGER, SCALED))
    line = written.lines[0]
    table = systems([written, longer, scaled], {AS_WRITTEN.name: "RMSE 1,825; training RMSE 1,856"})
    random = repeat_splits(["experiments=economics"], splits=splits, workspace=workspace)
    ahead = repeat_splits(["experiments=economics_ahead"], splits=splits, workspace=workspace)
    dataset, rows = written.material.dataset, written.rows
    return Page(
        {"tutorial": table, **verdict_blocks(random), **verdict_blocks(ahead, "ahead ")},
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
