"""Counting configurations, the simulated search, and estimates kept beside what came of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regsweep.config import StudyConfig, compose
from regsweep.config.space import SpaceConfig
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.planning import Count, Estimate, compared, count, promise, searched
from regsweep.planning.baselines import baseline_seconds, fitted_in_rehearsal
from regsweep.planning.costs import seconds_of
from regsweep.planning.count import most_trials
from regsweep.planning.draws import random_specs
from regsweep.planning.history import keep
from regsweep.planning.preference import forest_to_linear, lean_of
from regsweep.planning.simulate import Course, Machine, _growth, makespan, simulate
from regsweep.search import Search
from regsweep.show.plan import _lines
from regsweep.space import draw
from regsweep.train.plan import Load

BASE: dict[str, Any] = {
    "depth": 1, "width": 8, "activation": "relu", "learning_rate": 0.01, "epochs": 3, "batch_size": 16, "optimizer": "adam",
}  # fmt: skip


def space(*, per_layer: Sequence[str] = (), **parameters: Any) -> SpaceConfig:
    switches = {f"per_layer_{name}": name in per_layer for name in ("width", "activation", "dropout")}
    return SpaceConfig.model_validate({**switches, "parameters": {**BASE, **parameters}})


class Walker:
    """Suggests along a path of choices, and notes how many there were at each turn."""

    def __init__(self, path: Sequence[int]) -> None:
        self.path, self.turns = list(path), list[int]()

    def _at(self, options: Sequence[Any]) -> Any:
        position = len(self.turns)
        self.turns.append(len(options))
        return options[self.path[position] if position < len(self.path) else 0]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._at(range(low, high + 1, step)))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        assert low == high
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._at(choices)


def walked(asked: SpaceConfig) -> set[tuple[tuple[str, Any], ...]]:
    """Every assignment, by going every way through `draw`."""
    found, waiting = set(), [[]]
    while waiting:
        path = waiting.pop()
        walker = Walker(path)
        found.add(tuple(draw(asked, walker).items()))
        for turn in range(len(path), len(walker.turns)):
            waiting += [[*path, *[0] * (turn - len(path)), choice] for choice in range(1, walker.turns[turn])]
    return found


WHEN = {"parameter": "depth", "at_least": 1}
SPACES = {
    "constants": space(),
    "one range": space(epochs={"type": "int", "low": 20, "high": 60, "step": 10}),
    "a condition": space(
        depth={"type": "int", "low": 0, "high": 4},
        width={"type": "int", "low": 8, "high": 12, "when": WHEN},
        activation={"type": "choice", "choices": ["relu", "tanh"], "when": WHEN},
        batch_size={"type": "choice", "choices": [16, 32, 64]},
    ),
    "a width per layer": space(
        per_layer=["width"],
        depth={"type": "int", "low": 0, "high": 3},
        width={"type": "choice", "choices": [4, 8, 16], "when": WHEN},
        activation={"type": "choice", "choices": ["relu", "tanh"], "when": WHEN},
    ),
    "an activation and a rate per layer": space(
        per_layer=["activation", "dropout"],
        depth={"type": "int", "low": 0, "high": 3},
        activation={"type": "choice", "choices": ["relu", "tanh"], "when": WHEN},
        dropout={"type": "choice", "choices": [0.0, 0.1, 0.2], "when": {"parameter": "depth", "at_least": 2}},
    ),
    "a condition on a condition, values one by one": space(
        depth={"type": "int", "low": 0, "high": 6, "step": 2},
        dropout={"type": "choice", "choices": [0.0, 0.1, 0.2], "when": {"parameter": "depth", "one_of": [2, 3, 6]}},
        l2={"type": "choice", "choices": [0.1, 0.2], "when": {"parameter": "dropout", "at_least": 0.1}},
    ),
    "thresholds between the values of a range": space(
        epochs={"type": "int", "low": 3, "high": 18, "step": 5},
        dropout={"type": "choice", "choices": [0.1, 0.2], "when": {"parameter": "epochs", "at_least": 7.5}},
        l2={"type": "choice", "choices": [0.1, 0.2, 0.3], "when": {"parameter": "epochs", "one_of": [8, 9, 18]}},
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_as_many_configurations_are_counted_as_there_are_ways_to_draw(name: str) -> None:
    assert count(SPACES[name]).total == len(walked(SPACES[name]))


def test_a_count_by_hand() -> None:
    # Depth 0: 3 batch sizes. Depth 1 to 4: 5 widths x 2 activations x 3 batch sizes each.
    assert count(SPACES["a condition"]).total == 3 + 4 * 5 * 2 * 3
    # 2 activations x (3 + 9 + 27) widths, and the linear network.
    assert count(SPACES["a width per layer"]).total == 2 * 39 + 1
    # A linear network, 2 activations of one layer, 2 activations x 3 rates of each of 2 or 3 layers.
    assert count(SPACES["an activation and a rate per layer"]).total == 1 + 2 + 6**2 + 6**3


def test_a_continuous_parameter_counts_where_it_can_be_drawn() -> None:
    dropout = {"type": "float", "low": 0.0, "high": 0.5, "when": {"parameter": "depth", "at_least": 2}}
    assert count(space(dropout=dropout)).total == 1
    found = count(space(dropout=dropout, depth={"type": "int", "low": 1, "high": 2}))
    assert (found.total, found.continuous) == (None, ("dropout",))
    assert count(space(l2={"type": "float", "low": 0.1, "high": 0.1})).total == 1
    asking = {"type": "float", "low": 0.0, "high": 0.1, "when": {"parameter": "dropout", "at_least": 0.2}}
    both = count(space(dropout={"type": "float", "low": 0.0, "high": 0.5}, l2=asking))
    assert both.continuous == ("dropout", "l2")
    assert count(space(per_layer=["dropout"], depth=0, dropout={"type": "float", "low": 0.0, "high": 0.5})).total == 1


def test_large_spaces_are_counted_without_being_listed() -> None:
    wide = {"type": "int", "low": 1, "high": 10**12}
    deep = {"type": "int", "low": 0, "high": 64}
    found = count(space(per_layer=["width"], depth=deep, width={"type": "int", "low": 1, "high": 100, "when": WHEN}, epochs=wide))
    assert found.total == 10**12 * sum(100**depth for depth in range(65))


def flat(seconds: float) -> Any:
    """Every spec is a load by itself, all of one program."""
    return lambda specs: [Load((position,), seconds, (1, "relu", False)) for position in range(len(specs))]


def study(*overrides: str) -> StudyConfig:
    return compose(["n_trials=12", "parallel_trials=4", *overrides])[0]


class Clock:
    """Seconds that pass by themselves: so many with every look, and more with some of them, by their number."""

    def __init__(self, each: float, more: dict[int, float] | None = None) -> None:
        self.now, self.looks, self._each, self._more = 0.0, 0, each, more or {}

    def __call__(self) -> float:
        self.now += self._each + self._more.get(self.looks, 0.0)
        self.looks += 1
        return self.now


def gone_through(
    folder: Path, config: StudyConfig, each: float, machine: Machine, patience: float = 60, clock: Clock | None = None
) -> Course:
    """The course of a search whose trials take `each` second; asking and telling take none but by the clock."""
    rng = np.random.default_rng(0)
    search, clock = Search(Workspace(folder), "s", config), clock or Clock(0.0)
    return simulate(
        config, search, flat(each), machine, patience, objectives=lambda specs: rng.uniform(size=len(specs)), clock=clock
    )


def test_a_simulated_search_takes_as_long_as_its_batches(tmp_path: Path) -> None:
    course = gone_through(tmp_path, study("sampler.startup_trials=4"), 10.0, Machine(2, 1.0, 0.0))
    # Three batches of four, two at a time, twenty seconds each; each worker traces once.
    assert course.seconds == pytest.approx(61)
    assert course.work == pytest.approx(122)
    assert len(course.specs) == 12


def test_a_search_for_several_objectives_is_simulated_too(tmp_path: Path) -> None:
    course = gone_through(tmp_path, study("sampler=nsga2", "further_objectives=[parameters]"), 10.0, Machine(4, 0.0, 0.0))
    assert (course.trials, len(course.specs)) == (12, 12)


def test_a_search_that_needs_no_answers_keeps_workers_busy(tmp_path: Path) -> None:
    course = gone_through(tmp_path, study("sampler=random", "n_trials=13"), 10.0, Machine(3, 0.0, 0.0))
    # A worker less idle than with batches of four on three workers, which would take 20 seconds each.
    assert course.seconds == pytest.approx(50)


def test_writing_and_asking_take_their_time(tmp_path: Path) -> None:
    # Trainings take none: two asks and twelve tells, between two looks each, and a second of writing each.
    course = gone_through(tmp_path, study("sampler=random"), 0.0, Machine(1, 0.0, 1.0), clock=Clock(0.25))
    asks = course.seconds - 12 * (1 + 0.25)
    assert asks == pytest.approx(0.25 * 3)


def test_what_patience_does_not_reach_is_extrapolated(tmp_path: Path) -> None:
    config = study("sampler=random", "n_trials=4000")
    course = gone_through(tmp_path / "steady", config, 1.0, Machine(1, 0.0, 0.0), 0.5, Clock(0.001))
    assert 20 < len(course.specs) < 4000
    assert course.seconds == pytest.approx(4000, rel=0.01)
    assert course.work == pytest.approx(4000)
    # The machine stands still while the second batch is asked for: the first is told in one moment, and patience is at its end.
    course = gone_through(tmp_path / "stalled", config, 1.0, Machine(1, 0.0, 0.0), 0.5, Clock(0.0, {4: 3.9}))
    assert len(course.specs) == 8
    assert course.seconds == pytest.approx(4000, rel=0.01)


def test_a_search_ends_where_there_is_nothing_more_to_try(tmp_path: Path) -> None:
    one_of = ["depth=0", "learning_rate=0.01", "l2=0", "dropout=0", "epochs=3", "optimizer=adam"]
    config = study("sampler=random", *(f"space.parameters.{one}" for one in one_of), "n_trials=50")
    total = count(config.space).total
    # The batch sizes are left, with each encoding.
    assert total == 6
    course = gone_through(tmp_path, config, 10.0, Machine(1, 0.0, 0.0))
    assert course.trials == len(course.specs) == total
    assert course.seconds == pytest.approx(60)


def test_what_patience_does_not_reach_ends_where_a_space_does(tmp_path: Path) -> None:
    one_of = ["depth=0", "learning_rate=0.01", "l2=0", "dropout=0", "optimizer=adam", "encoding=plain"]
    config = study("sampler=random", *(f"space.parameters.{one}" for one in one_of), "n_trials=5000")
    total = count(config.space).total
    assert total is not None
    assert 8 < total < 5000
    # Time is up at the second batch.
    course = gone_through(tmp_path, config, 1.0, Machine(1, 0.0, 0.0), 0.5, Clock(0.0, {4: 3.9}))
    assert course.trials == total
    assert course.seconds == pytest.approx(total, rel=0.01)


def test_the_makespan_is_that_of_the_longest_line() -> None:
    loads = [Load((0,), 3.0, (1, "relu", False)), Load((1,), 2.0, (1, "tanh", False)), Load((2,), 2.0, (1, "tanh", False))]
    # The second worker has traced tanh already: 1 + 2 + 2 = 5 there, 1 + 3 on the first.
    assert makespan(loads, Machine(2, 1.0, 0.0)) == (5.0, 1)
    assert makespan(loads, Machine(2, 1.0, 0.0), {load.program for load in loads}) == (4.0, 0)
    assert makespan(loads, Machine(2, 1.0, 0.0), {(("of no load",), True)}) == (5.0, 1)
    assert makespan(loads, Machine(2, 0.0, 0.0, slowness=2.0)) == (8.0, 1)
    assert makespan(loads, Machine(2, 0.0, 0.0, begin=1.0)) == (6.0, 1)


def test_what_asking_takes_longer_and_longer_is_seen() -> None:
    # 1 ms more with every trial; and noise around 10 ms.
    assert _growth([0.001 * trial for trial in range(90)]) == pytest.approx(0.001)
    assert _growth([0.009, 0.010, 0.011] * 30) == 0.0
    assert _growth([0.1]) == 0.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_estimate_is_compared_once_with_the_study_it_was_made_for(tmp_path: Path, cache: Path) -> None:
    workspace = Workspace(tmp_path / "mlruns")
    promise(workspace, "one", 40, 9.0)
    promise(workspace, "one", 40, 10.0)
    promise(workspace, "one", 80, 20.0)
    assert not workspace.root.exists()
    assert compared(workspace) == ()
    assert keep(workspace, "other", 40, 5.0) is None
    assert keep(Workspace(tmp_path / "elsewhere"), "one", 40, 5.0) is None
    found = keep(workspace, "one", 40, 12.0)
    assert found is not None
    assert (found.estimate, found.actual, found.ratio) == (10.0, 12.0, 1.2)
    assert keep(workspace, "one", 40, 13.0) is None
    assert keep(workspace, "one", 80, 22.0) is not None
    assert [(one.trials, one.actual) for one in compared(workspace)] == [(40, 12.0), (80, 22.0)]
    assert not [place for place in cache.rglob("*") if place.name.startswith(".plans.json")]


@pytest.mark.parametrize("damage", ['{"a": 1}', "[1, 2]", "no json", "[{}]"])
def test_damaged_files_are_as_good_as_none(tmp_path: Path, cache: Path, damage: str) -> None:
    workspace = Workspace(tmp_path / "mlruns")
    workspace.root.mkdir()
    (workspace.root / "plans.json").write_text(damage)
    (cache / "regsweep").mkdir(parents=True)
    (cache / "regsweep" / "plans.json").write_text(damage)
    assert compared(workspace) == ()
    assert keep(workspace, "one", 40, 5.0) is None


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "file"))
    promise(Workspace(tmp_path), "one", 40, 10.0)
    assert keep(Workspace(tmp_path), "one", 40, 12.0) is None


SIZES = ("depth.high=4", "epochs.high=60", "epochs.step=10", "learning_rate.low=1e-4", "learning_rate.high=3e-2")


def test_specs_are_drawn_from_the_whole_space_and_follow_from_the_seed() -> None:
    asked = compose([f"space.parameters.{one}" for one in SIZES])[0].space
    drawn = random_specs(asked, 400, seed=0)
    assert drawn == random_specs(asked, 400, seed=0)
    assert drawn != random_specs(asked, 400, seed=1)
    assert {spec.depth for spec in drawn} == {0, 1, 2, 3, 4}
    assert {spec.epochs for spec in drawn} == {20, 30, 40, 50, 60}
    assert {spec.batch_size for spec in drawn} == {16, 32, 64}
    widths = [spec.widths[0] for spec in drawn if spec.depth]
    assert min(widths) >= 8 and max(widths) <= 128
    # On a log scale half of the draws lie below the geometric mean of the ends.
    assert np.mean(np.array(widths) < 32) == pytest.approx(0.5, abs=0.08)
    rates = np.array([spec.learning_rate for spec in drawn])
    assert np.mean(rates < np.sqrt(1e-4 * 3e-2)) == pytest.approx(0.5, abs=0.08)


def test_baselines_of_a_large_table_are_extrapolated_by_their_power_of_the_rows() -> None:
    material = gather(compose(["dataset=line", "dataset.n_samples=20000", "baselines.names=[mean,ridge_closed_form]"])[0])
    assert not fitted_in_rehearsal(material.prepared)
    assert fitted_in_rehearsal(gather(compose(["dataset=line"])[0]).prepared)
    # The first baseline takes 1 s on 500 rows and 4 s on 1,000, disturbances aside: the square. The second one always takes half
    # a second. Both take 0.1 s to predict 1,000 rows, or what there is of them.
    durations = [1.0, 1.5, 9.0, 4.0, 7.0, 4.5, 0.1, 0.5, 0.5, 0.6, 0.7, 0.5, 0.5, 0.1]
    clock = iter([moment for lasting in durations for moment in (0.0, lasting)])
    fold = material.prepared.folds[0]
    found = baseline_seconds(material.config.baselines, material.prepared, lambda: next(clock))
    predicting = 0.1 * len(fold.y_val) / min(1000, len(fold.y_val))
    assert found == pytest.approx(4.0 * (len(fold.y_train) / 1000) ** 2 + 0.5 + 2 * predicting)
    assert next(clock, None) is None
    # Beside a refitted champion all of it once more.
    clock = iter([moment for lasting in durations for moment in (0.0, lasting)])
    again = baseline_seconds(material.config.baselines, material.prepared, lambda: next(clock), refit=True)
    assert again == pytest.approx(found * (len(material.prepared.folds) + 1) / len(material.prepared.folds))


EPOCHS = ["~space.parameters.epochs", "+space.parameters.epochs={type: choice, choices: [10, 100]}"]
FIXED = [f"space.parameters.{name}" for name in ("depth=1", "batch_size=32", "encoding=plain", "optimizer=adam")]
SHORT_OR_LONG = ["split=holdout", "~space.parameters.width", "+space.parameters.width=8", *FIXED, *EPOCHS]


def test_a_range_says_what_a_sampler_that_learns_may_come_to_prefer() -> None:
    (config,) = compose(SHORT_OR_LONG)
    data = gather(config).prepared
    drawn = random_specs(config.space, 200, config.seed)
    short, long = (next(seconds_of(spec, config, data) for spec in drawn if spec.epochs == epochs) for epochs in (10, 100))
    share = sum(spec.epochs == 100 for spec in drawn) / 200
    # TPE's first ten of forty are random; the others may all be short, or all be long. Here half of all are.
    specs = [spec for spec in drawn if spec.epochs == 10][:20] + [spec for spec in drawn if spec.epochs == 100][:20]
    random, expected = (1 - share) * short + share * long, (short + long) / 2
    lean = lean_of(config, data)
    found = lean.bounds(specs, 40)
    assert found == pytest.approx([(0.25 * random + 0.75 * end) / expected for end in (short, long)])
    assert found[0] < 0.8
    assert found[1] > 1.2
    assert lean.bounds(specs[:10], 10) == (1, 1)
    (blind,) = compose([*SHORT_OR_LONG, "sampler=random"])
    assert lean_of(blind, data).bounds(specs, 40) == (1, 1)
    assert lean_of(blind, data).lean == 0


@pytest.mark.parametrize("objective", ["val/mse", "val/r2"])
def test_a_sampler_that_learns_goes_in_the_plan_where_the_table_leans(tmp_path: Path, objective: str) -> None:
    (config,) = compose([*SHORT_OR_LONG, "n_trials=40", f"objective={objective}"])
    found = lean_of(config, gather(config).prepared)
    # Diabetes is as good as linear.
    assert found.lean == -0.25
    long = {}
    for lean in (-1.0, 0.0, 1.0):
        search = Search(Workspace(tmp_path), f"towards{lean}", config)
        objectives = partial(replace(found, lean=lean), rng=np.random.default_rng(0))
        course = simulate(config, search, flat(1.0), Machine(1, 0.0, 0.0), 60, objectives=objectives, clock=Clock(0.0))
        long[lean] = sum(spec.epochs == 100 for spec in course.specs[10:])
    assert long[-1.0] <= 7
    assert 7 < long[0.0] < 23
    assert long[1.0] >= 23


@pytest.mark.parametrize(
    ("table", "least", "most"),
    [(["dataset=line"], 1.0, 100), (["dataset=sine_of_x"], 0.0, 0.2), (["experiments=xor_blobs"], 0.0, 0.2)],
)
def test_a_forest_tells_a_linear_table_from_another_one(table: list[str], least: float, most: float) -> None:
    (config,) = compose(table)
    assert least < forest_to_linear(gather(config).prepared, 0) < most


@pytest.mark.parametrize(
    ("overrides", "ends", "time"),
    [
        (
            [],
            (60.0, 150.0),
            "about 100 s, of which 70 s is the search; 60 s to 0:02:30, as tpe comes to prefer short or long trainings",
        ),
        # Thirty seconds are not search; a budget bounds what is, with the four of them in which workers start.
        (
            ["budget.seconds=50"],
            (60.0, 150.0),
            "about 76 s, of which 46 s is the search; 60 s to 76 s, as tpe comes to prefer short or long trainings",
        ),
        (["sampler=random"], (100.0, 100.0), "about 100 s, of which 70 s is the search"),
        (["pruner=median"], (100.0, 100.0), "about 100 s, of which 70 s is the search; pruning not counted"),
        (["epochs=early_stopping"], (100.0, 100.0), "about 100 s, of which 70 s is the search; early stopping not counted"),
    ],
)
def test_a_plan_says_how_long_and_within_what_range(overrides: list[str], ends: tuple[float, float], time: str) -> None:
    lines = dict(_lines(study(*overrides), Estimate(100.0, *ends, 70.0, 5e6, 12, start=4.0), None, 5))
    assert lines["time"] == time
    assert lines["trainings"].startswith("60 (5 folds), and some more")


def test_what_a_sampler_can_propose_is_counted() -> None:
    few = ["space.parameters.learning_rate=0.01", "space.parameters.dropout=0", "space.parameters.l2=0", "n_trials=1000"]
    fixed = [
        f"space.parameters.{name}" for name in ("optimizer=adam", "encoding=plain", "activation=relu", "width=8", "batch_size=32")
    ]
    wide = "space.parameters.width={type: int, low: 1, high: 128, when: {parameter: depth, at_least: 1}}"
    found = searched(compose(["sampler=kt_hyperband", *few, *fixed, wide])[0])
    # Depth 0, and depths 1 to 3 with 128 widths; the epochs are Hyperband's.
    assert found == Count(1 + 3 * 128)
    # 23 trials go once through 9 epochs.
    twice = ["sampler=kt_hyperband", "sampler.max_epochs=9", "sampler.iterations=2", "enqueue=[{depth: 0}]"]
    assert most_trials(compose([*twice, "n_trials=1000"])[0]) == 2 * 23 + 1
    assert most_trials(compose([*twice, "n_trials=30"])[0]) == 30
    (config,) = compose(["sampler=grid", "sampler.points=3", *few[1:], *fixed, "space.parameters.epochs=5"])
    assert searched(config) == Count(4 * 3)
    (config,) = compose(["sampler=random", *few[1:], *fixed, "space.parameters.epochs=5"])
    assert searched(config) == Count(None, ("learning_rate",))
