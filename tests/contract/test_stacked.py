"""The stacked trainer against `keras_fit`: same weights, same batches, same numbers; and what is its own business."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from regsweep.config import compose
from regsweep.config.names import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from regsweep.data import load_dataset, make_split
from regsweep.data.features import FoldData, Prepared, prepare
from regsweep.predictor import TargetScale
from regsweep.train import Trainer, make_trainer
from regsweep.train.contract import epoch_order, seeds
from regsweep.train.plan import form_of
from regsweep.train.stacked.optimizers import OPTIMIZERS as OPTIMIZERS_OF_STACKS
from regsweep.train.stacked.optimizers import schedule
from regsweep.trial import Array32, Array64, FoldResult, State, TrialResult, TrialSpec
from tests.helpers import spec

# float32 rounds every operation by up to 6e-8. Both trainers sum over fan-in, batch and rows, each in its own order, and errors
# add up over steps: what was measured on these specs is 3e-7 in curves, of their size, and 5e-6 in weights.
TOLERANCE = 2e-5
TRAIN, VAL = slice(0, 3), slice(3, 6)
ROWS = 50


def make(kind: str = "stacked", **changes: object) -> Trainer:
    return make_trainer(compose([f"trainer={kind}"])[0].trainer.model_copy(update=changes))


def made_up(rows: int = ROWS, *, log: bool = False) -> Prepared:
    """One fold of 4 inputs with 17 validation rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + 17, 4))
    y = 20 + 5 * (np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=rows + 17))
    y = np.exp(y / 10) if log else y
    z = np.log(y[:rows]) if log else y[:rows]
    target = TargetScale(log, float(z.mean()), float(z.std()))
    (x_train, y_train, z_train), (x_val, y_val, z_val) = (
        (x[part], y[part], target.to_network(y[part]).astype(np.float32)) for part in (slice(rows), slice(rows, None))
    )
    mean, std = float(y_train.mean()), float(y_train.std())
    return Prepared("y", "", (FoldData((), target, mean, std, x_train, y_train, z_train, x_val, y_val, z_val),))


@pytest.fixture(scope="module")
def data() -> Prepared:
    return made_up()


@pytest.fixture(scope="module")
def stacked() -> Trainer:
    return make()


@pytest.fixture(scope="module")
def keras_fit() -> Trainer:
    return make("keras_fit")


def weights(fold: FoldResult) -> Array32:
    return np.concatenate([array.ravel() for array in (*fold.network.kernels, *fold.network.biases)])


def assert_close(found: TrialResult, expected: TrialResult) -> None:
    assert (found.state, found.cause) == (expected.state, expected.cause)
    for a, b in zip(found.folds, expected.folds, strict=True):
        assert a.kept_epoch == b.kept_epoch
        np.testing.assert_allclose(a.curves, b.curves, rtol=TOLERANCE, atol=TOLERANCE)
        assert [kernel.shape for kernel in a.network.kernels] == [kernel.shape for kernel in b.network.kernels]
        np.testing.assert_allclose(weights(a), weights(b), rtol=0, atol=TOLERANCE)


def assert_same_weights(found: TrialResult, expected: TrialResult) -> None:
    for a, b in zip(found.folds, expected.folds, strict=True):
        np.testing.assert_array_equal(weights(a), weights(b))


def assert_same(found: TrialResult, expected: TrialResult) -> None:
    assert (found.state, found.cause) == (expected.state, expected.cause)
    for a, b in zip(found.folds, expected.folds, strict=True):
        np.testing.assert_array_equal(a.curves, b.curves)
    assert_same_weights(found, expected)


# Every activation, every optimizer, every depth up to 6; batches of 16 leave a last one of 2 rows, batches of 7 one of 1.
COVERING = [
    spec(widths=(), activation="linear", optimizer="adam", batch_size=16, l2=0.01),
    spec(widths=(6, 5), activation="linear", optimizer="sgd", batch_size=ROWS),
    spec(widths=(9,), activation="relu", optimizer="adamw", batch_size=16, l2=0.01),
    spec(widths=(3, 20), activation="leaky_relu", optimizer="rmsprop", batch_size=16),
    spec(widths=(20, 17, 5), activation="elu", optimizer="sgd", batch_size=1, l2=0.001),
    spec(widths=(8, 7, 6, 5), activation="selu", optimizer="sgd_momentum", batch_size=16, l2=0.01),
    spec(widths=(7, 7, 7, 7, 7), activation="gelu", optimizer="adam", batch_size=ROWS + 1),
    spec(widths=(4, 5, 6, 7, 8, 9), activation="silu", optimizer="adamw", batch_size=7),
    spec(widths=(33, 2), activation="softplus", optimizer="rmsprop", batch_size=ROWS, l2=0.01),
    spec(widths=(130,), activation="tanh", optimizer="sgd_momentum", batch_size=25),
    spec(widths=(16, 1), activation="sigmoid", optimizer="sgd", batch_size=16, l2=0.1, learning_rate=0.1),
    spec(widths=(9, 20, 6), activations=("tanh", "relu", "softplus"), optimizer="adam", batch_size=16, l2=0.001),
    spec(widths=(161, 149, 150), activation="leaky_relu", optimizer="adam", batch_size=64, learning_rate=0.001),
    spec(optimizer="adam", batch_size=16, epochs=5, schedule="cosine"),
    spec(optimizer="adamw", batch_size=16, epochs=5, schedule="cosine"),
    spec(optimizer="rmsprop", batch_size=ROWS, epochs=5, schedule="cosine"),
    spec(optimizer="sgd", batch_size=7, epochs=4, l2=0.01, schedule="cosine"),
    spec(optimizer="sgd_momentum", batch_size=16, epochs=5, schedule="cosine"),
]


@pytest.fixture(scope="module")
def covered(stacked: Trainer, data: Prepared) -> Mapping[TrialSpec, TrialResult]:
    return dict(zip(COVERING, stacked.fit(COVERING, data), strict=True))


def test_the_specs_that_are_compared_cover_what_there_is() -> None:
    assert {name for one in COVERING for name in one.activations} | {"linear"} == set(ACTIVATIONS)
    assert {(one.optimizer, one.schedule) for one in COVERING} == {(o, s) for o in OPTIMIZERS for s in SCHEDULES}
    assert {one.depth for one in COVERING} == set(range(7))
    assert {form_of(one, 4, ROWS).alone for one in COVERING} == {False, True}


@pytest.mark.parametrize(
    "one", COVERING, ids=lambda one: f"{'-'.join(dict.fromkeys(one.activations))}-{one.optimizer}-{one.depth}-{one.schedule}"
)
def test_a_stack_gets_what_keras_gets(
    one: TrialSpec, covered: Mapping[TrialSpec, TrialResult], keras_fit: Trainer, data: Prepared
) -> None:
    assert covered[one].trainer == "stacked"
    assert_close(covered[one], *keras_fit.fit([one], data))


def test_a_stack_gets_what_keras_gets_on_a_log_target(stacked: Trainer, keras_fit: Trainer) -> None:
    one, data = spec(batch_size=16), made_up(log=True)
    assert_close(*stacked.fit([one], data), *keras_fit.fit([one], data))


def test_a_long_cosine_ends_at_a_rate_of_zero_and_momentum_bears_it(stacked: Trainer, data: Prepared) -> None:
    # From some 13,000 steps on float32 has no rate but 0 for the last ones.
    steps = 400 * ROWS
    rates = schedule("cosine", 0.1, 0, steps, steps)
    assert rates[-1] == 0
    pace, decay, _ = OPTIMIZERS_OF_STACKS["sgd_momentum"].paces(rates, 0).astype(np.float64)
    gradients = np.random.default_rng(0).normal(size=steps)
    ours = theirs = first = velocity = 0.0
    for step, gradient in enumerate(gradients):
        first = decay[step] * first + gradient
        ours -= pace[step] * first
        # As Keras has it.
        velocity = 0.9 * velocity - float(rates[step + 1]) * gradient
        theirs += velocity
    assert ours == pytest.approx(theirs, rel=1e-5)
    one = spec(widths=(4,), optimizer="sgd_momentum", learning_rate=0.001, schedule="cosine", batch_size=1, epochs=400)
    assert stacked.fit([one], data)[0].state is State.COMPLETE


def test_dropout_on_a_linear_model_drops_nothing(stacked: Trainer, data: Prepared) -> None:
    plain, dropped = stacked.fit([spec(widths=(), dropout=rate) for rate in (0.0, 0.5)], data)
    assert dropped.state is State.COMPLETE
    assert_close(dropped, plain)


def test_on_a_log_target_too_a_result_does_not_depend_on_its_mates(stacked: Trainer, data: Prepared) -> None:
    log, mates = made_up(23, log=True), [spec(seed=seed, batch_size=7) for seed in range(9)]
    for one, together in zip(mates, stacked.fit(mates, log), strict=True):
        assert_same(together, *stacked.fit([one], log))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_patience_ends_a_member_where_keras_ends_it_and_its_mates_train_on(keep: str, data: Prepared) -> None:
    changes = {"patience": 2, "keep": keep}
    quick = spec(widths=(32,), learning_rate=0.03, epochs=25)
    mates = [spec(widths=(20,), learning_rate=0.001, epochs=25), spec(widths=(32,), learning_rate=0.03, epochs=2)]
    found, *others = make(**changes).fit([quick, *mates], data)
    assert_close(found, *make("keras_fit", **changes).fit([quick], data))
    assert len(found.curves) < 20
    assert found.folds[0].kept_epoch == len(found.curves) - (3 if keep == "best" else 1)
    assert [len(mate.curves) for mate in others] == [25, 2]


@pytest.mark.parametrize("learning_rate", [1e6, 3.0])
def test_a_diverging_member_fails_as_in_keras_and_leaves_its_mates_alone(
    learning_rate: float, stacked: Trainer, keras_fit: Trainer, data: Prepared
) -> None:
    bad = spec(optimizer="sgd", activation="relu", learning_rate=learning_rate, epochs=12, batch_size=ROWS)
    mates = [spec(activation="relu", seed=seed, epochs=12, batch_size=ROWS) for seed in (1, 2)]
    first, found, second = stacked.fit([mates[0], bad, mates[1]], data)
    (expected,) = keras_fit.fit([bad], data)
    assert found.state is expected.state is State.FAILED
    assert len(found.curves) == len(expected.curves) < 12
    # "diverged: val/mse is inf in epoch 2": whether infinities have met and made a NaN is for the order of sums to say.
    assert found.cause is not None
    assert expected.cause is not None
    assert found.cause.replace("nan", "inf") == expected.cause.replace("nan", "inf")
    for mate, alone in zip((first, second), stacked.fit(mates, data), strict=True):
        assert mate.state is State.COMPLETE
        assert_same(mate, alone)


class Rule:
    """Stops specs (by seed) at an epoch, and remembers what it was asked: (seed, epochs of each fold) -> curves."""

    name = "a test"

    def __init__(self, stops: Mapping[int, int] | None = None, every: int | None = 2, first: int = 99) -> None:
        self._stops, self.every, self._first = stops or {}, every, first
        self.asked: dict[tuple[int, ...], Sequence[Array64]] = {}

    def waves(self, folds: int) -> tuple[range, ...]:
        first = min(self._first, folds)
        return (range(first), *(range(fold, fold + 1) for fold in range(first, folds)))

    def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
        self.asked[spec.seed, *map(len, curves)] = curves
        return max(map(len, curves)) >= self._stops.get(spec.seed, 1_000)


RULED = [spec(epochs=5), spec(epochs=6, seed=8)]


@pytest.mark.parametrize("kind", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"])
def test_a_rule_is_asked_at_its_epochs_but_the_last_and_stops_whom_it_names(kind: str, data: Prepared) -> None:
    trainer, idle, rule = make(kind), Rule(), Rule({8: 4})
    free, found = trainer.fit(RULED, data, idle), trainer.fit(RULED, data, rule)
    assert [(result.state, len(result.curves)) for result in free] == [(State.COMPLETE, epochs) for epochs in (5, 6)]
    assert set(idle.asked) == set(rule.asked) == {(7, 2), (7, 4), (8, 2), (8, 4)}
    for (seed, epochs), (curves,) in rule.asked.items():
        np.testing.assert_array_equal(curves, free[seed - 7].curves[:epochs])
    assert_same(found[0], free[0])
    assert (found[1].state, found[1].cause) == (State.PRUNED, "stopped by a test after 4 of 6 epochs")
    np.testing.assert_array_equal(found[1].curves, free[1].curves[:4])
    assert found[1].folds[0].kept_epoch == 3


@pytest.mark.parametrize("kind", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"])
def test_a_rule_that_stops_nothing_changes_nothing(kind: str, folds: Prepared) -> None:
    trainer = make(kind)
    specs = [replace(member, dropouts=(0.2,) * member.depth) for member in RULED]
    free = trainer.fit(specs, folds)
    for rule in (Rule(), Rule(every=None, first=2)):
        for ruled, unruled in zip(trainer.fit(specs, folds, rule), free, strict=True):
            assert_same(ruled, unruled)


@pytest.mark.parametrize("kind", ["keras_fit", "stacked"])
def test_a_stopped_spec_has_the_weights_of_its_last_epoch(kind: str, data: Prepared) -> None:
    trainer = make(kind)
    stopped, _ = trainer.fit([spec(epochs=6), spec(epochs=6, seed=8)], data, Rule({7: 4}))
    assert_same_weights(stopped, *trainer.fit([spec(epochs=4)], data))


def test_a_rule_is_not_asked_about_a_member_whose_patience_has_ended(data: Prepared) -> None:
    rule, quick = Rule(), spec(widths=(32,), learning_rate=0.03, epochs=25)
    found = make(patience=1).fit([quick, spec(epochs=25, seed=8)], data, rule)
    ended = len(found[0].curves)
    assert ended < 25
    assert {epochs for seed, epochs in rule.asked if seed == 7} == set(range(2, ended, 2))


@pytest.mark.parametrize("kind", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"])
def test_a_rule_is_not_asked_about_a_spec_that_has_diverged(kind: str, data: Prepared) -> None:
    rule, wild = Rule(), spec(widths=(), optimizer="sgd", learning_rate=1e38, epochs=6)
    good, bad = make(kind).fit([spec(epochs=6, seed=8), wild], data, rule)
    assert (good.state, bad.state) == (State.COMPLETE, State.FAILED)
    assert set(rule.asked) == {(8, 2), (8, 4)}


def test_what_memory_has_no_room_for_is_trained_by_keras_under_the_same_rule(data: Prepared) -> None:
    # Two networks of 16 units take 0.7 MB, most of it for validation, two of 128 x 128 units 10 MB.
    trainer = make(memory_gb=2e6 / 2**30)
    specs = [spec(epochs=4), spec(widths=(100, 100), epochs=4, seed=8), spec(epochs=4, seed=9)]
    rule = Rule({8: 2, 9: 2})
    found = trainer.fit(specs, data, rule)
    assert [result.trainer for result in found] == ["stacked", "keras_fit", "stacked"]
    assert [result.state for result in found] == [State.COMPLETE, State.PRUNED, State.PRUNED]
    assert set(rule.asked) == {(7, 2), (8, 2), (9, 2)}
    np.testing.assert_array_equal(rule.asked[8, 2][0], found[1].curves)


def test_without_memory_keras_trains_everything(data: Prepared) -> None:
    (found,) = make(memory_gb=1e-6).fit([spec(epochs=1)], data)
    assert (found.trainer, found.state) == ("keras_fit", State.COMPLETE)


def test_a_stack_that_memory_divides_gives_the_same_results(stacked: Trainer, data: Prepared) -> None:
    specs = [spec(seed=seed, epochs=1 + seed) for seed in range(7)]
    # 0.34 MB each, see above: three at a time.
    for divided, whole in zip(make(memory_gb=1.1e6 / 2**30).fit(specs, data), stacked.fit(specs, data), strict=True):
        assert divided.trainer == "stacked"
        assert_same(divided, whole)


def test_a_layer_without_units_fails_and_its_mates_do_not(stacked: Trainer, data: Prepared) -> None:
    good, bad, other = stacked.fit([spec(), spec(widths=(8, 0)), spec(seed=8)], data)
    assert bad.state is State.FAILED
    assert bad.trainer == "keras_fit"
    assert [good.trainer, other.trainer] == ["stacked", "stacked"]
    for mate, alone in zip((good, other), stacked.fit([spec(), spec(seed=8)], data), strict=True):
        assert_same(mate, alone)


def test_what_one_member_raises_is_its_failure_alone(stacked: Trainer, data: Prepared) -> None:
    class Broken(Rule):
        def __call__(self, spec: TrialSpec, curves: Sequence[Array64]) -> bool:
            if spec.seed == 1:
                raise LookupError("no such trial")
            return super().__call__(spec, curves)

    specs = [spec(epochs=4, seed=seed) for seed in range(3)]
    first, bad, third = stacked.fit(specs, data, Broken())
    assert (bad.state, bad.cause, bad.folds) == (State.FAILED, "LookupError: no such trial", ())
    for mate, alone in zip((first, third), stacked.fit([specs[0], specs[2]], data), strict=True):
        assert mate.state is State.COMPLETE
        assert_same(mate, alone)


@pytest.fixture(scope="module")
def folds() -> Prepared:
    config = compose(["split=kfold", "split.folds=3"])[0]
    dataset = load_dataset(config.dataset)
    return prepare(dataset, make_split(config.split, dataset), config.features)


def test_folds_of_unequal_size_are_what_they_are_in_keras(stacked: Trainer, keras_fit: Trainer, folds: Prepared) -> None:
    assert len({len(fold.z_train) for fold in folds.folds}) == 2
    one = spec(widths=(8, 4), epochs=2, optimizer="rmsprop", l2=0.01)
    mate, found = stacked.fit([spec(widths=(5, 5), epochs=3, seed=8), one], folds)
    assert len(mate.folds) == 3
    assert_close(found, *keras_fit.fit([one], folds))


@pytest.mark.parametrize("kind", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"])
def test_a_rule_is_asked_about_all_folds_at_equal_epochs_and_stops_them_together(kind: str, folds: Prepared) -> None:
    rule = Rule({8: 4})
    found = make(kind).fit([spec(epochs=6), spec(epochs=6, seed=8)], folds, rule)
    assert set(rule.asked) == {(seed, epochs, epochs, epochs) for seed in (7, 8) for epochs in (2, 4)}
    for (seed, epochs, *_), asked in rule.asked.items():
        for curves, fold in zip(asked, found[seed - 7].folds, strict=True):
            np.testing.assert_array_equal(curves, fold.curves[:epochs])
    assert [result.state for result in found] == [State.COMPLETE, State.PRUNED]
    assert [[len(fold.curves) for fold in result.folds] for result in found] == [[6, 6, 6], [4, 4, 4]]


@pytest.mark.parametrize("kind", [pytest.param("keras_fit", marks=pytest.mark.slow), "stacked"])
def test_a_rule_between_waves_saves_the_folds_that_are_left(kind: str, folds: Prepared) -> None:
    rule = Rule({8: 3}, every=None, first=2)
    going, stopped = make(kind).fit([spec(epochs=3), spec(epochs=3, seed=8)], folds, rule)
    assert set(rule.asked) == {(7, 3, 3), (8, 3, 3)}
    assert (going.state, len(going.folds)) == (State.COMPLETE, 3)
    assert (stopped.state, len(stopped.folds), stopped.cause) == (State.PRUNED, 2, "stopped by a test after 2 folds")


BLOCK, TOTAL, SHAPE = 64, 150, (10, 24)


def masks(seed: int = 5, rate: float | Array64 = 0.3, epoch: int = 0, steps: range = range(TOTAL)) -> np.ndarray:
    from regsweep.train.stacked import draws

    assert draws.BLOCK == BLOCK
    return draws.dropout_masks(seed, rate, epoch, steps, TOTAL, SHAPE)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_every_unit_stays_with_the_probability_asked_for(rate: float) -> None:
    stayed, trials = masks(rate=rate).sum((0, 1)), TOTAL * SHAPE[0]
    assert stayed.shape == (SHAPE[1],)
    # Binomial: among 24 units, 4.5 standard deviations are passed once in 6,000 seeds.
    assert np.abs(stayed - trials * (1 - rate)).max() < 4.5 * np.sqrt(trials * rate * (1 - rate))
    assert abs(stayed.mean() - trials * (1 - rate)) < 4.5 * np.sqrt(trials * rate * (1 - rate) / SHAPE[1])


def test_at_a_rate_of_0_every_unit_stays() -> None:
    assert masks(rate=0.0).all()


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (masks()[:-1], masks()[1:]),
        lambda: (masks()[:-BLOCK], masks()[BLOCK:]),
        lambda: (masks()[:, :-1], masks()[:, 1:]),
        lambda: (masks()[:, :, :-1], masks()[:, :, 1:]),
        lambda: (masks(), masks(epoch=1)),
        lambda: (masks(), masks(seed=6)),
    ],
    ids=["steps", "blocks", "rows", "units", "epochs", "seeds"],
)
def test_masks_are_drawn_anew_for_other(pair: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
    left, right = pair()
    # Two independent draws are equal with probability 0.7² + 0.3²; neighbours share draws, which doubles the variance at most.
    equal = 0.7**2 + 0.3**2
    assert abs((left == right).mean() - equal) < 4.5 * np.sqrt(2 * equal * (1 - equal) / left.size)


def test_a_rate_of_each_unit_keeps_what_that_rate_keeps_of_all() -> None:
    rates = np.repeat([0.0, 0.3, 0.7], [4, 12, 8])
    found, start = masks(rate=rates), 0
    for rate, count in ((0.0, 4), (0.3, 12), (0.7, 8)):
        part = (..., slice(start, start + count))
        np.testing.assert_array_equal(found[part], masks(rate=rate)[part])
        start += count


@pytest.mark.parametrize("ends", [(BLOCK, TOTAL), (2 * BLOCK, TOTAL), (BLOCK, 2 * BLOCK, TOTAL)])
def test_masks_do_not_depend_on_how_an_epoch_is_cut(ends: Sequence[int]) -> None:
    parts = [masks(steps=range(start, stop)) for start, stop in zip((0, *ends), ends, strict=False)]
    np.testing.assert_array_equal(np.concatenate(parts), masks())


@pytest.mark.parametrize("rates", [(0.4, 0.4), (0.4, 0.1), (0.0, 0.3)])
def test_training_with_dropout_is_what_numpy_gets_from_the_same_masks(
    rates: tuple[float, float], stacked: Trainer, data: Prepared
) -> None:
    from regsweep.train.keras_model import build
    from regsweep.train.stacked import draws

    one = spec(widths=(12, 8), dropouts=rates, optimizer="sgd", learning_rate=0.05, batch_size=16, epochs=3)
    drawn, fold = seeds(one, 0), data.folds[0]
    (found,) = stacked.fit([one], data)
    params = [array.astype(np.float64) for array in build(one, fold.inputs).get_weights()]
    for epoch in range(one.epochs):
        order = epoch_order(drawn.order, epoch, ROWS)
        # Masks are drawn for 16 units in either layer, to which 12 and 8 are padded.
        drawings = [draws.dropout_masks(drawn.dropout[0], rate, epoch, range(4), 4, (16, 32)) for rate in rates]
        squares = 0.0
        for step, start in enumerate(range(0, ROWS, 16)):
            rows = order[start : start + 16]
            first, second = (
                stay[step, : len(rows), units] / (1 - rate)
                for stay, units, rate in zip(drawings, (slice(12), slice(16, 24)), rates, strict=True)
            )
            x, z = fold.x_train[rows], fold.z_train[rows, None].astype(np.float64)
            a = np.tanh(x @ params[0] + params[1])
            b = np.tanh((a * first) @ params[2] + params[3])
            missed = (b * second) @ params[4] + params[5] - z
            squares += float((missed**2).sum())
            by_out = 2 * missed / len(rows)
            by_b = by_out @ params[4].T * second * (1 - b**2)
            by_a = by_b @ params[2].T * first * (1 - a**2)
            pairs = ((x, by_a), (a * first, by_b), (b * second, by_out))
            steps = [gradient for entered, by in pairs for gradient in (entered.T @ by, by.sum(0))]
            params = [value - 0.05 * gradient for value, gradient in zip(params, steps, strict=True)]
        np.testing.assert_allclose(found.curves[epoch, 0], squares / ROWS * fold.std**2, rtol=TOLERANCE)
    for kernel, expected in zip(found.folds[0].network.kernels, params[::2], strict=True):
        np.testing.assert_allclose(kernel, expected, rtol=0, atol=TOLERANCE)


def test_training_with_dropout_comes_to_what_it_comes_to_in_keras(stacked: Trainer, keras_fit: Trainer, data: Prepared) -> None:
    specs = [spec(widths=(12, 8), dropout=0.5, learning_rate=0.02, epochs=8, batch_size=10, seed=seed) for seed in range(40)]

    def errors(results: Sequence[TrialResult]) -> Array64:
        """Training and validation MSE, mean over the last epochs."""
        return np.array([result.curves[-4:, [0, 3]].mean(0) for result in results])

    found, expected = errors(stacked.fit(specs, data)), errors(keras_fit.fit(specs[:5], data))
    error = np.sqrt(found.var(0, ddof=1) * (1 / len(found) + 1 / len(expected)))
    np.testing.assert_array_less(np.abs(found.mean(0) - expected.mean(0)), 4 * error)


LONG = [
    spec(widths=(9, 5), seed=seed, batch_size=1, dropout=dropout, epochs=4 + seed, optimizer=optimizer)
    for seed, optimizer in enumerate(("adam", "sgd", "rmsprop"))
    for dropout in (0.0, 0.3)
]


@pytest.fixture(scope="module")
def long() -> Prepared:
    """An epoch of 200 steps, that is four parts."""
    return made_up(200)


def in_parts(monkeypatch: pytest.MonkeyPatch, trainer: Trainer, data: Prepared) -> tuple[TrialResult, ...]:
    with monkeypatch.context() as patch:
        patch.setattr("regsweep.train.stacked.stack.DRAWS_BYTES", 1)
        return trainer.fit(LONG, data)


@pytest.mark.parametrize("changes", [{}, {"keep": "best", "patience": 2}])
def test_long_epochs_come_to_the_same_weights_in_parts(
    changes: dict[str, object], long: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(**changes)
    for parts, whole in zip(in_parts(monkeypatch, trainer, long), trainer.fit(LONG, long), strict=True):
        assert_same_weights(parts, whole)
        np.testing.assert_array_equal(parts.curves[:, VAL], whole.curves[:, VAL])
        np.testing.assert_allclose(parts.curves[:, TRAIN], whole.curves[:, TRAIN], rtol=TOLERANCE, atol=TOLERANCE)


def test_mates_do_not_change_where_the_parts_of_a_long_epoch_end(
    stacked: Trainer, long: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sums over an epoch are rounded where parts end, so it would show in the last bits.
    monkeypatch.setattr("regsweep.train.stacked.stack.DRAWS_BYTES", 18_000)
    for found, one in zip(stacked.fit(LONG, long), LONG, strict=True):
        assert_same(found, stacked.fit([one], long)[0])


@pytest.mark.parametrize("epochs", [1, 3])
def test_it_does_not_matter_how_many_epochs_a_call_takes(
    epochs: int, stacked: Trainer, data: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [spec(seed=seed, epochs=5 + seed, dropout=dropout) for seed in range(3) for dropout in (0.0, 0.3)]
    whole = stacked.fit(specs, data)
    monkeypatch.setattr("regsweep.train.stacked.stack.LONGEST_CALL", epochs)
    for found, expected in zip(stacked.fit(specs, data), whole, strict=True):
        assert_same(found, expected)


def test_validation_rows_in_chunks_give_the_same_curves(
    stacked: Trainer, data: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [spec(), spec(activation="softplus", widths=(3, 9))]
    whole = stacked.fit(specs, data)
    # 17 rows in chunks of 5: the last is filled up with 3 that don't count.
    monkeypatch.setattr("regsweep.train.stacked.table.VALIDATION_CHUNK", 5)
    for found, expected in zip(make().fit(specs, data), whole, strict=True):
        assert_same_weights(found, expected)
        np.testing.assert_array_equal(found.curves[:, TRAIN], expected.curves[:, TRAIN])
        np.testing.assert_allclose(found.curves[:, VAL], expected.curves[:, VAL], rtol=TOLERANCE, atol=TOLERANCE)
