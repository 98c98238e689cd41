from __future__ import annotations

import math
import re
from collections.abc import Sequence

import optuna
import pytest
from pydantic import ValidationError

from regsweep.config import compose
from regsweep.config.space import SpaceConfig
from regsweep.errors import ConfigError
from regsweep.search.samplers import PerTrialSampler, distribution_of
from regsweep.space import always, draw, every_key, parameter_of
from regsweep.trial import Scalar, best_of, spec_from_values, trial_seed
from tests.helpers import spec as made


class Lowest:
    """Suggests the least or first value of everything, but a depth that is given."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.asked: list[str] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked.append(name)
        return self.depth if name == "depth" else low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append(name)
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Scalar:
        self.asked.append(name)
        return choices[0]


def test_a_linear_model_has_no_width_activation_or_dropout() -> None:
    values = draw(compose([])[0].space, Lowest(0))
    assert set(values) == {"depth", "learning_rate", "epochs", "batch_size", "optimizer", "l2", "encoding", "schedule"}
    assert spec_from_values(values, seed=1).widths == ()


@pytest.mark.parametrize("depth", [1, 3])
def test_per_layer_widths_are_drawn_for_each_hidden_layer(depth: int) -> None:
    values = draw(compose(["space.per_layer_width=true"])[0].space, Lowest(depth))
    assert [key for key in values if key.startswith("width")] == [f"width_{i + 1}" for i in range(depth)]
    assert spec_from_values(values, seed=1).widths == (8,) * depth


def test_a_shared_width_serves_every_layer() -> None:
    assert spec_from_values(draw(compose([])[0].space, Lowest(4)), seed=1).widths == (8, 8, 8, 8)


def test_a_layers_own_parameters_need_the_depth_above_them() -> None:
    space = compose(["space.per_layer_width=true"])[0].space.model_dump()
    width = space["parameters"].pop("width")
    with pytest.raises(ValidationError, match="width: every hidden layer has one of its own, so depth must stand above it"):
        SpaceConfig.model_validate({**space, "parameters": {"width": {**width, "when": None}, **space["parameters"]}})


def test_the_best_of_values_is_a_number() -> None:
    values = {"a": math.nan, "b": 2.0, "c": None, "d": 1.0, "e": math.inf, "f": 1.0}
    assert (best_of(values, "val/mse"), best_of(values, "val/r2")) == ("d", "b")
    assert best_of({"a": math.nan, "c": None}, "val/mse") is None


def test_what_every_configuration_has() -> None:
    everywhere = {"depth", "learning_rate", "epochs", "batch_size", "optimizer", "l2", "encoding", "schedule"}
    assert always(compose([])[0].space) == everywhere
    hidden = {"width", "activation", "dropout"}
    assert always(compose(["space.parameters.depth.low=1"])[0].space) == everywhere | hidden
    layered = compose(["space.parameters.depth.low=1", "space.per_layer_width=true"])[0].space
    assert always(layered) == everywhere | {"activation", "dropout", "width_1"}


def test_cmaes_models_what_every_configuration_has_alone() -> None:
    # All trials so far have hidden layers, so Optuna would model their width, and nothing more once a trial has none.
    config = compose(["sampler=cmaes"])[0]
    study = optuna.create_study(sampler=PerTrialSampler(config))
    kinds = {key: distribution_of(parameter) for key, parameter in every_key(config.space).items()}
    params = {**draw(config.space, Lowest(1))}
    given = {key: params[key] for key in kinds if key in params}
    study.add_trial(optuna.create_trial(value=1.0, params=given, distributions={key: kinds[key] for key in given}))
    relative = study.sampler.infer_relative_search_space(study, study.trials[0])
    assert {"learning_rate", "l2"} <= relative.keys()
    assert not relative.keys() & {"width", "activation", "dropout"}


PER_LAYER = ["space.per_layer_activation=true", "space.per_layer_dropout=true"]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_activations_and_dropout_rates_are_drawn_for_each_hidden_layer(depth: int) -> None:
    values = draw(compose(PER_LAYER)[0].space, Lowest(depth))
    numbered = {f"{name}_{layer}" for name in ("activation", "dropout") for layer in range(1, depth + 1)}
    assert {key for key in values if key.startswith(("activation", "dropout"))} == numbered
    spec = spec_from_values(values, seed=1)
    assert (spec.activations, spec.dropouts) == (("relu",) * depth, (0.0,) * depth)


def test_each_layer_gets_its_own() -> None:
    values = draw(compose(PER_LAYER)[0].space, Lowest(2)) | {"activation_2": "tanh", "dropout_1": 0.1, "dropout_2": 0.3}
    spec = spec_from_values(values, seed=1)
    assert (spec.activations, spec.dropouts) == (("relu", "tanh"), (0.1, 0.3))


def test_one_activation_and_one_rate_serve_every_layer() -> None:
    spec = spec_from_values({**draw(compose([])[0].space, Lowest(3)), "activation": "gelu", "dropout": 0.2}, seed=1)
    assert (spec.activations, spec.dropouts) == (("gelu",) * 3, (0.2,) * 3)


def test_layers_without_a_drawn_rate_drop_nothing() -> None:
    space = compose([*PER_LAYER, "space.parameters.dropout.when.at_least=2"])[0].space
    assert spec_from_values(draw(space, Lowest(1)), seed=1).dropouts == (0.0,)


def test_a_spec_has_an_activation_and_a_rate_per_hidden_layer() -> None:
    with pytest.raises(ValueError, match=r"activations must have one entry per hidden layer, but got \('relu',\) for .*8, 4"):
        made(widths=(8, 4), activations=("relu",))
    with pytest.raises(ValueError, match=r"dropouts must have one entry per hidden layer, but got \(0\.1, 0\.1\)"):
        made(widths=(8,), dropouts=(0.1, 0.1))


def test_no_condition_asks_for_what_every_layer_has_its_own_of() -> None:
    l2 = "{type: float, low: 0.001, high: 0.1, when: {parameter: dropout, at_least: 0.1}}"
    with pytest.raises(ConfigError, match="l2: its condition asks for 'dropout', which every layer has its own of"):
        compose(["space.per_layer_dropout=true", f"space.parameters.l2={l2}"])


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("one_of: [adamW]", "l2: its condition is wrong: unknown optimizer 'adamW' (did you mean adamw?)"),
        ("at_least: 1", "l2: its condition compares optimizer with a number, but its values are names; give one_of"),
    ],
)
def test_a_condition_on_names_asks_for_known_ones(test: str, message: str) -> None:
    l2 = f"{{type: float, low: 0.001, high: 0.1, when: {{parameter: optimizer, {test}}}}}"
    with pytest.raises(ConfigError, match=re.escape(message)):
        compose([f"space.parameters.l2={l2}"])


def test_every_key_belongs_to_a_parameter() -> None:
    space = compose([*PER_LAYER, "space.parameters.depth.high=2"])[0].space
    layered = ["activation_1", "activation_2", "dropout_1", "dropout_2"]
    assert [key for key in every_key(space) if "_1" in key or "_2" in key] == layered
    assert [parameter_of(space, key) for key in layered] == [space.parameters[key[:-2]] for key in layered]
    assert parameter_of(space, "batch_size") is space.parameters["batch_size"]


def test_constants_are_kept_but_not_suggested() -> None:
    suggester = Lowest(1)
    values = draw(compose(["space.parameters.optimizer=sgd"])[0].space, suggester)
    assert values["optimizer"] == "sgd"
    assert "optimizer" not in suggester.asked


def test_a_condition_on_a_number_asks_for_numbers() -> None:
    dropout = "space.parameters.dropout={type: float, low: 0, high: 0.3, when: {parameter: batch_size, one_of: ['16', 32]}}"
    with pytest.raises(ConfigError, match=r"dropout: batch_size is a number, but its condition lists \['16'\]; write numbers"):
        compose([dropout])


def test_a_condition_on_a_choice() -> None:
    only_sgd = "{parameter: optimizer, at_least: null, one_of: [sgd]}"
    space = compose([f"space.parameters.dropout.when={only_sgd}", "space.parameters.optimizer=adam"])[0].space
    assert "dropout" not in draw(space, Lowest(1))


def test_trial_seeds_depend_on_study_seed_and_number_alone() -> None:
    seeds = {trial_seed(study, number) for study in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**31
