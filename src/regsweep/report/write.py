"""Writes a study's report folder: leaderboard (CSV, and JSON as MLflow's UI shows tables), verdict, plots."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from regsweep.book import RecordBook
from regsweep.champion import Judgement
from regsweep.champion.candidates import ROUNDING
from regsweep.folder import read_folder
from regsweep.leaderboard import as_frame, leaderboard
from regsweep.predictor import Model
from regsweep.record import StudyFacts, TrialRecord
from regsweep.report import plots
from regsweep.report.champion_parts import ReportRows, champion_diagram, champion_line
from regsweep.report.style import DPI
from regsweep.tasks import REGRESSION
from regsweep.trial import best_of

NO_NETWORK: Final = (
    "There are no learning curves, no path through the space and no model diagram: the champion ({}) is no network."
)


def write_report(
    book: RecordBook,
    facts: StudyFacts,
    records: Sequence[TrialRecord],
    judgement: Judgement | None,
    insight: Mapping[str, Any] | None,
    rows: ReportRows,
) -> Path:
    """Write the report of a finished study into its book and return the folder. `insight` is what `insight.json` says.

    Without it there are no figures.
    """
    folder = book.folder / "report"
    folder.mkdir(exist_ok=True)
    frame = as_frame(leaderboard(book), facts.config.predicts)
    frame.to_csv(folder / "leaderboard.csv", index=False)
    # The UI's table view takes no NaN.
    frame.astype(object).where(frame.notna(), None).to_json(folder / "leaderboard.json", orient="split", index=False)
    sentence = judgement.content["verdict"] if judgement is not None else "No trial was completed."
    if judgement is not None and judgement.baseline is not None:
        sentence += f"\n\n{NO_NETWORK.format(judgement.content['name'])}"
    if judgement is not None and judgement.note is not None:
        sentence += f"\n\nNote: {judgement.note}"
    (folder / "verdict.md").write_text(f"{facts.config.question}\n\n{sentence}\n", encoding="utf-8")
    drawn = set()
    if insight is not None:
        for name, figure in _figures(book, facts, records, judgement, insight, rows):
            save(figure, folder / f"{name}.png")
            drawn.add(f"{name}.png")
        # MLflow's study run takes this folder.
        shutil.copy(book.insight, folder)
        drawn.add(book.insight.name)
    # Those of a shorter search, or of another champion, would stand beside a table that they don't belong to.
    for place in [*folder.glob("*.png"), folder / book.insight.name]:
        if place.name not in drawn:
            place.unlink(missing_ok=True)
    return folder


def save(figure: Figure, file: Path) -> None:
    """Write a figure, which can't be laid out again afterwards."""
    with warnings.catch_warnings():
        # Names may have letters that no font here has; they are boxes in the figure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    # Given a layout, `savefig` draws the figure twice; one canvas for both keeps the sizes of texts.
    FigureCanvasAgg(figure)
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)
    figure.savefig(file, dpi=DPI)


def _figures(
    book: RecordBook,
    facts: StudyFacts,
    records: Sequence[TrialRecord],
    judgement: Judgement | None,
    insight: Mapping[str, Any],
    rows: ReportRows,
) -> Iterator[tuple[str, Figure]]:
    objective, unit, target = facts.config.objective, facts.dataset.unit, facts.dataset.target
    compared = _validation(book, objective, facts.config.predicts.reference)
    yield "optimization_history", plots.optimization_history(records, objective, unit, compared)
    yield "empirical_distribution", plots.empirical_distribution(records, objective, unit, compared)
    yield "parameter_importance", plots.parameter_importance(insight["importance"], objective)
    yield "slices", plots.slices(records, objective, unit)
    yield "contour", plots.contour(records, insight["surface"], objective, unit)
    yield "parallel_coordinates", plots.parallel_coordinates(records, objective, unit)
    if facts.config.further_objectives:
        yield "pareto_front", plots.pareto_front(records, facts.config.objectives, unit)
    if judgement is None:
        return
    if judgement.baseline is None:
        yield "learning_curves", plots.learning_curves(judgement.trial, unit)
    if insight["ablation"] is not None:
        yield "ablation_path", plots.ablation_path(insight["ablation"], judgement.trial.number, unit, compared)
    content, arrays = read_folder(book.folder / "champion")
    name, model = judgement.content["name"], Model.join(content["model"], arrays)
    if judgement.baseline is None:
        yield "model_diagram", champion_diagram(facts, judgement, model)
    if facts.config.predicts != REGRESSION:
        if plots.has_plane(model):
            yield (
                "decision_boundary",
                plots.decision_boundary(model, rows.seen, f"{facts.dataset.name}: what the champion ({name}) answers"),
            )
        return
    title = f"{facts.dataset.name}: champion ({name}) on the test rows"
    truth = (arrays["y"], arrays["prediction"], target, unit, title)
    yield "predicted_against_true", plots.predicted_against_true(*truth)
    yield "residuals", plots.residuals(*truth)
    # The test rows of such a split stand in the order of time.
    yield "predicted_by_index", plots.predicted_by_index(*truth, by_time=facts.config.split.kind == "time_ordered")
    if (feature := rows.only_number) is not None:
        yield "fitted_line", champion_line(feature, rows, facts, judgement, model)


def _validation(book: RecordBook, objective: str, reference: str) -> dict[str, float]:
    """The baselines to draw beside the trials: the reference, and the best by validation."""
    metric = objective.removeprefix("val/")
    values: dict[str, float | None] = {content["name"]: content["val"][metric] for content in book.contents("baseline")}
    best = best_of(values, objective)
    if best is not None and (one := values.get(reference)) is not None and math.isclose(one, values[best] or 0, rel_tol=ROUNDING):
        # One model, solved in another way.
        best = reference
    drawn = dict.fromkeys((reference, best))
    return {name: value for name in drawn if name is not None and (value := values.get(name)) is not None}
