"""Makes a study whole again after damage: its records first, then Optuna's database and MLflow from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from regsweep.book import RecordBook, read_trial
from regsweep.errors import UnreadableError
from regsweep.folder import tidy
from regsweep.fsck import Checked, check
from regsweep.paths import Workspace
from regsweep.search import Search, Told, kept_trials
from regsweep.study import gather, train_lost
from regsweep.tracking.drain import sync
from regsweep.tracking.inspection import inspect


def repair(workspace: Workspace, book: RecordBook, announce: Callable[[str], None]) -> Checked:
    """Restore what `check` complains of, and check again.

    A damaged record comes back from its copy in MLflow, else it is trained again. Raises StorageError while a run of the study
    is at work, DataError where a trial has to be trained again and its data have changed.
    """
    facts = book.facts()
    with book.locked():
        found = check(workspace, book).findings
        tidy(book.folder)
        copies = {run.tags["regsweep.key"]: run.folder for run in inspect(workspace, facts).children if run.child[0] == "trial"}
        for number in [number for number in book.numbers() if book.whole(number) is None]:
            place = book.place(number)
            shutil.rmtree(place)
            source = copies.get(str(number))
            if source is not None and _is_whole(source / "record"):
                shutil.copytree(source / "record", place)
                announce(f"{place}: copied back from MLflow's artifacts")
        _retell(workspace, book, announce)
        search = Search(workspace, facts.study, facts.config)
        if lost := [told.number for told in search.told() if book.whole(told.number) is None]:
            announce(f"trained again: trial {', '.join(map(str, lost))}")
            train_lost(gather(facts.config), search, book)
            _retell(workspace, book, announce)
        if any(finding.record == "champion" for finding in found):
            announce("champion or baselines are damaged: the same `regsweep run` scores them again")
        # What is recorded anew may leave artifacts of former runs over.
        for _ in range(2):
            wrong = {finding.run for finding in check(workspace, book).findings if finding.run is not None}
            sync(workspace, book, lambda _: None, remove=sorted(wrong))
        return check(workspace, book)


def _retell(workspace: Workspace, book: RecordBook, announce: Callable[[str], None]) -> None:
    """Have Optuna's database say what the records say, and as much of what it alone knows as leaves no gap."""
    facts = book.facts()
    kept = kept_trials(workspace, facts.study)
    known = {told.number: told for told in kept if told is not None}
    for record in filter(None, map(book.whole, book.numbers())):
        known[record.number] = Told(record.number, record.result.state, record.objective, record.params)
    slots: list[Told] = []
    while len(slots) in known:
        slots.append(known[len(slots)])
    if [_slot(told) for told in slots] != [_slot(told) for told in kept]:
        announce("Optuna's database is written anew from the records")
        Search(workspace, facts.study, facts.config).restore(slots)


def _slot(told: Told | None) -> tuple[object, ...]:
    return () if told is None else (told.number, told.state, told.value)


def _is_whole(place: Path) -> bool:
    try:
        read_trial(place)
    except UnreadableError:
        return False
    return True
