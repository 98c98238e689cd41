"""Runs one study per split, or goes on with them.

In: a study's config and how many splits. Out: `Repeats`. Main calls: `repeat_splits`, and `repeat` for given configs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from regsweep.book import RecordBook
from regsweep.champion import read_openings, scored_before
from regsweep.config import StudyConfig, compose
from regsweep.config.repeats import splits_of
from regsweep.config.split import TimeOrderedSplit
from regsweep.data import load_dataset, make_split, undefined_objective
from regsweep.data.split import rows_used
from regsweep.errors import ConfigError, DataError, StorageError, TooManyFailuresError, UnreadableError
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.record import study_name
from regsweep.repeats.comparison import Repeats
from regsweep.repeats.reading import read_repeats, split_words
from regsweep.study import Unwatched, Watcher, run_study
from regsweep.tracking.drain import sync


class SplitsWatcher(Watcher, Protocol):
    """What repeated splits tell whoever looks on, besides what each study does."""

    def split(self, position: int, study: str, *, done: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def problem(self, text: str) -> None: ...


class Unattended(Unwatched):
    """A watcher that looks away."""

    def split(self, position: int, study: str, *, done: bool) -> None: ...

    def note(self, text: str) -> None: ...

    def problem(self, text: str) -> None: ...


def repeat_splits(
    config: StudyConfig | Sequence[str],
    *,
    splits: int = 10,
    workspace: Path | Workspace | None = None,
    watcher: SplitsWatcher | None = None,
) -> Repeats:
    """Run a study, given by its config or by overrides as for `regsweep run`, once for each of several splits.

    What is there already is not run again. `workspace`: default is `tracking.dir`. Raises what `compose` and `run_study` raise.
    """
    if not isinstance(config, StudyConfig):
        (config,) = compose(config)
    if not isinstance(workspace, Workspace):
        workspace = Workspace(workspace or Path(config.tracking.dir))
    return repeat(splits_of(config, splits), workspace, watcher or Unattended())


def repeat(configs: Sequence[StudyConfig], workspace: Workspace, watcher: SplitsWatcher) -> Repeats:
    """Run or go on with studies that differ in their split; when all are judged, copy them into MLflow and read them.

    Searches are nested: each sees only its own split's rows outside the test part. Raises what `run_study` raises, and before
    anything runs DataError if a split has too few rows, or leaves an objective undefined, ConfigError if two have the same rows.
    """
    dataset = load_dataset(configs[0].dataset, configs[0].predicts)
    if isinstance(configs[0].split, TimeOrderedSplit):
        origins = {rows_used(config.split, dataset.rows) for config in configs}
        if len(origins) < len(configs):
            raise ConfigError(
                f"--splits: of {len(configs)} origins in {dataset.rows:,} rows only {len(origins)} differ; set --splits "
                f"{max(2, len(origins) // 2)}"
            )
    for config in configs:
        if problem := undefined_objective(config.objectives, make_split(config.split, dataset), dataset):
            raise DataError(f"{split_words(config)}: {problem}")
    books = [RecordBook(workspace.records / study_name(config, dataset.sha256)) for config in configs]
    for position, (config, book) in enumerate(zip(configs, books, strict=True)):
        done = _is_done(book, config)
        watcher.split(position, book.folder.name, done=done)
        if not done:
            try:
                run_study(gather(config), workspace, watcher, bare=True)
            except TooManyFailuresError as error:
                raise TooManyFailuresError([f"{book.folder.name} ({split_words(config)}):", *error.problems]) from error
        if (note := book.ending.note()) is not None:
            watcher.note(f"{split_words(config)}: {note}")
        if (there := len(book.numbers())) > config.n_trials:
            watcher.note(f"{split_words(config)}: its study has {there} trials, more than n_trials={config.n_trials}")
    leads = len(books) - 1 if isinstance(configs[0].split, TimeOrderedSplit) else 0
    _copy(books, leads, workspace, watcher)
    # To other commands the configured split's study is the one that ran last.
    books[leads].touch()
    return read_repeats(books)


def _is_done(book: RecordBook, config: StudyConfig) -> bool:
    """Whether the study has been judged just as it is configured now."""
    try:
        if not book.begun or _as_composed(book.facts().config) != _as_composed(config):
            return False
        scored = scored_before(book, config, read_openings(book)) is not None
        return scored and book.ending.settled() and book.ended_as_asked()
    except UnreadableError:
        return False


def _as_composed(config: StudyConfig) -> StudyConfig:
    """Without what a function was seen to draw."""
    return config.model_copy(update={"space": config.space.model_copy(update={"found": {}, "always": ()})})


def _copy(books: Sequence[RecordBook], leads: int, workspace: Workspace, watcher: SplitsWatcher) -> None:
    """Copy all studies into MLflow, in this process: one for each would take seconds of starting for every split.

    The alias goes to the champion of the study that leads.
    """
    total, before = sum(len(book.numbers()) for book in books), 0
    for position, book in enumerate(books):

        def copied(done: int, start: int = before) -> None:
            watcher.recording(start + done, total)

        try:
            sync(workspace, book, copied, lead=position == leads)
        except StorageError as error:
            watcher.problem(error.problems[0])
            return
        before += len(book.numbers())
        watcher.recording(before, total)
