"""What the commands show in the terminal."""

from __future__ import annotations

import shlex
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from rich.table import Table

from regsweep.book import RecordBook, read_champion
from regsweep.champion import best_trial
from regsweep.config import StudyConfig
from regsweep.config.schema import BudgetConfig
from regsweep.errors import ConfigError, NotReproducedError, RegsweepError, StorageError, UnreadableError
from regsweep.leaderboard import as_table, epochs_saved, leaderboard
from regsweep.paths import Workspace
from regsweep.record import StudyFacts, TrialRecord
from regsweep.tasks import METRICS
from regsweep.trial import State, higher_is_better
from regsweep.warm_start import with_best_of

if TYPE_CHECKING:
    from regsweep.fsck import Checked
    from regsweep.search.source import Told

# Columns from which the leaderboard shows hyperparameters.
WIDE = 160


# A finished study shows so many of its trials.
SHOWN = 60


class Bar:
    """Shows a study's progress: trials done, best objective, time."""

    def __init__(self, console: Console, config: StudyConfig) -> None:
        self._config, self._best, self.told = config, float("nan"), 0
        self._redone: set[int] = set()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
            console=console,
        )  # fmt: skip
        self._task = self._progress.add_task("trials", total=config.n_trials)
        self._recording: TaskID | None = None

    def begin(self, facts: StudyFacts, told: Sequence[Told]) -> None:
        self.told = len(told)
        for note in facts.dataset.notes:
            self._progress.console.print(f"note: {note}", style="yellow")
        rows = f"{facts.dataset.rows} rows, {len(facts.dataset.features)} features"
        self._progress.console.print(f"{facts.study}: {rows}")
        if told:
            self._progress.console.print(f"{len(told)} of {self._config.n_trials} trials are there already")
        for one in told:
            self._take(one.value)
        self._progress.update(self._task, completed=min(len(told), self._config.n_trials))
        self._progress.start()

    def redoing(self, numbers: Sequence[int]) -> None:
        self._redone = {*numbers}
        listed = ", ".join(map(str, numbers))
        self._progress.console.print(f"note: records that are missing or damaged are made again: trial {listed}", style="yellow")

    def trial(self, record: TrialRecord) -> None:
        self._take(record.objective)
        advance = 0 if record.number in self._redone else 1
        self._progress.update(self._task, advance=advance, description=f"best {self._config.objective} {self._best:,.4g}")

    def _take(self, value: float | None) -> None:
        if value is not None:
            better = max if higher_is_better(self._config.objective) else min
            self._best = value if self._best != self._best else better(self._best, value)

    def judging(self) -> None:
        self.close()

    def recording(self, done: int, of: int) -> None:
        if self._recording is None:
            self._progress.update(self._task, visible=False)
            self._recording = self._progress.add_task("copying records into MLflow", total=of)
            self._progress.start()
        self._progress.update(self._recording, completed=done)

    def close(self) -> None:
        """Stop drawing; a bar that never started has nothing to erase."""
        if self._progress.live.is_started:
            self._progress.stop()


def run_and_show(config: StudyConfig, began: float | None = None) -> int:
    """Run a study with a progress bar, then print leaderboard, verdict and where everything lies.

    `began`: `time.perf_counter()` when the study's time began, for estimates to be compared with.
    """
    began = time.perf_counter() if began is None else began
    from regsweep.planning.history import keep
    from regsweep.runner import warm_up
    from regsweep.study import gather, run_study

    console = plain_console()
    workspace = Workspace(Path(config.tracking.dir))
    config = with_best_of(config, workspace)
    warm_up(config)
    material = gather(config)
    bar = Bar(console, config)
    try:
        outcome = run_study(material, workspace, bar)
    finally:
        bar.close()
    _print_study(console, outcome.book, trials=SHOWN)
    ended = outcome.book.ended()
    if bar.told == 0 and not _by_budget(ended):
        keep(workspace, material.facts.study, config.n_trials, time.perf_counter() - began)
    if config.budget != BudgetConfig():
        console.print(f"the search was ended by {ended}")
    elif ended is not None and not ended.startswith("n_trials="):
        console.print(f"the search ended: {ended}")
    if outcome.judgement.note:
        console.print(f"note: {outcome.judgement.note}", style="yellow")
    if outcome.problem:
        console.print(f"note: {outcome.problem}", style="yellow", soft_wrap=True)
        console.print("note: nothing is lost; `regsweep sync` copies the records into MLflow when it works again", style="yellow")
    place, experiment = where(config), shlex.quote(config.experiment)
    lines = [
        ("records", str(outcome.book.folder)),
        ("plots, leaderboard", str(outcome.book.folder / "report")),
        ("MLflow", config.tracking.uri or f"{workspace.mlflow_db} and {workspace.artifacts}"),
        ("the study in the UI", _ui(config, outcome.experiment_id, place) if outcome.experiment_id else ""),
        ("leaderboard again", f"regsweep compare {experiment}{place}"),
        ("the model again", f"regsweep reproduce champion --experiment {experiment}{place}"),
        ("the model in Python", f'mlflow.set_tracking_uri("{config.tracking.uri or workspace.tracking_uri}")'),
        ("", f'mlflow.pyfunc.load_model("models:/{config.experiment}@champion").predict(table)'),
    ]
    for name, text in filter(lambda line: line[1], lines):
        console.print(f"{name + ':' if name else '':<21}{text}", soft_wrap=True)
    return 0


def show_leaderboard(workspace: Workspace, *, experiment: str | None, study: str | None, trials: int) -> None:
    """Print a study's leaderboard, and which other studies of the experiment there are."""
    console = plain_console()
    books = find_books(workspace, experiment)
    book = books[0]
    if study is not None:
        named = [book for book in books if book.folder.name == study]
        if not named:
            raise ConfigError(f"there is no study {study!r} here; known: {', '.join(b.folder.name for b in books)}")
        book = named[0]
    _print_study(console, book, trials=trials)
    others = [other.folder.name for other in books if other.folder != book.folder]
    if others:
        console.print(f"other studies: {', '.join(others)}", soft_wrap=True)


def show_studies(workspace: Workspace) -> None:
    """Print every study of the workspace with how far it is, the latest first."""
    table = Table("study", "experiment", "trials", "failed", "best", "state", box=None, pad_edge=False)
    for book in find_books(workspace, None):
        try:
            config, contents, champion = book.facts().config, list(book.contents("trial")), read_champion(book)
        except UnreadableError:
            table.add_row(book.folder.name, "", "", "", "", "damaged: see regsweep fsck")
            continue
        values = [content["objective"] for content in contents if content["objective"] is not None]
        best = (max if higher_is_better(config.objective) else min)(values, default=None)
        state = "running" if book.held() else "judged" if champion is not None else "unfinished"
        if state == "judged":
            state += _by_budget(book.ended())
        failed = sum(content["state"] == State.FAILED for content in contents)
        shown = "" if best is None else f"{config.objective} {best:,.4g}"
        table.add_row(book.folder.name, config.experiment, f"{len(contents)} of {config.n_trials}", str(failed), shown, state)
    plain_console().print(table)


def sync_and_show(workspace: Workspace, experiment: str | None) -> None:
    """Copy into MLflow what it lacks of the studies' records."""
    from regsweep.tracking.drain import sync

    console = plain_console()

    def copy(book: RecordBook) -> None:
        name = book.folder.name
        if book.held():
            console.print(f"{name}: is running, and recorded by its own run", soft_wrap=True)
        elif not book.begun:
            console.print(f"{name}: was written by an earlier version; run it again to record it", soft_wrap=True)
        else:
            with console.status(name) as status:
                count = sync(workspace, book, partial(_show_copied, status, name))
            console.print(f"{name}: {count} trials were missing in MLflow", soft_wrap=True)

    _each(list(reversed(find_books(workspace, experiment))), copy)


def _each(books: Sequence[RecordBook], action: Callable[[RecordBook], None]) -> None:
    """Do it to every study, whatever comes of the others. Raises what went wrong: one error alone as it is, else StorageError."""
    errors: list[tuple[RecordBook, RegsweepError]] = []
    for book in books:
        try:
            action(book)
        except RegsweepError as error:
            errors.append((book, error))
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        raise StorageError([f"{book.folder.name}: {problem}" for book, error in errors for problem in error.problems])


def _show_copied(status: Status, name: str, done: int) -> None:
    status.update(f"{name}: {done} trials copied")


def check_and_show(workspace: Workspace, study: str | None) -> int:
    """Print what is wrong with studies; returns the exit code."""
    from regsweep.fsck import check

    console = plain_console()
    checked = []
    for book in _named(workspace, study):
        if book.held():
            console.print(f"{book.folder.name}: is running; check it when it has ended", soft_wrap=True)
            continue
        checked.append(check(workspace, book))
        _print_checked(console, checked[-1], "; `regsweep repair` restores it")
    return int(any(one.findings for one in checked))


def repair_and_show(workspace: Workspace, study: str | None) -> int:
    """Repair studies and print what was done; returns the exit code of a check afterwards."""
    from regsweep.repair import repair

    console = plain_console()
    wrong = False

    def restore(book: RecordBook) -> None:
        nonlocal wrong
        if study is None and book.held():
            console.print(f"{book.folder.name}: is running; repair it when it has ended", soft_wrap=True)
            return
        checked = repair(workspace, book, partial(console.print, soft_wrap=True))
        _print_checked(console, checked, " are left: the same `regsweep run` makes again what is missing")
        wrong = wrong or bool(checked.findings)

    _each(_named(workspace, study), restore)
    return int(wrong)


def _named(workspace: Workspace, study: str | None) -> list[RecordBook]:
    books = find_books(workspace, None)
    named = [book for book in books if study in (None, book.folder.name)]
    if not named:
        raise ConfigError(f"there is no study {study!r} here; known: {', '.join(book.folder.name for book in books)}")
    return named


def _print_checked(console: Console, checked: Checked, advice: str) -> None:
    for finding in checked.findings:
        console.print(finding.text, soft_wrap=True)
    state = f"{checked.told} of {checked.n_trials} trials, {'judged' if checked.judged else 'not judged'}"
    state += _by_budget(checked.ended)
    found = f"{len(checked.findings)} problems" if checked.findings else "whole"
    console.print(f"{checked.study}: {state}: {found}{advice if checked.findings else ''}", soft_wrap=True)


def _by_budget(ended: str | None) -> str:
    """The name of the budget that ended a study before its last trial."""
    return f", ended by {ended.partition('=')[0]}" if ended is not None and ended.startswith("budget.") else ""


def reproduce_and_show(workspace: Workspace, target: str, *, experiment: str | None, tolerance: float) -> None:
    """Reproduce a run, print the answer and leave it on the run. Raises NotReproducedError if it differs."""
    from regsweep.reproduce import reproduce
    from regsweep.tracking.runs import Runs

    # A run can be reproduced without the records of its study.
    books = find_books(workspace, experiment) if workspace.records.is_dir() else []
    runs = Runs(workspace, books[0].facts().config.tracking.uri if books else None)
    if target == "champion":
        run = runs.champion(experiment or find_books(workspace, None)[0].facts().config.experiment)
    elif target == "best":
        book = find_books(workspace, experiment)[0]
        facts = book.facts()
        best = best_trial(book.trials(), facts.config.objective)
        if best is None:
            raise ConfigError(f"study {facts.study!r} has no complete trial")
        run = runs.trial(facts.config.experiment, facts.study, best.number)
    else:
        run = runs.by_id(target)
    console = plain_console()
    console.print(f"{run.info.run_name} of study {run.data.tags['regsweep.study']} (run {run.info.run_id})")
    with tempfile.TemporaryDirectory() as folder:
        answer = reproduce(runs.fetch(run, Path(folder)), tolerance=tolerance, announce=console.print)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    runs.tag(run, {"regsweep.reproduced": answer.sentence, "regsweep.reproduced.at": when})
    if not answer.reproduced:
        raise NotReproducedError(answer.sentence)
    console.print(answer.sentence)


def experiment_pages(workspace: Workspace, port: int) -> list[tuple[str, str]]:
    """Name and address in the UI of every experiment that has a view of ours, the youngest first."""
    query = """
        SELECT experiments.name, experiments.experiment_id FROM experiments JOIN experiment_tags USING (experiment_id)
        WHERE experiment_tags.key = 'mlflow.sharedViewState.regsweep' AND experiments.lifecycle_stage = 'active'
        ORDER BY experiments.experiment_id DESC
    """
    try:
        with closing(sqlite3.connect(workspace.mlflow_db)) as database:
            return [(name, _page(experiment, f"http://127.0.0.1:{port}")) for name, experiment in database.execute(query)]
    except sqlite3.Error:
        # The server says better what is wrong with its database, or brings an old one up to date.
        return []


def find_books(workspace: Workspace, experiment: str | None) -> list[RecordBook]:
    """The record books of an experiment (or all), the one written last first. Raises ConfigError where there are none."""
    books = [RecordBook(place.parent) for place in workspace.records.glob("*/study.json")]
    if not books:
        raise ConfigError(f"{workspace.records}: there are no studies here; run one first, or name the folder with --dir")
    if experiment is not None:
        known = {book.folder: facts.config.experiment for book in books if (facts := book.known_facts()) is not None}
        books = [book for book in books if known.get(book.folder) == experiment]
        if not books:
            raise ConfigError(f"there is no experiment {experiment!r} here; known: {', '.join(sorted(set(known.values())))}")
    return sorted(books, key=lambda book: book.folder.stat().st_mtime_ns, reverse=True)


def where(config: StudyConfig) -> str:
    """What a command has to be told where the workspace is not the usual one."""
    return "" if config.tracking.dir == "mlruns" else f" --dir {shlex.quote(config.tracking.dir)}"


def _ui(config: StudyConfig, experiment: str, place: str) -> str:
    if config.tracking.uri is not None:
        return _page(experiment, config.tracking.uri)
    return f"regsweep ui{place}, then {_page(experiment, 'http://127.0.0.1:5000')}"


def _page(experiment: object, server: str) -> str:
    # Without workflowType the UI opens a page about language models.
    view = "workflowType=machine_learning&viewStateShareKey=regsweep"
    return f"{server}/#/experiments/{experiment}/runs?{view}"


def plain_console() -> Console:
    """A console that takes what it prints as it is."""
    # Names of columns and files are data: no markup in them. Piped output has no width of its own; rich would cut it to 80.
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=WIDE)


def _print_study(console: Console, book: RecordBook, *, trials: int) -> None:
    facts, rows = book.facts(), leaderboard(book)
    task = facts.config.predicts
    done = [row for row in rows if row.name.startswith("trial ")]
    failed, pruned = (sum(row.state == state for row in done) for state in (State.FAILED, State.PRUNED))
    saved, total = epochs_saved(book) if pruned else (0, 0)
    below = [row for row in rows if row.kind == "trial"][trials:]
    hidden = sum(not row.pareto for row in below)
    title = (
        f"{facts.study}: {len(done)} trials"
        + (f", {failed} failed" if failed else "")
        + (f", {pruned} stopped early (saved {saved:,} of {total:,} epochs)" if pruned else "")
        + (f", {hidden} not shown" if hidden else "")
    )
    console.print(as_table(rows, unit=facts.dataset.unit, title=title, trials=trials, wide=console.width >= WIDE, task=task))
    champion = read_champion(book)
    if champion is not None:
        console.print(champion["verdict"], style="bold")
        if champion["optimism"][task.headline] is not None:
            reached, there = champion["val"][task.headline], champion["test"][task.headline]["value"]
            label = METRICS[task.headline].label
            values = f"the champion's {label} is {reached:.3f} on validation, which chose it, and {there:.3f} on test"
            console.print(f"Optimism {reached - there:+.3f}: {values}.")
