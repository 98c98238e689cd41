"""What the figures of a champion's networks and of its curve need, taken from the model and the data.

In: a study's data, its judgement, the judged model. Out: a `Figure`. Main calls: `champion_diagram`, `champion_line`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from regsweep.baselines.run import run_baselines
from regsweep.champion import Judgement, refit_rows
from regsweep.data import Dataset, Split
from regsweep.data.features import Prepared
from regsweep.data.sealed import TestRows
from regsweep.predictor import Model
from regsweep.record import StudyFacts
from regsweep.report import plots
from regsweep.report.style import number

# Of a curve.
PLACES: Final = 300


@dataclass(frozen=True)
class ReportRows:
    """The rows that a report may draw. `unseal` is called only once a judgement is there, so after the opening is on record."""

    dataset: Dataset
    split: Split
    prepared: Prepared
    unseal: Callable[[], TestRows]

    @property
    def seen(self) -> Dataset:
        """The data set without its test rows."""
        fold = self.split.folds[0]
        return replace(self.dataset, table=self.dataset.table.iloc[np.sort(np.concatenate([fold.train, fold.val]))])

    @property
    def only_number(self) -> str | None:
        """The only feature, if it is a number."""
        if len(self.dataset.features) != 1:
            return None
        kind = self.dataset.x.dtypes.iloc[0]
        is_number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
        return self.dataset.features[0] if is_number else None


def champion_diagram(facts: StudyFacts, judgement: Judgement, model: Model) -> Figure:
    """The network of the champion that has the most weight: one of the leading trial's."""
    spec, trial = judgement.trial.result.spec, judgement.trial.number
    heaviest = max(model.networks, key=lambda member: member.weight)
    layers = list(zip(spec.widths, spec.activations, spec.dropouts, strict=True))
    share = heaviest.weight / sum(member.weight for member in model.members)
    note = ""
    if len(model.members) > 1:
        trials = len(judgement.content["members"])
        mean = f"the weighted mean of {len(model.members):,} networks of {trials:,} trial{'s' * (trials > 1)}"
        note = f"The champion is {mean}; shown: one of trial {trial}'s, which have the greatest weight ({number(share)} each)."
    title = f"{facts.dataset.name}: champion ({judgement.content['name']}), from the table to {model.target}"
    scale = heaviest.target
    then = "sigmoid" if scale.logistic else "exponential" if scale.log else ""
    columns = plots.encoded_columns(heaviest.columns)
    return plots.model_diagram(columns, layers, target=model.target, unit=model.unit, title=title, note=note, then=then)


def champion_line(feature: str, rows: ReportRows, facts: StudyFacts, judgement: Judgement, model: Model) -> Figure:
    """The champion's prediction over the only feature beside the least squares line, with all rows."""
    dataset, folds = rows.dataset, rows.split.folds
    test = rows.unseal()
    parts = {"training": folds[0].train, "validation": folds[0].val}
    if len(folds) > 1:
        parts = {"training and validation": np.unique(np.concatenate([fold.train for fold in folds]))}
    # Once the test rows are open, the curve may reach as far as they do.
    x = np.concatenate([_numbers(dataset.x.iloc[part], feature) for part in parts.values()] + [_numbers(test.x, feature)])
    x = x[np.isfinite(x)]
    places = np.linspace(x.min(), x.max(), PLACES) if len(x) else np.empty(0)
    grid = pd.DataFrame({feature: places})
    reference = facts.config.baselines.model_copy(update={"names": (facts.config.predicts.reference,)})
    refit = refit_rows(judgement.content["champion"], facts.config, dataset, rows.split)
    (line,) = run_baselines(reference, rows.prepared, grid, refit=refit)
    return plots.fitted_line(
        [
            (f"champion ({judgement.content['name']})", places, model.predict(grid)),
            ("least squares", places, line.test_prediction),
        ],
        [(name, _numbers(dataset.x.iloc[part], feature), dataset.y[part]) for name, part in parts.items()],
        test=(_numbers(test.x, feature), test.y),
        feature=feature,
        target=dataset.target,
        unit=dataset.unit,
        title=f"{dataset.name}: what the champion makes of {feature}",
    )


def _numbers(frame: pd.DataFrame, feature: str) -> np.ndarray:
    return frame[feature].to_numpy(dtype=np.float64, na_value=np.nan)
