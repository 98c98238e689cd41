"""The study loop over every sampler: how many train at a time, and in which order they end, changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

from regsweep.book import RecordBook
from regsweep.budget import Budget
from regsweep.config import StudyConfig
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.runner import Inline
from regsweep.runner.work import Results
from regsweep.search import open_search
from regsweep.study import _search, wall_clock
from regsweep.train.contract import StopRule
from regsweep.train.plan import Load, one_each
from regsweep.trial import State, TrialResult, TrialSpec
from tests.helpers import SAMPLERS, each_of, search_config, trained

Row = tuple[int, dict[str, object], float | None, State]


class Scattered(Inline):
    """So many made-up trainings at a time, which end in a random order; every seventh seed fails."""

    def __init__(self, study: StudyConfig, workers: int, order: int) -> None:
        super().__init__(study.trainer, None)  # type: ignore[arg-type]
        self._workers, self._threads, self._draw = workers, ThreadPoolExecutor(workers), Random(order)
        self.ended: list[int] = []

    def plan(self, specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
        return one_each(specs)

    def submit(self, stack: Sequence[TrialSpec], _load: Load | None = None, _rule: StopRule | None = None) -> Future[Results]:
        return self._threads.submit(self._train, stack, self._draw.uniform(0, 0.01))

    def _train(self, stack: Sequence[TrialSpec], seconds: float) -> Results:
        time.sleep(seconds)
        self.ended += [spec.seed for spec in stack]
        return tuple(map(result, stack))

    def close(self) -> None:
        self._threads.shutdown()


def result(spec: TrialSpec) -> TrialResult:
    """Of a spec alone, as a training is."""
    failed = spec.seed % 7 == 0
    mse = abs(spec.learning_rate - 0.003) + abs(len(spec.widths) - 2) + spec.batch_size / 1000
    state, cause = (State.FAILED, "seven") if failed else (State.COMPLETE, None)
    made = trained(mse=mse, epochs=spec.epochs - spec.initial_epoch, widths=spec.widths, state=state, cause=cause)
    return replace(made, spec=spec)


def searched(folder: Path, sampler: str, workers: int, order: int) -> tuple[list[Row], list[int]]:
    """The study's table, and the seeds in the order in which their trainings ended."""
    trials = {"kt_bayesian": 9, "grid": 26, "kt_grid": 26}.get(sampler, 24)
    config = search_config(sampler, "dataset=diabetes", f"n_trials={trials}", "max_failures=99")
    facts = gather(config).facts
    search, book = open_search(Workspace(folder), facts.study, config), RecordBook(folder / "records" / facts.study)
    book.folder.mkdir(parents=True)
    with Scattered(config, workers, order) as executor:
        budget = Budget(config, (), wall_clock)
        rows = [
            (record.number, dict(record.params), record.objective, record.result.state)
            for record in _search(search, book, facts, executor, budget, wall_clock)
        ]
    return rows, executor.ended


@each_of(SAMPLERS)
def test_one_two_and_four_workers_come_to_one_table(tmp_path: Path, sampler: str) -> None:
    table, begun = searched(tmp_path / "one", sampler, 1, order=0)
    assert [number for number, *_ in table] == list(range(len(table)))
    assert {state for *_, state in table} == {State.COMPLETE, State.FAILED}
    for workers in (2, 4):
        rows, ended = searched(tmp_path / str(workers), sampler, workers, order=workers)
        assert rows == table
        # Trainings did end in another order than they began; Keras Tuner's grid has few at a time.
        assert ended != begun or sampler == "kt_grid"
