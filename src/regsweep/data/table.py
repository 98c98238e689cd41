"""Reads CSV and Parquet strictly: what is not plainly a table is refused with its line, and nothing is guessed.

In: a path, or bytes with a name to report. Out: `Table`, a data frame that knows which line each row came from. Main call:
`read_table`. The csv module judges the structure (it keeps line numbers and never shifts names), then pandas parses.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.errors import ConfigError, DataError, nearest
from regsweep.paths import expanded
from regsweep.predictor import MISSING, blank

if TYPE_CHECKING:
    from _csv import Reader

Kind = Literal["csv", "parquet"]

SHOWN = 5  # problems of one sort that are listed one by one

NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"

_BOM = b"\xef\xbb\xbf"
_PARQUET = b"PAR1"
_SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
_SIGNATURES: tuple[tuple[str, str], ...] = (
    (r"\s*<(?:!doctype html|html|head|body|table|!--|\?xml)", "is a web page (HTML or XML); download the raw file"),
    (r"version https://git-lfs\.github\.com/spec/", "is a git-lfs pointer, not the data; run git lfs pull"),
    (r"PK(?:\x03\x04|\x05\x06)", "is a zip archive or an Excel workbook (.xlsx); unpack it, or save the sheet as CSV UTF-8"),
    (r"\x1f\x8b", "is gzip-compressed; unpack it with gunzip"),
    (r"BZh\d|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "is compressed (bzip2, xz or zstd); unpack it"),
    (r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook (.xls); save the sheet as CSV UTF-8"),
    (r"\xff\xfe|\xfe\xff", "is UTF-16 text; save it as UTF-8"),
    (r'\s*(?:\{\s*["}]|\[\s*[\[{"\]])', "is JSON; convert it to CSV or Parquet"),
    (r"%PDF-", "is a PDF document; export the table as CSV"),
    (r"ARROW1|SQLite format 3\x00|\x89HDF", "is a binary file (Arrow, SQLite or HDF5); convert it to CSV or Parquet"),
)


@dataclass(frozen=True)
class Table:
    """A raw table of n rows with a fresh range index and distinct, non-empty text names.

    Columns are numbers (booleans as 0 and 1, durations in days), datetime64 without zone (UTC) or pandas `str`. `lines`, shape
    (n,), holds the line on which each row of a CSV begins; it is None where rows have no lines. `path` is the file read.
    """

    frame: pd.DataFrame
    name: str
    path: Path | None = None
    lines: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    @property
    def columns(self) -> list[str]:
        return [str(column) for column in self.frame.columns]

    def place(self, row: int) -> str:
        """Say where row `row` (from 0) stands: `data.csv:17`, or `data.parquet row 15` (from 0) where there are no lines."""
        return f"{self.name} row {row}" if self.lines is None else f"{self.name}:{self.lines[row]}"


def read_table(path: str | Path, *, separator: str = ",", kind: Kind | None = None, drop: Collection[str] = ()) -> Table:
    """Read a file as `kind`, or as what its first bytes say. Raises DataError with every problem of the file's structure.

    Columns to `drop` may hold anything.
    """
    try:
        file = expanded(path)
    except ValueError as error:
        raise DataError(str(error)) from None
    return parse_table(read_file(file), str(path), separator=separator, kind=kind, path=file, drop=drop)


def read_file(file: Path) -> bytes:
    """Return the content of a regular file. Raises DataError for anything else, saying what to do."""
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            tables = sorted(entry.name for entry in file.iterdir() if entry.suffix in {".csv", ".parquet"})[:SHOWN]
            raise DataError(f"{file}: is a directory; name a file in it ({', '.join(tables) or 'no .csv or .parquet is there'})")
        if not stat.S_ISREG(mode):
            sort = "a FIFO" if stat.S_ISFIFO(mode) else "a device or a socket"
            raise DataError(f"{file}: is {sort}, which can't be read again to reproduce a study; write it to a file first")
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        readable = file.parent.is_dir() and os.access(file.parent, os.R_OK)
        beside = [entry.name for entry in file.parent.iterdir()] if readable else []
        start = "" if file.is_absolute() else f" (it is looked up in {Path.cwd()})"
        raise DataError(f"{file}: no such file{nearest(file.name, beside)}; check the path{start}") from None
    except PermissionError:
        raise DataError(f"{file}: no permission to read it; run chmod u+r on it, or copy it to where you may read") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: can't be read ({getattr(error, 'strerror', None) or error})") from None


def parse_table(
    data: bytes,
    name: str,
    *,
    separator: str = ",",
    kind: Kind | None = None,
    path: Path | None = None,
    drop: Collection[str] = (),
) -> Table:
    """Parse the bytes of a CSV or Parquet file; `name` stands in messages. Raises DataError, ConfigError for a bad separator."""
    parquet = data.startswith(_PARQUET)
    if not data.removeprefix(_BOM).strip():
        raise DataError(f"{name}: is empty; a table needs a line of column names and rows")
    if kind == "csv" and parquet:
        raise DataError(f"{name}: is a Parquet file; use dataset=parquet in place of dataset=csv")
    for pattern, what in _SIGNATURES:
        if re.match(pattern.encode("latin-1"), data[:1024], re.IGNORECASE):
            raise DataError(f"{name}: {what}")
    if kind == "parquet" and not parquet:
        raise DataError(f"{name}: is no Parquet file (it begins with {data[:8]!r}); use dataset=csv if it is text")
    return _parse_parquet(data, name, path, drop) if parquet else _parse_csv(data.removeprefix(_BOM), name, separator, path)


def table_from_frame(frame: pd.DataFrame, name: str, *, path: Path | None = None, drop: Collection[str] = ()) -> Table:
    """Take over a data frame; a named index becomes a column.

    Raises DataError for columns that hold no plain values; of those to `drop` the table has the texts that describe them.
    """
    levels = [level for level in frame.index.names if level is not None]
    if problems := _name_problems([str(column) for column in (*levels, *frame.columns)], name):
        raise DataError(problems)
    whole = (frame.reset_index(level=levels) if levels else frame).reset_index(drop=True)
    whole.columns = pd.Index([str(column) for column in whole.columns])
    if whole.empty:
        raise DataError(f"{name}: has {len(whole.columns)} columns and {len(whole)} rows; a table needs both")
    columns, problems = {}, []
    for column in whole.columns:
        try:
            columns[column] = _plain(whole[column])
        except (TypeError, ValueError, OverflowError) as error:
            if column in drop:
                columns[column] = whole[column].map(repr).astype("str")
                continue
            advice = "turn it into numbers, text or dates, or name it in dataset.drop"
            problems.append(f"{name}: column {column!r} {error}; {advice}")
    if problems:
        raise DataError(problems)
    return Table(pd.DataFrame(columns), name, path)


def _parse_parquet(data: bytes, name: str, path: Path | None, drop: Collection[str]) -> Table:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{name}: can't be read as Parquet ({what}); is it cut short, or are two columns of one name?") from None
    return table_from_frame(frame, name, path=path, drop=drop)


def _parse_csv(data: bytes, name: str, separator: str, path: Path | None) -> Table:
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
    return Table(pd.DataFrame({column: _plain(_unread_numbers(frame[column])) for column in header}), name, path, lines)


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
    problems = _name_problems(header, f"{name}:1") + problems
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


def _name_problems(names: Sequence[str], place: str) -> list[str]:
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


def _plain(values: pd.Series) -> pd.Series:
    """Return numbers, datetime64 without zone or `str`. Raises TypeError that ends the sentence `column 'x' ...`."""
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "categorical":
        # Integers and booleans can't be missing.
        return _plain(values.astype(object if values.isna().any() else values.cat.categories.dtype))
    if kind in {"timedelta", "timedelta64"}:
        return pd.to_timedelta(values).dt.total_seconds() / 86_400
    if kind in {"integer", "floating"} and isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf":
        return values
    if kind in {"boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty"}:
        whole = kind == "boolean" and not values.isna().any()
        return values.astype(np.int64) if whole else pd.Series(values.to_numpy(np.float64, na_value=np.nan), name=values.name)
    if kind in {"date", "datetime", "datetime64"}:
        return pd.to_datetime(values, utc=True).dt.tz_localize(None).dt.as_unit("us")
    if kind != "string":
        raise TypeError(f"holds {kind} values")
    text, first = values.astype("str"), values.dropna()
    if first.empty or not re.fullmatch(ISO_DATE, first.iloc[0]) or not text.str.fullmatch(ISO_DATE, na=True).all():
        return text
    dates = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce").dt.tz_localize(None).dt.as_unit("us")
    return text if (dates.isna() & text.notna()).any() else dates
