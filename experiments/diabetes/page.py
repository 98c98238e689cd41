"""The tutorial's network on its split under five seeds, then the verdict over splits."""

from __future__ import annotations

from experiments.page import Page, systems, verdict_blocks
from experiments.replicate import Replicates, System, reference_line, replicate
from regsweep.champion.training import whole
from regsweep.metrics import ClassScores, Scores
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import predicted_against_true, strip

# 20 % test, of the rest 10 % validation, which the tutorial doesn't use for anything.
SPLIT = ("dataset=diabetes", "split=holdout", "split.train=0.72", "split.val=0.08", "split.test=0.2", "split.seed=42")
NETWORK = {
    "depth": 3, "width_1": 128, "width_2": 64, "width_3": 32, "activation": "relu",
    "dropout_1": 0.2, "dropout_2": 0.2, "dropout_3": 0.0,
    "learning_rate": 0.001, "epochs": 150, "batch_size": 32, "optimizer": "adam",
}  # fmt: skip
AS_WRITTEN = System("the tutorial's network", (*SPLIT, "features.target_standardise=false"), NETWORK)
STANDARDISED = System("the same, target standardised", SPLIT, NETWORK)


def line_of_all(found: Replicates) -> Scores | ClassScores:
    """What least squares scores if it is given the rows that the tutorial keeps for validation."""
    material = found.material
    return reference_line(material.dataset, whole(material.config, material.dataset, material.split, "plain"), found.rows)


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    written, scaled = replicate(AS_WRITTEN), replicate(STANDARDISED)
    line = written.lines[0]
    more = {"least squares, validation rows too": line_of_all(written)}
    table = systems([written, scaled], {AS_WRITTEN.name: "MAE and R² as curves only"}, further=more)
    repeats = repeat_splits(["experiments=diabetes"], splits=splits, workspace=workspace)
    unit = written.material.dataset.unit
    rows = written.rows
    return Page(
        {"tutorial": table, **verdict_blocks(repeats)},
        {
            "seeds": strip(
                [(one.system.name, one.values("mae")) for one in (written, scaled)],
                axis_label=f"MAE on the tutorial's test rows [{unit}]",
                title="diabetes: the tutorial's network under five seeds",
                references=[(line.mae, "least squares")],
            ),
            "predicted_against_true": predicted_against_true(
                written.material.dataset.y[rows],
                written.models[0].predict(written.material.dataset.x.iloc[rows]),
                written.material.dataset.target,
                unit,
                "diabetes: the tutorial's network, seed 0, on its test rows",
            ),
            "repeated_splits": repeats.figure(),
        },
    )
