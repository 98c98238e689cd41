"""Schema of the `space` group: the hyperparameters of a search, and what has to hold among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Self

from pydantic import Field, model_validator

from regsweep.config.base import Model
from regsweep.config.names import check_names
from regsweep.config.parameters import LIMITS, NAMED, Condition, Fixed, Found, Parameter, Scalar, value_problems
from regsweep.errors import nearest

REQUIRED = ("depth", "learning_rate", "epochs", "batch_size", "optimizer")
KNOWN = (*LIMITS, *NAMED)
# What each hidden layer may have of its own.
LAYERED = ("width", "activation", "dropout")


class SpaceConfig(Model):
    """The search space. `per_layer_width`: one width per hidden layer (`width_1`, `width_2`, ...) instead of one for all;
    `per_layer_activation` and `per_layer_dropout` likewise.

    `function`: `module:name` of a function of the user's that draws instead; `parameters` are then the values of what it leaves
    open. `source` is the sha256 of its file, `found` what it was seen to draw from, by the names that it gives, `always` those of
    every trial; all three are filled in.
    """

    function: str | None = None
    source: str | None = None
    per_layer_width: bool
    per_layer_activation: bool = False
    per_layer_dropout: bool = False
    parameters: dict[str, Parameter]
    found: dict[str, Found] = Field(default_factory=dict)
    always: tuple[str, ...] = ()

    @property
    def drawn(self) -> Mapping[str, Parameter]:
        """What trials can differ in, by name; a declared space's constants are among it."""
        return self.parameters if self.function is None else self.found

    @property
    def per_layer(self) -> tuple[str, ...]:
        """The hyperparameters that every hidden layer has one of its own of."""
        chosen = (self.per_layer_width, self.per_layer_activation, self.per_layer_dropout)
        return tuple(name for name, is_chosen in zip(LAYERED, chosen, strict=True) if is_chosen)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = [
            f"{name}: unknown hyperparameter{nearest(name, KNOWN)}; known: {', '.join(KNOWN)}"
            for name in self.parameters
            if name not in KNOWN
        ]
        if self.function is not None:
            problems += _function_problems(self)
        problems += [f"{name}: is needed" for name in REQUIRED if name not in self.parameters]
        if _greatest(self.parameters.get("depth")) > 0:
            problems += [
                f"{name}: is needed where depth can be above 0" for name in ("width", "activation") if name not in self.parameters
            ]
        for position, (name, parameter) in enumerate(self.parameters.items()):
            problems += [f"{name}: {problem}" for problem in value_problems(name, parameter)]
            earlier = list(self.parameters)[:position]
            if parameter.when is not None and parameter.when.parameter not in earlier:
                asked = parameter.when.parameter
                problems.append(
                    f"{name}: its condition asks for {asked!r}, which no parameter above it is called{nearest(asked, earlier)}"
                )
            if parameter.when is not None and parameter.when.parameter in NAMED:
                problems += [f"{name}: its condition {problem}" for problem in _name_problems(parameter.when)]
            elif parameter.when is not None and (texts := [one for one in parameter.when.one_of or () if isinstance(one, str)]):
                problems.append(f"{name}: {parameter.when.parameter} is a number, but its condition lists {texts}; write numbers")
            if name in self.per_layer and "depth" not in earlier:
                problems.append(f"{name}: every hidden layer has one of its own, so depth must stand above it")
            if parameter.when is not None and parameter.when.parameter in self.per_layer:
                problems.append(f"{name}: its condition asks for {parameter.when.parameter!r}, which every layer has its own of")
            if name in ("width", "activation") and not _on_every_hidden_layer(parameter.when):
                problems.append(f"{name}: every hidden layer has one, so its condition can only be depth at_least 1")
            if name in REQUIRED and parameter.when is not None:
                problems.append(f"{name}: is always needed, so it can't have a condition")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def keys(space: SpaceConfig, name: str, depth: int) -> tuple[str, ...]:
    """Under which keys a parameter is drawn for networks of a depth: usually its name."""
    if name in space.per_layer:
        return tuple(f"{name}_{layer}" for layer in range(1, depth + 1))
    return (name,)


def name_and_layer(key: str) -> tuple[str, int]:
    """The parameter that a key is drawn for, and the hidden layer: `width_2` is ("width", 2); of all layers, ("width", 0)."""
    found = re.fullmatch(rf"({'|'.join(LAYERED)})_([1-9]\d*)", key)
    return (found[1], int(found[2])) if found else (key, 0)


def greatest(space: SpaceConfig, name: str) -> float:
    """The greatest value a numeric parameter can take; where a function draws, the value of what it leaves open."""
    return max(float(value) for value in space.parameters[name].values())


def parents(key: str, parameter: Parameter) -> tuple[str, ...]:
    """The hyperparameters that say whether a key exists: depth for a layer's own, then the one its condition asks for."""
    asked = () if parameter.when is None else (parameter.when.parameter,)
    return tuple(dict.fromkeys((*(("depth",) if name_and_layer(key)[1] else ()), *asked)))


def configurations(space: SpaceConfig, points: int | None = None) -> Iterator[dict[str, Scalar]]:
    """Every configuration of a space, each once; ranges of real numbers are cut into `points` values.

    Raises ValueError at a range of real numbers without `points`.
    """

    def rest(names: tuple[str, ...], values: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if not names:
            yield values
            return
        parameter = space.parameters[names[0]]
        if parameter.when is not None and not parameter.when.holds(values):
            yield from rest(names[1:], values)
            return
        for chosen in product(parameter.grid(points), repeat=len(drawn := keys(space, names[0], int(values.get("depth", 0))))):
            yield from rest(names[1:], {**values, **dict(zip(drawn, chosen, strict=True))})

    return rest(tuple(space.parameters), {})


def _on_every_hidden_layer(when: Condition | None) -> bool:
    return when is None or (when.parameter == "depth" and when.at_least is not None and when.at_least <= 1)


def _name_problems(when: Condition) -> Iterator[str]:
    """What is wrong with a condition on a hyperparameter whose values are names."""
    if when.one_of is None:
        yield f"compares {when.parameter} with a number, but its values are names; give one_of"
        return
    try:
        check_names(when.parameter, when.one_of, NAMED[when.parameter])
    except ValueError as error:
        yield f"is wrong: {error}"


def _greatest(parameter: Parameter | None) -> float:
    numbers = [v for v in parameter.values() if not isinstance(v, str)] if parameter is not None else []
    return max(numbers, default=0)


def _function_problems(space: SpaceConfig) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", space.function or ""):
        yield (
            "function: is needed as module:name, such as space.function=my_module:build for the function `build` in "
            f"my_module.py, but got {space.function!r}"
        )
    for name, parameter in space.parameters.items():
        if not isinstance(parameter, Fixed) or parameter.when is not None:
            yield (
                f"{name}: the function draws, so what it leaves open is a single value, but got {parameter.type}; "
                "add space=function, or draw it there"
            )
    if space.per_layer:
        yield f"per_layer_{space.per_layer[0]}: is for declared spaces; a function returns {space.per_layer[0]}_1, ... itself"
