"""Where tables come from: one loader per kind of data set. `load_dataset` is the way in.

In: a data set's config. Out: a raw `Table`, which `load_dataset` has checked and returns as a `Dataset`. A download touches the
network only if neither the folder nor the cache (`REGSWEEP_CACHE`, else the user's cache folder) holds the file.
"""

from __future__ import annotations

from collections.abc import Callable

from regsweep.config.dataset import DatasetConfig, DownloadDataset, FileDataset, MakeRegressionDataset, ScikitLearnDataset
from regsweep.data.checks import check_table
from regsweep.data.dataset import Dataset
from regsweep.data.table import Table, read_table

_TIMEOUT = 30  # seconds without an answer before a download is given up
_NUMPY_SEEDS = 2**32


def load_dataset(config: DatasetConfig) -> Dataset:
    """Load and check a data set. Raises DataError with every problem of the table, ConfigError if the config is at fault."""
    return check_table(load_table(config), config)


def load_table(config: DatasetConfig) -> Table:
    """Load the raw table of a data set; `Table.path` is the file it was read from, if it was."""
    match config:
        case ScikitLearnDataset():
            return _scikit_learn(config)
        case DownloadDataset():
            return _download(config)
        case MakeRegressionDataset():
            return _make_regression(config)
        case FileDataset():
            return read_table(config.path, separator=config.separator, kind=config.kind)


def _scikit_learn(config: ScikitLearnDataset) -> Table:
    from sklearn import datasets

    loaders: dict[str, Callable[..., object]] = {"load_diabetes": datasets.load_diabetes}
    return loaders
