"""The search space at work: draws one assignment from anything that can suggest values, respecting conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from regsweep.config.space import Choice, FloatRange, IntRange, Parameter, SpaceConfig
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
            for key in _keys(space, name, values):
                values[key] = _draw_one(key, parameter, suggester)
    return values


def greatest(space: SpaceConfig, name: str) -> float:
    """The greatest value a numeric parameter can take."""
    return max(float(value) for value in space.parameters[name].values())


def _keys(space: SpaceConfig, name: str, values: dict[str, Scalar]) -> Iterator[str]:
    if name == "width" and space.per_layer_width:
        yield from (f"width_{layer}" for layer in range(1, int(values["depth"]) + 1))
    else:
        yield name


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
