"""Specs drawn at random from a space: what any sampler's proposals are like before it has learnt anything."""

from __future__ import annotations

from regsweep.config.space import SpaceConfig
from regsweep.space import Random, draw, values_of
from regsweep.trial import TrialSpec, spec_from_values, trial_seed


def random_specs(space: SpaceConfig, n: int, seed: int) -> list[TrialSpec]:
    """Draw `n` specs."""
    suggester = Random(seed)
    drawn = [values_of(space, draw(space, suggester)) for _ in range(n)]
    return [spec_from_values(values, seed=trial_seed(seed, number)) for number, values in enumerate(drawn)]
