from __future__ import annotations

import numpy as np
import optuna
import pytest

from regsweep.config import compose
from regsweep.errors import ConfigError
from regsweep.pareto import front_of, on_front
from regsweep.record import identity, study_name


def beats(one: list[float], other: list[float], signs: list[int]) -> bool:
    at_least = all(sign * a <= sign * b for a, b, sign in zip(one, other, signs, strict=True))
    return at_least and one != other


@pytest.mark.parametrize("objectives", [("val/mse", "parameters"), ("val/r2", "epochs", "val/mae")])
def test_the_front_is_that_of_brute_force_and_of_optuna(objectives: tuple[str, ...]) -> None:
    # Few different values: there are ties.
    points = np.random.default_rng(2).integers(0, 12, (60, len(objectives))).astype(float).tolist()
    signs = [-1 if name == "val/r2" else 1 for name in objectives]
    expected = [not any(beats(other, point, signs) for other in points) for point in points]
    assert on_front(points, objectives) == expected
    assert 1 < sum(expected) < 60
    study = optuna.create_study(directions=["maximize" if sign < 0 else "minimize" for sign in signs])
    study.add_trials([optuna.trial.create_trial(values=point) for point in points])
    assert {trial.number for trial in study.best_trials} == {number for number, best in enumerate(expected) if best}


def test_trials_without_values_are_not_on_the_front() -> None:
    contents = [
        {"number": 0, "objective": None, "others": {}},
        {"number": 1, "objective": 2.0, "others": {"parameters": 10.0}},
        {"number": 2, "objective": 1.0, "others": {"parameters": 20.0}},
        {"number": 3, "objective": 3.0, "others": {"parameters": 10.0}},
    ]
    assert front_of(contents, ("val/mse", "parameters")) == {1, 2}
    assert front_of([{**one, "others": {}} for one in contents], ("val/mse",)) == set()
    assert on_front([], ("val/mse", "parameters")) == []


def test_a_list_of_objectives_is_short_for_further_ones() -> None:
    (listed,) = compose(["objective=[val/mse,parameters]"])
    (spelt,) = compose(["objective=val/mse", "further_objectives=[parameters]"])
    assert listed == spelt
    assert listed.objectives == ("val/mse", "parameters")
    (one,) = compose([])
    assert compose(["objective=[val/mse]"])[0] == one
    assert compose(["objective=[val/mse,val/mae]", "further_objectives=[parameters]"])[0].objectives[1:] == (
        "val/mae",
        "parameters",
    )
    assert compose(["objective=[val/mse,parameters]", "further_objectives=null"])[0] == listed
    assert identity(listed, "x") != identity(one, "x")
    assert study_name(listed, "x") != study_name(one, "x")


@pytest.mark.parametrize(
    "override,problem",
    [
        ("objective=[parameters,val/mse]", "objective: must be one of"),
        ("objective=[val/mse,val/mse]", "objective: each can be given once"),
        ("objective=[val/mse,seconds]", "further_objectives.*must be one of"),
        ("objective=[]", "at least one is needed"),
        ("objective=[val/mse,parameters] sampler=cmaes", "sampler: several objectives need one of tpe,"),
        ("objective=[val/mse,parameters] pruner=median", "pruner: no pruner can compare trials by several objectives"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        compose(override.split())
