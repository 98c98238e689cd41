"""Numbers and names that must stay what they are: records of earlier versions are found, read and trained again by them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from regsweep.book import read_trial
from regsweep.config import compose
from regsweep.record import study_name
from regsweep.reproduce import reproduce
from regsweep.train.contract import Seeds, epoch_order, seeds
from regsweep.train.stacked.draws import dropout_masks
from regsweep.trial import trial_seed
from tests.helpers import spec

# A trial of regsweep 0.1.0 on `dataset=line`, as it was written on 2026-11-27.
RECORD = Path(__file__).parents[1] / "data" / "record"
DIABETES = "cf6583c9757bf042d21f177d96e5d9a5bfab34a56399e16c1ce19dc7aca40576"


def test_seeds_follow_from_study_and_trial_as_they_always_did() -> None:
    assert [trial_seed(*numbers) for numbers in ((0, 0), (0, 1), (7, 3), (0, 1, 2))] == [
        1484405855, 1982462498, 1733098030, 1942027521
    ]  # fmt: skip
    assert seeds(spec(widths=(8, 4), seed=7), 1) == Seeds(
        kernels=(772469575, 1757419801, 597605516), order=184785996, dropout=(1648901639, 2046092657, 80625927)
    )


def test_rows_and_masks_are_drawn_from_seeds_as_they_always_were() -> None:
    assert epoch_order(5, 2, 8).tolist() == [0, 4, 5, 7, 3, 1, 2, 6]
    assert dropout_masks(3, 0.25, 1, range(2), 2, (4, 3)).astype(int).tolist() == [
        [[1, 0, 1], [1, 1, 1], [1, 1, 1], [0, 0, 1]],
        [[1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 0]],
    ]


@pytest.mark.parametrize(
    ("overrides", "sha256", "name"),
    [
        ([], DIABETES, "diabetes-tpe-auto-seed0-55d0da"),
        ([], "0" * 64, "diabetes-tpe-auto-seed0-a2f41c"),
        (["dataset=line"], "0" * 64, "line-tpe-auto-seed0-cabbdd"),
        (["sampler=kt_random", "split=kfold"], "0" * 64, "diabetes-kt_random-kfold-seed0-f79f00"),
        (["trainer=keras_fit"], "0" * 64, "diabetes-tpe-auto-seed0-21581c"),
        (
            ["dataset=xor_blobs", "task=binary_classification", "split.stratify=false"],
            "0" * 64,
            "xor_blobs-tpe-auto-seed0-4b3015",
        ),
        (["search.order=free"], "0" * 64, "diabetes-tpe-auto-seed0-f5efac"),
        (["pruner=median"], "0" * 64, "diabetes-tpe-auto-seed0-955f56"),
    ],
)
def test_a_study_keeps_its_name(overrides: list[str], sha256: str, name: str) -> None:
    # Under another name the same command would begin another study.
    assert study_name(compose(overrides)[0], sha256) == name


def test_a_record_of_an_earlier_version_is_read_and_reproduced(tmp_path: Path) -> None:
    record = read_trial(RECORD)
    assert (record.number, record.origin, record.params["width"], record.result.spec.seed) == (0, "enqueued", 8, 1484405855)
    assert record.objective == record.result.final["val/mse"] == 1686.0285919829917
    assert [kernel.shape for kernel in record.result.folds[0].network.kernels] == [(1, 8), (8, 1)]
    shutil.copytree(RECORD, tmp_path / "record")
    said: list[str] = []
    # Another processor rounds otherwise.
    answer = reproduce(tmp_path, tolerance=1e-2, announce=said.append)
    assert answer.reproduced, answer.sentence
    assert np.isfinite(answer.deviation)
