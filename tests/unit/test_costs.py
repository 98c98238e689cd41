"""What a plan takes trainings to cost, and a rehearsal in which nothing is trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regsweep.book import read_champion
from regsweep.config import StudyConfig, compose
from regsweep.data.features import Prepared
from regsweep.material import gather
from regsweep.planning.costs import FIT, FIT_STEP, Costs, seconds_of
from regsweep.planning.preference import Lean, lean_of
from regsweep.planning.pretended import Pretended
from regsweep.planning.rehearsal import TRIALS, rehearse
from regsweep.planning.simulate import Machine, makespan
from regsweep.runner import Inline
from regsweep.runner.executor import T
from regsweep.runner.work import Results
from regsweep.train.contract import StopAfter, StopRule
from regsweep.train.plan import Load, ProgramKey, Speed, form_of
from regsweep.trial import State, TrialSpec
from tests.conftest import TINY
from tests.helpers import spec


class Slow(Inline):
    """Trains nothing, in as many seconds of its own clock as it is told."""

    def __init__(self, config: StudyConfig, data: Prepared, seconds: Callable[[Sequence[TrialSpec], Load], float]) -> None:
        super().__init__(config.trainer, data)
        self.now, self._seconds = 0.0, seconds

    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None, _rule: StopRule | None = None) -> Future[Results]:
        assert load is not None
        self.now += self._seconds(stack, load)
        future: Future[Results] = Future()
        future.set_result(())
        return future

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        # Keras is not needed.
        return None  # type: ignore[return-value]

    def _measure(self, timed: bool) -> Speed:
        return Speed()


class Idle(Inline):
    """Trains nothing, whatever is asked."""

    def submit(self, stack: Sequence[TrialSpec], load: Load | None = None, rule: StopRule | None = None) -> Future[Results]:
        raise AssertionError(f"{stack} is to be trained")

    def _measure(self, timed: bool) -> Speed:
        return Speed()


def measured(config: StudyConfig, seconds: Callable[[Sequence[TrialSpec], Load], float]) -> tuple[Costs, Slow]:
    data = gather(config).prepared
    executor = Slow(config, data, seconds)
    costs = Costs(config, data, executor, Machine(1, 0.16, 0.0), lambda: executor.now)
    costs.start()
    costs.measure()
    return costs, executor


def test_tracing_is_told_from_beginning_and_training_and_the_machine_from_the_model() -> None:
    traced = set[ProgramKey]()

    def seconds(stack: Sequence[TrialSpec], load: Load) -> float:
        new = load.program not in traced
        traced.add(load.program)
        return 0.02 * len(stack) + 3 * load.seconds + (0.7 if new else 0.0)

    costs, executor = measured(compose(["dataset=diabetes"])[0], seconds)
    machine = costs.machine
    assert (machine.slowness, machine.begin, machine.trace) == tuple(map(pytest.approx, (3, 0.02, 0.7)))
    # Some seconds of training, twice, and two epochs, at most.
    assert executor.now - 0.7 * len(traced) < 11
    # Of programs that the workers know, training is left.
    drawn = next(one for one in _drawn(costs) if form_of(one, 10, 100).program in traced)
    (load,) = costs.plan([drawn])
    assert costs.seconds([drawn]) == costs.alone(drawn, costs.data) == pytest.approx(0.02 + 3 * load.seconds)


def test_what_keras_begins_with_is_told_from_its_steps() -> None:
    config = compose(["experiments=xor_blobs", "trainer=keras_fit"])[0]
    data = gather(config).prepared
    first = True

    def seconds(stack: Sequence[TrialSpec], _: Load) -> float:
        nonlocal first
        # What happens once in a process says nothing of trainings.
        once, first = 100.0 if first else 0.0, False
        return once + seconds_of(stack[0], config, data, fit=2.0, step=5.0)

    costs, _ = measured(config, seconds)
    for one in _drawn(costs)[:5]:
        assert costs.seconds([one]) == pytest.approx(seconds_of(one, config, data, fit=2.0, step=5.0))
        assert costs.alone(one, data) == pytest.approx(costs.seconds([one]))


def test_a_large_table_is_measured_by_fewer_trainings() -> None:
    asked: list[int] = []

    def seconds(stack: Sequence[TrialSpec], load: Load) -> float:
        asked.append(len(stack))
        return load.seconds

    config = compose(["dataset=line", "dataset.n_samples=300000", "split=holdout", "baselines=none"])[0]
    costs, executor = measured(config, seconds)
    assert sum(asked) < 16
    assert executor.now < 60
    assert costs.machine.slowness == pytest.approx(1)


def test_a_training_costs_what_is_left_of_it() -> None:
    config = compose(["dataset=diabetes", "trainer=keras_fit"])[0]
    data = gather(config).prepared
    whole, rest = (seconds_of(spec(epochs=9, rounds=rounds), config, data) for rounds in ((), (6,)))
    folds, steps = 5, -(-len(data.folds[0].z_train) // 32)
    form = form_of(spec(), data.folds[0].inputs, len(data.folds[0].z_train))
    assert whole == pytest.approx(folds * (FIT + 9 * steps * FIT_STEP + Speed().stack(form, 1, 9 * steps)))
    assert rest == pytest.approx(folds * (FIT + 3 * steps * FIT_STEP + Speed().stack(form, 1, 3 * steps)))


def pretended(config: StudyConfig, data: Prepared) -> Pretended:
    return Pretended(Costs(config, data, Idle(config.trainer, data), Machine(2, 1.0, 0.0)), lean_of(config, data))


def test_made_up_results_have_the_shapes_of_trained_ones_and_cost_what_those_would() -> None:
    config = compose(["dataset=diabetes"])[0]
    data = gather(config).prepared
    executor = pretended(config, data)
    specs = [spec(widths=(7, 5), epochs=4), spec(widths=(3,), epochs=2, encoding="piecewise")]
    results = executor.train(specs)
    loads = Idle(config.trainer, data).plan(specs)
    assert executor.seconds == pytest.approx(makespan(loads, Machine(2, 1.0, 0.0))[0])
    for one, result in zip(specs, results, strict=True):
        assert (result.spec, result.state, len(result.folds)) == (one, State.COMPLETE, 5)
        fold = result.folds[0]
        assert fold.curves.shape == (one.epochs, 6)
        assert np.isfinite(fold.curves).all()
        dims = (data.folds[0].encoded(one.encoding).inputs, *one.widths, 1)
        assert [kernel.shape for kernel in fold.network.kernels] == [*pairwise(dims)]
        assert all(array.dtype == np.float32 for array in (*fold.network.kernels, *fold.network.biases))
    # The search's own trials are simulated elsewhere.
    before = executor.seconds
    assert len(executor.submit(specs).result()) == 2
    assert executor.seconds == before


def test_a_refit_costs_one_training_of_its_own_length_on_the_rows_it_is_given() -> None:
    config = compose(["dataset=diabetes"])[0]
    data = gather(config).prepared
    executor = pretended(config, data)
    one = gather(compose(["dataset=diabetes", "split=holdout"])[0]).prepared
    result = executor.train_elsewhere(config.trainer, spec(epochs=90), one, StopAfter(30, folds=1))
    assert len(result.folds) == 1
    assert executor.seconds == pytest.approx(seconds_of(spec(epochs=30), config, one))
    assert executor.call(os.getpid) == os.getpid()


def test_a_rehearsal_goes_from_trials_to_a_verdict_and_trains_nothing(tmp_path: Path) -> None:
    # More configurations to try first than a rehearsal has trials.
    tried = ",".join(f"{{depth: 0, batch_size: {size}, epochs: 1999}}" for size in range(8, 28))
    epochs = "space.parameters.epochs={type: int, low: 1000, high: 2000}"
    sizes = "space.parameters.batch_size={type: int, low: 8, high: 64}"
    overrides = [epochs, sizes, "n_trials=50", f"enqueue=[{tried}]", "champion=refit", "champion.finalists.top=3"]
    config = compose([*TINY, "dataset=diabetes", "baselines=closed_form", "insight.ablation=true", *overrides])[0]
    material = gather(config)
    executor = pretended(config, material.prepared)
    done = rehearse(material, tmp_path, executor)
    records = list(done.book.trials())
    assert len(records) == done.trials == TRIALS
    assert all(1000 <= record.result.spec.epochs <= 2000 for record in records)
    champion = read_champion(done.book)
    assert champion is not None
    assert champion["verdict"]
    assert {content["name"] for content in done.book.contents("baseline")} == set(config.baselines.names)
    assert (done.book.folder / "report").is_dir()
    # Finalists under further seeds and the champion on all rows: at least as long as its own training.
    assert done.trainings > executor._costs.alone(records[champion["trial"]].result.spec, material.prepared)


@pytest.mark.parametrize("objective", ["val/mse", "val/r2", "val/auc"])
def test_made_up_results_are_better_the_lower_their_error(objective: str) -> None:
    overrides = ["experiments=xor_blobs"] if objective == "val/auc" else ["dataset=diabetes"]
    config = compose([*overrides, f"objective={objective}"])[0]
    data = gather(config).prepared

    class Given(Lean):
        def __call__(self, specs: Sequence[TrialSpec], rng: np.random.Generator) -> np.ndarray:
            return np.array([-1.0, 0.0, 1.0])

    executor = Pretended(
        Costs(config, data, Idle(config.trainer, data), Machine(1, 0.0, 0.0)), Given(0.0, np.empty(0), config, lambda _: 1.0)
    )
    values = [result.final[objective] for result in executor.submit([spec(epochs=2)] * 3).result()]
    assert values == sorted(values, reverse=objective != "val/mse")


def _drawn(costs: Costs) -> Sequence[TrialSpec]:
    return costs._sample
