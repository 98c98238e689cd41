"""Four small systems of one neuron, what they come to under five seeds, and the verdict over splits."""

from __future__ import annotations

import numpy as np

from experiments.linear_neuron.systems import HALF_RATE, SEEDS, System, Training, descend, one_by_one, systems
from experiments.page import FEW_SPLITS, Cell, Page, markdown, spread, verdict_blocks
from regsweep.paths import Workspace
from regsweep.repeats import repeat_splits
from regsweep.report.plots import fitted_line, strip


def page(workspace: Workspace, splits: int) -> Page:
    """Run everything."""
    three, *others = systems()
    ten = others[-1]
    repeats = repeat_splits(["experiments=linear_neuron"], splits=min(splits, FEW_SPLITS), workspace=workspace)
    drawn = [one_by_one(ten.table, epochs=1000, learning_rate=HALF_RATE, seed=seed) for seed in SEEDS]
    across = np.array([ten.table.x.min(), ten.table.x.max()])
    names = ["full batches, rate 0.01", "one row at a time, rate 0.01", "one row at a time, rate 0.005"]
    return Page(
        {"three": _three(three), "others": _others(others, drawn), **verdict_blocks(repeats)},
        {
            "fitted_line": fitted_line(
                [
                    ("least squares", across, np.array([ten.closed_form.at(x) for x in across])),
                    *(
                        (name, across, np.array([run.trainings[0].line.at(x) for x in across]))
                        for name, run in zip(names, ten.runs, strict=True)
                    ),
                ],
                [("all", ten.table.x, ten.table.y)],
                feature="x",
                target="y",
                unit="",
                title="ten points: least squares, and one neuron after training, seed 0",
            ),
            "excess": strip(
                [
                    *(
                        (name, [training.late_mse for training in run.trainings])
                        for name, run in zip(names, ten.runs, strict=True)
                    ),
                    ("one row drawn at a time, rate 0.005", [training.late_mse for training in drawn]),
                ],
                axis_label="MSE on the ten points, mean over the last 100 epochs",
                title="ten points: at a constant rate single rows do not arrive",
                references=[(ten.closed_form.mse, "least squares")],
            ),
            "repeated_splits": repeats.figure(),
        },
    )


def _three(system: System) -> str:
    rows: list[list[Cell]] = []
    for run in system.runs:
        asked = [training.line.at(4.0) for training in run.trainings]
        slopes = [training.line.slope for training in run.trainings]
        steps = f"{run.epochs:,} × {run.batch_size} rows"
        rows.append([f"{run.loss} of squares", steps, spread(asked), spread(slopes), "about 8"])
    for run in system.runs:
        zero = descend(system.table, steps=run.epochs, loss=run.loss)
        rows.append(
            [f"{run.loss} of squares, from zero weights", "the same, in NumPy", f"{zero.at(4.0):.4g}", f"{zero.slope:.4g}", ""]
        )
    rows.append(["least squares", "", system.closed_form.at(4.0), system.closed_form.slope, ""])
    return markdown(["loss", "training", "prediction at x = 4", "slope", "the tutorial's figure"], rows)


def _others(others: list[System], drawn: list[Training]) -> str:
    rows: list[list[Cell]] = []
    for system in others:
        least = system.closed_form
        for run in system.runs:
            training = f"{run.epochs:,} epochs, batches of {run.batch_size}, rate {run.learning_rate:g}"
            slopes, intercepts = ([getattr(one.line, part) for one in run.trainings] for part in ("slope", "intercept"))
            rows.append([system.name, training, spread(slopes), spread(intercepts), _percent(run.excess(least))])
        if system is others[-1]:
            excess = float(np.mean([one.late_mse for one in drawn])) / least.mse - 1
            slopes, intercepts = ([getattr(one.line, part) for one in drawn] for part in ("slope", "intercept"))
            training = f"1,000 epochs, rows drawn with replacement, rate {HALF_RATE:g}"
            rows.append([system.name, training, spread(slopes), spread(intercepts), _percent(excess)])
        rows.append([system.name, "least squares", f"{least.slope:.6f}", f"{least.intercept:.6f}", ""])
    return markdown(["points", "training", "slope", "intercept", "MSE above the least"], rows)


def _percent(share: float) -> str:
    return f"{max(share, 0.0):.2%}".replace("%", " %")
