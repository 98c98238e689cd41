"""What a record says: the facts a study's trials share, a trial with its result, and what makes a study this study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regsweep.config import StudyConfig, load_saved
from regsweep.data.features import Encoding
from regsweep.environment import Environment
from regsweep.predictor import unpack
from regsweep.tasks import REGRESSION
from regsweep.trial import FoldResult, Network, Rung, Scalar, State, TrialResult, TrialSpec, rung_from


@dataclass(frozen=True)
class DatasetFacts:
    """What a record keeps of its data set; `sha256` is the table's, see `Dataset.sha256`."""

    name: str
    target: str
    unit: str
    rows: int
    features: tuple[str, ...]
    licence: str
    source: str
    sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class StudyFacts:
    """What every record of a study shares."""

    study: str
    config: StudyConfig
    dataset: DatasetFacts
    environment: Environment

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "config": self.config.model_dump(mode="json"),
            "dataset": asdict(self.dataset),
            "environment": self.environment.to_json(),
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> StudyFacts:
        dataset = {
            **values["dataset"],
            "features": tuple(values["dataset"]["features"]),
            "notes": tuple(values["dataset"]["notes"]),
        }
        return StudyFacts(
            values["study"], load_saved(values["config"]), DatasetFacts(**dataset), Environment.from_json(values["environment"])
        )


@dataclass(frozen=True)
class Features:
    """What models of the study are made of besides weights, and the table's columns as (name, pandas type)."""

    encoding: Encoding
    columns: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {**self.encoding.to_json(), "columns": [list(column) for column in self.columns]}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Features:
        return Features(Encoding.from_json(values), tuple((name, kind) for name, kind in values["columns"]))


@dataclass(frozen=True)
class TrialRecord:
    """One trial as it is kept. `params` are the drawn hyperparameters, times are in milliseconds since 1970-01-01.

    `rung` is its place in Hyperband, if that proposed it.
    """

    facts: StudyFacts
    number: int
    params: Mapping[str, Scalar]
    result: TrialResult
    started: int
    finished: int
    rung: Rung | None = None

    @property
    def others(self) -> tuple[float, ...]:
        """The further objectives; () where there are none and for trials that are not complete."""
        values = (self.result.score(name) for name in self.facts.config.further_objectives)
        return tuple(value for value in values if value is not None)

    @property
    def origin(self) -> str:
        """Who proposed it: the user (`enqueued`) or a sampler, by name."""
        config = self.facts.config
        return "enqueued" if self.number < len(config.enqueue) else config.sampler.kind

    @property
    def objective(self) -> float | None:
        return self.result.final.get(self.facts.config.objective) if self.result.state is State.COMPLETE else None

    @property
    def ended_as(self) -> tuple[State, float | None, tuple[float, ...]]:
        """State and values: what a search is told first of all."""
        return self.result.state, self.objective, self.others

    def to_json(self) -> dict[str, Any]:
        """All but the networks' weights, as JSON values."""
        result = self.result
        return {
            "kind": "trial",
            "number": self.number,
            "origin": self.origin,
            "state": result.state.value,
            "cause": result.cause,
            "objective": self.objective,
            "others": dict(zip(self.facts.config.further_objectives, self.others, strict=False)),
            "params": dict(self.params),
            "rung": asdict(self.rung) if self.rung is not None else None,
            "spec": {key: value for key, value in asdict(result.spec.bare).items() if key != "start"},
            "trainer": result.trainer,
            "seconds": result.seconds,
            "started": self.started,
            "finished": self.finished,
            "final": result.final,
            "best": result.best,
            "folds": [
                {"kept_epoch": fold.kept_epoch, **dict(zip(result.task.curves, fold.curves.T.tolist(), strict=True))}
                for fold in result.folds
            ],
            **self.facts.to_json(),
        }

    @staticmethod
    def from_json(content: Mapping[str, Any], arrays: Mapping[str, Any]) -> TrialRecord:
        """Rebuild a record from its JSON form and its networks' packed weights."""
        facts = StudyFacts.from_json(content)
        task = facts.config.predicts
        folds = tuple(
            FoldResult(
                curves=np.array([[np.nan if v is None else v for v in fold[key]] for key in task.curves], dtype=np.float64).T,
                network=Network(*unpack(arrays, index, len(content["spec"]["widths"]) + 1)),
                kept_epoch=fold["kept_epoch"],
            )
            for index, fold in enumerate(content["folds"])
        )
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content["spec"].items()
        }
        state, seconds, trainer, cause = State(content["state"]), content["seconds"], content["trainer"], content["cause"]
        result = TrialResult(TrialSpec(**fields), state, folds, seconds, trainer, cause, task)
        number, params, rung = content["number"], content["params"], rung_from(content.get("rung"))
        return TrialRecord(facts, number, params, result, content["started"], content["finished"], rung)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, or that one of the two lacks, in order."""
    return [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def identity(config: StudyConfig, sha256: str) -> dict[str, Any]:
    """What makes a study this study: changing any of it changes its table of trials. Keys are dotted, for messages.

    Threads are part of it: sums over large batches are rounded in another order. `n_trials` and `budget` are not: a study that is
    extended equals one that was as long from the start.
    """
    values = config.model_dump(mode="json")
    parts: dict[str, Any] = {"dataset.sha256": sha256}
    for key in ("seed", "parallel_trials", "objective"):
        parts[key] = values[key]
    if config.task != REGRESSION.name:
        parts["task"] = config.task
    if config.further_objectives:
        parts["further_objectives"] = values["further_objectives"]
    if config.features.category == "one_hot":
        # Studies keep the names they had before there was another.
        del values["features"]["category"]
    if config.trainer.kind == "keras_fit":
        # It has no stacks that could be too large.
        del values["trainer"]["memory_gb"]
    for key, before in (("until", 1.0), ("stratify", False)):
        # Studies keep the names that they had before there were such keys.
        if values["split"].get(key) == before:
            del values["split"][key]
    if config.search.order != "fixed":
        # Nor is the default named: studies from before there was a choice keep their names.
        parts["search.order"] = config.search.order
    if config.trainer.backend == "tensorflow":
        # Studies from before there was a choice keep their names.
        del values["trainer"]["backend"]
    for group in ("split", "features", "sampler", "pruner", "trainer"):
        parts |= {f"{group}.{key}": value for key, value in values[group].items()}
    parts |= {f"dataset.{key}": values["dataset"][key] for key in ("target", "drop", "time", "group")}
    if values["enqueue"]:
        parts["enqueue"] = values["enqueue"]
    parts["space.per_layer_width"] = values["space"]["per_layer_width"]
    parts |= {f"space.per_layer_{name}": True for name in config.space.per_layer if name != "width"}
    parts |= {f"space.parameters.{name}": value for name, value in values["space"]["parameters"].items()}
    if config.space.function is not None:
        # What it was seen to draw from follows from these.
        parts |= {"space.function": config.space.function, "space.source": config.space.source}
    return parts


def study_name(config: StudyConfig, sha256: str) -> str:
    """The configured name, or one made of experiment, sampler, split, seed and a digest of the identity."""
    if config.study is not None:
        return config.study
    digest = hashlib.sha256(json.dumps(identity(config, sha256), sort_keys=True).encode()).hexdigest()[:6]
    return f"{config.experiment}-{config.sampler.kind}-{config.split.kind}-seed{config.seed}-{digest}"
