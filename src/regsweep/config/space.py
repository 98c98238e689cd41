"""Schema of the `space` group: the named hyperparameters, their ranges, choices and conditions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from regsweep.config.base import Model
from regsweep.config.names import ACTIVATIONS, ENCODINGS, OPTIMIZERS, SCHEDULES, check_names
from regsweep.errors import nearest

Scalar = int | float | str


class Condition(Model):
    """The parameter exists only where another one is at least a number, or is one of some values."""

    parameter: str
    at_least: float | None = None
    one_of: tuple[Scalar, ...] | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if (self.at_least is None) == (self.one_of is None):
            raise ValueError("give either at_least or one_of")
        return self

    def holds(self, values: Mapping[str, Scalar]) -> bool:
        """Tell whether the condition holds, given the parameters drawn so far; false where its own parameter is absent."""
        value = values.get(self.parameter)
        if value is None:
            return False
        if self.one_of is not None:
            return value in self.one_of
        return not isinstance(value, str) and self.at_least is not None and value >= self.at_least


class _Range(Model):
    log: bool = False
    when: Condition | None = None


class IntRange(_Range):
    """Whole numbers from `low` to `high`, both included, `step` apart."""

    type: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, log=self.log)
        if self.log and self.step != 1:
            raise ValueError(f"a log scale has no step, but got step={self.step}")
        if (self.high - self.low) % self.step:
            raise ValueError(f"step must divide high - low, but {self.step} does not divide {self.high} - {self.low}")
        return self

    def values(self) -> tuple[Scalar, ...]:
        """The ends of the range."""
        return (self.low, self.high)

    def grid(self, _points: int | None = None) -> Sequence[Scalar]:
        """Every value."""
        return range(self.low, self.high + 1, self.step)


class FloatRange(_Range):
    """Real numbers from `low` to `high`."""

    type: Literal["float"]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_range(self.low, self.high, log=self.log)
        return self

    def values(self) -> tuple[Scalar, ...]:
        """The ends of the range."""
        return (self.low, self.high)

    def grid(self, points: int | None = None) -> Sequence[Scalar]:
        """So many values, evenly spaced on the range's scale, the ends among them. Raises ValueError without `points`."""
        if self.low == self.high:
            return (self.low,)
        if points is None:
            raise ValueError("a range of real numbers has no grid of its own")
        shares = [index / (points - 1) for index in range(1, points - 1)]
        between = [
            self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
            for share in shares
        ]
        return (self.low, *between, self.high)


class SteppedRange(FloatRange):
    """Numbers from `low` to `high`, both included, `step` apart. A function may draw from it; YAML lists choices."""

    step: Annotated[float, Field(gt=0)]

    def grid(self, _points: int | None = None) -> Sequence[Scalar]:
        """Every value."""
        # Steps add up to more than their end, by rounding.
        count = round((self.high - self.low) / self.step) + 1
        return [min(self.high, self.low + index * self.step) for index in range(count)]


class Choice(Model):
    """One of the listed values."""

    type: Literal["choice"]
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    when: Condition | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError(f"choices must differ, but got {list(self.choices)}")
        return self

    def values(self) -> tuple[Scalar, ...]:
        """The choices."""
        return self.choices

    def grid(self, _points: int | None = None) -> Sequence[Scalar]:
        """The choices."""
        return self.choices


class Fixed(Model):
    """A constant; written in YAML as the bare value."""

    type: Literal["fixed"]
    value: Scalar
    when: Condition | None = None

    def values(self) -> tuple[Scalar, ...]:
        """The value alone."""
        return (self.value,)

    def grid(self, _points: int | None = None) -> Sequence[Scalar]:
        """The value alone."""
        return (self.value,)


def _bare_value(entry: Any) -> Any:
    return {"type": "fixed", "value": entry} if isinstance(entry, int | float | str) else entry


Parameter = Annotated[
    Annotated[IntRange | FloatRange | Choice | Fixed, Field(discriminator="type")], BeforeValidator(_bare_value)
]

# name -> (whole numbers only, least value, greatest value, open at the least value)
LIMITS: dict[str, tuple[bool, float, float, bool]] = {
    "depth": (True, 0, 64, False),
    "width": (True, 1, 65536, False),
    "learning_rate": (False, 0, math.inf, True),
    "epochs": (True, 1, math.inf, False),
    "batch_size": (True, 1, math.inf, False),
    "dropout": (False, 0, 1, False),
    "l2": (False, 0, math.inf, False),
}
NAMED: dict[str, tuple[str, ...]] = {
    "activation": ACTIVATIONS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "encoding": ENCODINGS,
}
REQUIRED = ("depth", "learning_rate", "epochs", "batch_size", "optimizer")
KNOWN = (*LIMITS, *NAMED)
# What each hidden layer may have of its own.
LAYERED = ("width", "activation", "dropout")


# What a function was seen to draw from.
Found = SteppedRange | IntRange | FloatRange | Choice


def widened(kind: IntRange | FloatRange, low: float, high: float) -> IntRange | FloatRange:
    """A range that holds these ends, too; where it was too narrow, its steps may be others and are left out."""
    low, high = min(kind.low, low), max(kind.high, high)
    if (low, high) == (kind.low, kind.high):
        return kind
    if isinstance(kind, IntRange):
        return IntRange(type="int", low=int(low), high=int(high), log=kind.log)
    return FloatRange(type="float", low=low, high=high, log=kind.log)


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


def _check_range(low: float, high: float, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low <= high must hold, but got low={low}, high={high}")
    if log and low <= 0:
        raise ValueError(f"a log scale needs low > 0, but got low={low}")


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


def value_problems(name: str, parameter: Parameter) -> list[str]:
    """What is wrong with the values of a hyperparameter, a line each."""
    values = parameter.values()
    if name in NAMED:
        try:
            check_names(name, values, NAMED[name])
        except ValueError as error:
            return [str(error)]
        return []
    if name not in LIMITS:
        return []
    whole, least, greatest, is_open = LIMITS[name]
    if isinstance(parameter, FloatRange) and whole:
        return ["takes whole numbers, so its type is int, not float"]
    problems = []
    for value in values:
        if isinstance(value, bool | str) or (whole and value != int(value)):
            problems.append(f"takes {'whole ' if whole else ''}numbers, but got {value!r}")
        elif not (least < value if is_open else least <= value) or value > greatest or not math.isfinite(value):
            upper = f" and at most {greatest:g}" if math.isfinite(greatest) else ""
            problems.append(f"must be {'above' if is_open else 'at least'} {least:g}{upper}, but got {value}")
        elif name == "dropout" and value >= 1:
            problems.append(f"must be below 1, but got {value}")
    return problems
