"""Copies a study's records into MLflow: one parent run per study, one child per trial and baseline, one for the champion.

Everything comes from the records on disk. Idempotent: a run is found by its study, kind and number before it is made, and
timestamps come from the record, so a replay changes nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag

from regsweep.book import RecordBook, read_champion
from regsweep.paths import Workspace
from regsweep.predictor import Model
from regsweep.record import TrialRecord
from regsweep.tracking.entities import as_input, champion_key, flat_intervals, make_experiment, metrics_at, study_params, user
from regsweep.tracking.models import write_model
from regsweep.tracking.store import KEY, KIND, STUDY, child_runs, find_run, open_store, storage_errors
from regsweep.tracking.view import as_table, color, save_views, table_tag
from regsweep.trial import CURVES, State

STATUS = {State.COMPLETE: "FINISHED", State.PRUNED: "KILLED", State.FAILED: "FAILED"}


class Recorder:
    """Writes the runs of one study. Raises StorageError where MLflow's store can't be used or a record can't be read."""

    def __init__(self, workspace: Workspace, book: RecordBook) -> None:
        self._workspace, self._book = workspace, book
        self._facts, self._features = book.facts(), book.features()
        self._client = open_store(workspace)
        with storage_errors(workspace):
            self._experiment = make_experiment(self._client, workspace, self._facts)
            save_views(self._client, self._experiment, self._facts.config)
            self._inputs = [as_input(self._facts.dataset, self._features.columns)]
            self._study = self._study_run()
            children = child_runs(self._client, self._experiment, self.study_run_id)
            self._known = {(run.data.tags[KIND], run.data.tags[KEY]): run for run in children}

    @property
    def trials(self) -> int:
        """How many trials are recorded to their end."""
        return sum(kind == "trial" and run.info.status != "RUNNING" for (kind, _), run in self._known.items())

    def missing(self) -> Iterator[int]:
        """Numbers of the trials that have a record and no finished run."""
        return (number for number in self._book.numbers() if not self.knows("trial", str(number)))

    def knows(self, kind: str, key: str) -> bool:
        """Tell whether a child run is recorded to its end; `key` is a trial's number or a baseline's name."""
        run = self._known.get((kind, key))
        return run is not None and run.info.status != "RUNNING"

    @property
    def study_run_id(self) -> str:
        return str(self._study.info.run_id)

    @property
    def experiment_id(self) -> str:
        return self._experiment

    def trial(self, number: int) -> None:
        """Record a trial: parameters, curves, final and best values, model, and the record itself."""
        record = self._book.trial(number)
        assert record is not None
        result = record.result
        metrics = [
            Metric(name, value, record.started + int((record.finished - record.started) * (step + 1) / len(result.curves)), step)
            for step, row in enumerate(result.curves.tolist())
            for name, value in zip(CURVES, row, strict=True)
        ]
        # The UI's compare page begins with the metric that was logged first.
        metrics.sort(key=lambda metric: metric.key != self._facts.config.objective)
        values = {f"final/{name}": value for name, value in result.final.items()}
        values |= {f"best/{name}": value for name, value in result.best.items()} | {"seconds": result.seconds}
        values["parameters"] = float(sum(fold.network.parameters for fold in result.folds[:1]))
        tags = {"regsweep.state": result.state.value, "regsweep.trainer": result.trainer, "mlflow.runColor": color(record.number)}
        if result.cause:
            tags["regsweep.cause"] = result.cause
        self._child(
            "trial",
            f"trial {record.number}",
            key=str(record.number),
            tags=tags,
            params=record.params,
            metrics=[*metrics, *metrics_at(record.finished, values)],
            times=(record.started, record.finished),
            status=STATUS[result.state],
            folders={"record": self._book.place(number)},
            model=self._features.encoding.model(result) if result.state is State.COMPLETE else None,
        )

    def judged(self) -> None:
        """Record baselines and champion, register its model, and end the parent run with report and verdict."""
        for baseline in self._book.contents("baseline"):
            self._baseline(baseline)
        last = max((trial["finished"] for trial in self._book.contents("trial")), default=0)
        content = read_champion(self._book)
        if content is None:
            self._finish("No trial was completed.", {}, last)
            return
        if not self.knows("champion", champion_key(content)):
            record = self._book.trial(content["trial"])
            assert record is not None
            self._champion(record, content)
        with storage_errors(self._workspace):
            # The alias belongs to the study that ended last.
            self._register(str(self._known["champion", champion_key(content)].info.run_id))
        values = {f"val/{name}": value for name, value in content["val"].items()}
        values |= {"trials": float(len(self._book.numbers())), "test_openings": float(len(content["openings"]))}
        self._finish(content["verdict"], values, max(last, content["finished"]))

    def _baseline(self, content: Mapping[str, Any]) -> None:
        name = content["name"]
        values = {f"val/{key}": value for key, value in content["val"].items()} | flat_intervals(content["test"])
        self._child(
            "baseline",
            name,
            key=name,
            tags={},
            params={"baseline": name, **content["parameters"]},
            metrics=metrics_at(content["finished"], values | {"seconds": content["seconds"]}),
            times=(content["started"], content["finished"]),
            status="FINISHED",
            folders={"record": self._book.folder / f"baseline-{name}"},
        )

    def _champion(self, record: TrialRecord, content: Mapping[str, Any]) -> None:
        book = self._book
        values = {f"val/{name.removeprefix('val/')}": v for name, v in record.result.final.items() if name.startswith("val/")}
        values |= flat_intervals(content["test"])
        self._child(
            "champion",
            f"champion (trial {record.number})",
            key=champion_key(content),
            tags={"regsweep.verdict": content["verdict"], "mlflow.note.content": content["verdict"]}
            | table_tag("differences.json"),
            params=record.params,
            metrics=metrics_at(content["finished"], values),
            times=(content["started"], content["finished"]),
            status="FINISHED",
            folders={"record": book.place(record.number), "champion": book.folder / "champion"},
            model=self._features.encoding.model(record.result),
            networks={place.stem: place for place in sorted(book.networks(record.number).glob("*.keras"))},
            differences=content["differences"],
        )

    def _finish(self, verdict: str, values: Mapping[str, float], finished: int) -> None:
        note = f"**{verdict}**\n\n{self._facts.config.question}"
        tags = {"regsweep.verdict": verdict, "mlflow.note.content": note} | table_tag("leaderboard.json")
        with storage_errors(self._workspace):
            self._client.log_artifacts(self.study_run_id, str(self._book.folder / "report"))
            self._client.log_batch(
                self.study_run_id, metrics=metrics_at(finished, values), tags=[RunTag(key, value) for key, value in tags.items()]
            )
            self._client.set_terminated(self.study_run_id, "FINISHED", end_time=finished)

    def interrupt(self) -> None:
        """End the parent run as killed; a later call of the study takes it up again."""
        with storage_errors(self._workspace):
            self._client.set_terminated(self.study_run_id, "KILLED")

    def _study_run(self) -> Run:
        facts = self._facts
        known = find_run(self._client, self._experiment, {KIND: "study", STUDY: facts.study})
        if known is not None:
            self._client.update_run(known.info.run_id, "RUNNING")
        run = known or self._client.create_run(
            self._experiment,
            run_name=facts.study,
            tags={
                **self._common_tags("study"),
                "mlflow.note.content": facts.config.question,
                "regsweep.dataset.sha256": facts.dataset.sha256,
                "regsweep.dataset.unit": facts.dataset.unit,
            },
        )
        self._client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in study_params(facts).items()])
        self._client.log_inputs(run.info.run_id, datasets=self._inputs)
        content = facts.to_json()
        self._client.log_dict(run.info.run_id, content["config"], "config.yaml")
        self._client.log_dict(run.info.run_id, content["environment"], "environment.json")
        self._client.log_dict(run.info.run_id, content["dataset"], "dataset.json")
        return run

    def _common_tags(self, kind: str) -> dict[str, str]:
        tags = {KIND: kind, STUDY: self._facts.study, "mlflow.user": user(), "mlflow.source.name": "regsweep"}
        commit = self._facts.environment.commit
        return tags | ({"mlflow.source.git.commit": commit} if commit else {})

    def _child(
        self,
        kind: str,
        name: str,
        *,
        key: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        metrics: list[Metric],
        times: tuple[int, int],
        status: str,
        folders: Mapping[str, Path],
        model: Model | None = None,
        networks: Mapping[str, Path] | None = None,
        differences: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        with storage_errors(self._workspace):
            known = self._known.get((kind, key))
            if known is not None and known.info.status != "RUNNING":
                return
            run = known or self._client.create_run(
                self._experiment,
                start_time=times[0],
                run_name=name,
                tags={**self._common_tags(kind), KEY: key, "mlflow.parentRunId": self.study_run_id, **tags},
            )
            run_id = str(run.info.run_id)
            self._client.log_batch(run_id, metrics=metrics, params=[Param(key, str(value)) for key, value in params.items()])
            self._client.log_inputs(run_id, datasets=self._inputs)
            for place, folder in folders.items():
                self._client.log_artifacts(run_id, str(folder), place)
            if differences:
                self._client.log_dict(run_id, as_table(differences), "differences.json")
            if model is not None:
                with tempfile.TemporaryDirectory() as temporary:
                    write_model(model, Path(temporary) / "model", networks=networks or {})
                    self._client.log_artifacts(run_id, str(Path(temporary) / "model"), "model")
            self._client.set_terminated(run_id, status, end_time=times[1])
            self._known[kind, key] = self._client.get_run(run_id)

    def _register(self, run_id: str) -> None:
        name = self._facts.config.experiment
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name, description=self._facts.config.question)
        versions = self._client.search_model_versions(f"name = '{name}'")
        mine = next((version for version in versions if version.run_id == run_id), None)
        if mine is None:
            source = self._client.get_run(run_id).info.artifact_uri + "/model"
            mine = self._client.create_model_version(name, source, run_id, tags={STUDY: self._facts.study})
        self._client.set_registered_model_alias(name, "champion", mine.version)
