"""How many distinct configurations a search space holds, conditions included.

Parameters are gone through in order. Values that no later condition tells apart are counted together: `depth` from 0 to 64 with
one condition `at_least: 1` on it makes two classes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from regsweep.config import StudyConfig
from regsweep.config.hyperband import apart_from_epochs, most_of_hyperband
from regsweep.config.parameters import Choice, Condition, Fixed, FloatRange, IntRange, Parameter, Scalar
from regsweep.config.sampler import GridSampler, KtGridSampler, KtHyperbandSampler
from regsweep.config.space import SpaceConfig, configurations


@dataclass(frozen=True)
class Count:
    """The number of configurations; None where `continuous` parameters make it infinite."""

    total: int | None
    continuous: tuple[str, ...] = ()


def searched(config: StudyConfig) -> Count | None:
    """Count what a study's sampler can propose; None where a function draws."""
    space, sampler = config.space, config.sampler
    if space.function is not None:
        return None
    if isinstance(sampler, GridSampler | KtGridSampler):
        return Count(sum(1 for _ in configurations(space, sampler.points)))
    if isinstance(sampler, KtHyperbandSampler):
        space = apart_from_epochs(space)
    return count(space)


def most_trials(config: StudyConfig) -> int:
    """How many trials a study can come to at most: `n_trials`, or fewer where its space is finite, or its sampler has an end."""
    counted = searched(config)
    if isinstance(config.sampler, KtHyperbandSampler):
        # It trains a configuration more than once.
        return min(config.n_trials, len(config.enqueue) + most_of_hyperband(config.sampler, config.space))
    if counted is None or counted.total is None:
        return config.n_trials
    # What is enqueued may be none of a grid's.
    return min(config.n_trials, counted.total + len(config.enqueue))


def count(space: SpaceConfig) -> Count:
    """Count the assignments that `space.draw` can draw. Raises ValueError for a space whose function would have to be called."""
    if space.function is not None:
        raise ValueError(f"{space.function} draws, so there is nothing to count")
    conditions: dict[str, list[Condition]] = defaultdict(list)
    for parameter in space.parameters.values():
        if parameter.when is not None:
            conditions[parameter.when.parameter].append(parameter.when)
    # What later conditions may ask for -> how many assignments have it.
    states: dict[tuple[tuple[str, Scalar], ...], int] = {(): 1}
    continuous = []
    for name, parameter in space.parameters.items():
        following: dict[tuple[tuple[str, Scalar], ...], int] = defaultdict(int)
        layered = name in space.per_layer
        each = name == "depth" and bool(space.per_layer)
        for state, ways in states.items():
            # A continuous one stands for all of its values, some of which meet the condition.
            asked = None if parameter.when is None or parameter.when.parameter in continuous else parameter.when
            if asked is not None and not asked.holds(dict(state)):
                following[state] += ways
                continue
            depth = int(dict(state)["depth"]) if layered else 1
            if isinstance(parameter, FloatRange) and parameter.low < parameter.high and depth:
                continuous.append(name)
            if layered:
                following[state] += ways * sum(size for _, size in _classes(parameter, (), each=False)) ** depth
                continue
            for value, size in _classes(parameter, conditions[name], each=each):
                known = (*state, (name, value)) if conditions[name] or each else state
                following[known] += ways * size
        states = dict(following)
    if continuous:
        return Count(None, tuple(dict.fromkeys(continuous)))
    return Count(sum(states.values()))


def _classes(parameter: Parameter, conditions: Sequence[Condition], *, each: bool) -> Iterator[tuple[Scalar, int]]:
    """A value of each class that the conditions tell apart, and how many values the class has."""
    match parameter:
        case IntRange(low=low, high=high, step=step):
            cuts = {low, high + 1}
            for condition in conditions:
                if condition.at_least is not None:
                    cuts.add(math.ceil(condition.at_least))
                for value in condition.one_of or ():
                    if not isinstance(value, str) and value == int(value):
                        cuts |= {int(value), int(value) + 1}
            inside = range(low, high + 1, step) if each else sorted(cut for cut in cuts if low <= cut <= high)
            for start, end in zip(inside, [*inside[1:], high + 1], strict=True):
                # The grid begins at `low`.
                first = low + -(-(start - low) // step) * step
                if first < end:
                    yield first, (end - 1 - first) // step + 1
        case Choice(choices=choices):
            yield from ((choice, 1) for choice in choices)
        case FloatRange(low=value) | Fixed(value=value):
            yield value, 1
