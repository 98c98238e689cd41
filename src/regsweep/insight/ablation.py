"""The ablation path from one configuration to another, one hyperparameter at a time (Fawcett and Hoos 2016).

In: a search space, two configurations of it, and something that evaluates configurations. Out: an `AblationPath`, in whose every
step the hyperparameter was changed whose change did best, everything before it being changed already. Main call: `ablate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regsweep.config.space import SpaceConfig
from regsweep.errors import ConfigError
from regsweep.space import Given, Middle, draw
from regsweep.trial import Scalar

Configuration = Mapping[str, Scalar]
Evaluate = Callable[[Sequence[Configuration]], Sequence[float | None]]


@dataclass(frozen=True)
class Step:
    """One step: what was `flipped`, all that changed with it as (before, after; None is absent), and the objective afterwards.

    `tried` are the objectives of all that could have been flipped. None stands for a training that failed. A last step that
    flips several at once says that the rest was not walked.
    """

    flipped: tuple[str, ...]
    changes: Mapping[str, tuple[Scalar | None, Scalar | None]]
    value: float | None
    tried: Mapping[str, float | None]


@dataclass(frozen=True)
class AblationPath:
    """Where the path starts, with its objective, and its steps; the last one ends at the goal. `trainings` were needed."""

    start: Configuration
    value: float | None
    steps: tuple[Step, ...]
    trainings: int


def ablate(
    space: SpaceConfig,
    start: Configuration,
    goal: Configuration,
    goal_value: float,
    evaluate: Evaluate,
    *,
    upward: bool,
    enough: Callable[[int], bool] = lambda _: False,
) -> AblationPath:
    """Walk greedily from `start` to `goal`, both complete configurations of `space`.

    `evaluate` is given all configurations of a round at once; `upward` says that a higher objective is better; of equal ones
    the hyperparameter that comes first in the goal is flipped. Before each round, `enough`, which is told how many trainings the
    round asks for, may end the walk: what is left is then flipped together.
    """
    known: dict[tuple[tuple[str, Scalar], ...], float | None] = {_key(goal): goal_value}
    trainings = 0

    def learn(configurations: Sequence[Configuration]) -> None:
        nonlocal trainings
        new = {_key(one): one for one in configurations if _key(one) not in known}
        for key, value in zip(new, evaluate(list(new.values())) if new else (), strict=True):
            known[key] = value if value is not None and math.isfinite(value) else None
        trainings += len(new)

    here, steps = dict(start), list[Step]()
    while left := _flippable(here, goal):
        flipped = {name: one for name in left if (one := _flip(space, here, goal, name)) != here}
        # A function may draw none of these here, or undo one with the other.
        stuck = not flipped or len(steps) > len(goal)
        # The start is learnt together with the first flips.
        asked = [*flipped.values()] if steps else [here, *flipped.values()]
        if stuck or (len(left) > 1 and enough(sum(_key(one) not in known for one in asked))):
            steps.append(Step(tuple(left), _changes(here, goal), goal_value, {}))
            break
        learn(asked)
        tried = {name: known[_key(one)] for name, one in flipped.items()}
        best = min(flipped, key=lambda name: _badness(tried[name], upward=upward))
        steps.append(Step((best,), _changes(here, flipped[best]), tried[best], tried))
        here = flipped[best]
    if _key(start) not in known:
        learn([start])
    return AblationPath(dict(start), known[_key(start)], tuple(steps), trainings)


def _flippable(here: Configuration, goal: Configuration) -> list[str]:
    """What differs and is there in both; what is absent here comes with the hyperparameter that its condition asks for."""
    return [name for name, value in goal.items() if name in here and here[name] != value]


def _flip(space: SpaceConfig, here: Configuration, goal: Configuration, name: str) -> dict[str, Scalar]:
    """`here` with the goal's value of one hyperparameter, and with what exists because of it as in the goal.

    Where a function draws: `here` itself if it raises there. What it can't draw there is in the middle.
    """
    try:
        return draw(space, Given({**goal, **here, name: goal[name]}, Middle(), fitting=True))
    except ConfigError:
        return dict(here)


def _changes(before: Configuration, after: Configuration) -> dict[str, tuple[Scalar | None, Scalar | None]]:
    names = dict.fromkeys([*after, *before])
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _badness(value: float | None, *, upward: bool) -> float:
    return math.inf if value is None else -value if upward else value


def _key(configuration: Configuration) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(configuration.items()))
