"""Configurations that the user has proposed first: checked against the space before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from regsweep.config.parameters import Choice, FloatRange, IntRange, Parameter, Scalar
from regsweep.config.space import SpaceConfig, keys, name_and_layer, parents
from regsweep.errors import nearest

Given = Mapping[str, Scalar]


def enqueue_problems(enqueue: Sequence[Given], space: SpaceConfig, n_trials: int) -> list[str]:
    """What is wrong with the given configurations, a line each."""
    # What a function draws is seen when it is called.
    known = parameters(space) if space.function is None else None
    problems = [
        f"enqueue.{index}.{problem}"
        for index, given in enumerate(enqueue)
        if known is not None
        for problem in _problems(given, space, known)
    ]
    for index, given in enumerate(enqueue):
        if given in enqueue[:index]:
            problems.append(f"enqueue.{index}: equals enqueue.{list(enqueue).index(given)}")
    if len(enqueue) > n_trials:
        problems.append(f"enqueue: has {len(enqueue)} configurations, but n_trials={n_trials}")
    return problems


def parameters(space: SpaceConfig) -> dict[str, Parameter]:
    """The parameter of every key that a configuration can have."""
    deepest = int(max(float(value) for value in space.parameters["depth"].values()))
    return {key: parameter for name, parameter in space.parameters.items() for key in keys(space, name, deepest)}


def in_type(given: Given, space: SpaceConfig) -> dict[str, Scalar]:
    """The values as the space's types have them: 1 as 1.0 for a real number. A function's are typed when it draws them."""
    if space.function is not None:
        return dict(given)
    known = parameters(space)
    return {
        key: float(value) if isinstance(known[key], FloatRange) else int(value) if isinstance(known[key], IntRange) else value
        for key, value in given.items()
    }


def _problems(given: Given, space: SpaceConfig, known: Mapping[str, Parameter]) -> Iterator[str]:
    for key, value in given.items():
        parameter = known.get(key)
        if parameter is None:
            yield f"{key}: the space has no such hyperparameter{nearest(key, list(known))}; it has {', '.join(known)}"
            continue
        if wrong := _outside(value, parameter):
            yield f"{key}: {wrong}, but got {value!r}"
        layer, when = name_and_layer(key)[1], parameter.when
        for parent in parents(key, parameter):
            chosen = given.get(parent, _constant(space, parent))
            if chosen is None:
                yield f"{key}: depends on {parent}; give {parent}, too"
            elif not (when is None or when.parameter != parent or when.holds({parent: chosen})) or (
                parent == "depth" and int(chosen) < layer
            ):
                yield f"{key}: does not exist where {parent} is {chosen}"


def _constant(space: SpaceConfig, name: str) -> Scalar | None:
    values = set(space.parameters[name].values())
    return values.pop() if len(values) == 1 else None


def _outside(value: Scalar, parameter: Parameter) -> str | None:
    match parameter:
        case IntRange():
            if isinstance(value, str) or value not in parameter.grid():
                step = f" in steps of {parameter.step}" if parameter.step > 1 else ""
                return f"must be a whole number from {parameter.low} to {parameter.high}{step}"
        case FloatRange():
            if isinstance(value, str) or not parameter.low <= value <= parameter.high:
                return f"must be a number from {parameter.low:g} to {parameter.high:g}"
        case Choice():
            if value not in parameter.choices:
                return f"must be one of {', '.join(map(str, parameter.choices))}"
        case _:
            if value != parameter.value:
                return f"is {parameter.value!r} in this space"
    return None
