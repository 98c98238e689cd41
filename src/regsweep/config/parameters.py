"""Schema of one hyperparameter: its range, choices or constant, its condition, and which values the named ones may have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from regsweep.config.base import Model
from regsweep.config.names import ACTIVATIONS, ENCODINGS, OPTIMIZERS, SCHEDULES, check_names

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


def keys_of_others(entry: object) -> list[str]:
    """The keys of a hyperparameter as it is written that its type does not have; none where no type is known."""
    kinds: dict[object, type[Model]] = {"int": IntRange, "float": FloatRange, "choice": Choice, "fixed": Fixed}
    if not isinstance(entry, dict) or not isinstance(kind := entry.get("type"), str) or kind not in kinds:
        return []
    return [key for key in entry if key not in kinds[kind].model_fields]


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

# What a function was seen to draw from.
Found = SteppedRange | IntRange | FloatRange | Choice


def holds(kind: IntRange | FloatRange, value: float) -> bool:
    """Whether a range has a value, steps included."""
    return in_range(value, kind.low, kind.high, step_of(kind))


def step_of(kind: IntRange | FloatRange) -> float | None:
    """The step of a range; None where it has every number."""
    return kind.step if isinstance(kind, IntRange | SteppedRange) else None


def stepless(kind: IntRange | FloatRange, low: float, high: float) -> IntRange | FloatRange:
    """All numbers of a range's kind and scale between these ends."""
    if isinstance(kind, IntRange):
        return IntRange(type="int", low=int(low), high=int(high), log=kind.log)
    return FloatRange(type="float", low=low, high=high, log=kind.log)


def in_range(value: float, low: float, high: float, step: float | None) -> bool:
    """Whether a number lies from `low` to `high`, both included, a whole number of steps from `low` where there are any."""
    if not low <= value <= high:
        return False
    # Steps of real numbers add up to more or less than they are, by rounding.
    return step is None or math.isclose((steps := (value - low) / step), round(steps), rel_tol=1e-9, abs_tol=1e-9)


def widened(kind: IntRange | FloatRange, *values: float) -> IntRange | FloatRange:
    """A range that holds these values, too; where it did not, its steps may be others and are left out."""
    if all(holds(kind, value) for value in values):
        return kind
    return stepless(kind, min(kind.low, *values), max(kind.high, *values))


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


def _check_range(low: float, high: float, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low <= high must hold, but got low={low}, high={high}")
    if log and low <= 0:
        raise ValueError(f"a log scale needs low > 0, but got low={low}")
