"""Importance and surface where one hyperparameter matters by construction, and the record's way to disk."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regsweep.book import RecordBook
from regsweep.config.parameters import Choice, Found, IntRange
from regsweep.folder import read_json
from regsweep.insight import look_into, read_insight
from regsweep.insight.surface import surface
from regsweep.record import TrialRecord
from regsweep.report.space_plots import contour
from regsweep.runner.executor import Executor
from regsweep.search.importance import FANOVA, MOST, PED_ANOVA, importances
from regsweep.space import draw
from regsweep.trial import Scalar, State
from tests.unit.plot_parts import PARAMS, facts, record


class Drawing:
    """Suggests at random."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return round(math.exp(self._rng.uniform(math.log(low), math.log(high))))
        return low + step * int(self._rng.integers((high - low) // step + 1))

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False) -> float:
        return math.exp(self._rng.uniform(math.log(low), math.log(high))) if log else self._rng.uniform(low, high)

    def suggest_categorical(self, _name: str, choices: tuple[Scalar, ...]) -> Scalar:
        return choices[int(self._rng.integers(len(choices)))]


def drawn(count: int, objective: object) -> list[TrialRecord]:
    """Random trials whose validation MSE is a function of their hyperparameters."""
    params = [draw(facts().config.space, Drawing(number)) for number in range(count)]
    return [record(number, [objective(one)], params=one) for number, one in enumerate(params)]  # type: ignore[operator]


def by_rate(params: dict[str, Scalar]) -> float:
    return 1 + (math.log10(float(params["learning_rate"])) + 3) ** 2


@pytest.mark.parametrize("method", [0, 1])
def test_the_one_that_matters_comes_first(method: int) -> None:
    found = importances(drawn(80, by_rate), "val/mse", seed=0)
    assert [one.method for one in found] == [FANOVA, PED_ANOVA]
    values = found[method].values
    assert next(iter(values)) == "learning_rate"
    assert values["learning_rate"] > 0.5
    assert sum(values.values()) == pytest.approx(1)
    assert list(values.values()) == sorted(values.values(), reverse=True)


@pytest.mark.parametrize("method", [0, 1])
def test_a_hyperparameter_that_exists_on_a_condition_is_told_too(method: int) -> None:
    found = importances(drawn(120, lambda p: 50.0 if "dropout" not in p else 10 + 100 * float(p["dropout"])), "val/mse", seed=0)
    assert {*found[method].values} == {*facts().config.space.parameters}
    assert found[method].values["dropout"] > found[method].values["epochs"]


def test_higher_is_better_for_r2() -> None:
    # The best tenth by R² lies about 1e-3; the worst tenth, which a forgotten direction would take, at both ends.
    records = drawn(80, lambda p: by_rate(p) * (1 + 3 * (p["optimizer"] == "sgd_momentum")))
    errors, ratios = (importances(records, name, seed=0)[1].values for name in ("val/mse", "val/r2"))
    assert ratios == pytest.approx(errors)


@pytest.mark.parametrize("unit", [2.0**-40, 1.0, 2.0**40])
def test_the_unit_of_the_target_is_no_hyperparameter(unit: float) -> None:
    records, scaled = drawn(60, by_rate), drawn(60, lambda p: unit * by_rate(p))
    for one, other in zip(importances(scaled, "val/mse", seed=0), importances(records, "val/mse", seed=0), strict=True):
        assert one.values == other.values
    found, plain = (surface(some, "val/mse", ["learning_rate", "width"], seed=0) for some in (scaled, records))
    assert found is not None
    assert plain is not None
    np.testing.assert_array_equal(found["mean"], unit * np.array(plain["mean"]))


def test_a_surface_may_have_one_column_alone() -> None:
    study = facts("space.parameters.depth.high=1")
    params = [draw(study.config.space, Drawing(number)) for number in range(40)]
    records = [record(number, [by_rate(one)], params=one, study=study) for number, one in enumerate(params)]
    found = surface(records, "val/mse", ["depth", "width"], seed=0)
    assert found is not None
    assert found["x"] == [1]
    (axes, _) = contour(records, found, "val/mse", "points").axes
    assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_a_constant_is_on_no_axis(tmp_path: Path) -> None:
    constants = {"depth": 1, "width": 8, "activation": "relu", "epochs": 3, "batch_size": 16, "dropout": 0, "l2": 0}
    fixed = [f"space.parameters.{name}={value}" for name, value in constants.items()]
    study = facts("insight.ablation=false", *fixed, "space.parameters.optimizer.choices=[adam]")
    params = [draw(study.config.space, Drawing(number)) for number in range(40)]
    records = [record(number, [by_rate(one)], params=one, study=study) for number, one in enumerate(params)]
    nobody: Executor = None  # type: ignore[assignment]
    content = look_into(RecordBook(tmp_path), study, records, records[3], nobody)
    assert content["importance"][0]["values"]["learning_rate"] == pytest.approx(1)
    assert content["surface"] is None


def test_where_the_trials_that_are_looked_at_are_equal_nothing_is_told() -> None:
    chosen = {*np.unique(np.linspace(0, 999, MOST).round().astype(int)).tolist()}
    others = iter([number for number in range(1000) if number not in chosen][:5])
    odd = {number: 1.0 + place for place, number in enumerate(others, start=1)}
    params = draw(facts().config.space, Drawing(0))
    assert importances([record(number, [odd.get(number, 1.0)], params=params) for number in range(1000)], "val/mse", seed=0) == ()


def test_one_diverged_trial_does_not_decide() -> None:
    records = drawn(80, lambda p: by_rate(p) + (1e12 if p["batch_size"] == 64 and float(p["l2"]) < 1.5e-6 else 0))
    assert next(iter(importances(records, "val/mse", seed=0)[0].values)) == "learning_rate"


def test_fanova_is_bounded_and_says_by_how_many_trials() -> None:
    fanova, ped = importances(drawn(MOST + 50, by_rate), "val/mse", seed=0)
    assert (fanova.trials, ped.trials) == (MOST, MOST + 50)


def test_importance_repeats_and_takes_complete_trials_only() -> None:
    records = drawn(30, by_rate)
    failed = [record(40, [], state=State.FAILED), record(41, [math.nan]), record(42, [0.001], state=State.PRUNED)]
    assert importances([*records, *failed], "val/mse", seed=0) == importances(records[::-1], "val/mse", seed=0)


def test_of_few_different_trials_nothing_is_told() -> None:
    assert importances([record(number, [5.0]) for number in range(20)], "val/mse", seed=0) == ()


def test_the_surface_is_lowest_where_the_objective_is() -> None:
    found = surface(drawn(150, by_rate), "val/mse", ["learning_rate", "optimizer"], seed=0)
    assert found is not None
    mean = np.array(found["mean"])
    assert mean.shape == (3, 24)
    assert found["y"] == ["adam", "rmsprop", "sgd_momentum"]
    lowest = np.array(found["x"])[mean.argmin(axis=1)]
    assert np.all((lowest > 4e-4) & (lowest < 2.5e-3))
    assert np.ptp(mean, axis=0).max() < 0.25 * np.ptp(mean, axis=1).min()


def test_the_surface_has_no_cells_where_a_condition_does_not_hold() -> None:
    records = drawn(60, by_rate)
    found = surface(records, "val/mse", ["width", "depth"], seed=0)
    assert found is not None
    assert found["y"] == [1, 2, 3, 4]
    assert found["trials"] == sum("width" in one.params for one in records)
    assert surface(records[:8], "val/mse", ["width", "depth"], seed=0) is None
    assert surface(records, "val/mse", ["depth"], seed=0) is None


def test_the_surface_stands_at_the_values_that_a_condition_names() -> None:
    dropout = "{type: float, low: 0, high: 0.5, when: {parameter: width, one_of: [32, 64, 1000]}}"
    study = facts(f"space.parameters.dropout={dropout}", "space.parameters.width.high=256")
    rng = np.random.default_rng(0)
    params = [{**PARAMS, "width": 32 * (1 + number % 2), "dropout": float(rng.uniform(0, 0.5))} for number in range(40)]
    records = [record(number, [1 + float(one["dropout"])], params=one, study=study) for number, one in enumerate(params)]
    found = surface(records, "val/mse", ["width", "dropout"], seed=0)
    assert found is not None
    assert found["x"] == [32, 64]


def test_what_a_function_calls_depth_need_be_no_depth() -> None:
    study = facts()
    found: dict[str, Found] = {
        "depth": Choice(type="choice", choices=("shallow", "deep")),
        "width_2": IntRange(type="int", low=2, high=9),
        "width_3": IntRange(type="int", low=2, high=9),
    }
    space = study.config.space.model_copy(update={"function": "module:define", "found": found})
    study = replace(study, config=study.config.model_copy(update={"space": space}))
    params = [{"depth": ("shallow", "deep")[number % 2], "width_2": 2 + number % 8} for number in range(40)]
    records = [
        replace(record(number, [float(one["width_2"])], study=study), params=one)  # type: ignore[arg-type]
        for number, one in enumerate(params)
    ]
    shown = surface(records, "val/mse", ["depth", "width_2"], seed=0)
    assert shown is not None
    assert (shown["x"], shown["y"]) == (["shallow", "deep"], [2, 3, 4, 5, 6, 7, 8, 9])
    # A number below the layer of the other name is no reason to leave it out.
    numbers = [replace(one, params={"depth": 2 + one.number % 3, "width_3": 3}) for one in records]
    found |= {"depth": IntRange(type="int", low=2, high=4)}
    shown = surface(numbers, "val/mse", ["depth", "width_3"], seed=0)
    assert shown is not None
    assert shown["x"] == [2, 3, 4]


def test_the_record_is_kept_until_its_trials_change(tmp_path: Path) -> None:
    study = facts("insight.ablation=false")
    book = RecordBook(tmp_path)
    records = drawn(20, by_rate)
    nobody: Executor = None  # type: ignore[assignment]
    content = look_into(book, study, records, records[3], nobody)
    assert read_json(book.insight)["importance"] == [
        {**one, "values": dict(one["values"])} for one in content["importance"]
    ]  # fmt: skip
    before = book.insight.stat().st_mtime_ns
    assert look_into(book, study, records, records[3], nobody)["importance"] == content["importance"]
    assert book.insight.stat().st_mtime_ns == before
    assert look_into(book, study, records[:-1], records[3], nobody)["trials"] == [*range(19)]
    book.insight.write_text(book.insight.read_text().replace("20", "21"))
    assert read_insight(book) is None
    assert look_into(book, study, records, records[3], nobody)["importance"] == content["importance"]
