"""Keras Tuner's Hyperband in numbers: its rounds, its epochs, and what it takes before any trial goes on."""

from __future__ import annotations

from itertools import islice
from math import ceil, log

from regsweep.config.parameters import Fixed, FloatRange, IntRange
from regsweep.config.sampler import KtHyperbandSampler, SamplerConfig
from regsweep.config.space import SpaceConfig, configurations, greatest

# Keras Tuner gives up after 21 draws that were there before: of so many times the configurations needed, half are left.
SPARE = 2


def space_searched(sampler: SamplerConfig, space: SpaceConfig) -> SpaceConfig:
    """The space with the epochs that trials of the sampler can have: with Hyperband from its shortest round to its longest."""
    if not isinstance(sampler, KtHyperbandSampler):
        return space
    longest = sampler.max_epochs or int(greatest(space, "epochs"))
    epochs = IntRange(type="int", low=_first_epochs(longest, sampler.factor), high=longest, log=True)
    return space.model_copy(update={"parameters": {**space.parameters, "epochs": epochs}})


def hyperband_problems(sampler: SamplerConfig, space: SpaceConfig, n_trials: int, enqueued: int) -> list[str]:
    """What keeps Hyperband from getting to its later rounds in a space that `space_searched` returned, a line each."""
    if not isinstance(sampler, KtHyperbandSampler) or space.function is not None:
        return []
    longest = int(greatest(space, "epochs"))
    if longest < sampler.factor:
        # One bracket of one round.
        return []
    first, needed = first_round(longest, sampler.factor), enqueued + once_through(longest, sampler.factor)
    begins = (
        f"sampler=kt_hyperband: with up to {longest} epochs it begins with {first} trials of "
        f"{_first_epochs(longest, sampler.factor)}, and none goes on before they have ended"
    )
    problems = []
    if enqueued + first >= n_trials:
        beside = f", of which {enqueued} enqueued" if enqueued else ""
        shorter = _longest_for(n_trials - enqueued, longest, sampler.factor)
        problems.append(
            f"{begins}, but n_trials={n_trials}{beside}; set n_trials={needed} (once through all rounds)"
            + (f", or sampler.max_epochs={shorter} ({once_through(shorter, sampler.factor)} trials)" if shorter else "")
        )
    begun = min(n_trials, sampler.iterations * sum(sizes[0] for sizes in _rounds(longest, sampler.factor)))
    if (distinct := _distinct(space, SPARE * begun)) < SPARE * begun:
        problems.append(
            f"sampler=kt_hyperband: it draws {begun} different configurations to begin with, and ends early where draws repeat, "
            f"but the space has {distinct}; widen it to {SPARE * begun}, set a smaller sampler.max_epochs, or try all by "
            "sampler=grid"
        )
    return problems


def most_of_hyperband(sampler: KtHyperbandSampler, space: SpaceConfig) -> int:
    """How many trials it comes to at most, what is enqueued left out, in a space that `space_searched` returned."""
    return sampler.iterations * once_through(int(greatest(space, "epochs")), sampler.factor)


def once_through(longest: int, factor: int) -> int:
    """How many trials one iteration takes: all rounds of all brackets."""
    return sum(map(sum, _rounds(longest, factor)))


def first_round(longest: int, factor: int) -> int:
    """How many trials the first round of the first bracket has."""
    return _rounds(longest, factor)[0][0]


def apart_from_epochs(space: SpaceConfig) -> SpaceConfig:
    """The space that Hyperband draws from, as its rounds say how long trials are."""
    return space.model_copy(update={"parameters": {**space.parameters, "epochs": Fixed(type="fixed", value=1)}})


def _longest_for(trials: int, longest: int, factor: int) -> int:
    """The most epochs for which so many trials go once through more than one round; 0 where there are none."""
    return next((shorter for shorter in range(longest - 1, factor - 1, -1) if once_through(shorter, factor) <= trials), 0)


def _brackets(longest: int, factor: int) -> int:
    # As Keras Tuner counts them, rounding included.
    brackets, left = 0, float(longest)
    while left >= 1:
        left, brackets = left / factor, brackets + 1
    return brackets


def _rounds(longest: int, factor: int) -> list[list[int]]:
    """How many trials the rounds of each bracket have, by Keras Tuner's formula: about the same epochs in each bracket."""
    whole = ceil(1 + log(longest, factor))
    return [
        [ceil(whole / (bracket + 1) * float(factor) ** (bracket - done)) for done in range(bracket + 1)]
        for bracket in reversed(range(_brackets(longest, factor)))
    ]


def _first_epochs(longest: int, factor: int) -> int:
    """How long trials of the first round are trained."""
    return ceil(longest / float(factor) ** (_brackets(longest, factor) - 1))


def _distinct(space: SpaceConfig, most: int) -> int:
    """How many configurations there are beside their epochs; `most` where there are as many or more."""
    if any(isinstance(one, FloatRange) and one.low < one.high for one in space.parameters.values()):
        return most
    return sum(1 for _ in islice(configurations(apart_from_epochs(space)), most))
