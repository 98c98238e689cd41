"""What every trainer must keep. `keras_fit` is held against a bare `keras.Model.fit` and NumPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regsweep.baselines import fit_baseline
from regsweep.config import compose
from regsweep.data import load_dataset, make_split
from regsweep.data.features import FoldData, Prepared, prepare
from regsweep.predictor import Member, Model, encode
from regsweep.train import Trainer, make_trainer, save_networks
from regsweep.train.contract import epoch_order, seeds
from regsweep.trial import CURVES, State, TrialResult
from tests.helpers import spec

CONFIG = compose(["split=holdout"])[0]
# Keras takes seconds for each network, most of them to trace it.
MANY_NETWORKS = pytest.mark.parametrize("trainer", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"], indirect=True)


@pytest.fixture(scope="module")
def data() -> Prepared:
    dataset = load_dataset(CONFIG.dataset)
    return prepare(dataset, make_split(CONFIG.split, dataset), CONFIG.features)


@pytest.fixture(scope="module", params=["keras_fit", "stacked"])
def trainer(request: pytest.FixtureRequest) -> Trainer:
    return make_trainer(compose([f"trainer={request.param}"])[0].trainer)


def one(trainer: Trainer, data: Prepared, **changes: object) -> TrialResult:
    (result,) = trainer.fit([spec(**changes)], data)
    return result


def equal(a: TrialResult, b: TrialResult) -> bool:
    return all(
        np.array_equal(x.curves, y.curves) and all(map(np.array_equal, x.network.kernels, y.network.kernels))
        for x, y in zip(a.folds, b.folds, strict=True)
    )


def bare_fit(fold: FoldData, *, epochs: int, batch_size: int, seed: int) -> list[list[float]]:
    """Train the network of `spec(optimizer="sgd")` with NumPy, batch by batch, in the order both sides draw; float64."""

    from regsweep.train.keras_model import build

    weights = [w.astype(np.float64) for w in build(spec(seed=seed, batch_size=batch_size), fold.inputs).get_weights()]
    x, z = fold.x_train, fold.z_train.astype(np.float64)[:, None]
    order_seed, rows = seeds(spec(seed=seed), 0).order, []

    def predict(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.tanh(inputs @ weights[0] + weights[1])
        return hidden, hidden @ weights[2] + weights[3]

    for epoch in range(epochs):
        order = epoch_order(order_seed, epoch, len(z))
        seen, answered = [], []
        for start in range(0, len(z), batch_size):
            batch = order[start : start + batch_size]
            hidden, out = predict(x[batch])
            seen.append(z[batch])
            answered.append(out)
            gradient = 2 * (out - z[batch]) / len(batch)
            back = gradient @ weights[2].T * (1 - hidden**2)
            step = [x[batch].T @ back, back.sum(0), hidden.T @ gradient, gradient.sum(0)]
            weights = [w - 0.01 * g for w, g in zip(weights, step, strict=True)]
        train = _scores(np.concatenate(seen), np.concatenate(answered), fold.std)
        rows.append([*train, *_scores(fold.z_val.astype(np.float64)[:, None], predict(fold.x_val)[1], fold.std)])
    return rows


def _scores(z: np.ndarray, out: np.ndarray, std: float) -> list[float]:
    error = z - out
    return [
        float((error**2).mean() * std**2),
        float(np.abs(error).mean() * std),
        float(1 - (error**2).sum() / ((z - z.mean()) ** 2).sum()),
    ]


@pytest.mark.parametrize("batch_size", [32, 282])
def test_curves_are_what_numpy_gets_from_the_same_weights_and_batches(trainer: Trainer, data: Prepared, batch_size: int) -> None:
    # 282 rows in batches of 32 leave a partial last batch of 26. Training values are running means over the epoch.
    expected = bare_fit(data.folds[0], epochs=4, batch_size=batch_size, seed=7)
    found = one(trainer, data, optimizer="sgd", epochs=4, batch_size=batch_size).folds[0].curves
    # float32 rounds each of some forty steps by 6e-8; R² near 0 is a difference of numbers near 1.
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_validation_scores_are_those_of_the_returned_weights_in_target_units(trainer: Trainer, data: Prepared) -> None:
    result, fold = one(trainer, data, widths=(16, 8), activation="gelu", dropout=0.2), data.folds[0]
    member = Member(fold.columns, ("gelu", "gelu"), result.folds[0].network.kernels, result.folds[0].network.biases, fold.target)
    hidden = fold.x_val.astype(np.float32)
    for kernel, bias in zip(member.kernels[:-1], member.biases[:-1], strict=True):
        from regsweep.predictor import ACTIVATIONS

        hidden = ACTIVATIONS["gelu"](hidden @ kernel + bias)
    error = fold.target.to_units((hidden @ member.kernels[-1] + member.biases[-1])[:, 0]) - fold.y_val
    np.testing.assert_allclose(result.final["val/mse"], np.mean(error**2), rtol=1e-5)
    np.testing.assert_allclose(result.final["val/mae"], np.mean(np.abs(error)), rtol=1e-5)


@MANY_NETWORKS
def test_a_result_depends_on_its_spec_alone(trainer: Trainer, data: Prepared) -> None:
    a, b = spec(dropout=0.2, epochs=2), spec(widths=(4, 4), activation="relu", seed=8, epochs=2)
    (alone,) = trainer.fit([a], data)
    assert equal(trainer.fit([b, a], data)[1], alone)
    assert equal(trainer.fit([a, b], data)[0], alone)
    assert not equal(trainer.fit([replace(a, seed=8)], data)[0], alone)


@MANY_NETWORKS
def test_a_linear_model_trained_to_the_end_is_least_squares(trainer: Trainer, data: Prepared) -> None:
    fold = data.folds[0]
    result = one(trainer, data, widths=(), optimizer="sgd_momentum", learning_rate=0.2, epochs=400, batch_size=len(fold.z_train))
    closed = fit_baseline("least_squares_qr", fold.x_train, fold.y_train, seed=0)
    network = result.folds[0].network
    trained = fold.target.to_units(fold.x_val @ network.kernels[0].astype(np.float64) + network.biases[0])[:, 0]
    np.testing.assert_allclose(trained, closed.predict(fold.x_val), rtol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd", "sgd_momentum"])
def test_every_optimizer_learns(trainer: Trainer, data: Prepared, optimizer: str) -> None:
    curves = one(trainer, data, optimizer=optimizer, epochs=6).curves
    assert curves[-1, CURVES.index("train/mse")] < 0.8 * curves[0, CURVES.index("train/mse")]


def test_l2_shrinks_the_weights(trainer: Trainer, data: Prepared) -> None:
    free, held = (one(trainer, data, l2=l2, epochs=5).folds[0].network.kernels[0] for l2 in (0.0, 0.1))
    assert np.square(held).sum() < 0.8 * np.square(free).sum()


def test_a_diverging_trial_fails_with_its_cause(trainer: Trainer, data: Prepared) -> None:
    result = one(trainer, data, optimizer="sgd", learning_rate=1e6, activation="relu", epochs=20)
    assert result.state is State.FAILED
    assert result.cause is not None
    assert result.cause.startswith("diverged: ")
    assert "in epoch" in result.cause
    assert len(result.curves) < 20


def test_a_trial_without_one_finite_epoch_fails_and_raises_nothing(data: Prepared) -> None:
    trainer = make_trainer(compose(["trainer.keep=best"])[0].trainer)
    result = one(trainer, data, widths=(), optimizer="sgd", learning_rate=1e38, epochs=3)
    assert result.state is State.FAILED


def test_whatever_a_training_raises_is_that_trials_failure(trainer: Trainer, data: Prepared) -> None:
    good, bad = trainer.fit([spec(epochs=1), spec(widths=(0,))], data)
    assert good.state is State.COMPLETE
    assert bad.state is State.FAILED
    assert bad.cause is not None
    assert bad.cause.startswith("ValueError: ")


def test_patience_stops_and_best_keeps_the_best_epoch(data: Prepared) -> None:
    trainer = make_trainer(compose(["trainer.patience=2", "trainer.keep=best"])[0].trainer)
    result = one(trainer, data, widths=(64,), optimizer="adam", learning_rate=0.05, epochs=60)
    curve = result.folds[0].curves[:, CURVES.index("val/mse")]
    assert len(curve) < 60
    assert result.folds[0].kept_epoch == curve.argmin() == len(curve) - 3
    assert result.final["val/mse"] == curve.min() == result.best["val/mse"]


@pytest.mark.parametrize("overrides", [["features.target_standardise=false"], ["features.target_log=true"]])
def test_curves_are_in_target_units_however_the_target_is_scaled(overrides: list[str]) -> None:
    config = compose(["split=holdout", *overrides])[0]
    dataset = load_dataset(config.dataset)
    split = make_split(config.split, dataset)
    prepared = prepare(dataset, split, config.features)
    result = one(make_trainer(config.trainer), prepared, epochs=3)
    fold = prepared.folds[0]
    network = result.folds[0].network
    model = Model("", "", (Member(fold.columns, result.spec.activations, network.kernels, network.biases, fold.target),))
    error = model.predict(dataset.x.iloc[split.folds[0].val]) - fold.y_val
    np.testing.assert_allclose(result.final["val/mse"], np.mean(error**2), rtol=1e-4)
    np.testing.assert_allclose(result.final["val/mae"], np.mean(np.abs(error)), rtol=1e-4)
    np.testing.assert_allclose(
        result.final["val/r2"], 1 - np.sum(error**2) / np.sum((fold.y_val - fold.y_val.mean()) ** 2), atol=1e-4
    )


@MANY_NETWORKS
def test_a_trial_sees_the_encoding_that_it_asks_for(trainer: Trainer) -> None:
    dataset = load_dataset(CONFIG.dataset)
    both = prepare(dataset, make_split(CONFIG.split, dataset), CONFIG.features, ("plain", "piecewise"))
    seen = both.folds[0].encoded("piecewise")
    alone = replace(both, folds=(replace(seen, others={}),))
    plain, pieces = trainer.fit([spec(epochs=2), spec(epochs=2, encoding="piecewise")], both)
    assert plain.folds[0].network.kernels[0].shape == (10, 8)
    assert pieces.folds[0].network.kernels[0].shape == (seen.inputs, 8)
    assert equal(pieces, one(trainer, alone, epochs=2))
    rows = dataset.x.iloc[:5]
    encoded = encode(rows, seen.columns)
    expected = both.encoding.model(pieces).members[0].predict_encoded(encoded)
    np.testing.assert_array_equal(both.encoding.model(pieces).predict(rows), expected)


@MANY_NETWORKS
def test_every_fold_is_trained_from_its_own_start(trainer: Trainer) -> None:
    config = compose(["split=kfold", "split.folds=3"])[0]
    dataset = load_dataset(config.dataset)
    result = one(trainer, prepare(dataset, make_split(config.split, dataset), config.features), epochs=2)
    assert len(result.folds) == 3
    assert len({fold.network.kernels[0].tobytes() for fold in result.folds}) == 3
    assert result.final["val/mse"] == pytest.approx(np.mean([fold.curves[-1, 3] for fold in result.folds]))


def test_folds_may_differ_in_their_inputs(trainer: Trainer, tmp_path: Path) -> None:
    # A level that one row has, and a value that one row misses: the fold which validates that row has one input less for each.
    rows = [
        f"{number if number != 1 else ''},{'rare' if number == 40 else 'ab'[number % 2]},{number / 7}" for number in range(60)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["x,level,y", *rows]), encoding="utf-8")
    config = compose(["dataset=csv", f"dataset.path={tmp_path}/table.csv", "dataset.target=y", "split=kfold", "split.folds=3"])[0]
    dataset = load_dataset(config.dataset)
    data = prepare(dataset, make_split(config.split, dataset), config.features)
    inputs = [fold.inputs for fold in data.folds]
    assert len(set(inputs)) > 1
    first = one(trainer, data, epochs=2)
    assert first.state is State.COMPLETE, first.cause
    assert [fold.network.kernels[0].shape[0] for fold in first.folds] == inputs
    # The first fold alone trains as it does beside the others.
    alone = one(trainer, replace(data, folds=data.folds[:1]), epochs=2)
    np.testing.assert_array_equal(alone.folds[0].curves, first.folds[0].curves)
    assert went_on(trainer, data, first, 3).state is State.COMPLETE


def test_keras_users_get_a_network_with_the_same_answers(trainer: Trainer, data: Prepared, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import keras

    result, fold = one(trainer, data, dropout=0.3), data.folds[0]
    (place,) = save_networks(data.encoding.model(result), tmp_path, CONFIG.trainer).values()
    z = keras.models.load_model(place, compile=False)(fold.x_val.astype(np.float32)).numpy()[:, 0]
    np.testing.assert_allclose(np.mean((fold.target.to_units(z) - fold.y_val) ** 2), result.final["val/mse"], rtol=1e-5)


def went_on(trainer: Trainer, data: Prepared, earlier: TrialResult, epochs: int, **changes: object) -> TrialResult:
    """Train `epochs` in all, from where an earlier result stood."""
    before = earlier.spec
    start = tuple(fold.network for fold in earlier.folds)
    rounds = (*before.rounds, before.epochs)
    (result,) = trainer.fit([replace(before, epochs=epochs, rounds=rounds, start=start, **changes)], data)
    return result


@MANY_NETWORKS
def test_a_training_that_goes_on_equals_one_that_never_stood_still(trainer: Trainer, data: Prepared) -> None:
    # Plain gradient descent has no state but the weights.
    whole = one(trainer, data, optimizer="sgd", epochs=6)
    parts = [first := one(trainer, data, optimizer="sgd", epochs=2)]
    parts.append(second := went_on(trainer, data, first, 3))
    parts.append(last := went_on(trainer, data, second, 6))
    assert [len(part.curves) for part in parts] == [2, 1, 3]
    np.testing.assert_allclose(np.concatenate([part.curves for part in parts]), whole.curves, rtol=1e-6)
    for a, b in zip(last.folds[0].network.kernels, whole.folds[0].network.kernels, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert last.spec.rounds == (2, 3)
    assert last.spec.start == ()


@MANY_NETWORKS
def test_adam_goes_on_with_new_moments(trainer: Trainer, data: Prepared) -> None:
    first = one(trainer, data, epochs=2)
    fold, start = data.folds[0], first.folds[0].network
    from regsweep.train.keras_fit import batches
    from regsweep.train.keras_model import build

    model = build(spec(), fold.inputs)
    model.set_weights([array for pair in zip(start.kernels, start.biases, strict=True) for array in pair])
    model.compile("adam", "mse")
    model.optimizer.learning_rate = 0.01
    steps = -(-len(fold.z_train) // 32)
    model.fit(batches(fold, spec(epochs=4), seeds(spec(), 0).order, 2), epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)
    last = went_on(trainer, data, first, 4).folds[0].network
    for a, b in zip(last.kernels, model.get_weights()[0::2], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


@MANY_NETWORKS
def test_a_cosine_goes_on_where_the_epochs_before_it_ended(trainer: Trainer, data: Prepared) -> None:
    # The latter half of a cosine's rates sums up to less than the former half.
    first = one(trainer, data, optimizer="sgd", epochs=2)
    start = first.folds[0].network.kernels[0]
    moved = went_on(trainer, data, first, 4, schedule="cosine").folds[0].network.kernels[0]
    fresh = replace(first.spec, epochs=2, rounds=())
    steady = went_on(trainer, data, replace(first, spec=fresh), 4).folds[0].network.kernels[0]
    assert 0 < np.abs(moved - start).sum() < 0.5 * np.abs(steady - start).sum()


@MANY_NETWORKS
@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_a_training_that_goes_on_owes_nothing_to_its_mates(trainer: Trainer, data: Prepared, dropout: float) -> None:
    first = one(trainer, data, dropout=dropout, epochs=2)
    start = tuple(fold.network for fold in first.folds)
    going = replace(first.spec, epochs=4, rounds=(2,), start=start)
    mates = [spec(dropout=dropout, seed=1, epochs=5), replace(going, epochs=6), going, spec(dropout=dropout, seed=3, epochs=4)]
    assert equal(trainer.fit([going], data)[0], trainer.fit(mates, data)[2])


def test_a_training_that_goes_on_from_nothing_has_failed(trainer: Trainer, data: Prepared) -> None:
    result = one(trainer, data, epochs=4, rounds=(2,))
    assert result.state is State.FAILED
    assert result.cause == "ValueError: the 2 epochs that it goes on from could not be trained"
