"""Sources of values that need no sampler: the middle of a range, an end of it, values at random, given ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from regsweep.config.parameters import in_range
from regsweep.trial import Scalar


class Suggester(Protocol):
    """What an Optuna trial offers; any source of proposals can. Only a function asks for steps of real numbers."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any: ...


class Middle:
    """Suggests middles: on the range's scale, of whole numbers or steps the lower one of two; of choices the first."""

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(high, max(low, round(math.sqrt(low * high))))
        return low + (high - low) // step // 2 * step

    def suggest_float(self, _name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        if step is not None:
            return low + round((high - low) / step) // 2 * step
        return min(high, max(low, math.sqrt(low * high))) if log else (low + high) / 2

    def suggest_categorical(self, _name: str, choices: Sequence[Scalar]) -> Any:
        return choices[0]


class End:
    """Suggests the upper end of every range, and the last choice; or the lower end, and the first."""

    def __init__(self, *, upper: bool) -> None:
        self._upper = upper

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return high if self._upper else low

    def suggest_float(self, _name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        return high if self._upper else low

    def suggest_categorical(self, _name: str, choices: Sequence[Scalar]) -> Any:
        return choices[-1 if self._upper else 0]


class Random:
    """Suggests independent draws, on each range's scale."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(high, max(low, round(math.exp(self._rng.uniform(math.log(low - 0.5), math.log(high + 0.5))))))
        return low + step * int(self._rng.integers((high - low) // step + 1))

    def suggest_float(self, _name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        if step is not None:
            return low + step * int(self._rng.integers(round((high - low) / step) + 1))
        if not log:
            return float(self._rng.uniform(low, high))
        return min(high, max(low, math.exp(self._rng.uniform(math.log(low), math.log(high)))))

    def suggest_categorical(self, _name: str, choices: Sequence[Scalar]) -> Any:
        return choices[int(self._rng.integers(len(choices)))]


class OutsideError(ValueError):
    """A value was proposed that a function does not draw, or none where it draws one."""


class Given:
    """Suggests given values, as they are. Raises OutsideError for what was given none, or asks `otherwise` if there is one.

    `fitting`: it is asked, too, where a given value can't be drawn. `used` are the names that were asked for.
    """

    def __init__(self, values: Mapping[str, Scalar], otherwise: Suggester | None = None, *, fitting: bool = False) -> None:
        self._values, self._otherwise, self._fitting = values, otherwise, fitting
        self.used: set[str] = set()

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        if (other := self._other(name, lambda value: in_range(value, low, high, step))) is not None:
            return other.suggest_int(name, low, high, step=step, log=log)
        return self._values[name]

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        if (other := self._other(name, lambda value: in_range(value, low, high, step))) is not None:
            return other.suggest_float(name, low, high, step=step, log=log)
        return self._values[name]

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Any:
        if (other := self._other(name, lambda value: value in choices)) is not None:
            return other.suggest_categorical(name, choices)
        return self._values[name]

    def _other(self, name: str, holds: Callable[[Any], bool]) -> Suggester | None:
        self.used.add(name)
        if name in self._values and (not self._fitting or holds(self._values[name])):
            return None
        if self._otherwise is None:
            raise OutsideError(f"{name!r} is drawn, which was not before")
        return self._otherwise
