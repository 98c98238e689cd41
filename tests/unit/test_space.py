from __future__ import annotations

from collections.abc import Sequence

import pytest

from regsweep.config import compose
from regsweep.space import draw
from regsweep.trial import Scalar, spec_from_values, trial_seed


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


def test_constants_are_kept_but_not_suggested() -> None:
    suggester = Lowest(1)
    values = draw(compose(["space.parameters.optimizer=sgd"])[0].space, suggester)
    assert values["optimizer"] == "sgd"
    assert "optimizer" not in suggester.asked


def test_a_condition_on_a_choice() -> None:
    only_sgd = "{parameter: optimizer, at_least: null, one_of: [sgd]}"
    space = compose([f"space.parameters.dropout.when={only_sgd}", "space.parameters.optimizer=adam"])[0].space
    assert "dropout" not in draw(space, Lowest(1))


def test_trial_seeds_depend_on_study_seed_and_number_alone() -> None:
    assert trial_seed(0, 1) == trial_seed(0, 1)
    seeds = {trial_seed(study, number) for study in range(20) for number in range(50)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**31
