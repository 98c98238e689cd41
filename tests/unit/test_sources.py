"""Where tables come from: scikit-learn, generated, downloaded or from a folder, and the user's own files."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, make_regression
from sklearn.linear_model import LinearRegression

from regsweep.config import compose
from regsweep.config.dataset import DatasetConfig
from regsweep.data import load_dataset
from regsweep.data.sources import load_table
from regsweep.errors import ConfigError, DataError

REAL = Path(os.environ.get("REGSWEEP_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
CONTENT = b"x,y\n1,2\n2,5\n4,6\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@cache
def composed(overrides: tuple[str, ...]) -> DatasetConfig:
    return compose(overrides)[0].dataset


def config(*overrides: str, **changes: Any) -> DatasetConfig:
    return composed(overrides).model_copy(update=changes)


def offline(*_: object, **__: object) -> None:
    raise AssertionError("the network was touched")


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("REGSWEEP_DATA", raising=False)
    monkeypatch.setenv("REGSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve small.csv from this machine, and yield its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "small.csv").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/small.csv"
        running.shutdown()
        thread.join()


def small(url: str, **changes: Any) -> DatasetConfig:
    return config(
        "dataset=insurance", **{"url": url, "file": "small.csv", "sha256": SHA256, "target": "y", "folder": None, **changes}
    )


def test_diabetes_is_that_of_scikit_learn() -> None:
    dataset = load_dataset(config("dataset=diabetes"))
    x, y = load_diabetes(return_X_y=True, scaled=False)
    assert (dataset.rows, len(dataset.features), dataset.target, dataset.unit) == (442, 10, "progression", "points")
    np.testing.assert_array_equal(dataset.x.to_numpy(), x)
    np.testing.assert_array_equal(dataset.y, y)


def test_the_target_of_a_scikit_learn_data_set_takes_the_configured_name() -> None:
    assert load_dataset(config("dataset=diabetes", target="severity")).target == "severity"
    with pytest.raises(DataError, match="diabetes: duplicate column 'age'"):
        load_dataset(config("dataset=diabetes", target="age"))


def test_the_line_is_make_regression_as_made() -> None:
    dataset = load_dataset(config("dataset=line"))
    x, y = make_regression(n_samples=100, n_features=1, noise=30.0, bias=100.0, random_state=42)
    np.testing.assert_array_equal(dataset.table["x"], x[:, 0])
    np.testing.assert_array_equal(dataset.y, y)
    assert (list(dataset.table), dataset.features) == (["x", "y"], ("x",))


def test_the_cubic_begins_like_the_tutorial() -> None:
    dataset = load_dataset(config("dataset=cubic"))
    assert dataset.rows == 500
    assert dataset.table["x"].iloc[0] == pytest.approx(-0.528099, abs=5e-7)
    assert dataset.y[0] == pytest.approx(57.401862, abs=5e-7)


def test_the_sine_is_taken_of_the_made_x() -> None:
    dataset = load_dataset(config("dataset=sine"))
    x, y = make_regression(n_samples=500, n_features=1, noise=10.0, random_state=42)
    np.testing.assert_array_equal(dataset.table["x"], y)
    np.testing.assert_allclose(dataset.y, np.sin(4 * x[:, 0]), rtol=1e-15)


def test_the_sine_of_x_keeps_the_made_x_and_has_no_noise() -> None:
    table = load_dataset(config("dataset=sine_of_x")).table
    x, _ = make_regression(n_samples=500, n_features=1, noise=10.0, random_state=42)
    np.testing.assert_array_equal(table["x"], x[:, 0])
    np.testing.assert_array_equal(table["y"], np.sin(4 * x[:, 0]))


def test_a_noisy_line_is_a_line_with_noise() -> None:
    table = load_dataset(config("dataset=noisy_line")).table
    assert (list(table), len(table)) == (["x", "y"], 50)
    assert 0 <= table["x"].min() < 2
    assert 8 < table["x"].max() <= 10
    # Standard errors of 50 rows: 0.05 of the slope, 0.3 of the intercept, 0.1 of the noise.
    slope, intercept = np.polyfit(table["x"], table["y"], 1)
    np.testing.assert_allclose([slope, intercept], [2, 1], atol=0.9)
    np.testing.assert_allclose(slope, 2, atol=0.2)
    np.testing.assert_allclose(np.std(table["y"] - 2 * table["x"] - 1), 1, atol=0.4)


def test_gradients_are_what_least_squares_finds() -> None:
    dataset = load_dataset(config("dataset=gradients"))
    assert (dataset.features, dataset.target, len(dataset.table)) == (("x", "y"), "f", 200)
    np.testing.assert_allclose(dataset.table["f"], 11 * dataset.table["x"] + 5 * dataset.table["y"], rtol=0, atol=1e-12)
    fitted = LinearRegression().fit(dataset.x, dataset.y)
    np.testing.assert_allclose([*fitted.coef_, fitted.intercept_], [11, 5, 0], atol=1e-12)
    assert -1 <= dataset.x.to_numpy().min() < -0.9
    assert 0.9 < dataset.x.to_numpy().max() <= 1


def test_several_features_are_numbered_and_follow_from_the_seed() -> None:
    overrides = ("dataset=noisy_line", "dataset.coefficients=[1,2,3]", "dataset.noise=0")
    table = load_table(config(*overrides)).frame
    assert list(table) == ["x1", "x2", "x3", "y"]
    np.testing.assert_allclose(table["y"], table[["x1", "x2", "x3"]].to_numpy() @ [1, 2, 3] + 1, rtol=1e-12)
    pd.testing.assert_frame_equal(load_table(config(*overrides)).frame, table)
    assert not load_table(config(*overrides, random_state=1)).frame.equals(table)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.high=0", "low < high must hold, but got low=0.0, high=0.0"),
        ("dataset.names=[a,b]", "names must be as many as coefficients, but got 2 and 1"),
        ("dataset.names=[y]", "names must differ from each other and from the target 'y', but got"),
        ("dataset.noise=-1", "dataset.noise: must be at least 0, but got -1"),
        ("dataset.coefficients=[]", "dataset.coefficients"),
    ],
)
def test_what_makes_no_line_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        compose(["dataset=noisy_line", override])


def test_a_download_is_cached_and_checked(cache_folder: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = load_table(small(server))
    assert table.path == cache_folder / "small.csv"
    assert table.frame["y"].tolist() == [2, 5, 6]
    monkeypatch.setattr(socket.socket, "connect", offline)
    assert load_dataset(small(server)).y.tolist() == [2.0, 5.0, 6.0]


def test_a_damaged_cache_is_fetched_again(cache_folder: Path, server: str) -> None:
    cache_folder.mkdir()
    (cache_folder / "small.csv").write_bytes(CONTENT[:-3])
    assert load_table(small(server)).frame["y"].tolist() == [2, 5, 6]


def test_a_download_with_another_sha256_is_refused(cache_folder: Path, server: str) -> None:
    with pytest.raises(
        DataError, match=r"small\.csv: can't be downloaded \(SHA256 hash of downloaded file.*name it: dataset\.folder="
    ):
        load_table(small(server, sha256="0" * 64))
    assert not list(cache_folder.iterdir())


def test_an_address_that_does_not_answer_is_named(cache_folder: Path, server: str) -> None:
    with pytest.raises(
        DataError, match=r"/none\.csv: can't be downloaded \(404 .*dataset\.folder=FOLDER, or REGSWEEP_DATA=FOLDER"
    ):
        load_table(small(server.replace("small", "none")))
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:9/small\.csv: can't be downloaded .*[Cc]onnection refused"):
        load_table(small("http://127.0.0.1:9/small.csv"))


def test_a_cache_that_cannot_be_written_is_named(cache_folder: Path, server: str) -> None:
    cache_folder.write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cache: can't hold small\.csv .*set REGSWEEP_CACHE to a folder you may write"):
        load_table(small(server))


def test_a_folder_is_used_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", offline)
    (tmp_path / "small.csv").write_bytes(CONTENT)
    assert load_table(small("http://nowhere.invalid/small.csv", folder=str(tmp_path))).path == tmp_path / "small.csv"


def test_a_folder_without_the_right_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", offline)
    wanted = small("http://nowhere.invalid/small.csv", folder=str(tmp_path))
    with pytest.raises(DataError, match=r"small\.csv: no such file.*\nput http://nowhere\.invalid/small\.csv into the folder"):
        load_table(wanted)
    (tmp_path / "small.csv").write_bytes(CONTENT + b"5,7\n")
    with pytest.raises(DataError, match=rf"small\.csv: its sha256 is [0-9a-f]{{64}}, but dataset\.sha256 is {SHA256}"):
        load_table(wanted)


@pytest.mark.parametrize("kept", ["file", "folder"])
def test_a_column_of_a_fetched_file_that_is_dropped_may_hold_anything(kept: str, tmp_path: Path, cache_folder: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "lists": [[1], [2, 3], []], "y": [2.0, 5.0, 6.0]})
    place = (cache_folder if kept == "file" else tmp_path / "own") / "small.parquet"
    place.parent.mkdir()
    frame.to_parquet(place)
    changes = {"file": place.name, "sha256": hashlib.sha256(place.read_bytes()).hexdigest()}
    changes |= {"folder": str(place.parent)} if kept == "folder" else {}
    asked = small("http://nowhere.invalid/small.parquet", **changes)
    assert load_dataset(asked.model_copy(update={"drop": ("lists",)})).features == ("x",)
    with pytest.raises(DataError, match="'lists'"):
        load_dataset(asked)


def test_own_tables_are_read_as_configured(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [50.0, 60.0, 75.0], "town": ["A", "B", "A"], "price": [1.5, 2.0, 2.5]})
    frame.to_csv(tmp_path / "houses.csv", sep=";", index=False)
    frame.to_parquet(tmp_path / "houses.parquet")
    common = ("dataset.target=price", "dataset.unit=dollars")
    text = load_dataset(config("dataset=csv", f"dataset.path={tmp_path}/houses.csv", 'dataset.separator=";"', *common))
    binary = load_dataset(config("dataset=parquet", f"dataset.path={tmp_path}/houses.parquet", *common))
    assert (text.name, text.features, text.unit, text.rows) == ("houses", ("size", "town"), "dollars", 3)
    pd.testing.assert_frame_equal(text.table, frame)
    assert text.sha256 == binary.sha256


@pytest.mark.parametrize(
    ("name", "rows", "features", "total"),
    [
        ("insurance", 1338, ("age", "sex", "bmi", "children", "smoker", "region"), 17755824.990759),
        ("economics", 574, ("pce", "pop", "psavert", "uempmed"), None),
    ],
)
def test_the_tutorials_tables_are_whole(name: str, rows: int, features: tuple[str, ...], total: float | None) -> None:
    if not (REAL / f"{name}.csv").is_file():
        pytest.skip(f"{REAL} does not hold {name}.csv; set REGSWEEP_DATA to the folder that does")
    dataset = load_dataset(config(f"dataset={name}", folder=str(REAL)))
    assert (dataset.rows, dataset.features, dataset.notes) == (rows, features, ())
    assert total is None or dataset.y.sum() == pytest.approx(total)
    if name == "economics":
        assert dataset.time == "date"
        assert dataset.table["date"].iloc[[0, -1]].tolist() == [pd.Timestamp("1967-07-01"), pd.Timestamp("2015-04-01")]


def test_a_coordinate_of_a_cloud_is_no_target() -> None:
    with pytest.raises(ConfigError, match="target: x1 is a feature; choose another name"):
        compose(["dataset=xor_blobs", "task=binary_classification", "dataset.target=x1"])
