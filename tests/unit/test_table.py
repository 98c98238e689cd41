"""Reading of CSV and Parquet: what is refused, with its line, and what is read as it stands."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regsweep.config import compose
from regsweep.data import load_dataset
from regsweep.data.table import Table, parse_table, read_table, table_from_frame
from regsweep.errors import ConfigError, DataError

REFUSED = {
    "empty": (b"", r"data\.csv: is empty"),
    "blank": (b" \n\n", r"data\.csv: is empty"),
    "a BOM alone": (b"\xef\xbb\xbf\n", r"data\.csv: is empty"),
    "blank first line": (b"\na,b\n1,2\n", r"data\.csv:1: is blank"),
    "header only": (b"a,b\n", r"data\.csv:1: has column names \('a', 'b'\) and no rows"),
    "header only, no line end": (b"a,b", r"data\.csv:1: .*no rows"),
    "one long row": (b"a,b\n1,2\n1,2,3\n", r"data\.csv:3: 3 field\(s\) where the header has 2"),
    "every row long": (b"a,b\nx,1,2\ny,3,4\n", r"data\.csv:2: 3 field\(s\) where the header has 2"),
    "short row": (b"a,b\n1,2\n1\n", r"data\.csv:3: 1 field\(s\) where the header has 2"),
    "row after a quoted line end": (b'a,b\n"x\ny",2\n1\n', r"data\.csv:4: 1 field"),
    "row after a blank line": (b"a,b\n\n1\n", r"data\.csv:3: 1 field"),
    "separators at line ends": (b"a,b\n1,2,\n3,4,\n", r"end with separators that the header lacks"),
    "decimal comma": (b"a,b\n1,5,2,5\n", r"data\.csv: is this a decimal comma"),
    "row names or a decimal comma": (
        b"n,a,b\nAnna,1,70,60\nBert,1,80,75\n",
        r"decimal comma .* or do rows begin with a name, as R",
    ),
    "row names": (b"a,b\n1,5.5,2\n2,6.5,3\n", r"data\.csv: do rows begin with a name, as R writes it"),
    "row names that are texts": (b"a,b\nMazda,5.5,2\nFiat,6.5,3\n", r"data\.csv: do rows begin with a name, as R writes it"),
    "blank name": (b"a,,c\n1,2,3\n", r"data\.csv:1: column 2 has no name; name it"),
    "pandas index": (b",a\n0,2\n", r"data\.csv:1: column 1 has no name .*index=False"),
    "duplicate name": (b"a,b,a\n1,2,3\n", r"data\.csv:1: duplicate column 'a'"),
    "semicolons": (b"a;b\n1,5;2,5\n", r"data\.csv:1: is separated by ';', but ',' was expected; set 'dataset\.separator=\";\"'"),
    "tabs": (b"a\tb\n1\t2\n", r"data\.csv:1: is separated by a tab, but ',' was expected; set dataset\.separator=\$'\"\\t\"'"),
    "unterminated quote": (b'a,b\n1,2\n3,"4\n5,6\n', r"data\.csv:3: a quote in the row that begins here is not closed"),
    "text after a quote": (b'a,b\n"1"x,2\n', r"data\.csv:2: a quote .*',' expected after '\"'"),
    "never-ending quote": (b'a,b\n1,"' + b"x,\n" * 60_000, r"data\.csv:2: a quote in the row that begins here is not closed"),
    "a quote behind a long text": (b"a,b\n1," + b"x" * 200_000 + b'\n2,"y\n', r"data\.csv:3: a quote in the row"),
    "Latin-1": (b"a,b\r\n1,2\r\ncaf\xe9,2\r\n", r"data\.csv:3: byte 4 of the line is 0xe9, which is no UTF-8.*'café,2'"),
    "Latin-1 after a BOM": (b"\xef\xbb\xbfa\xe9,b\n1,2\n", r"data\.csv:1: byte 2 of the line is 0xe9"),
    "NUL": (b"a,b\n1,\x00\n", r"data\.csv:2: byte 3 of the line is NUL"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), r"data\.csv: is UTF-16"),
    "HTML": (b"\n<!DOCTYPE html><html></html>", r"data\.csv: is a web page"),
    "zip or xlsx": (b"PK\x03\x04\x14\x00", r"data\.csv: is a zip archive or an Excel workbook"),
    "gzip": (b"\x1f\x8b\x08\x00", r"data\.csv: is gzip-compressed"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", r"data\.csv: is an old Excel workbook"),
    "JSON records": (b'[{"a": 1}]', r"data\.csv: is JSON"),
    "JSON object": (b'{\n  "a": [1]}', r"data\.csv: is JSON"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"data\.csv: is a git-lfs pointer"),
    "Parquet named csv": (b"PAR1\x00\x00PAR1", r"data\.csv: is a Parquet file; use dataset=parquet"),
}


@pytest.mark.parametrize("first", ["PAR1", "arrow1", "ARROW1", "BZh9", "bzh1", "pk", "version"])
def test_a_column_may_be_called_like_the_beginning_of_another_format(first: str, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(f"{first},y\n1,2\n3,4\n")
    assert read_table(tmp_path / "data.csv", kind="csv").frame[first].tolist() == [1, 3]


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_is_refused_where_it_fails(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "data.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(file, kind="csv")


def test_all_problems_are_listed_together() -> None:
    with pytest.raises(DataError, match=r"data\.csv:1: duplicate") as caught:
        parse_table(b"a,a,\n1,2,3\n1\n" + b"1,2\n" * 9, "data.csv")
    assert caught.value.problems == (
        "data.csv:1: column 3 has no name; name it",
        "data.csv:1: duplicate column 'a'; rename or remove one of each",
        "data.csv:3: 1 field(s) where the header has 3",
        *(f"data.csv:{line}: 2 field(s) where the header has 3" for line in (4, 5, 6, 7)),
        "data.csv: and 5 more rows; each row needs one field per column name; quote text that holds the separator",
    )


@pytest.mark.parametrize("separator", ["\n", '"', "§"])
def test_separators_that_cannot_separate_are_refused(separator: str) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.separator must be an ASCII character"):
        parse_table(b"a,b\n1,2\n", "data.csv", separator=separator)


def test_the_expected_separator_is_named() -> None:
    with pytest.raises(DataError, match=r"data\.csv:1: is separated by ',', but ';' was expected"):
        parse_table(b"a,b\n1,2\n", "data.csv", separator=";")
    assert parse_table(b"a;b\n1,5;2\n", "data.csv", separator=";").frame["a"].tolist() == ["1,5"]


def test_a_missing_file_names_its_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "houses.csv").touch()
    with pytest.raises(DataError, match=r"house\.csv: no such file \(did you mean houses\.csv\?\); check the path$"):
        read_table(tmp_path / "house.csv")
    with pytest.raises(DataError, match=r"houses\.csv/x\.csv: no such file; check the path"):
        read_table(tmp_path / "houses.csv" / "x.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=rf"^x\.csv: no such file; check the path \(it is looked up in {re.escape(str(tmp_path))}\)"
    ):
        read_table("x.csv")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match=r": is a directory; name a file in it \(a\.csv\)"):
        read_table(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: is a FIFO, .*write it to a file first"):
        read_table(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"^/dev/null: is a device"):
        read_table("/dev/null")
    with pytest.raises(DataError, match=r"can't be read \(.*null"):
        read_table("a\0.csv")
    with pytest.raises(DataError, match=r"can't be read \(File name too long\)"):
        read_table(tmp_path / ("x" * 300))


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.csv"
    file.write_text("a\n1\n")
    file.chmod(0)
    if os.access(file, os.R_OK):  # as root, whom no mode stops

        def refuse(_: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"data\.csv: no permission to read it"):
        read_table(file)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf", 2 * b"\xef\xbb\xbf"], ids=["plain", "BOM", "two BOMs"])
@pytest.mark.parametrize("last", ["", "\n"], ids=["open", "closed"])
def test_line_ends_and_bom_make_no_difference(end: str, bom: bytes, last: str) -> None:
    text = 'x,colour\n1.5,red\n\n2,"a\nb"\n3,"say ""hi"""' + last
    table = parse_table(bom + text.replace("\n", end).encode(), "data.csv")
    assert table.columns == ["x", "colour"]
    assert table.frame["x"].tolist() == [1.5, 2.0, 3.0]
    assert table.frame["colour"].tolist() == ["red", f"a{end}b", 'say "hi"']
    assert [table.place(row) for row in range(3)] == ["data.csv:2", "data.csv:4", "data.csv:6"]


def test_odd_column_names_stay_as_they_are(tmp_path: Path) -> None:
    names = ["a b", " padded ", "🏠 price", "n" * 300, "a,b", 'a"b', "1", "Größe\n(m²)"]
    file = tmp_path / "data.csv"
    pd.DataFrame([range(8)], columns=names).to_csv(file, index=False)
    assert read_table(file).columns == names


def test_only_the_markers_of_missing_values_are_missing() -> None:
    table = parse_table(b"x,s\n1,a\n,\nNA,NA\nNaN,null\nnull,None\n5,-\n", "data.csv")
    assert table.frame["x"].isna().tolist() == [False, True, True, True, True, False]
    assert table.frame["x"].dtype == np.float64
    assert table.frame["s"].dtype == "str"
    assert table.frame["s"].fillna("missing").tolist() == ["a", "missing", "missing", "missing", "None", "-"]


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        ("True false TRUE", "int64", [1, 0, 1]),
        ("True NA false", "float64", [1, None, 0]),
        ("yes no yes", "str", ["yes", "no", "yes"]),
        ("2020-01-01 NA 1969-12-31", "datetime64[us]", ["2020-01-01", None, "1969-12-31"]),
        ("2020-01-01T12:30 2020-01-02T00:00:01.5", "datetime64[us]", ["2020-01-01 12:30", "2020-01-02 00:00:01.5"]),
        ("2020-01-01T01:00+02:00 2020-01-02T00:00Z NA", "datetime64[us]", ["2019-12-31 23:00", "2020-01-02", None]),
        ("2020-01-01 soon 2020-01-03", "str", ["2020-01-01", "soon", "2020-01-03"]),
        ("2020-02-30 2020-01-01 2020-01-03", "str", ["2020-02-30", "2020-01-01", "2020-01-03"]),
        ("01.02.2020 2020 x", "str", ["01.02.2020", "2020", "x"]),
        ("1 2.50 x", "str", ["1", "2.50", "x"]),
        ("1~ ~2.50 ~ ~NA", "float64", [1.0, 2.5, None, None]),
        ("a ~ ~NA", "str", ["a", None, None]),
        ("18446744073709551615 -3 NA", "float64", [18446744073709551615.0, -3, None]),
        ("18446744073709551615 -3 NA x", "str", ["18446744073709551615", "-3", None, "x"]),
        ("99999999999999999999999 1 2", "float64", [1e23, 1, 2]),
        ("inf 1e400 -inf", "float64", [np.inf, np.inf, -np.inf]),
        ("NA NA NA", "float64", [None, None, None]),
    ],
)  # fmt: skip
def test_a_column_has_one_type(cells: str, dtype: str, values: list[Any]) -> None:
    table = parse_table("\n".join(["x,y", *(f"{cell.replace('~', ' ')},1" for cell in cells.split(" "))]).encode(), "data.csv")
    pd.testing.assert_series_equal(table.frame["x"], pd.Series(values, dtype=dtype, name="x"))


def test_parquet_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "flag": [True, False],
            "day": [datetime.date(2020, 1, 1), None],
            "price": [decimal.Decimal("1.5"), None],
            "colour": pd.Categorical(["red", "blue"]),
            "moment": pd.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("Europe/Berlin"),
            "length": pd.to_timedelta([12, 36], unit="h"),
        },
        index=pd.Index([7, 8], name="id"),
    )
    frame.to_parquet(tmp_path / "data.csv")
    table = read_table(tmp_path / "data.csv")
    assert table.columns == ["id", *frame.columns]
    assert [str(dtype) for dtype in table.frame.dtypes] == [
        "int64", "float64", "int64", "datetime64[us]", "float64", "str", "datetime64[us]", "float64",
    ]  # fmt: skip
    assert table.frame["flag"].tolist() == [1, 0]
    assert table.frame["length"].tolist() == [0.5, 1.5]
    assert str(table.frame["moment"].iloc[0]) == "2019-12-31 23:00:00"
    assert table.place(1).endswith("data.csv row 1")


def test_a_column_that_is_dropped_may_hold_anything(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1.0, 2], "tags": [["a"], ["b", "c"]], "y": [1, 2]}).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DataError, match=r"column 'tags' holds mixed values; .* or name it in dataset\.drop"):
        read_table(tmp_path / "data.parquet")
    table = read_table(tmp_path / "data.parquet", drop=["tags"])
    assert table.columns == ["x", "tags", "y"]
    assert pd.api.types.is_string_dtype(table.frame["tags"])
    overrides = ["dataset=parquet", f"dataset.path={tmp_path / 'data.parquet'}", "dataset.target=y", "dataset.drop=[tags]"]
    assert load_dataset(compose(overrides)[0].dataset).features == ("x",)


def test_what_is_no_whole_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "data.parquet")
    content = (tmp_path / "data.parquet").read_bytes()
    with pytest.raises(DataError, match=r"data\.parquet: can't be read as Parquet \(.*cut short"):
        parse_table(content[:-8], "data.parquet")
    with pytest.raises(DataError, match=r"data\.parquet: is no Parquet file \(it begins with b'a,b"):
        parse_table(b"a,b\n1,2\n", "data.parquet", kind="parquet")
    with pytest.raises(DataError, match=r"data\.parquet: is a web page"):
        parse_table(b"<html>", "data.parquet", kind="parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [[1], [2]]}, r"frame: column 'x' holds mixed values; turn it into"),
        ({"x": [b"a", b"b"]}, r"frame: column 'x' holds bytes values"),
        ({"x": [1, "a"]}, r"frame: column 'x' holds mixed-integer values"),
        ({"x": []}, r"frame: has 1 columns and 0 rows"),
        ({1: [1], "1": [2]}, r"frame: duplicate column '1'"),
        ({"": [1]}, r"frame: column 1 has no name"),
    ],
)
def test_frames_that_are_no_tables_are_refused(columns: dict[Any, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_from_frame(pd.DataFrame(columns), "frame")


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, None, 2], "float64", [1.0, None, 2.0]),
        ([True, None, False], "float64", [1.0, None, 0.0]),
        (["a", None, "b"], "str", ["a", None, "b"]),
        ([1, 2, 1], "int64", [1, 2, 1]),
    ],
)
def test_what_a_categorical_column_lacks_is_missing(values: list[Any], dtype: str, expected: list[Any]) -> None:
    column = table_from_frame(pd.DataFrame({"x": pd.Categorical(values)}), "frame").frame["x"]
    assert column.dtype == dtype
    assert column.astype(object).where(column.notna(), None).tolist() == expected


def test_a_frame_is_taken_over_with_its_named_index() -> None:
    frame = pd.DataFrame({0: [1.5, 2.5], "s": ["a", None]}, index=pd.Index(["2020-01-01", "2020-01-02"], name="day"))
    table = table_from_frame(frame, "frame")
    assert table.columns == ["day", "0", "s"]
    assert table.frame["day"].dtype.kind == "M"
    assert table.frame.index.tolist() == [0, 1]
    assert table.place(1) == "frame row 1"
    assert table.levels == ("day",)


def test_a_large_table_is_read_quickly() -> None:
    cells = ",".join(f"{value:.15f}" for value in np.random.default_rng(0).normal(size=20))
    content = (",".join(f"c{i}" for i in range(20)) + "\n" + (cells + "\n") * 50_000).encode()
    start = time.perf_counter()
    assert parse_table(content, "data.csv").frame.shape == (50_000, 20)
    # A million rows in about 10 s are 0.5 s here; the rest is for a machine that stands still for seconds.
    assert time.perf_counter() - start < 10


CELLS = {
    # A letter in front keeps texts from being numbers, dates or missing.
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map("t".__add__),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value != 0),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8).filter(str.strip)


@st.composite
def written_tables(draw: st.DrawFn) -> tuple[dict[str, list[Any]], bytes, str, list[int]]:
    """Draw columns, the bytes of their CSV, its separator, and the line on which each row begins."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    count = draw(st.integers(1, 5))
    columns = {name: draw(st.lists(CELLS[kind], min_size=count, max_size=count)) for name, kind in kinds.items()}
    separator, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(columns)
    lines = []
    for row in zip(*columns.values(), strict=True):
        lines.append(1 + len(re.findall("\r\n|\r|\n", text.getvalue())))
        writer.writerow(row)
    return columns, draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.getvalue().encode(), separator, lines


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(written_tables())
def test_what_was_written_is_read_back(written: tuple[dict[str, list[Any]], bytes, str, list[int]]) -> None:
    columns, content, separator, lines = written
    table: Table = parse_table(content, "data.csv", separator=separator)
    assert {name: table.frame[name].tolist() for name in table.columns} == columns
    assert table.columns == list(columns)
    assert [table.place(row) for row in range(len(lines))] == [f"data.csv:{line}" for line in lines]
