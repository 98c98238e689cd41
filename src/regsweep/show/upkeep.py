"""What `regsweep sync`, `fsck` and `repair` show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status

from regsweep.book import RecordBook
from regsweep.errors import ConfigError, RegsweepError, StorageError
from regsweep.paths import Workspace
from regsweep.show.console import by_budget, find_books, plain_console, where_in

if TYPE_CHECKING:
    from regsweep.fsck import Checked


def sync_and_show(workspace: Workspace, experiment: str | None) -> None:
    """Copy into MLflow what it lacks of the studies' records."""
    from regsweep.tracking.drain import sync

    console = plain_console()

    def copy(book: RecordBook) -> None:
        name = book.folder.name
        if book.held():
            console.print(f"{name}: is running; its own run records it, or sync it when that has ended", soft_wrap=True)
        elif not book.begun:
            console.print(f"{name}: was written by an earlier version; run it again to record it", soft_wrap=True)
        else:
            # To other commands it did not run now.
            with book.untouched(), console.status(name) as status:
                count = sync(workspace, book, partial(_show_copied, status, name))
            console.print(f"{name}: {count} trials were missing in MLflow", soft_wrap=True)

    _each(list(reversed(find_books(workspace, experiment))), copy)


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
        _print_checked(console, checked[-1], f"; `regsweep repair{where_in(workspace)}` restores it")
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
    state += by_budget(checked.ended)
    found = f"{len(checked.findings)} problems" if checked.findings else "whole"
    console.print(f"{checked.study}: {state}: {found}{advice if checked.findings else ''}", soft_wrap=True)


def _show_copied(status: Status, name: str, done: int) -> None:
    status.update(f"{name}: {done} trials copied")
