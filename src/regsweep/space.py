"""The search space at work: draws one assignment from anything that can suggest values, respecting conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from regsweep.config.space import Choice, FloatRange, IntRange, Parameter, SpaceConfig, keys, name_and_layer
from regsweep.trial import Scalar


class Suggester(Protocol):
    """What an Optuna trial offers; any source of proposals can."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any: ...


def draw(space: SpaceConfig, suggester: Suggester) -> dict[str, Scalar]:
    """Draw one value for every parameter whose condition holds; constants are included without being suggested."""
    values: dict[str, Scalar] = {}
    for name, parameter in space.parameters.items():
        if parameter.when is None or parameter.when.holds(values):
            for key in keys(space, name, int(values.get("depth", 0))):
                values[key] = _draw_one(key, parameter, suggester)
    return values


def every_key(space: SpaceConfig) -> dict[str, Parameter]:
    """The parameter of every key that a configuration can have, in the order of the space; constants are left out."""
    deepest = int(greatest(space, "depth"))
    return {
        key: parameter
        for name, parameter in space.parameters.items()
        if len(set(parameter.values())) > 1
        for key in keys(space, name, deepest)
    }


def greatest(space: SpaceConfig, name: str) -> float:
    """The greatest value a numeric parameter can take."""
    return max(float(value) for value in space.parameters[name].values())


def parameter_of(space: SpaceConfig, key: str) -> Parameter | None:
    """The parameter that a drawn value's key belongs to: `width_2` to `width`."""
    return space.parameters.get(name_and_layer(key)[0])


def central(space: SpaceConfig) -> dict[str, Scalar]:
    """The configuration in the middle of the space: of ranges the middle (on their scale, of whole numbers or steps the lower
    one of two), of choices the first."""
    return draw(space, _Middle())


def middle_of(space: SpaceConfig, key: str) -> Scalar:
    """The middle of what a key can be drawn from. Raises KeyError for a key that the space doesn't know."""
    parameter = parameter_of(space, key)
    if parameter is None:
        raise KeyError(key)
    return _draw_one(key, parameter, _Middle())


class _Middle:
    """Suggests middles."""

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(high, max(low, round(math.sqrt(low * high))))
        return low + (high - low) // step // 2 * step

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False) -> float:
        return math.sqrt(low * high) if log else (low + high) / 2

    def suggest_categorical(self, _name: str, choices: Sequence[Scalar]) -> Any:
        return choices[0]


def choices(space: SpaceConfig, name: str) -> tuple[str, ...]:
    """The names a hyperparameter can take; () where the space has no such hyperparameter."""
    return tuple(map(str, space.parameters[name].values())) if name in space.parameters else ()


def _draw_one(key: str, parameter: Parameter, suggester: Suggester) -> Scalar:
    match parameter:
        case IntRange():
            return suggester.suggest_int(key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
        case FloatRange():
            return suggester.suggest_float(key, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            chosen: Scalar = suggester.suggest_categorical(key, parameter.choices)
            return chosen
        case _:
            return parameter.value
