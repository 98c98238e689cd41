"""The openings of the test rows: each is on disk before a row of them is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regsweep.book import RecordBook
from regsweep.errors import UnreadableError
from regsweep.failpoints import reach
from regsweep.folder import read_content


def write_openings(book: RecordBook, openings: list[dict[str, Any]]) -> None:
    """Keep the openings; they are durable when this returns."""
    reach("judge/opening")
    book.write("test-openings", {"kind": "test-openings", "openings": openings}, {})
    reach("judge/opened")


def read_openings(book: RecordBook) -> list[dict[str, Any]]:
    """Every opening of the test rows, first to last: for which champion and which baselines, when.

    They stand in two records, of which one is restored from the other. Raises UnreadableError where both are gone.
    """
    kept, scored = (_openings_in(book.folder / name) for name in ("test-openings", "champion"))
    known = max(kept, scored, key=len)
    if not known and (scores := book.scored()):
        raise UnreadableError(
            f"{scores[0]}: the test rows have been opened, but the record of when and for what is lost; "
            f"restore {book.folder / 'test-openings'}, or begin another study with study=NAME"
        )
    if known != kept:
        book.write("test-openings", {"kind": "test-openings", "openings": known}, {})
    return known


def _openings_in(place: Path) -> list[dict[str, Any]]:
    try:
        return list(read_content(place)["openings"])
    except UnreadableError:
        return []
