"""The greedy path against functions whose path is known by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from regsweep.config import compose
from regsweep.config.space import SpaceConfig
from regsweep.insight.ablation import AblationPath, ablate
from regsweep.space import central
from regsweep.trial import Scalar

START: dict[str, Scalar] = {
    "depth": 2, "width": 32, "activation": "relu", "learning_rate": 0.001, "epochs": 40, "batch_size": 16, "optimizer": "adam",
    "dropout": 0.2, "l2": 1e-4,
}  # fmt: skip


def space(*overrides: str) -> SpaceConfig:
    return compose(["space=broad", *overrides])[0].space


class Function:
    """An objective by configuration, which notes what it was asked for, round by round."""

    def __init__(self, gains: Mapping[tuple[str, Scalar], float], broken: Mapping[str, Scalar] | None = None) -> None:
        self._gains, self._broken = gains, broken or {}
        self.rounds: list[int] = []

    def value(self, configuration: Mapping[str, Scalar]) -> float:
        return 100.0 - sum(gain for (name, value), gain in self._gains.items() if configuration.get(name) == value)

    def __call__(self, configurations: Sequence[Mapping[str, Scalar]]) -> list[float | None]:
        self.rounds.append(len(configurations))
        return [
            None if any(one.get(name) == value for name, value in self._broken.items()) else self.value(one)
            for one in configurations
        ]

    def path(self, goal: Mapping[str, Scalar], *overrides: str, start: Mapping[str, Scalar] = START) -> AblationPath:
        return ablate(space(*overrides), start, goal, self.value(goal), self, upward=False)


def test_every_step_takes_the_flip_that_helps_most() -> None:
    goal = {**START, "epochs": 60, "optimizer": "rmsprop", "l2": 1e-6}
    function = Function({("epochs", 60): 5.0, ("optimizer", "rmsprop"): 20.0, ("l2", 1e-6): -3.0})
    path = function.path(goal)
    assert (path.value, [(step.flipped, step.value) for step in path.steps]) == (
        100.0,
        [(("optimizer",), 80.0), (("epochs",), 75.0), (("l2",), 78.0)],
    )
    assert path.steps[0].tried == {"epochs": 95.0, "optimizer": 80.0, "l2": 103.0}
    assert path.steps[0].changes == {"optimizer": ("adam", "rmsprop")}
    # The start and three flips, then two; the last one is the goal, which is known.
    assert function.rounds == [4, 2]
    assert path.trainings == 6


def test_upward_it_takes_the_greatest() -> None:
    goal = {**START, "epochs": 60, "l2": 1e-6}
    values = {(40, 1e-6): 0.4, (60, 1e-4): 0.6, (40, 1e-4): 0.5}
    path = ablate(
        space(), START, goal, 0.7, lambda asked: [values[int(one["epochs"]), float(one["l2"])] for one in asked], upward=True
    )
    assert [step.flipped for step in path.steps] == [("epochs",), ("l2",)]


def test_a_failed_training_is_the_last_choice() -> None:
    goal = {**START, "epochs": 60, "learning_rate": 0.03, "l2": 1e-6}
    path = Function({("l2", 1e-6): -50.0}, broken={"learning_rate": 0.03}).path(goal)
    assert [step.flipped for step in path.steps] == [("epochs",), ("l2",), ("learning_rate",)]
    assert path.steps[0].tried["learning_rate"] is None
    assert path.steps[-1].value == 150.0


def test_values_that_are_not_finite_count_as_failed() -> None:
    goal = {**START, "epochs": 60, "l2": 1e-6}
    path = ablate(space(), START, goal, 1.0, lambda asked: [math.nan] * len(asked), upward=False)
    assert path.value is None
    assert [step.value for step in path.steps] == [None, 1.0]


def test_what_a_condition_brings_comes_with_it_as_in_the_goal() -> None:
    linear = {name: value for name, value in START.items() if name not in ("width", "activation", "dropout")} | {"depth": 0}
    goal = {**START, "depth": 3, "width": 77, "activation": "tanh", "epochs": 60}
    path = Function({("epochs", 60): 1.0, ("width", 77): 5.0}).path(goal, start=linear)
    assert [step.flipped for step in path.steps] == [("depth",), ("epochs",)]
    assert path.steps[0].changes == {
        "depth": (0, 3), "width": (None, 77), "activation": (None, "tanh"), "dropout": (None, 0.2)
    }  # fmt: skip


def test_what_a_condition_takes_away_is_gone_with_it() -> None:
    goal = {name: value for name, value in START.items() if name not in ("width", "activation", "dropout")} | {"depth": 0}
    (step,) = Function({}).path(goal).steps
    assert step.flipped == ("depth",)
    assert step.changes["width"] == (32, None)


def test_widths_of_layers_come_and_go_with_depth() -> None:
    layered = {name: value for name, value in START.items() if name != "width"}
    start = {**layered, "width_1": 32, "width_2": 32}
    goal = {**layered, "depth": 3, "width_1": 8, "width_2": 32, "width_3": 100}
    path = Function({("depth", 3): 9.0, ("width_1", 8): 1.0}).path(goal, "space.per_layer_width=true", start=start)
    assert [(step.flipped, dict(step.changes)) for step in path.steps] == [
        (("depth",), {"depth": (2, 3), "width_3": (None, 100)}),
        (("width_1",), {"width_1": (32, 8)}),
    ]


def test_every_path_ends_at_its_goal() -> None:
    goal = {**START, "depth": 4, "width": 9, "epochs": 20, "batch_size": 64, "dropout": 0.0}
    path = Function({("width", 9): 2.0, ("dropout", 0.0): 1.0}).path(goal)
    here: dict[str, Scalar | None] = dict(START)
    for step in path.steps:
        assert {name: before for name, (before, _) in step.changes.items()}.items() <= here.items()
        here |= {name: after for name, (_, after) in step.changes.items()}
    assert here == goal


def test_when_it_is_enough_the_rest_is_one_step() -> None:
    goal = {**START, "epochs": 60, "optimizer": "rmsprop", "l2": 1e-6}
    function = Function({("epochs", 60): 5.0})
    path = ablate(space(), START, goal, 95.0, function, upward=False, enough=lambda trainings: trainings < 4)
    assert [step.flipped for step in path.steps] == [("epochs",), ("optimizer", "l2")]
    assert function.rounds == [4]


def test_a_goal_that_is_the_start_has_no_steps() -> None:
    function = Function({})
    path = function.path(START)
    assert (path.value, path.steps, function.rounds) == (100.0, (), [])


def test_the_default_configuration_is_the_middle_of_the_space() -> None:
    assert central(space()) == {**START, "learning_rate": pytest.approx(math.sqrt(1e-4 * 3e-2)), "l2": pytest.approx(1e-4)}
    assert central(space("space.parameters.depth.high=3"))["depth"] == 1
    assert {*central(space("space.per_layer_width=true"))} >= {"width_1", "width_2"}
    assert "width" not in central(space("space.parameters.depth.high=1"))
