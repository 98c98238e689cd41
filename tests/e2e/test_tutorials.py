"""The tutorials' configurations give the figures that the experiments' pages state, over seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_regression

from experiments.diabetes.page import AS_WRITTEN as DIABETES
from experiments.diabetes.page import line_of_all
from experiments.economics.page import AS_WRITTEN as ECONOMICS
from experiments.insurance.page import PRINTED as INSURANCE
from experiments.intuition_line.page import THETA, TWO_LAYERS_FULL
from experiments.intuition_sine.page import ceiling
from experiments.linear import composed
from experiments.replicate import replicate, replicate_on_splits
from experiments.xor_blobs.page import SUCCESS
from experiments.xor_blobs.page import SYSTEMS as XOR
from regsweep.data.features import Array32
from regsweep.predictor import Member, Model, NumberColumn, TargetScale


def model(*kernels: Array32, activation: str = "linear") -> Model:
    columns = (NumberColumn("a", 1.0, 2.0, 0.0, False, False), NumberColumn("b", 0.0, 4.0, 0.0, False, False))
    biases = tuple(np.full(kernel.shape[1], 1.0, np.float32) for kernel in kernels)
    member = Member(columns, (activation,) * (len(kernels) - 1), kernels, biases, TargetScale(False, 10.0, 3.0))
    return Model("y", "", (member,))


def test_layers_without_activation_compose_to_one_line() -> None:
    rng = np.random.default_rng(0)
    deep = model(*(rng.normal(size=shape).astype(np.float32) for shape in ((2, 3), (3, 4), (4, 1))))
    line = composed(deep)
    frame = pd.DataFrame({"a": [0.0, 1.0, -3.0, 7.5], "b": [2.0, 0.0, 5.0, -1.0]})
    assert np.allclose(deep.predict(frame), line[0] + frame.to_numpy() @ line[1:], rtol=1e-5)


def test_a_line_by_hand() -> None:
    # z = 2 (a - 1) / 2 + 8 b / 4 + 1 = a + 2 b, and y = 3 z + 10.
    single = model(np.array([[2.0], [8.0]], np.float32))
    assert np.allclose(composed(single), [10.0, 3.0, 6.0])


def test_what_bends_is_no_line() -> None:
    with pytest.raises(ValueError, match="only a network without activations"):
        composed(model(np.ones((2, 2), np.float32), np.ones((2, 1), np.float32), activation="relu"))


def test_the_ceiling_of_the_sine_is_what_averaging_neighbours_reaches() -> None:
    """A fresh draw of the same law, large enough to average y's neighbours: their mean target is the best that y tells."""
    x, y, _ = make_regression(n_features=1, noise=10, random_state=1, n_samples=200_000, coef=True)
    target = np.sin(4 * x[:, 0])
    # make_regression draws another coefficient for each seed; y is brought to the tutorial's.
    slope = np.polyfit(x[:, 0], y, 1)[0]
    y = 64.59172413316013 * x[:, 0] + (y - slope * x[:, 0])
    order = np.argsort(y)
    blocks = np.array_split(target[order], 2000)
    residual = sum(float(((block - block.mean()) ** 2).sum()) for block in blocks)
    # 500 points scatter around what the law has.
    assert 1 - residual / float(((target - target.mean()) ** 2).sum()) == pytest.approx(ceiling(), abs=0.04)


@pytest.mark.slow
def test_economics_as_written(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGSWEEP_DATA", str(data_folder))
    found = replicate(ECONOMICS)
    assert all(1780 < value < 1870 for value in found.values("rmse"))
    assert found.lines[0].rmse == pytest.approx(1019.3, abs=0.1)


@pytest.mark.slow
def test_insurance_as_printed(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGSWEEP_DATA", str(data_folder))
    found = replicate_on_splits(INSURANCE)
    assert all(0.13 < value < 0.19 for value in found.values("r2"))
    assert min(one.mse for one in found.trained) > 4 * 28_009_306


@pytest.mark.slow
def test_diabetes_as_written() -> None:
    found = replicate(DIABETES)
    assert np.mean(found.values("mae")) == pytest.approx(41.1, abs=0.6)
    assert found.lines[0].mae == pytest.approx(42.88, abs=0.01)
    # scikit-learn's LinearRegression on the 353 rows of train_test_split(test_size=0.2, random_state=42).
    assert line_of_all(found).mae == pytest.approx(42.794095, abs=1e-5)


@pytest.mark.slow
def test_a_deep_network_without_activation_is_the_tutorials_theta() -> None:
    for one in replicate(TWO_LAYERS_FULL).models:
        assert np.allclose(composed(one), THETA, rtol=1e-3)


@pytest.mark.slow
def test_two_units_are_a_lottery_and_eight_are_not() -> None:
    two, _, eight = (replicate(system) for system in XOR)
    assert 0 < sum(value >= SUCCESS for value in two.values("accuracy")) < 5
    assert min(eight.values("accuracy")) >= SUCCESS
