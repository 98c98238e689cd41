"""What the child runs of a study say, made from records alone: the same record always gives the same run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regsweep.book import RecordBook
from regsweep.predictor import Model
from regsweep.record import TrialRecord
from regsweep.tracking.view import as_table, color, table_tag
from regsweep.trial import State

STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAILED: "FAILED"}

Point = tuple[str, float, int, int]
"""Of a metric: key, value, milliseconds since 1970-01-01, step."""


@dataclass(frozen=True)
class RunContent:
    """A child run as it is to stand in MLflow, ended.

    `key` is a trial's number, a baseline's name or a champion's trial (or baseline) and opening; (`kind`, `key`) occurs once in a
    study.
    `record` is the folder of the record that says all this.
    `folders` become artifacts under their keys, `tables` JSON artifacts; `networks` are put into the model.
    """

    kind: str
    key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    points: Sequence[Point]
    times: tuple[int, int]
    status: str
    record: Path
    folders: Mapping[str, Path]
    model: Model | None = None
    networks: Mapping[str, Path] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)


def trial_run(book: RecordBook, record: TrialRecord, model: Model | None) -> RunContent:
    """A trial: parameters, curves, final and best values, and the record itself."""
    result = record.result
    values = {f"final/{name}": value for name, value in result.final.items()}
    values |= {f"best/{name}": value for name, value in result.best.items()} | {"seconds": result.seconds}
    values["parameters"] = float(sum(fold.network.parameters for fold in result.folds[:1]))
    further = zip(record.facts.config.further_objectives, record.others, strict=False)
    values |= {name: value for name, value in further if name not in result.task.curves}
    tags = {
        "regsweep.state": result.state.value,
        "regsweep.trainer": result.trainer,
        "regsweep.origin": record.origin,
        "mlflow.runColor": color(record.number),
    }
    if result.cause:
        tags["regsweep.cause"] = result.cause
    return RunContent(
        kind="trial",
        key=str(record.number),
        name=f"trial {record.number}",
        tags=tags,
        params={**record.params, **_hyperband(record)},
        points=[*_curves(record), *points_at(record.finished, values)],
        times=(record.started, record.finished),
        status=STATUS[result.state],
        record=book.place(record.number),
        folders={"record": book.place(record.number)},
        model=model,
    )


def baseline_run(book: RecordBook, content: Mapping[str, Any]) -> RunContent:
    """A baseline with its scores on validation and test rows."""
    name = content["name"]
    values = {f"val/{key}": value for key, value in content["val"].items()} | _flat_intervals(content["test"])
    return RunContent(
        kind="baseline",
        key=name,
        name=name,
        tags={},
        params={"baseline": name, **content["parameters"]},
        points=points_at(content["finished"], values | {"seconds": content["seconds"]}),
        times=(content["started"], content["finished"]),
        status="FINISHED",
        record=book.folder / f"baseline-{name}",
        folders={"record": book.folder / f"baseline-{name}"},
    )


def champion_run(book: RecordBook, record: TrialRecord | None, content: Mapping[str, Any], model: Model | None) -> RunContent:
    """A champion with its scores on the test rows, its differences to the baselines, and the model that is registered.

    `record` is that of the leading trial; a baseline has none.
    """
    values = {f"val/{name}": value for name, value in content["val"].items()}
    values |= {f"optimism/{name}": value for name, value in content["optimism"].items()}
    baseline = content.get("baseline")
    folders, params = {"champion": book.folder / "champion"}, {"baseline": baseline, **content.get("parameters", {})}
    if record is not None:
        members = [number for number, _ in content["members"] if number != record.number]
        folders = {"record": book.place(record.number), **folders}
        folders |= {f"members/{book.place(number).name}": book.place(number) for number in members}
        params = dict(record.params)
    tags = {
        "regsweep.champion": content["champion"] if baseline is None else "baseline",
        "regsweep.verdict": content["verdict"],
        "mlflow.note.content": content["verdict"],
    }
    return RunContent(
        kind="champion",
        key=champion_key(content),
        name=f"champion ({content['name']})",
        tags=tags | (table_tag("differences.json") if content["differences"] else {}),
        params=params,
        points=points_at(content["finished"], values | _flat_intervals(content["test"])),
        times=(content["started"], content["finished"]),
        status="FINISHED",
        record=book.folder / "champion",
        folders=folders,
        model=model,
        networks={place.stem: place for place in sorted(book.networks(len(content["openings"])).glob("*.keras"))},
        tables={"differences.json": as_table(content["differences"])} if content["differences"] else {},
    )


def champion_key(content: Mapping[str, Any]) -> str:
    """A champion is what was scored at one opening of the test rows."""
    return f"{content.get('baseline') or content['trial']}/{len(content['openings'])}"


def points_at(timestamp: int, values: Mapping[str, float]) -> list[Point]:
    """Single values as metrics of step 0; undefined ones are left out."""
    return [(name, value, timestamp, 0) for name, value in values.items() if value is not None]


def _curves(record: TrialRecord) -> list[Point]:
    curves = record.result.curves
    each = (record.finished - record.started) / max(1, len(curves))
    times = [record.started + int(each * (step + 1)) for step in range(len(curves))]
    # The UI's compare page begins with the metric that was logged first.
    names = record.result.task.curves
    columns = sorted(range(len(names)), key=lambda column: names[column] != record.facts.config.objective)
    return [
        (names[column], value, time, step)
        for column in columns
        for step, (value, time) in enumerate(
            zip(curves[:, column].tolist(), times, strict=True), record.result.spec.initial_epoch
        )
    ]


def _hyperband(record: TrialRecord) -> dict[str, int]:
    """A trial's place in Hyperband; {} without one."""
    if (rung := record.rung) is None:
        return {}
    place = {"bracket": rung.bracket, "round": rung.round, "initial_epoch": record.result.spec.initial_epoch}
    place |= {"parent": rung.parent} if rung.parent is not None else {}
    return {f"hyperband/{key}": value for key, value in place.items()}


def _flat_intervals(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    # test/mae, test/mae/low, test/mae/high and so on
    return {
        f"test/{metric}{suffix}": interval[key]
        for metric, interval in scores.items()
        for key, suffix in (("value", ""), ("low", "/low"), ("high", "/high"))
    }
