"""The grid: every configuration once, in an order drawn from the study's seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regsweep.config import StudyConfig
from regsweep.config.space import configurations
from regsweep.search.source import Params, Proposal, Told


class GridSource:
    """Counts the grid itself. Configurations that somebody else proposed are left out."""

    recalls = False

    def __init__(self, config: StudyConfig) -> None:
        grid = list(configurations(config.space, getattr(config.sampler, "points", None)))
        order = np.random.default_rng(config.seed).permutation(len(grid))
        self._left = iter([grid[index] for index in order])
        self._imposed: list[Params] = []

    def independent(self, number: int) -> bool:
        return True

    def ask(self, number: int, attempt: int) -> Params | None:
        return next((params for params in self._left if params not in self._imposed), None)

    def rung(self, _number: int) -> None:
        return None

    def drop(self, number: int) -> None: ...

    def impose(self, proposal: Proposal) -> None:
        self._imposed.append(proposal.params)

    def tell(self, told: Told) -> None: ...

    def recall(self, told: Sequence[Told]) -> None: ...
