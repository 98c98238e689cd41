"""Copies a study's records into MLflow: one parent run per study, one child per trial and baseline, one for the champion.

Everything comes from the records on disk. Idempotent: a run is found by its study, kind and number before it is made, and
timestamps come from the record, so a replay changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from regsweep.book import RecordBook, judged_model, read_champion
from regsweep.errors import StorageError, UnreadableError
from regsweep.failpoints import reach
from regsweep.folder import read_content
from regsweep.pareto import front_of
from regsweep.paths import Workspace
from regsweep.predictor import Model
from regsweep.record import TrialRecord
from regsweep.sums import digest
from regsweep.tracking.content import RunContent, baseline_run, champion_key, champion_run, points_at, trial_run
from regsweep.tracking.database import Database, known_schema
from regsweep.tracking.entities import as_input, make_experiment, next_steps, study_params, user
from regsweep.tracking.kept_models import KeptModels
from regsweep.tracking.ledger import Child, Ended, Family, Ledger
from regsweep.tracking.moved import local_path
from regsweep.tracking.names import BOOK, ENDED, KIND, PARETO, STUDY
from regsweep.tracking.server import Server
from regsweep.tracking.store import find_runs, open_store, storage_errors
from regsweep.tracking.view import save_views, table_tag
from regsweep.trial import State, higher_is_better


class Recorder:
    """Writes the runs of one study. Raises StorageError where the store can't be used or a record can't be read."""

    def __init__(self, workspace: Workspace, book: RecordBook) -> None:
        self._book, self._facts, self._features = book, book.facts(), book.features()
        tracking = self._facts.config.tracking
        self._guard = partial(storage_errors, workspace, tracking.uri)
        self._client = open_store(workspace, tracking.uri)
        with self._guard():
            self._experiment = make_experiment(self._client, workspace, self._facts)
            save_views(self._client, self._experiment, self._facts.config)
            self._inputs = [as_input(self._facts.dataset, self._features.columns)]
            self._study = self._study_run()
        try:
            with self._guard():
                self._ledger = self._open_ledger(workspace)
                self._models = KeptModels(self._client, self._study, tracking.models, self._complete)
            self.refresh()
        except StorageError:
            # Nobody else has this recorder to end the run with.
            with suppress(StorageError):
                self.interrupt()
            raise

    @property
    def trials(self) -> int:
        """How many trials are recorded to their end."""
        return sum(kind == "trial" for kind, _ in self._ended)

    def missing(self) -> Iterator[int]:
        """Numbers of the trials that have a record and no ended run."""
        return (number for number in self._book.numbers() if ("trial", str(number)) not in self._ended)

    @property
    def study_run_id(self) -> str:
        return str(self._study.info.run_id)

    @property
    def experiment_id(self) -> str:
        return self._experiment

    def trial(self, number: int) -> None:
        """Record a trial."""
        record = self._record(number)
        model = self._model(record) if self._models.wants(number) else None
        self._child(trial_run(self._book, record, model))
        if model is not None:
            self._models.recorded(number)

    def judged(self, *, lead: bool = True, alive: Callable[[], None] = lambda: None) -> None:
        """Record baselines and champion, register its model, and end the parent run with report and verdict.

        Its version takes the alias `champion` if the study is to `lead`, or if nobody has it; `alive` is called now and then.
        """
        reach("mlflow/judging")
        for baseline in self._book.contents("baseline"):
            if ("baseline", baseline["name"]) not in self._ended:
                self._child(baseline_run(self._book, baseline))
                alive()
        self._keep_models(alive)
        self._mark_front()
        last = max((trial["finished"] for trial in self._book.contents("trial")), default=0)
        content = read_champion(self._book)
        if content is None:
            self._finish("No trial was completed.", {}, last)
            return
        champion = ("champion", champion_key(content))
        if champion not in self._ended:
            record = self._record(content["trial"]) if content.get("baseline") is None else None
            self._child(champion_run(self._book, record, content, judged_model(self._book)))
        with self._guard():
            # The alias belongs to the study that ended last.
            reach("mlflow/registering")
            self._register(self._ended[champion], lead=lead)
        values = {f"val/{name}": value for name, value in content["val"].items()}
        values |= {"trials": float(len(self._book.numbers())), "test_openings": float(len(content["openings"]))}
        self._finish(content["verdict"], values, max(last, content["finished"]))
        reach("mlflow/judged")

    def refresh(self) -> None:
        """Look again which runs are there; what was made from a record that has been made anew since then goes."""
        with self._guard():
            found = self._ledger.ended()
            for child in [child for child, ended in found.items() if self._is_stale(child, ended)]:
                self._ledger.remove(found.pop(child).run)
            self._ended = {child: ended.run for child, ended in found.items()}

    def remove(self, runs: Sequence[str]) -> None:
        """Remove child runs; what they were copied from is recorded again when it is asked for."""
        with self._guard():
            for run in runs:
                self._ledger.remove(run)
        if runs:
            self.refresh()

    def interrupt(self) -> None:
        """End the parent run as killed; a later call of the study takes it up again."""
        with self._guard():
            self._client.set_terminated(self.study_run_id, "KILLED")

    def _is_stale(self, child: Child, ended: Ended) -> bool:
        kind, key = child
        name = {"trial": f"trial-{key:0>5}", "baseline": f"baseline-{key}", "champion": "champion"}.get(kind, kind)
        place = self._book.folder / name
        if digest(place) in (None, ended.record):
            return False
        try:
            read_content(place)
        except UnreadableError:
            # Where the record is damaged, the run may hold its only copy.
            return False
        # The runs of earlier champions stay.
        return kind != "champion" or key == champion_key(read_champion(self._book) or {"trial": None, "openings": ()})

    def _open_ledger(self, workspace: Workspace) -> Ledger:
        commit = self._facts.environment.commit
        family = Family(
            experiment=self._experiment,
            artifacts=str(workspace.artifacts / self._facts.config.experiment),
            parent=self.study_run_id,
            tags={
                **_common_tags(self._facts.study),
                **self._mine(),
                **({"mlflow.source.git.commit": commit} if commit else {}),
            },
            user=user(),
        )
        if self._facts.config.tracking.uri is None and known_schema(workspace.mlflow_db):
            return Database(workspace.mlflow_db, family)
        return Server(self._client, family, self._inputs)

    def _child(self, content: RunContent) -> None:
        with self._guard():
            reach("mlflow/recording", content.key)
            self._ended[content.kind, content.key] = self._ledger.write(content)
            reach("mlflow/recorded", content.key)

    def _record(self, number: int) -> TrialRecord:
        record = self._book.trial(number)
        if record is None:
            # It may be about to be replaced.
            raise UnreadableError(f"{self._book.place(number)}: there is no record; run the study again")
        return record

    def _model(self, record: TrialRecord) -> Model | None:
        return self._features.encoding.model(record.result) if record.result.state is State.COMPLETE else None

    def _keep_models(self, alive: Callable[[], None]) -> None:
        """Trials that are to have a model now, and have none, get it; those that are no longer to have theirs lose it."""
        lacking, spare = self._models.settle(self._best)
        with self._guard():
            for number in lacking:
                record = self._record(number)
                self._ledger.put_model(self._ended["trial", str(number)], trial_run(self._book, record, self._model(record)))
                alive()
            for number in spare:
                self._ledger.drop_model(self._ended["trial", str(number)])
            self._models.settled()

    def _best(self, count: int) -> list[int]:
        scored = [content for content in self._book.contents("trial") if content["objective"] is not None]
        scored.sort(key=lambda content: content["objective"], reverse=higher_is_better(self._facts.config.objective))
        return [content["number"] for content in scored[:count]]

    def _complete(self) -> list[int]:
        return [content["number"] for content in self._book.contents("trial") if content["state"] == State.COMPLETE]

    def _mark_front(self) -> None:
        """Tag the runs of the trials on the Pareto front, and no others."""
        if len(self._facts.config.objectives) == 1:
            return
        front = front_of(self._book.contents("trial"), self._facts.config.objectives)
        wanted = {run for (kind, key), run in self._ended.items() if kind == "trial" and int(key) in front}
        with self._guard():
            found = find_runs(self._client, self._experiment, {PARETO: "true", **self._mine()})
            tagged = {run.info.run_id for run in found}
            for run in sorted(wanted - tagged):
                self._client.set_tag(run, PARETO, "true")
            for run in sorted(tagged - wanted):
                self._client.delete_tag(run, PARETO)

    def _finish(self, verdict: str, values: Mapping[str, float], finished: int) -> None:
        note = f"**{verdict}**\n\n{self._facts.config.question}"
        tags = {"regsweep.verdict": verdict, "mlflow.note.content": note} | table_tag("leaderboard.json")
        tags |= {ENDED: ended} if (ended := self._book.ended()) is not None else {}
        known = {name: value for name, value, _, _ in points_at(finished, values)}
        with self._guard():
            metrics = next_steps(self._client, self._client.get_run(self.study_run_id), known, finished)
            if (report := self._book.folder / "report").is_dir():
                self._remove_former_figures(report)
                self._client.log_artifacts(self.study_run_id, str(report))
            self._client.log_batch(self.study_run_id, metrics=metrics, tags=[RunTag(key, value) for key, value in tags.items()])
            self._client.set_terminated(self.study_run_id, "FINISHED", end_time=finished)

    def _remove_former_figures(self, report: Path) -> None:
        """What an earlier report had and this one has not would stand beside it; a server's artifacts stay."""
        if self._facts.config.tracking.uri is not None:
            return
        place = local_path(self._study.info.artifact_uri)
        now = {file.name for file in report.iterdir()}
        for file in (*place.glob("*.png"), place / self._book.insight.name):
            if file.name not in now:
                file.unlink(missing_ok=True)

    def _study_run(self) -> Run:
        facts = self._facts
        found = find_runs(self._client, self._experiment, {KIND: "study", **self._mine()})
        for double in found[1:]:
            # The client repeats a request whose answer was lost.
            self._client.delete_run(double.info.run_id)
        known = found[0] if found else None
        tags = {
            **_common_tags(facts.study),
            **self._mine(),
            KIND: "study",
            "mlflow.note.content": facts.config.question,
            "regsweep.dataset.sha256": facts.dataset.sha256,
            "regsweep.dataset.unit": facts.dataset.unit,
        }
        run = known or self._client.create_run(self._experiment, run_name=facts.study, tags=tags)
        # MLflow changes no parameter; a table may have been renamed since.
        missing = {key: value for key, value in study_params(facts).items() if key not in run.data.params}
        self._client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in missing.items()])
        self._client.log_inputs(run.info.run_id, datasets=self._inputs)
        content = facts.to_json()
        self._client.log_dict(run.info.run_id, content["config"], "config.yaml")
        self._client.log_dict(run.info.run_id, content["environment"], "environment.json")
        self._client.log_dict(run.info.run_id, content["dataset"], "dataset.json")
        if known is not None:
            self._client.update_run(known.info.run_id, "RUNNING")
        return run

    def _mine(self) -> dict[str, str]:
        """The tags that tell this study's runs from others'."""
        # Several folders may hold a study of that name; on a server they are told apart.
        tracking = self._facts.config.tracking
        return {STUDY: self._facts.study} | ({BOOK: self._book.id} if tracking.uri is not None else {})

    def _register(self, run_id: str, *, lead: bool) -> None:
        name = self._facts.config.experiment
        try:
            self._client.create_registered_model(name, description=self._facts.config.question)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        versions = self._client.search_model_versions(f"name = '{name}'")
        mine = next((version for version in versions if version.run_id == run_id), None)
        if mine is None:
            source = self._client.get_run(run_id).info.artifact_uri + "/model"
            mine = self._client.create_model_version(name, source, run_id, tags={STUDY: self._facts.study})
        if lead or "champion" not in self._client.get_registered_model(name).aliases:
            self._client.set_registered_model_alias(name, "champion", mine.version)


def _common_tags(study: str) -> dict[str, str]:
    return {STUDY: study, "mlflow.user": user(), "mlflow.source.name": "regsweep"}
