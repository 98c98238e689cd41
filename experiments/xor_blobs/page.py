"""Small networks on XOR under many seeds, where accuracy is cut, and the verdict over splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiments.page import FEW_SPLITS, Cell, Page, markdown, spread, verdict_blocks
from experiments.replicate import Replicates, System, replicate
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
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
    repeats = repeat_splits(["experiments=xor_blobs"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    whole = found[-1]
    material = whole.material
    fold = material.split.folds[0]
    seen = replace(material.dataset, table=material.dataset.table.iloc[np.sort(np.concatenate([fold.train, fold.val]))])
    accuracies = found[0].values("accuracy")
    worst = found[0].models[int(np.argmin(accuracies))]
    return Page(
        {"tutorial": _tutorial(found), "threshold": _threshold(), **verdict_blocks(repeats)},
        {
            "seeds": strip(
                [(one.system.name, one.values("accuracy")) for one in found],
                axis_label="accuracy on test rows",
                title="XOR: each network under five seeds",
                references=[(whole.lines[0].accuracy, "logistic regression")],
                higher_is_better=True,
            ),
            "decision_boundary": decision_boundary(
                whole.models[0],
                seen,
                f"{material.dataset.name}: 8 ReLU units, seed 0, beside the rows of training and validation",
            ),
            "failed_boundary": decision_boundary(worst, seen, f"{material.dataset.name}: 2 ReLU units, the worst of five seeds"),
            "repeated_splits": repeats.figure(),
        },
    )


def _tutorial(found: list[Replicates]) -> str:
    rows: list[list[Cell]] = []
    for one in found:
        accuracies = one.values("accuracy")
        succeeded = f"{sum(value >= SUCCESS for value in accuracies)} of {len(accuracies)}"
        rows.append([one.system.name, succeeded, spread(accuracies), spread(one.values("auc")), spread(one.values("log_loss"))])
    line = found[0].lines[0]
    rows.append(["logistic regression", "", line.accuracy, line.auc, line.log_loss])
    return markdown(["", f"seeds with accuracy above {SUCCESS:g}", "accuracy", "AUC", "log loss"], rows)


def _threshold() -> str:
    """Accuracy on test rows, cut at a probability of 0.5 and at a logit of 0.5, after so many epochs."""
    rows: list[list[Cell]] = []
    for epochs in (1, 2, 5, 50):
        network = System(f"{epochs} epochs", DATA, {**SYSTEMS[-1].hyperparameters, "epochs": epochs})
        one = replicate(network, SEEDS)
        dataset = one.material.dataset
        y, x = dataset.y[one.rows], dataset.x.iloc[one.rows]
        right, wrong = [], []
        for model in one.models:
            probability = model.predict(x)
            right.append(float(np.mean((probability > 0.5) == y)))
            wrong.append(float(np.mean((probability > 1 / (1 + np.exp(-0.5))) == y)))
        rows.append([f"{epochs:,} epoch{'s' * (epochs > 1)}", spread(right), spread(wrong)])
    return markdown(["8 ReLU after", "accuracy, probability cut at 0.5", "accuracy, logit cut at 0.5"], rows)
