"""Binary classification without training: target, config, metrics, judgement, baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from regsweep import bootstrap, judgement, metrics
from regsweep.baselines import fit_baseline
from regsweep.config import StudyConfig, compose, load_saved
from regsweep.config.names import CLASSIFIERS
from regsweep.config.split import AutoSplit
from regsweep.data import load_dataset
from regsweep.data.checks import check_table
from regsweep.data.table import table_from_frame
from regsweep.errors import ConfigError, DataError
from regsweep.predictor import TargetScale
from regsweep.record import identity
from regsweep.tasks import BINARY
from tests.helpers import trained

RNG = np.random.default_rng(4)
Y = (RNG.uniform(size=300) < 0.4).astype(np.float64)
# Rounded, so that there are ties; one probability is 0.5.
P = np.round(np.clip(0.35 * Y + RNG.uniform(0, 0.65, 300), 0.01, 0.99), 2)
P[0] = 0.5


def study(*overrides: str) -> StudyConfig:
    return compose(["task=binary_classification", *overrides])[0]


def test_scores_are_those_of_scikit_learn() -> None:
    found = metrics.score(Y, P, BINARY)
    assert found == metrics.ClassScores(
        pytest.approx(log_loss(Y, P)), pytest.approx(accuracy_score(Y, P > 0.5)), pytest.approx(roc_auc_score(Y, P))
    )


def test_a_certain_mistake_costs_what_scikit_learn_says() -> None:
    assert metrics.log_loss([1.0, 0.0], [0.0, 0.0]) == pytest.approx(log_loss([1, 0], [0.0, 0.0]))
    assert np.isnan(metrics.auc([1.0, 1.0], [0.2, 0.3]))


def test_bootstrap_intervals_are_those_of_resampling_rows_one_by_one() -> None:
    found = judgement.class_scores_with_intervals(Y, P, resamples=4000, seed=1)
    rng = np.random.default_rng(9)
    drawn = [rng.integers(len(Y), size=len(Y)) for _ in range(500)]
    for name, score in (("log_loss", log_loss), ("accuracy", lambda y, p: accuracy_score(y, p > 0.5)), ("auc", roc_auc_score)):
        low, high = np.quantile([score(Y[rows], P[rows]) for rows in drawn], [0.025, 0.975])
        interval = getattr(found, name)
        assert interval.value == pytest.approx(score(Y, P))
        assert [interval.low, interval.high] == pytest.approx([low, high], abs=0.1 * (high - low))


def test_aucs_of_many_rows_are_resampled_by_their_linear_part(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p = np.tile(Y, 10), np.tile(P, 10)
    exact = judgement.class_scores_with_intervals(y, p, resamples=2000, seed=1).auc
    monkeypatch.setattr(bootstrap, "MOST_DRAWS", 1)
    linear = judgement.class_scores_with_intervals(y, p, resamples=2000, seed=1).auc
    assert linear.value == exact.value
    assert linear.low != exact.low, "another way, by the same seed"
    assert [linear.low, linear.high] == pytest.approx([exact.low, exact.high], abs=0.1 * (exact.high - exact.low))


@pytest.mark.parametrize(("rows", "rare"), [(6000, 30), (6000, 300)])
def test_an_interval_of_an_auc_near_1_ends_there_as_it_does_row_by_row(
    monkeypatch: pytest.MonkeyPatch, rows: int, rare: int
) -> None:
    y = (np.arange(rows) < rare).astype(float)
    p = np.where(y == 1, 0.9, np.linspace(0.0, 0.5, rows))
    # A tenth of the rare class is taken for the other.
    p[: rare // 10] = 0.45
    monkeypatch.setattr(bootstrap, "MOST_DRAWS", 10**12)
    exact = judgement.class_scores_with_intervals(y, p, resamples=1000, seed=1).auc
    monkeypatch.setattr(bootstrap, "MOST_DRAWS", 1)
    linear = judgement.class_scores_with_intervals(y, p, resamples=4000, seed=1).auc
    assert linear.high <= 1
    assert [linear.low, linear.high] == pytest.approx([exact.low, exact.high], abs=0.12 * (exact.high - exact.low))


def test_differences_are_those_of_the_scores_and_the_verdict_names_log_loss() -> None:
    rival = np.full_like(P, Y.mean())
    differences = [
        judgement.paired_difference(Y, P, rival, baseline="logistic_regression", metric=name, resamples=500, seed=0)
        for name in BINARY.compared
    ]
    assert differences[0].value == pytest.approx(log_loss(Y, rival) - log_loss(Y, P))
    assert differences[1].value == pytest.approx(accuracy_score(Y, P > 0.5) - accuracy_score(Y, rival > 0.5))
    sentence = judgement.verdict(
        "", "the network", differences, best_baseline="logistic_regression", reference=BINARY.reference, metric=BINARY.verdict
    )
    assert sentence.startswith("The network is better than logistic regression, the best baseline by validation, by 0.")
    assert sentence.endswith(" of log loss (95 % interval).")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_baselines_give_probabilities_of_class_1(name: str) -> None:
    x = np.column_stack([P, RNG.normal(size=len(P))])
    found = fit_baseline(name, x, Y, seed=0, task=BINARY).predict(x)
    assert found.shape == (300,)
    assert ((found >= 0) & (found <= 1)).all()
    expected = {"mean": np.full(300, Y.mean()), "logistic_regression": LogisticRegression().fit(x, Y).predict_proba(x)[:, 1]}
    if name in expected:
        np.testing.assert_allclose(found, expected[name])
    assert (fit_baseline(name, x, np.ones(300), seed=0, task=BINARY).predict(x) == 1).all()


def test_a_logit_becomes_a_probability_without_overflow() -> None:
    scale = TargetScale(False, 0.0, 1.0, logistic=True)
    np.testing.assert_allclose(scale.to_units([-800.0, -40.0, 0.0, 40.0, 800.0]), [0, np.exp(-40.0), 0.5, 1, 1])


@pytest.mark.parametrize(
    ("values", "y"),
    [([0, 1, 1, 0], [0, 1, 1, 0]), ([True, False, True, False], [1, 0, 1, 0]), (["yes", "no", "no", "yes"], [1, 0, 0, 1])],
)
def test_a_target_has_two_classes(values: list[object], y: list[int]) -> None:
    table = table_from_frame(pd.DataFrame({"x": [1.0, 2.5, 3.0, 0.5], "y": values}), "t")
    dataset = check_table(table, study("dataset=csv", "dataset.path=t.csv", "dataset.target=y").dataset, BINARY)
    assert dataset.y.tolist() == y
    said = [note for note in dataset.notes if note.startswith("predictions are")]
    assert said == (["predictions are the probability that 'y' is 'yes', not 'no'"] if values[0] == "yes" else [])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([0, 1, 2, 0], r"t row 2: target 'y' is 2, but binary classification needs .* \(1 of 4 rows\)"),
        (["a", "b", "c", "a"], r"target 'y' has 3 value\(s\), 'a', 'b', 'c', but binary classification needs"),
        ([1, 1, 1, 1], r"target 'y' has 1 value\(s\), 1, but"),
        (["a", None, "b", "a"], r"t row 1: target 'y' is missing"),
    ],
)
def test_other_targets_are_refused(values: list[object], problem: str) -> None:
    table = table_from_frame(pd.DataFrame({"x": [1.0, 2.5, 3.0, 0.5], "y": values}), "t")
    with pytest.raises(DataError, match=problem):
        check_table(table, study("dataset=csv", "dataset.path=t.csv", "dataset.target=y").dataset, BINARY)


def test_defaults_follow_the_task() -> None:
    config = study()
    assert (config.objective, config.baselines.names) == ("val/log_loss", CLASSIFIERS)
    assert compose([])[0].objective == "val/mse"


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["objective=val/mse"], "objective: must be one of val/log_loss, val/accuracy, val/auc.*, but got 'val/mse'"),
        (["baselines=closed_form"], "baselines.names: least_squares_qr, .* can't be fitted to task=binary_classification; known"),
        (["features.target_log=true"], "features.target_log: a class has no logarithm"),
        (["task=regression", "split.stratify=true"], "split.stratify: needs classes, but task=regression; leave it out"),
    ],
)
def test_what_is_for_numbers_is_refused_for_classes(overrides: list[str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        study(*overrides)


def test_splits_of_classes_are_stratified_unless_a_record_says_nothing_of_it() -> None:
    config = study()
    assert isinstance(config.split, AutoSplit)
    assert config.split.stratify
    before = config.model_dump(mode="json")
    del before["split"]["stratify"]
    former = load_saved(before)
    assert isinstance(former.split, AutoSplit)
    assert not former.split.stratify
    assert {"split.stratify"} == {*identity(config, "0" * 64)} - {*identity(former, "0" * 64)}
    # An experiment that wants none goes with any split; where time says which rows go where, there is nothing to ask for.
    assert study("split=time_ordered", "split.stratify=false").split == study("split=time_ordered").split
    with pytest.raises(ConfigError, match=r"^split\.stratify: "):
        study("split=time_ordered", "split.stratify=true")


def test_the_task_is_part_of_a_study_unless_it_is_regression() -> None:
    assert identity(study(), "0" * 64)["task"] == "binary_classification"
    assert "task" not in identity(compose([])[0], "0" * 64)


def test_the_blobs_are_odd_where_one_coordinate_is_1() -> None:
    dataset = load_dataset(study("dataset=xor_blobs").dataset, BINARY)
    corners = np.round(dataset.x.to_numpy())
    assert dataset.rows == 800
    assert np.array_equal(dataset.y, corners[:, 0] != corners[:, 1])


def test_best_values_of_classes_are_least_loss_and_greatest_accuracy() -> None:
    result = replace(trained(), task=BINARY)
    curves = result.curves
    assert result.best["val/log_loss"] == curves[:, 3].min()
    assert result.best["val/accuracy"] == curves[:, 4].max()
    assert result.score("val/auc") == curves[-1, 5]


def test_boosting_bears_a_class_of_one_row_where_it_would_stop_early() -> None:
    x = RNG.normal(size=(10_001, 1))
    y = np.zeros(len(x))
    y[0] = 1.0
    fitted = fit_baseline("hist_gradient_boosting", x, y, seed=0, task=BINARY)
    assert np.isfinite(fitted.predict(x[:5])).all()


def test_a_nearly_empty_column_that_never_meets_a_rare_class_is_no_leak() -> None:
    y = np.zeros(400, np.int64)
    y[:5] = 1
    seldom = np.full(400, np.nan)
    seldom[100:120] = 0.0
    frame = pd.DataFrame({"x": np.arange(400) * 1.5, "seldom": seldom, "same": np.where(np.arange(400) < 120, y, np.nan), "y": y})
    notes = check_table(
        table_from_frame(frame, "t"), study("dataset=csv", "dataset.path=t.csv", "dataset.target=y").dataset, BINARY
    ).notes
    said = [note for note in notes if "equals target" in note]
    assert len(said) == 1
    assert "'same'" in said[0]
