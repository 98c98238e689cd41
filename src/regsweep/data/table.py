"""Reads CSV and Parquet strictly: what is not plainly a table is refused, and nothing is guessed.

In: a path, or bytes with a name to report. Out: `Table`, a data frame that knows which line each row came from. Main call:
`read_table`.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from regsweep.data.strict_csv import SHOWN, name_problems, parse_csv
from regsweep.errors import DataError, nearest
from regsweep.paths import expanded

Kind = Literal["csv", "parquet"]

ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"

_BOM = b"\xef\xbb\xbf"
# Text may begin with these letters, too; what follows them in binary files does not look like it.
_PARQUET = re.compile(rb"PAR1[\x00-\x08\x0e-\x1f\x7f-\xff]")
_SIGNATURES: tuple[tuple[str, str], ...] = (
    (r"(?i:\s*<(?:!doctype html|html|head|body|table|!--|\?xml))", "is a web page (HTML or XML); download the raw file"),
    (r"version https://git-lfs\.github\.com/spec/", "is a git-lfs pointer, not the data; run git lfs pull"),
    (r"PK(?:\x03\x04|\x05\x06)", "is a zip archive or an Excel workbook (.xlsx); unpack it, or save the sheet as CSV UTF-8"),
    (r"\x1f\x8b", "is gzip-compressed; unpack it with gunzip"),
    (r"BZh\d1AY&SY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd", "is compressed (bzip2, xz or zstd); unpack it"),
    (r"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel workbook (.xls); save the sheet as CSV UTF-8"),
    (r"\xff\xfe|\xfe\xff", "is UTF-16 text; save it as UTF-8"),
    (r'\s*(?:\{\s*["}]|\[\s*[\[{"\]])', "is JSON; convert it to CSV or Parquet"),
    (r"%PDF-", "is a PDF document; export the table as CSV"),
    (r"ARROW1\x00|SQLite format 3\x00|\x89HDF", "is a binary file (Arrow, SQLite or HDF5); convert it to CSV or Parquet"),
)


@dataclass(frozen=True)
class Table:
    """A raw table of n rows with a fresh range index and distinct, non-empty text names.

    Columns are numbers (booleans as 0 and 1, durations in days), datetime64 without zone (UTC) or pandas `str`. `lines`, shape
    (n,), holds the line on which each row of a CSV begins; it is None where rows have no lines. `path` is the file read, `levels`
    are the columns that were a frame's index.
    """

    frame: pd.DataFrame
    name: str
    path: Path | None = None
    lines: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    levels: tuple[str, ...] = ()

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
    file = user_path(path)
    return parse_table(read_file(file), str(path), separator=separator, kind=kind, path=file, drop=drop)


def user_path(path: str | Path) -> Path:
    """A path with `~` resolved. Raises DataError for the home of somebody who is no user here."""
    try:
        return expanded(path)
    except ValueError as error:
        raise DataError(str(error)) from None


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
    parquet = _PARQUET.match(data) is not None
    if not _without_boms(data).strip():
        raise DataError(f"{name}: is empty; a table needs a line of column names and rows")
    if kind == "csv" and parquet:
        raise DataError(f"{name}: is a Parquet file; use dataset=parquet in place of dataset=csv")
    for pattern, what in _SIGNATURES:
        if re.match(pattern.encode("latin-1"), data[:1024]):
            raise DataError(f"{name}: {what}")
    if kind == "parquet" and not parquet:
        raise DataError(f"{name}: is no Parquet file (it begins with {data[:8]!r}); use dataset=csv if it is text")
    if parquet:
        return _parse_parquet(data, name, path, drop)
    frame, lines = parse_csv(_without_boms(data), name, separator)
    return Table(pd.DataFrame({column: _plain(frame[column]) for column in frame}), name, path, lines)


def _without_boms(data: bytes) -> bytes:
    """Programs that write one put it before the one that is there."""
    while data.startswith(_BOM):
        data = data.removeprefix(_BOM)
    return data


def table_from_frame(frame: pd.DataFrame, name: str, *, path: Path | None = None, drop: Collection[str] = ()) -> Table:
    """Take over a data frame; a named index becomes a column.

    Raises DataError for columns that hold no plain values; of those to `drop` the table has the texts that describe them.
    """
    levels = [level for level in frame.index.names if level is not None]
    if problems := name_problems([str(column) for column in (*levels, *frame.columns)], name):
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
    return Table(pd.DataFrame(columns), name, path, levels=tuple(map(str, levels)))


def iso_dates(texts: pd.Series) -> pd.Series:
    """The moments that texts name as ISO 8601 writes them, in UTC; missing where one names none."""
    return pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")


def _parse_parquet(data: bytes, name: str, path: Path | None, drop: Collection[str]) -> Table:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{name}: can't be read as Parquet ({what}); is it cut short, or are two columns of one name?") from None
    return table_from_frame(frame, name, path=path, drop=drop)


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
    dates = iso_dates(text).dt.tz_localize(None).dt.as_unit("us")
    return text if (dates.isna() & text.notna()).any() else dates
