"""Draws values by name for a user's function, in an Optuna trial's words, from any suggester.

In: calls such as `suggest_int("depth", 0, 3)`. Out: values, and what they were drawn from.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from regsweep.config.parameters import Choice, FloatRange, Found, IntRange, Scalar, SteppedRange
from regsweep.space.suggesters import OutsideError, Suggester

# MLflow takes no others for the names of parameters; and they are paths to it.
NAME = r"[\w./ :-]{1,250}"


class Drawing:
    """Draws values by name and notes down from what; a name that is drawn again has its value already.

    Raises ValueError for a range or a name that can't be drawn from.
    """

    def __init__(self, suggester: Suggester) -> None:
        self._suggester = suggester
        self._kinds: dict[str, Found] = {}
        self._params: dict[str, Scalar] = {}

    @property
    def params(self) -> dict[str, Any]:
        """What was drawn so far."""
        return dict(self._params)

    @property
    def distributions(self) -> dict[str, Found]:
        """What it was drawn from."""
        return dict(self._kinds)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        # Optuna, too, leaves out what no step reaches.
        high = high if log else high - (high - low) % max(1, step)
        return int(self._draw(name, {"type": "int", "low": low, "high": high, "step": step, "log": log}))

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        if step is None:
            return float(self._draw(name, {"type": "float", "low": low, "high": high, "log": log}))
        if log or step <= 0:
            raise ValueError(f"{name!r} has step={step} and log={log}; a step is above 0, and a log scale has none")
        high = _reached(low, high, step)
        return float(self._draw(name, {"type": "float", "low": low, "high": high, "step": step}))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        listed = list(choices)
        if wrong := [choice for choice in listed if not isinstance(choice, int | float | str)]:
            raise ValueError(f"{name!r} has the choice {wrong[0]!r}; choices are numbers, texts, True or False")
        # Python's 1 and True are equal: the user's own object is returned.
        return listed[listed.index(self._draw(name, {"type": "choice", "choices": listed}))]

    def _draw(self, name: str, kind: dict[str, Any]) -> Scalar:
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is no name: letters, digits and _ . / : - and spaces, 1 to 250 of them")
        if (path := posixpath.normpath(name)) != name or path == "." or path.startswith(("..", "/")):
            raise ValueError(f"{name!r} is no name: as a path it must be the shortest, and lie below the folder it begins in")
        asked = _kind(name, kind)
        if name in self._params:
            if self._kinds[name] != asked:
                both = f"{written(self._kinds[name])} and from {written(asked)}"
                raise ValueError(f"{name!r} is drawn twice, from {both}; give each its own name")
            return self._params[name]
        value = self._suggested(name, asked)
        if not _holds(asked, value):
            raise OutsideError(f"{name!r} is drawn from {written(asked)}, but {value!r} was proposed for it")
        if not isinstance(asked, Choice):
            value = int(value) if isinstance(asked, IntRange) else float(value)
        self._kinds[name], self._params[name] = asked, value
        return value

    def _suggested(self, name: str, kind: Found) -> Scalar:
        match kind:
            case IntRange():
                return self._suggester.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
            case SteppedRange():
                return self._suggester.suggest_float(name, kind.low, kind.high, step=kind.step)
            case FloatRange():
                return self._suggester.suggest_float(name, kind.low, kind.high, log=kind.log)
            case Choice():
                chosen: Scalar = self._suggester.suggest_categorical(name, kind.choices)
                return chosen


def written(kind: Found) -> str:
    """What is drawn from, in words."""
    if isinstance(kind, Choice):
        return f"the choices {list(kind.choices)}"
    steps = f" in steps of {kind.step:g}" if isinstance(kind, IntRange | SteppedRange) and kind.step != 1 else ""
    log = " on a log scale" if kind.log else ""
    return f"{'whole' if isinstance(kind, IntRange) else 'real'} numbers from {kind.low:g} to {kind.high:g}{steps}{log}"


def _reached(low: float, high: float, step: float) -> float:
    """The last number that steps reach, in decimals as Optuna counts: 0.3 from 0 by 0.1, which floats add up to a little more."""
    if not math.isfinite(high - low) or high < low:
        return high
    start, end, each = (Decimal(str(float(number))) for number in (low, high, step))
    return float(end - (end - start) % each)


def _kind(name: str, values: dict[str, Any]) -> Found:
    """What is drawn from. Raises ValueError."""
    try:
        match values["type"]:
            case "int":
                return IntRange.model_validate(values)
            case "choice":
                return Choice.model_validate(values)
        return SteppedRange.model_validate(values) if "step" in values else FloatRange.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{name!r}: {first['msg'].removeprefix('Value error, ')}, but got {first['input']!r}") from None


def _holds(kind: Found, value: Scalar) -> bool:
    match kind:
        case Choice():
            return value in kind.choices
        case IntRange():
            return not isinstance(value, str) and value in kind.grid()
        case _:
            # Steps are added up and counted off in rounded numbers.
            slack = 1e-9 * (kind.high - kind.low)
            return not isinstance(value, str) and kind.low - slack <= value <= kind.high + slack
