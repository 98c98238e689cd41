"""Data: `load_dataset` reads and checks a table, `make_split` divides its rows; `regsweep.data.features` encodes them."""

from regsweep.data.dataset import Dataset
from regsweep.data.sources import load_dataset
from regsweep.data.split import Fold, Split, duplicates_across, groups_across, make_split, times_across, undefined_objective

__all__ = [
    "Dataset",
    "Fold",
    "Split",
    "duplicates_across",
    "groups_across",
    "load_dataset",
    "make_split",
    "times_across",
    "undefined_objective",
]
