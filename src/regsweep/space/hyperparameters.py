"""The object a user's function is given: an Optuna trial's `suggest_...`, and what Keras Tuner's `hp` offers, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from regsweep.space.drawing import Drawing
from regsweep.space.suggesters import Suggester

OFFERED = (
    "it has suggest_int, suggest_float, suggest_categorical and params, as an Optuna trial, and Int, Float, Choice, Boolean, "
    "Fixed, conditional_scope, get and values, as Keras Tuner's hp"
)


class HyperParameters(Drawing):
    """Keras Tuner's words for a drawing. `default` is what Keras Tuner begins with: it is taken and not used here.

    As in Keras Tuner, what stands in a scope whose condition does not hold is None, and is not drawn.
    """

    def __init__(self, suggester: Suggester) -> None:
        super().__init__(suggester)
        self._constants: dict[str, Any] = {}
        # A choice as its author wrote it: False is drawn as 0.
        self._chosen: dict[str, Any] = {}
        self._scopes: list[bool] = []

    @property
    def values(self) -> dict[str, Any]:
        """What was drawn so far, and what is fixed."""
        return {**self._constants, **self.params, **self._chosen}

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = None,
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Sequence[Any] | None = None,
    ) -> int | None:
        """A whole number, `max_value` included; on a log scale a step multiplies."""
        with self._under(parent_name, parent_values) as active:
            log = _is_log(name, sampling)
            if not active:
                return None
            if log and step is not None:
                return int(self.suggest_categorical(name, list(map(round, _multiples(name, min_value, max_value, step)))))
            return self.suggest_int(name, min_value, max_value, step=step or 1, log=log)

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = None,
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Sequence[Any] | None = None,
    ) -> float | None:
        """A real number; on a log scale a step multiplies."""
        with self._under(parent_name, parent_values) as active:
            log = _is_log(name, sampling)
            if not active:
                return None
            if log and step is not None:
                return float(self.suggest_categorical(name, _multiples(name, min_value, max_value, step)))
            return self.suggest_float(name, min_value, max_value, step=step, log=log)

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Sequence[Any] | None = None,
    ) -> Any:
        """One of the values."""
        with self._under(parent_name, parent_values) as active:
            if not active:
                return None
            self._chosen[name] = self.suggest_categorical(name, values)
            return self._chosen[name]

    def Boolean(
        self,
        name: str,
        default: bool = False,
        parent_name: str | None = None,
        parent_values: Sequence[Any] | None = None,
    ) -> bool | None:
        """True or False."""
        chosen: bool | None = self.Choice(name, [False, True], parent_name=parent_name, parent_values=parent_values)
        return chosen

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Sequence[Any] | None = None) -> Any:
        """A constant with a name."""
        with self._under(parent_name, parent_values) as active:
            if not active:
                return None
            self._constants[name] = value
            return value

    def get(self, name: str) -> Any:
        """The value of what was drawn or fixed. Raises KeyError for what was not."""
        return self.values[name]

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.values

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """What is drawn inside exists only where the parent has one of these values."""
        with self._under(parent_name, parent_values):
            yield

    @contextmanager
    def _under(self, parent: str | None, values: Any) -> Iterator[bool]:
        holds = True
        if parent is not None:
            if all(self._scopes) and parent not in self.values:
                raise ValueError(f"the condition asks for {parent!r}, which was not drawn before")
            listed = values if isinstance(values, list | tuple) else [values]
            holds = parent in self.values and self.values[parent] in listed
        self._scopes.append(holds)
        try:
            yield all(self._scopes)
        finally:
            self._scopes.pop()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"regsweep's {type(self).__name__} has no {name!r}; {OFFERED}")


def _is_log(name: str, sampling: str | None) -> bool:
    if sampling not in (None, "linear", "log"):
        raise ValueError(f"{name!r}: sampling must be linear or log, but got {sampling!r}")
    return sampling == "log"


def _multiples(name: str, low: float, high: float, step: float) -> list[float]:
    if step <= 1 or low <= 0:
        raise ValueError(f"{name!r}: on a log scale min_value must be above 0 and step above 1, but got {low} and {step}")
    values = [low]
    while values[-1] * step <= high * (1 + 1e-9):
        values.append(values[-1] * step)
    return values
