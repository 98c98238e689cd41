"""How a study shows in MLflow's UI: saved views of the runs page (columns, order, charts), colours, tables.

`.../runs?viewStateShareKey=regsweep` opens the trials, `...=regsweep-judged` champion and baselines; the page's menu `Views`
names both. A view is a tag of the experiment, in a format of MLflow's own (seen in 3.17): an envelope with a name, a time and
the state as JSON text. A UI that does not understand it shows its default page.
"""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient

from regsweep.config import StudyConfig
from regsweep.config.parameters import Fixed, Parameter
from regsweep.config.space import keys
from regsweep.tracking.names import KIND, PARETO, STUDY
from regsweep.trial import higher_is_better

TRIALS, JUDGED = "regsweep", "regsweep-judged"
_TAG = "mlflow.sharedViewState."


def save_views(client: MlflowClient, experiment: str, config: StudyConfig) -> None:
    """Set both views on the experiment, made for the hyperparameters and the objective of this study."""
    known = client.get_experiment(experiment)
    views = {TRIALS: ("Trials", _trials(config)), JUDGED: ("Champion and baselines", _judged(config))}
    # The menu shows the youngest first.
    for age, (key, (name, state)) in enumerate(views.items()):
        value = json.dumps({"name": name, "createdAt": (known.creation_time or 0) - age, "state": json.dumps(state)})
        if known.tags.get(_TAG + key) != value:
            client.set_experiment_tag(experiment, _TAG + key, value)


def color(number: int) -> str:
    """The colour of a trial in charts: hues a golden angle apart, where the UI's own are often alike."""
    red, green, blue = colorsys.hls_to_rgb(number * 0.618034 % 1, (0.3, 0.45, 0.6, 0.38, 0.53)[number % 5], 0.65)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def as_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of a JSON artifact that shows as a table; the UI takes no NaN."""
    cells = [[None if isinstance(value, float) and math.isnan(value) else value for value in row.values()] for row in rows]
    return {"columns": list(rows[0]), "data": cells}


def table_tag(artifact: str) -> dict[str, str]:
    """The tag of a run that says which of its artifacts is a table."""
    return {"mlflow.loggedArtifacts": json.dumps([{"path": artifact, "type": "table"}])}


def _trials(config: StudyConfig) -> dict[str, Any]:
    """Every trial, best first; curves of the first ten, parallel coordinates of all."""
    objective, metrics = f"final/{config.objective}", config.predicts.metrics
    scores = [objective, *(f"final/val/{name}" for name in metrics if f"val/{name}" != config.objective)]
    columns = [_column("metrics", name, 120) for name in scores]
    if config.further_objectives:
        columns += [_column("metrics", _logged(name), 110) for name in config.further_objectives if _logged(name) not in scores]
        columns += [_column("tags", PARETO, 90)]
    columns += [_column("params", name, 110) for name in _names(config)]
    columns += [_column("metrics", "seconds", 90), _column("tags", "regsweep.state", 120), _column("tags", STUDY, 260)]
    axes = _axes(config)
    return {
        "searchFilter": f"tags.`{KIND}` = 'trial'",
        **_order(objective),
        **_table(columns),
        "compareRunCharts": [
            *(_curve(f"{part}/{name}") for part in ("val", "train") for name in metrics),
            *(_parallel(title, parameters, objective) for title, parameters in axes.items()),
        ],
        **_sections(
            _section("val"),
            *(_section(title, columns=1, cardHeight=420) for title in axes),
            _section("train"),
            *(_section(name, display=False) for name in ("final/val", "final/train", "best/val", "best/train", "Model metrics")),
        ),
    }


def _logged(objective: str) -> str:
    """The metric of a trial's run that is an objective."""
    return f"final/{objective}" if objective.startswith("val/") else objective


def _judged(config: StudyConfig) -> dict[str, Any]:
    """What is no trial: studies with their reports, champions, baselines, and how they do on the test rows."""
    task = config.predicts
    columns = [_column("tags", KIND, 120), *(_column("metrics", f"val/{name}", 90) for name in task.metrics)]
    columns += [_column("metrics", f"test/{task.verdict}{end}", 110) for end in ("", "/low", "/high")]
    others = (f"test/{name}" for name in task.scores if name not in (task.verdict, "mse"))
    columns += [_column("metrics", name, 90) for name in (*others, "seconds")]
    columns += [_column("tags", "regsweep.verdict", 400), _column("tags", STUDY, 260)]
    intervals = (f"test/{name}" for name in task.scores)
    return {
        "searchFilter": f"tags.`{KIND}` != 'trial'",
        **_order(config.objective),
        **_table(columns),
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [],
        **_sections(
            _section("test"), _section("val"), *(_section(name, display=False) for name in (*intervals, "Model metrics"))
        ),
    }


def _order(metric: str) -> dict[str, Any]:
    return {"orderByKey": f"metrics.`{metric}`", "orderByAsc": not higher_is_better(metric)}


def _column(kind: str, name: str, width: int) -> tuple[str, int]:
    return f"{kind}.`{name}`", width


def _table(columns: list[tuple[str, int]]) -> dict[str, Any]:
    names = [name for name, _ in columns]
    return {"selectedColumns": names, "columnOrder": names, "columnWidths": dict(columns)}


def _sections(*sections: dict[str, Any]) -> dict[str, Any]:
    """Charts that are not given are the UI's: it draws each metric, in the section named as the metric's prefix."""
    return {"compareRunSections": list(sections), "isAccordionReordered": True}


def _section(name: str, *, display: bool = True, **layout: int) -> dict[str, Any]:
    return {"uuid": name, "name": name, "display": display, "isReordered": False, **layout}


def _curve(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "uuid": metric,
        "metricSectionId": metric.partition("/")[0],
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric,
        # The first epochs are far off; on a linear scale the last ones could not be told apart.
        "scaleType": "linear" if higher_is_better(metric) else "log",
        "xAxisKey": "step",
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "displayPoints": False,
        "deleted": False,
        "isGenerated": False,
    }


def _parallel(section: str, parameters: list[str], objective: str) -> dict[str, Any]:
    return {
        "type": "PARALLEL",
        "uuid": f"{section}/parallel",
        "metricSectionId": section,
        "selectedParams": parameters,
        "selectedMetrics": [objective],
        "showAllRuns": True,
        "deleted": False,
        "isGenerated": False,
    }


def _names(config: StudyConfig) -> list[str]:
    """Hyperparameters as trials log them."""
    if config.space.function is not None:
        return list(config.space.found)
    deepest = max(int(value) for value in config.space.parameters["depth"].values())
    return [key for name in config.space.parameters for key in keys(config.space, name, deepest)]


def _axes(config: StudyConfig) -> dict[str, list[str]]:
    """Hyperparameters that vary, per plot: those of every trial, and all; a plot leaves out trials that lack one of its axes."""
    if config.space.function is not None:
        return _plots(list(config.space.always), list(config.space.found))
    varying = {name: parameter for name, parameter in config.space.parameters.items() if _varies(parameter)}
    always = [name for name, parameter in varying.items() if parameter.when is None and name not in config.space.per_layer]
    every = [key for name in varying for key in keys(config.space, name, 1)]
    return _plots(always, every)


def _plots(always: list[str], every: list[str]) -> dict[str, list[str]]:
    plots = {"Every trial: hyperparameters and objective": always}
    if len(always) < len(every):
        plots["Trials that have all hyperparameters"] = every
    return {title: names for title, names in plots.items() if names}


def _varies(parameter: Parameter) -> bool:
    return not isinstance(parameter, Fixed) and len(set(parameter.values())) > 1
