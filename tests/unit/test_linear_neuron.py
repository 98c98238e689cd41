"""The four systems of `experiments/linear_neuron`: what SGD comes to, against NumPy, the closed form and known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.linear_neuron.systems import (
    HALF_RATE,
    SEEDS,
    TEN,
    THREE,
    descend,
    fifty_points,
    least_squares,
    one_by_one,
    seventeen_points,
    three_points,
    train,
)
from regsweep.train.contract import seeds
from regsweep.train.initial import glorot_uniform
from tests.helpers import spec


def first_slope(seed: int) -> float:
    """The weight that a neuron starts with; its bias is 0."""
    return float(glorot_uniform(seeds(spec(widths=(), seed=seed), 0).kernels[0], 1, 1)[0, 0])


def test_three_points_come_to_8_the_closer_the_greater_the_loss() -> None:
    system = three_points()
    summed, mean = system.runs
    assert system.closed_form.at(4) == pytest.approx(8, abs=1e-9)
    for run in (summed, mean):
        assert [training.seed for training in run.trainings] == [*SEEDS]
        for training in run.trainings:
            expected = descend(THREE, steps=500, loss=run.loss, slope=first_slope(training.seed))
            assert training.line.at(4) == pytest.approx(expected.at(4), abs=1e-5)
    assert summed.mean(lambda line: line.at(4)) == pytest.approx(7.98, abs=0.01)
    # Predictions lie between 7.69 and 7.98 over all initial weights.
    assert mean.mean(lambda line: line.at(4)) == pytest.approx(7.83, abs=0.1)


def test_zero_weights_give_what_symmetric_ones_give_on_average() -> None:
    assert descend(THREE, steps=500, loss="sum").at(4) == pytest.approx(7.985, abs=5e-4)
    zero = descend(THREE, steps=500, loss="mean").at(4)
    assert zero == pytest.approx(7.832, abs=5e-4)
    there, opposite = (
        descend(THREE, steps=500, loss="mean", slope=sign * 0.3, intercept=sign * 0.8).at(4) for sign in (1.0, -1.0)
    )
    assert there != pytest.approx(zero, abs=0.01)
    assert (there + opposite) / 2 == pytest.approx(zero)


def test_fifty_points_come_to_least_squares() -> None:
    system = fifty_points()
    full, parts = system.runs
    assert (full.batch_size, parts.batch_size) == (50, 32)
    line = system.closed_form
    assert [line.slope, line.intercept] == pytest.approx(np.polyfit(system.table.x, system.table.y, 1))
    assert 0 <= full.excess(line) < 1e-4
    assert full.excess(line) < parts.excess(line) < 0.05


def test_full_batches_come_to_the_least_squares_line_of_ten_points() -> None:
    line = least_squares(TEN)
    assert (line.slope, line.intercept) == (pytest.approx(1.169697, abs=1e-6), pytest.approx(1.236364, abs=1e-6))
    exact = descend(TEN, steps=5000, loss="mean")
    assert (exact.slope, exact.intercept) == (pytest.approx(1.169697, abs=1e-6), pytest.approx(1.236364, abs=1e-6))
    (found,) = (training.line for training in train(TEN, epochs=3000, seeds=(0,)).trainings)
    # float32 no longer moves an intercept whose gradient times the rate is below its last digit.
    assert (found.slope, found.intercept) == (pytest.approx(1.169697, abs=1e-5), pytest.approx(1.236364, abs=5e-5))


def test_single_rows_at_a_constant_rate_stay_above_least_squares() -> None:
    line = least_squares(TEN)
    run = train(TEN, epochs=400, learning_rate=HALF_RATE, batch_size=1, seeds=(0, 1))
    assert 0.03 < run.excess(line) < 0.1
    drawn = [one_by_one(TEN, epochs=400, learning_rate=HALF_RATE, seed=seed).late_mse for seed in SEEDS]
    assert np.mean(drawn) / line.mse - 1 == pytest.approx(0.1, abs=0.05)


def test_a_rate_that_single_rows_diverge_at_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"seed 0, batches of 1: diverged: train/mse is .+ in epoch"):
        train(TEN, epochs=50, learning_rate=0.1, batch_size=1, seeds=(0,))


def test_keras_itself_gets_the_same_line() -> None:
    ours, keras = (train(THREE, epochs=20, batch_size=2, seeds=(0,), trainer=name) for name in ("stacked", "keras_fit"))
    assert keras.trainings[0].line.slope == pytest.approx(ours.trainings[0].line.slope, abs=1e-6)


@pytest.mark.slow
def test_ten_thousand_steps_are_least_squares_in_float32() -> None:
    system = seventeen_points()
    for training in system.runs[0].trainings:
        assert training.line.slope == pytest.approx(system.closed_form.slope, abs=1e-5)
        assert training.line.intercept == pytest.approx(system.closed_form.intercept, abs=5e-5)
