"""Trainings of classes, held against a plain `keras.Model.fit` and scikit-learn, and a tiny study from end to end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from regsweep.book import RecordBook, judged_model, read_champion, read_trial
from regsweep.champion.ensemble import greedy_weights, validation_scores
from regsweep.config import compose
from regsweep.data import load_dataset, make_split
from regsweep.data.features import Prepared, prepare
from regsweep.fsck import check
from regsweep.leaderboard import leaderboard
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.predictor import Model
from regsweep.reproduce import _compare, _compare_test
from regsweep.study import Unwatched, run_study
from regsweep.tasks import BINARY
from regsweep.train import make_trainer
from regsweep.train.contract import epoch_order, seeds
from regsweep.trial import State
from tests.conftest import TINY
from tests.helpers import spec

SMALL = [
    "experiments=xor_blobs", "dataset.n_samples=120", "split=holdout", "enqueue=[]", "n_trials=2", "parallel_trials=2",
    "space.parameters.epochs=3", "executor=inline", "bootstrap_resamples=200", "insight.ablation=false",
    "champion=bag",
]  # fmt: skip
CONFIG = compose(SMALL)[0]
SPEC = spec(widths=(3,), epochs=3, batch_size=16, optimizer="sgd", learning_rate=0.5)


@pytest.fixture(scope="module")
def data() -> Prepared:
    dataset = load_dataset(CONFIG.dataset, BINARY)
    return prepare(dataset, make_split(CONFIG.split, dataset), CONFIG.features)


@pytest.mark.parametrize("kind", ["keras_fit", "stacked"])
def test_a_training_is_that_of_plain_keras(kind: str, data: Prepared) -> None:
    (result,) = make_trainer(compose([f"trainer={kind}"])[0].trainer).fit([SPEC], data)
    import keras

    from regsweep.train.keras_model import build

    fold, model = data.folds[0], build(SPEC, 2)
    model.compile(
        optimizer=keras.optimizers.SGD(0.5),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )
    logs = []
    for epoch in range(3):
        order = epoch_order(seeds(SPEC, 0).order, epoch, len(fold.y_train))
        x, y = fold.x_train[order].astype(np.float32), fold.y_train[order, None]
        logs.append(
            model.fit(
                x,
                y,
                batch_size=16,
                shuffle=False,
                verbose=0,
                validation_data=(fold.x_val.astype(np.float32), fold.y_val[:, None]),
            ).history
        )
    trained = result.folds[0]
    for mine, theirs in zip(trained.network.kernels, model.get_weights()[::2], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    names = result.task.curves
    for column, key in (("train/log_loss", "loss"), ("val/log_loss", "val_loss"), ("train/auc", "auc"), ("val/auc", "val_auc")):
        np.testing.assert_allclose(trained.curves[:, names.index(column)], [log[key][0] for log in logs], rtol=1e-4)

    # Of the weights after the last epoch; Keras's AUC goes by 200 thresholds.
    probability = data.encoding.model(result).members[0].predict_encoded(fold.x_val)
    final = result.final
    assert final["val/log_loss"] == pytest.approx(log_loss(fold.y_val, probability), rel=1e-5)
    assert final["val/accuracy"] == pytest.approx(accuracy_score(fold.y_val, probability > 0.5))
    assert final["val/auc"] == pytest.approx(roc_auc_score(fold.y_val, probability), abs=0.02)
    assert greedy_weights([result], data, "val/log_loss", 3) == (1.0,)


def test_a_study_of_classes_from_end_to_end(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"tracking": CONFIG.tracking.model_copy(update={"dir": str(tmp_path)})})
    material = gather(config)
    book = RecordBook(run_study(material, Workspace(tmp_path), Unwatched()).book.folder)
    model, champion = judged_model(book), read_champion(book)
    assert champion is not None
    assert champion["verdict"].startswith("The network is ")
    assert {content["name"] for content in book.contents("baseline")} == set(config.baselines.names)

    test = material.split.test
    probability = model.predict(material.dataset.x.iloc[test])
    y = material.dataset.y[test]
    assert champion["test"]["log_loss"]["value"] == pytest.approx(log_loss(y, probability))
    assert champion["test"]["auc"]["value"] == pytest.approx(roc_auc_score(y, probability))
    assert _compare_test(champion, model, material)[0] == 0
    read = read_trial(book.place(0))
    assert set(read.result.final) == set(BINARY.curves)
    # Beside baselines, a trial's AUC is exact as theirs is.
    (fold,), trials = material.prepared.folds, {record.number: record for record in book.trials()}
    answers = material.prepared.encoding.model(read.result).members[0].predict_encoded(fold.x_val)
    reached = validation_scores([(0, 1.0)], 0, trials, material.prepared)
    assert reached["auc"] == pytest.approx(roc_auc_score(fold.y_val, answers), rel=1e-12)
    assert reached["log_loss"] == read.result.final["val/log_loss"]
    leader = champion["trial"]
    assert champion["val"]["auc"] == validation_scores([(leader, 1.0)], leader, trials, material.prepared)["auc"]
    (row,) = [row for row in leaderboard(book) if row.kind == "champion"]
    assert row.val_auc == champion["val"]["auc"]
    assert read.objective == read.result.final["val/log_loss"]
    assert (book.folder / "report" / "decision_boundary.png").is_file()
    assert {"val_log_loss", "test_auc"} <= {*pd.read_csv(book.folder / "report" / "leaderboard.csv").columns}

    saved = tmp_path / "saved"
    saved.mkdir()
    model.save(saved)
    again = Model.load(saved / "model.json", saved / "weights.npz")
    assert np.array_equal(again.predict(material.dataset.x), model.predict(material.dataset.x))
    assert again.unit == "probability of 1"


def test_one_class_alone_has_no_auc_and_is_no_divergence(tmp_path: Path, empty_store: Path) -> None:
    # Sorted in time: the last rows, which validate and test, are all of one class.
    x = np.random.default_rng(0).normal(size=(100, 2))
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(np.arange(100) < 60, (x[:, 0] > 0).astype(int), 0)})
    table.to_csv(tmp_path / "sorted.csv", index=False)
    root = tmp_path / "mlruns"
    root.mkdir()
    shutil.copy(empty_store, root)
    overrides = [
        *("dataset=csv", f"dataset.path={tmp_path}/sorted.csv", "dataset.target=y", "task=binary_classification"),
        *(*TINY, "split=time_ordered", "space.parameters.batch_size=16", "pruner=median", "pruner.startup_trials=1"),
        *("baselines.names=[logistic_regression]", "pruner.warmup_epochs=1", "pruner.interval=1", f"tracking.dir={root}"),
    ]
    material = gather(compose(overrides)[0])
    assert set(material.dataset.y[material.split.folds[0].val]) == {0.0}
    book = run_study(material, Workspace(root), Unwatched()).book
    for record in book.trials():
        assert record.result.state in (State.COMPLETE, State.PRUNED), record.result.cause
        final = record.result.final
        assert [name for name, value in final.items() if not np.isfinite(value)] == ["val/auc"]
    # Early records have Keras's 0 there: trained again, it is the same trial.
    result = record.result
    former = replace(result, folds=tuple(replace(fold, curves=np.nan_to_num(fold.curves)) for fold in result.folds))
    deviation, _, epoch = _compare(former, result)
    assert (deviation, epoch) == (0.0, 0)
    champion = read_champion(book)
    assert champion is not None
    assert (champion["val"]["auc"], champion["test"]["auc"]["value"]) == (None, None)
    assert champion["test"]["log_loss"]["value"] is not None
    assert check(Workspace(root), book).findings == ()
