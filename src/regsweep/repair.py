"""Makes a study whole again after damage: its records first, then Optuna's database and MLflow from them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import chain, count
from pathlib import Path

from regsweep.book import RecordBook
from regsweep.champion import read_openings
from regsweep.errors import ConfigError, StorageError, UnreadableError
from regsweep.flight import told_by
from regsweep.folder import read_content, read_folder, read_json, tidy
from regsweep.fsck import Checked, check, damaged_folders
from regsweep.insight import read_insight
from regsweep.material import gather
from regsweep.paths import Workspace, read_only
from regsweep.record import Features, StudyFacts, identity
from regsweep.search import Told, kept_trials, open_search
from regsweep.study import train_lost
from regsweep.tracking.content import champion_key
from regsweep.tracking.drain import sync
from regsweep.tracking.inspection import inspect

Announce = Callable[[str], None]


def repair(workspace: Workspace, book: RecordBook, announce: Announce) -> Checked:
    """Restore what `check` complains of, and check again; where it has no complaint nothing is done.

    A damaged record comes back from its copy in MLflow, else the trial is trained again. Raises StorageError while a run of the
    study is at work, ConfigError where a trial would have to be trained again and its data have changed.
    """
    with book.locked(), book.untouched():
        before = check(workspace, book)
        if not before.findings:
            return before
        tidy(book.folder)
        for database in (workspace.optuna_db, workspace.mlflow_db):
            _set_aside(database, announce)
        facts = _restore_facts(book, announce)
        if (place := book.ending.place).is_file() and not _reads(read_json, place):
            # The same `regsweep run` writes anew what it says.
            place.unlink()
        foreign = _copy_back(workspace, book, facts, announce)
        for place, remedy in damaged_folders(book):
            shutil.rmtree(place)
            announce(f"{place}: was damaged; {remedy}")
        if book.insight.exists() and read_insight(book) is None:
            book.insight.unlink()
            announce(f"{book.insight}: was damaged; the same `regsweep run` makes it again")
        try:
            read_openings(book)
        except UnreadableError as error:
            announce(error.problems[0])
        _retell(workspace, book, announce)
        _train_lost(workspace, book, facts, announce)
        # What is recorded anew may leave artifacts of former runs over.
        for _ in range(2):
            wrong = {finding.run for finding in check(workspace, book).findings if finding.run is not None}
            sync(workspace, book, lambda _: None, remove=sorted({*wrong, *foreign}), lead=False)
            foreign = set()
        return check(workspace, book)


def _set_aside(database: Path, announce: Announce) -> None:
    """Rename a file that is no database: all of it that is ours is made anew."""
    try:
        if database.is_file():
            with closing(sqlite3.connect(read_only(database), uri=True)) as connection:
                connection.execute("SELECT count(*) FROM alembic_version")
                if (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {said}")
    except sqlite3.DatabaseError as error:
        if not any(said in str(error) for said in ("not a database", "malformed", "no such table")):
            # Locked, or not ours to read: nothing says that there is anything wrong with it.
            return
        names = chain([""], (f"-{number}" for number in count(2)))
        # An earlier one may still be wanted.
        aside = next(place for end in names if not (place := database.with_name(f"{database.name}.unusable{end}")).exists())
        for end in ("-wal", "-shm", ""):
            if (part := database.with_name(database.name + end)).exists():
                part.replace(aside.with_name(aside.name + end))
        announce(f"{database}: is no database of ours ({error}); it lies in {aside.name} now")


def _restore_facts(book: RecordBook, announce: Announce) -> StudyFacts:
    """What the study is; study.json and features.json are made anew if they are damaged."""
    facts = book.known_facts()
    if facts is None:
        raise StorageError(f"{book.folder}: neither study.json nor a trial's record can be read; nothing says what this study is")
    try:
        book.facts()
        book.features()
    except UnreadableError as error:
        announce(f"made anew: {error.problems[0]}")
        material = gather(facts.config, facts.environment, recorded=True)
        book.open(material.facts, Features(material.prepared.encoding, material.dataset.columns))
    return facts


def _copy_back(workspace: Workspace, book: RecordBook, facts: StudyFacts, announce: Announce) -> set[str]:
    """Take records that are missing or damaged from their copies in MLflow's artifacts.

    Of damaged ones without a copy those stay that can be trained again, until they have been; the others go.
    Returns the runs whose copies are another study's, that had this name before its records were taken away.
    """
    copies: dict[str, Path] = {}
    runs: dict[Path, str] = {}
    foreign: set[str] = set()
    for run in inspect(workspace, book, facts).children:
        kind, key = run.child
        if run.folder is not None and kind in ("trial", "baseline"):
            copies[f"trial-{int(key):05d}" if kind == "trial" else f"baseline-{key}"] = run.folder / "record"
        elif run.folder is not None and kind == "champion" and _is_latest(book, run.folder / "champion", key):
            copies["champion"] = run.folder / "champion"
        if run.folder is not None:
            runs[run.folder] = run.id
    # MLflow keeps the runs of baselines that the champion is no longer compared with.
    wanted = _compared(book)
    copies = {name: copy for name, copy in copies.items() if wanted is None or not name.startswith("baseline-") or name in wanted}
    told = {book.place(slot.number).name for slot in kept_trials(workspace, facts.study) if slot is not None}
    places = [place for pattern in ("trial-*", "baseline-*", "champion") for place in book.folder.glob(pattern)]
    for name in sorted({*copies, *(place.name for place in places)}):
        place = book.folder / name
        if _reads(read_folder, place):
            continue
        copy = copies.get(name)
        if copy is not None and not _reads(read_folder, copy):
            copy = None
        if copy is not None and not _is_of(facts, copy):
            foreign.add(runs[copy.parent])
            copy = None
        if copy is not None or name not in told:
            shutil.rmtree(place, ignore_errors=True)
        if copy is not None:
            shutil.copytree(copy, place)
            announce(f"{place}: copied back from MLflow's artifacts")
    return foreign


def _compared(book: RecordBook) -> set[str] | None:
    """The records of the baselines that the last opening of the test rows was for; None where nothing says."""
    try:
        openings = read_openings(book)
    except UnreadableError:
        return None
    return {f"baseline-{name}" for name in openings[-1]["baselines"]} if openings else None


def _is_of(facts: StudyFacts, copy: Path) -> bool:
    """Whether a record is of the study of these facts."""
    try:
        theirs = StudyFacts.from_json(read_content(copy))
    except (ConfigError, KeyError, TypeError):
        # Of another version: what is wrong with it is told when it is read.
        return True
    return identity(theirs.config, theirs.dataset.sha256) == identity(facts.config, facts.dataset.sha256)


def _is_latest(book: RecordBook, copy: Path, key: str) -> bool:
    try:
        content, _ = read_folder(copy)
        openings = read_openings(book)
    except UnreadableError:
        return False
    return champion_key(content) == key and len(content["openings"]) >= len(openings)


def _train_lost(workspace: Workspace, book: RecordBook, facts: StudyFacts, announce: Announce) -> None:
    search = open_search(workspace, facts.study, facts.config)
    lost = {told.number: told for told in search.told() if book.whole(told.number) is None}
    if not lost:
        return
    announce(f"trained again: trial {', '.join(map(str, lost))}")
    material = gather(facts.config)
    book.hold_to(material.facts)
    train_lost(material, search, book)
    for number, told in lost.items():
        record = book.whole(number)
        if record is not None and record.ended_as != told.ended_as:
            announce(f"trial {number}: came out as {record.objective!r}, was {told.value!r}: packages or machine have changed")
    _retell(workspace, book, announce)


def _retell(workspace: Workspace, book: RecordBook, announce: Announce) -> None:
    """Have Optuna's database say what the records say, and as much of what it alone knows as leaves no gap."""
    facts = book.facts()
    kept = kept_trials(workspace, facts.study)
    known = {told.number: told for told in kept if told is not None}
    for record in filter(None, map(book.whole, book.numbers())):
        known[record.number] = told_by(record)
    slots: list[Told] = []
    while len(slots) in known:
        slots.append(known[len(slots)])
    if len(slots) != len(kept) or not all(_says(told, slot) for told, slot in zip(kept, slots, strict=True)):
        announce("Optuna's database is written anew from the records")
        open_search(workspace, facts.study, facts.config).restore(slots)


def _says(kept: Told | None, slot: Told) -> bool:
    if kept is None:
        return False
    if (kept.value, kept.others, kept.reports, kept.rung) != (slot.value, slot.others, slot.reports, slot.rung):
        return False
    return (kept.number, kept.state) == (slot.number, slot.state) and kept.params.items() <= dict(slot.params).items()


def _reads(read: Callable[[Path], object], place: Path) -> bool:
    try:
        read(place)
    except UnreadableError:
        return False
    return True
