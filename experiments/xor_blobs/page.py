"""Small networks on XOR under many seeds, where accuracy is cut, and the verdict over splits."""

from __future__ import annotations

import numpy as np

from experiments.page import Cell, Page, markdown, spread, verdict_blocks
from experiments.replicate import Replicates, System, replicate
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.champion_parts import ReportRows
from regsweep.report.plots import decision_boundary, strip

DATA = ("experiments=xor_blobs", "split=holdout")
SGD = {"depth": 1, "optimizer": "sgd", "learning_rate": 0.1, "epochs": 50}
SYSTEMS = (
    System("2 ReLU, batches of 8", DATA, {"width": 2, "activation": "relu", "batch_size": 8, **SGD}),
    System("2 ELU, batches of 16", DATA, {"width": 2, "activation": "elu", "batch_size": 16, **SGD}),
    System("8 ReLU, batches of 8", DATA, {"width": 8, "activation": "relu", "batch_size": 8, **SGD}),
)
SEEDS = range(5)
# A network that has XOR is right on all but a straggler between two blobs.
SUCCESS = 0.99


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    found = [replicate(system, SEEDS) for system in SYSTEMS]
    repeats = repeat_splits(["experiments=xor_blobs"], splits=splits, workspace=workspace)
    whole = found[-1]
    material = whole.material
    return Page(
        {"tutorial": _tutorial(found), "threshold": _threshold(found), **verdict_blocks(repeats)},
        {
            "seeds": strip(
                [(one.system.name, one.values("accuracy")) for one in found],
                axis_label="accuracy on test rows",
                title="XOR: each network under five seeds",
                references=[(whole.line[1].accuracy, "logistic regression")],
                higher_is_better=True,
            ),
            "decision_boundary": decision_boundary(
                whole.models[0], seen(whole), f"{material.dataset.name}: 8 ReLU units, seed 0, and the rows they were trained on"
            ),
            "failed_boundary": decision_boundary(
                worst(found[0]), seen(whole), f"{material.dataset.name}: 2 ReLU units, the worst of five seeds"
            ),
            "repeated_splits": repeats.figure(),
        },
    )
