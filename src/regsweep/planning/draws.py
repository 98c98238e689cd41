"""Specs drawn at random from a space: what any sampler's proposals are like before it has learnt anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regsweep.config.space import SpaceConfig
from regsweep.space import draw
from regsweep.trial import Scalar, TrialSpec, spec_from_values, trial_seed


def random_specs(space: SpaceConfig, n: int, seed: int) -> list[TrialSpec]:
    """Draw `n` specs."""
    suggester = _Random(seed)
    return [spec_from_values(draw(space, suggester), seed=trial_seed(seed, number)) for number in range(n)]


class _Random:
    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(high, max(low, round(math.exp(self._rng.uniform(math.log(low - 0.5), math.log(high + 0.5))))))
        return low + step * int(self._rng.integers((high - low) // step + 1))

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False) -> float:
        return math.exp(self._rng.uniform(math.log(low), math.log(high))) if log else float(self._rng.uniform(low, high))

    def suggest_categorical(self, _name: str, choices: Sequence[Scalar]) -> Any:
        return choices[int(self._rng.integers(len(choices)))]
