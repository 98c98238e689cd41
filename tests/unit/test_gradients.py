"""Backpropagation: the chain rule by hand, and the stacked trainer's backward pass against two others."""

from __future__ import annotations

import pytest

from experiments.backprop.gradients import DEPTHS, by_chain_rule, by_tape, check
from regsweep.config.names import ACTIVATIONS

# The trainer's gradient is float32, which rounds by 6e-8; the most that was measured is 8e-7 of the largest entry.
TOLERANCE = 2e-6


def test_the_chain_rule_sums_products_along_paths() -> None:
    by_x, by_y = by_chain_rule("x"), by_chain_rule("y")
    assert (by_x.paths, by_x.value) == (((3, 2), (5, 1)), 11)
    assert (by_y.paths, by_y.value) == (((5, 1),), 5)
    assert by_x.sentence == "df/dx = 3·2 + 5·1 = 11"


def test_tensorflow_derives_the_same_at_any_point() -> None:
    for point in ((0.0, 0.0), (1.5, -2.0)):
        assert by_tape(*point) == {"u": 3.0, "v": 5.0, "x": 11.0, "y": 5.0}
        assert by_tape(*point) == {name: by_chain_rule(name).value for name in "uvxy"}


def holds(activation: str, depth: int, *, dropout: float = 0.0) -> None:
    found = check(activation, depth, dropout=dropout, l2=0.01)
    assert found.from_tape < TOLERANCE
    assert found.from_differences < TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_stacked_trainer_steps_by_the_gradient_for_every_activation(activation: str) -> None:
    holds(activation, 2)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_stacked_trainer_steps_by_the_gradient_at_every_depth(depth: int) -> None:
    holds("tanh" if depth else "linear", depth)


@pytest.mark.parametrize("depth", DEPTHS)
def test_dropped_units_pass_no_gradient(depth: int) -> None:
    holds("gelu" if depth else "linear", depth, dropout=0.4)


def test_the_penalty_is_part_of_the_gradient() -> None:
    assert check("tanh", 1, l2=0.5).from_tape < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("depth", DEPTHS[1:])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_at_every_depth_with_and_without_dropout(activation: str, depth: int, dropout: float) -> None:
    holds(activation, depth, dropout=dropout)
