"""Where tables come from: one loader per kind of data set. `load_dataset` is the way in.

In: a data set's config. Out: a raw `Table`, which `load_dataset` has checked and returns as a `Dataset`. The network is touched
only for a download that names no folder and is not in the cache (`REGSWEEP_CACHE`, else the user's cache folder).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from regsweep.config.dataset import (
    BlobsDataset,
    DatasetConfig,
    DownloadDataset,
    FileDataset,
    LinearDataset,
    MakeRegressionDataset,
    ScikitLearnDataset,
)
from regsweep.data.checks import check_table
from regsweep.data.dataset import Dataset
from regsweep.data.table import Table, parse_table, read_file, read_table, table_from_frame, user_path
from regsweep.errors import DataError
from regsweep.tasks import REGRESSION, Task


def load_dataset(config: DatasetConfig, task: Task = REGRESSION) -> Dataset:
    """Load and check a data set for a task.

    Raises DataError with every problem of the table, ConfigError if the config is at fault.
    """
    return check_table(load_table(config), config, task)


def load_table(config: DatasetConfig) -> Table:
    """Load the raw table of a data set; `Table.path` is the file it was read from, if it was."""
    match config:
        case ScikitLearnDataset():
            return _scikit_learn(config)
        case DownloadDataset():
            return _from_folder(config, Path(config.folder)) if config.folder else _from_network(config)
        case MakeRegressionDataset():
            return _make_regression(config)
        case BlobsDataset():
            return _blobs(config)
        case LinearDataset():
            return _linear(config)
        case FileDataset():
            return read_table(config.path, separator=config.separator, kind=config.kind, drop=config.drop)


def _scikit_learn(config: ScikitLearnDataset) -> Table:
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    return table_from_frame(frame.rename(columns={"target": config.target}), config.name)


def _make_regression(config: MakeRegressionDataset) -> Table:
    from sklearn.datasets import make_regression

    made, y = make_regression(
        n_samples=config.n_samples, n_features=1, noise=config.noise, bias=config.bias, random_state=config.random_state
    )
    x = made[:, 0]
    if config.shape == "cube":
        x = x**3
    elif config.shape == "sine":
        x, y = y, np.sin(4 * x)
    elif config.shape == "sine_of_x":
        y = np.sin(4 * x)
    return table_from_frame(pd.DataFrame({"x": x, "y": y}), config.name)


def _blobs(config: BlobsDataset) -> Table:
    from sklearn.datasets import make_blobs

    x, center = make_blobs(
        config.n_samples, centers=np.array(config.centers), cluster_std=config.cluster_std, random_state=config.random_state
    )
    columns = {f"x{index + 1}": column for index, column in enumerate(x.T)}
    return table_from_frame(pd.DataFrame({**columns, config.target: np.array(config.classes)[center]}), config.name)


def _linear(config: LinearDataset) -> Table:
    rng = np.random.default_rng(config.random_state)
    x = rng.uniform(config.low, config.high, (config.n_samples, len(config.coefficients)))
    y = x @ np.array(config.coefficients) + config.intercept + config.noise * rng.normal(size=config.n_samples)
    return table_from_frame(pd.DataFrame(x, columns=list(config.features)).assign(**{config.target: y}), config.name)


def _from_folder(config: DownloadDataset, folder: Path) -> Table:
    file = user_path(folder) / config.file
    remedy = f"put {config.url} into the folder that dataset.folder (or REGSWEEP_DATA) names, or unset it to download the file"
    try:
        data = read_file(file)
    except DataError as error:
        raise DataError([*error.problems, remedy]) from None
    found = hashlib.sha256(data).hexdigest()
    if found != config.sha256:
        raise DataError(
            [f"{file}: its sha256 is {found}, but dataset.sha256 is {config.sha256}: it was changed or damaged", remedy]
        )
    return parse_table(data, str(file), path=file, drop=config.drop)


def _from_network(config: DownloadDataset) -> Table:
    import pooch

    cache = user_path(os.environ.get("REGSWEEP_CACHE") or pooch.os_cache("regsweep"))
    pooch.get_logger().setLevel("WARNING")
    try:
        file = Path(pooch.retrieve(config.url, known_hash=f"sha256:{config.sha256}", fname=config.file, path=cache))
    except (OSError, ValueError) as error:
        what = str(error).splitlines()[0]
        # Of the two, only the system's own errors carry a number: they are about the cache, the others about the network.
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{cache}: can't hold {config.file} ({what}); set REGSWEEP_CACHE to a folder you may write") from None
        remedy = f"put the file as {config.file} into a folder and name it: dataset.folder=FOLDER, or REGSWEEP_DATA=FOLDER"
        # requests tells the address three times; its innermost error says what happened.
        _, caused, cause = what.rpartition("(Caused by ")
        what = cause.rpartition(": ")[2].rstrip("\"')") if caused else what
        raise DataError(f"{config.url}: can't be downloaded ({what}); {remedy}") from None
    return parse_table(read_file(file), str(file), path=file, drop=config.drop)
