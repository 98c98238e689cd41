"""The search space at work: draws one assignment from anything that can suggest values, respecting conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regsweep.config.names import ENCODINGS
from regsweep.config.parameters import Choice, FloatRange, Found, IntRange, Parameter, SteppedRange, widened
from regsweep.config.space import SpaceConfig, greatest, keys, name_and_layer, parents
from regsweep.space.function import call, explored, found_in
from regsweep.space.suggesters import Middle, Suggester
from regsweep.trial import Scalar


def draw(space: SpaceConfig, suggester: Suggester) -> dict[str, Scalar]:
    """Draw one value for every parameter whose condition holds; constants are included without being suggested.

    Where a function draws, what it has drawn by its own names. Raises ConfigError as `call`.
    """
    if space.function is not None:
        return dict(call(space, suggester).params)
    values: dict[str, Scalar] = {}
    for name, parameter in space.parameters.items():
        if parameter.when is None or parameter.when.holds(values):
            for key in keys(space, name, int(values.get("depth", 0))):
                values[key] = _draw_one(key, parameter, suggester)
    return values


def every_key(space: SpaceConfig) -> dict[str, Parameter]:
    """The parameter of every key that a configuration can have, in the order of the space; constants are left out."""
    if space.function is not None:
        known = space.found or found_in(explored(space))
        return {key: parameter for key, parameter in known.items() if len(set(parameter.values())) > 1}
    deepest = int(greatest(space, "depth"))
    return {
        key: parameter
        for name, parameter in space.parameters.items()
        if len(set(parameter.values())) > 1
        for key in keys(space, name, deepest)
    }


def always(space: SpaceConfig) -> frozenset[str]:
    """The keys that every configuration has."""
    if space.function is not None:
        return frozenset(space.always)
    found: set[str] = set()
    for name, parameter in space.parameters.items():
        for key in keys(space, name, int(greatest(space, "depth"))):
            if all(parent in found and _calls_for(key, parameter, parent, space) for parent in parents(key, parameter)):
                found.add(key)
    return frozenset(found)


def _calls_for(key: str, parameter: Parameter, parent: str, space: SpaceConfig) -> bool:
    """Whether a key exists whatever the value of a parent is."""
    owner = space.parameters[parent]
    if isinstance(owner, FloatRange) and owner.low < owner.high:
        return False
    return calling_for(key, parameter, parent, space) == list(owner.grid(None))


def calling_for(key: str, parameter: Parameter, parent: str, space: SpaceConfig) -> list[Scalar]:
    """Under which values of a parent, which is no range of real numbers, a key exists."""
    layer = name_and_layer(key)[1] if parent == "depth" else 0
    when = parameter.when if parameter.when is not None and parameter.when.parameter == parent else None
    return [
        value
        for value in space.parameters[parent].grid(None)
        if (not layer or int(value) >= layer) and (when is None or when.holds({parent: value}))
    ]


def parameter_of(space: SpaceConfig, key: str) -> Parameter | None:
    """The parameter that a drawn value's key belongs to: `width_2` to `width`."""
    if space.function is not None:
        return space.found.get(key)
    return space.parameters.get(name_and_layer(key)[0])


def central(space: SpaceConfig) -> dict[str, Scalar]:
    """The configuration in the middle of the space: of ranges the middle (on their scale, of whole numbers or steps the lower
    one of two), of choices the first."""
    return draw(space, Middle())


def middle_of(space: SpaceConfig, key: str) -> Scalar:
    """The middle of what a key can be drawn from. Raises KeyError for a key that the space doesn't know."""
    parameter = parameter_of(space, key)
    if parameter is None:
        raise KeyError(key)
    return _draw_one(key, parameter, Middle())


def choices(space: SpaceConfig, name: str) -> tuple[str, ...]:
    """The names a hyperparameter can take; () where the space has no such hyperparameter. A function may return any encoding."""
    if space.function is not None and name == "encoding":
        return ENCODINGS
    return tuple(map(str, space.parameters[name].values())) if name in space.parameters else ()


def as_seen(space: SpaceConfig, params: Sequence[Mapping[str, Scalar]]) -> SpaceConfig:
    """The space with all that trials have drawn: what a function draws from may depend on what it drew before."""
    if space.function is None:
        return space
    found = dict(space.found)
    for one in params:
        for key, value in one.items():
            found[key] = _with(found.get(key), value)
    return space.model_copy(update={"found": found})


def _with(kind: Found | None, value: Scalar) -> Found:
    """What is drawn from, if need be made wide enough for a value."""
    match kind:
        case IntRange() | FloatRange() if not isinstance(value, str):
            return widened(kind, value)
        case Choice():
            return kind if value in kind.choices else kind.model_copy(update={"choices": (*kind.choices, value)})
    if isinstance(value, str):
        return Choice(type="choice", choices=(value,))
    return (
        FloatRange(type="float", low=value, high=value)
        if isinstance(value, float)
        else IntRange(type="int", low=value, high=value)
    )


def _draw_one(key: str, parameter: Parameter, suggester: Suggester) -> Scalar:
    match parameter:
        case IntRange():
            return suggester.suggest_int(key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
        case SteppedRange():
            return suggester.suggest_float(key, parameter.low, parameter.high, step=parameter.step)
        case FloatRange():
            return suggester.suggest_float(key, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            chosen: Scalar = suggester.suggest_categorical(key, parameter.choices)
            return chosen
        case _:
            return parameter.value
