"""Where hyperparameters stand on an axis from 0 to 1, and what is written beside it.

In: complete trials. Out: a `ParameterAxis` for every hyperparameter that was searched. Main call: `parameter_axes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from regsweep.config.parameters import Choice, FloatRange, IntRange, Parameter
from regsweep.config.space import SpaceConfig, name_and_layer
from regsweep.record import TrialRecord
from regsweep.report.scale import FloatArray, Scale
from regsweep.report.style import STEPS, number
from regsweep.space import as_seen, parameter_of
from regsweep.trial import Scalar

ABSENT: Final = "absent"

# Values begin here where some trials lack the parameter; those stand at 0.
FLOOR: Final = 0.16


@dataclass(frozen=True)
class ParameterAxis:
    """One axis: where each trial stands, shape (trials,), and what is written where; places are from 0 to 1."""

    name: str
    places: FloatArray
    ticks: tuple[tuple[float, str], ...]


def parameter_axes(complete: Sequence[TrialRecord], gap: float = 0.06) -> list[ParameterAxis]:
    """An axis per searched hyperparameter, in the order of the space; tick labels keep the distance `gap`."""
    space = as_seen(complete[0].facts.config.space, [record.params for record in complete])
    keys = {key for record in complete for key in record.params}
    order = {name: place for place, name in enumerate(space.drawn)}
    searched = {key: parameter for key in keys if (parameter := _searched(space, key)) is not None}
    # What a function draws has its own name in the order, not its layer's.
    ranked = sorted(searched, key=lambda key: (order.get(key, order.get(name_and_layer(key)[0], 0)), name_and_layer(key)[1]))
    return [_axis_of(key, searched[key], [record.params.get(key) for record in complete], gap) for key in ranked]


def axis_of(space: SpaceConfig, key: str, values: Sequence[Scalar], gap: float) -> ParameterAxis:
    """Where these values of a hyperparameter stand. Raises KeyError where the space leaves it no choice."""
    parameter = _searched(space, key)
    if parameter is None:
        raise KeyError(key)
    return _axis_of(key, parameter, values, gap)


def _searched(space: SpaceConfig, key: str) -> IntRange | FloatRange | Choice | None:
    """The parameter that `key` was drawn from, if it could be drawn differently."""
    parameter: Parameter | None = parameter_of(space, key)
    match parameter:
        case IntRange() | FloatRange() if parameter.low < parameter.high:
            return parameter
        case Choice() if len(parameter.choices) > 1:
            return parameter
    return None


def _axis_of(key: str, parameter: IntRange | FloatRange | Choice, values: Sequence[Scalar | None], gap: float) -> ParameterAxis:
    floor = FLOOR if None in values else 0.0
    ticks = [(0.0, ABSENT)] if floor else []
    if isinstance(parameter, Choice):
        heights = dict(zip(parameter.choices, np.linspace(floor, 1, len(parameter.choices)).tolist(), strict=True))
        places = np.array([0.0 if value is None else heights[value] for value in values])
        return ParameterAxis(key, places, (*ticks, *((height, _written(choice)) for choice, height in heights.items())))
    scale = Scale(parameter.log, parameter.low, parameter.high)
    numbers = np.array([parameter.low if value is None else float(value) for value in values])
    absent = np.array([value is None for value in values])
    marks = tick_marks(scale, whole=isinstance(parameter, IntRange), gap=gap)
    inner = [(floor + (1 - floor) * float(scale.position(mark)), text) for mark, text in marks]
    return ParameterAxis(key, np.where(absent, 0.0, floor + (1 - floor) * scale.position(numbers)), (*ticks, *inner))


def tick_marks(scale: Scale, *, whole: bool, ends: bool = True, gap: float = 0.06) -> list[tuple[float, str]]:
    """Values to write beside an axis: its ends, if asked, and round values between that keep the distance `gap`."""
    if scale.log:
        decades = math.log10(scale.high / scale.low)
        proposed = LogLocator(subs=(1.0,) if decades >= 2 else (1.0, 2.0, 5.0), numticks=12).tick_values(scale.low, scale.high)
    else:
        proposed = MaxNLocator(6, integer=whole, steps=STEPS).tick_values(scale.low, scale.high)
    chosen = [scale.low, scale.high] if ends else []
    for value in np.asarray(proposed, dtype=np.float64).tolist():
        if scale.holds(value) and all(abs(scale.position(value) - scale.position(other)) > gap for other in chosen):
            chosen.append(value)
    return [(value, number(value)) for value in sorted(chosen)]


def _written(value: Scalar) -> str:
    return value.replace("_", "_\n") if isinstance(value, str) else number(value)
