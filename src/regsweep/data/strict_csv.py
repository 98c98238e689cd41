"""Reads CSV strictly: what is not plainly a table is refused with its line, and nothing is guessed.

In: bytes, a name to report, the separator. Out: a frame as pandas parses it, and the line on which each row begins. Main call:
`parse_csv`. The csv module judges the structure (it keeps line numbers and never shifts names), then pandas parses.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.errors import ConfigError, DataError
from regsweep.predictor import MISSING, blank

if TYPE_CHECKING:
    from _csv import Reader

SHOWN = 5  # problems of one sort that are listed one by one

NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"

_SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}


def parse_csv(data: bytes, name: str, separator: str) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Parse the bytes of a CSV, without a BOM: columns of numbers, booleans and texts, and the lines of the rows, shape (n,).

    Raises DataError with every problem of the structure, ConfigError for a bad separator.
    """
    if not separator.isascii() or separator in '"\r\n':
        raise ConfigError(f"dataset.separator must be an ASCII character, not a quote or line end, but got {separator!r}")
    _check_text(data, name)
    reader = _reader(data, separator)
    try:
        header = next(reader)
        widths = Counter(map(len, reader))
        whole = set(widths) <= {0, len(header)}
    except csv.Error:
        header, whole = [], False
    if not whole or len(header) == 1 or len(set(header)) < len(header) or not all(map(str.strip, header)):
        _check_structure(data, name, separator)
    rows = widths[len(header)]
    if not rows:
        raise DataError(f"{name}:1: has column names ({', '.join(map(repr, header[:SHOWN]))}) and no rows; add rows")
    lines = np.arange(2, rows + 2)
    if reader.line_num != rows + 1:
        lines = np.fromiter((line for line, fields in _records(data, separator) if fields), np.int64, rows + 1)[1:]
    # pandas numbers and skips lines otherwise than csv does where lines are blank or end in a lone CR.
    if widths[0] or b"\r" in data.replace(b"\r\n", b""):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows(row for row in _reader(data, separator) if row)
        data = text.getvalue().encode()
    frame = pd.read_csv(
        io.BytesIO(data), sep=separator, na_values=list(MISSING), keep_default_na=False, skip_blank_lines=False, low_memory=False
    )
    assert len(frame) == rows, f"{name}: csv sees {rows} rows, pandas {len(frame)}"
    return pd.DataFrame({column: _unread_numbers(frame[column]) for column in header}), lines


def _check_text(data: bytes, name: str) -> None:
    at, what = data.find(b"\0"), "is NUL; the file is damaged, binary or UTF-16"
    if at < 0:
        try:
            data.decode("utf-8")
            return
        except UnicodeDecodeError as error:
            at, what = error.start, f"is 0x{data[error.start]:02x}, which is no UTF-8; save the file as UTF-8"
    ends = [end.end() for end in re.finditer(rb"\r\n|\r|\n", data[:at])]
    begin = ends[-1] if ends else 0
    near = data[max(begin, at - 12) : at + 12].decode("cp1252", errors="replace").splitlines()[0]
    raise DataError(f"{name}:{len(ends) + 1}: byte {at - begin + 1} of the line {what} (Windows-1252 reads {near!r})")


def _reader(data: bytes, separator: str) -> Reader:
    # Else a long text counts as a quote that is not closed.
    csv.field_size_limit(max(csv.field_size_limit(), len(data) + 1))
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), delimiter=separator, strict=True)


def _records(data: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line on which it begins; blank lines are empty records."""
    reader, line = _reader(data, separator), 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(line, str(error)) from None


def _check_structure(data: bytes, name: str, separator: str) -> None:
    """Raise DataError with all that is wrong; return if the suspicion was unfounded."""
    if other := _other_separator(data, separator):
        expected, found = _SEPARATORS.get(separator, repr(separator)), _SEPARATORS[other]
        setting = "dataset.separator=$'\"\\t\"'" if other == "\t" else f"'dataset.separator=\"{other}\"'"
        raise DataError(f"{name}:1: is separated by {found}, but {expected} was expected; set {setting}")
    problems: list[str] = []
    header: list[str] = []
    wrong: list[tuple[int, list[str]]] = []
    try:
        for line, fields in _records(data, separator):
            if line == 1 and not (header := fields):
                raise DataError(f"{name}:1: is blank; the first line must hold the column names")
            if fields and len(fields) != len(header):
                wrong.append((line, fields))
    except csv.Error as error:
        line, what = error.args
        problems.append(f"{name}:{line}: a quote in the row that begins here is not closed ({what}); double quotes inside text")
    problems = name_problems(header, f"{name}:1") + problems
    problems += [f"{name}:{line}: {len(fields)} field(s) where the header has {len(header)}" for line, fields in wrong[:SHOWN]]
    if wrong:
        more = f"and {len(wrong) - SHOWN} more rows; " if len(wrong) > SHOWN else ""
        problems.append(f"{name}: {more}{_advice([fields for _, fields in wrong], len(header))}")
    if problems:
        raise DataError(problems)


def _advice(wrong: Sequence[Sequence[str]], width: int) -> str:
    if all(len(fields) > width and not any(fields[width:]) for fields in wrong):
        return "these rows end with separators that the header lacks: remove them, or add column names"
    named = all(len(fields) == width + 1 for fields in wrong) and _are_names([fields[0] for fields in wrong])
    r_wrote = "do rows begin with a name, as R writes it, that the header has no column for? write without row names"
    if all(len(fields) > width and re.search(r"(?<![\d.])\d+,\d+(?![\d.])", ",".join(fields)) for fields in wrong):
        return "is this a decimal comma (1,5)? write numbers with a point (1.5)" + (f"; or {r_wrote}" if named else "")
    if named:
        return r_wrote
    return "each row needs one field per column name; quote text that holds the separator"


def _are_names(firsts: Sequence[str]) -> bool:
    """Whether texts look like names of rows: they count up, or are distinct and no numbers."""
    counted = firsts[0].isdecimal() and list(firsts) == [str(int(firsts[0]) + row) for row in range(len(firsts))]
    texts = len(set(firsts)) == len(firsts) and not any(re.fullmatch(NUMBER, one) for one in firsts)
    return len(firsts) > 1 and (counted or texts)


def name_problems(names: Sequence[str], place: str) -> list[str]:
    """What is wrong with columns' names."""
    blank = [str(position) for position, name in enumerate(names, 1) if not name.strip()]
    index = " (an index that pandas wrote? write with index=False)" if blank == ["1"] else ""
    problems = [f"{place}: column {', '.join(blank)} has no name{index}; name it"] if blank else []
    twice = [repr(name) for name, count in Counter(names).items() if count > 1 and name.strip()]
    return problems + ([f"{place}: duplicate column {', '.join(twice)}; rename or remove one of each"] if twice else [])


def _other_separator(data: bytes, separator: str) -> str | None:
    for other in _SEPARATORS:
        try:
            widths = {len(fields) for fields in islice(_reader(data, other), 50) if fields}
        except csv.Error:
            continue
        if other != separator and len(widths) == 1 and widths.pop() > 1:
            return other
    return None


def _unread_numbers(values: pd.Series) -> pd.Series:
    # pandas leaves integers as text or objects where no one integer type holds them all, and numbers as text that have " " or
    # " NA" among them.
    if pd.api.types.is_numeric_dtype(values):
        return values
    values = values.mask(blank(values))
    present = values.dropna()
    if present.empty or not re.fullmatch(NUMBER, str(present.iloc[0])):
        return values
    numbers = pd.to_numeric(present, errors="coerce")
    return values if numbers.isna().any() else numbers.astype(np.float64).reindex(values.index)
