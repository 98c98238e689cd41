"""The search under `search.order=free`: trials are asked at any time and told in whatever order they end.

A sampler and its pruner know of a trial as soon as it is told. Optuna's database has no gaps: the row of a trial that ended
before one with a lower number is held back in memory until that one is told. The trial's record lies on disk by then, and a study
that goes on takes it over from there; numbers that lack are proposed anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from regsweep.config import StudyConfig
from regsweep.failpoints import reach
from regsweep.paths import Workspace
from regsweep.search.fresh import Fresh
from regsweep.search.optuna_study import Search
from regsweep.search.pruning import AsBefore, Asked, PruneRule, Reports
from regsweep.search.source import Proposal, Told
from regsweep.trial import State, TrialSpec


class FreeSearch(Search):
    """Asks and tells in any order. `told()` are the trials that are kept: all below the lowest number that was not told."""

    def __init__(self, workspace: Workspace, name: str, config: StudyConfig, *, anew: bool = False) -> None:
        self._held: dict[int, Told] = {}
        self._under_way: set[int] = set()
        super().__init__(workspace, name, config, anew=anew)

    @property
    def top(self) -> int:
        """The number after the highest one that was told."""
        return max(self._held, default=len(self._told) - 1) + 1

    def waiting(self) -> int:
        return len(self._under_way)

    def take_over(self, trials: Sequence[Told]) -> None:
        """Tell trials that were not asked: they are on record from before. To be called first, if at all."""
        assert self._fresh is None, "trials are taken over before any is asked"
        for told in trials:
            self._hold(self._marked(told, ()))

    def next_batch(self, n_trials: int, at_most: int = 0, *, under_way: int = 0) -> tuple[Proposal, ...]:
        """The trials to train next: those that lack below what was taken over, whatever `n_trials`, and new ones below that.

        New ones are as many as make `under_way` (at least `parallel_trials`) that wait to be told, one at least, and up to
        `at_most` where they need no results. () where `n_trials` are asked, or nothing can be proposed; `ended` may say why.
        """
        fresh = self._proposals()
        end = fresh.asked + max(1, max(self._config.parallel_trials, under_way) - self.waiting())
        ahead = fresh.asked + at_most
        while fresh.asked < n_trials and (fresh.asked < end or (fresh.asked < ahead and fresh.independent(fresh.asked))):
            if not fresh.ask(1):
                break
        told = {one.number for one in self._so_far}
        batch = tuple(fresh.proposal(number) for number in range(self._handed_out, fresh.asked) if number not in told)
        self._handed_out = fresh.asked
        self._under_way |= {proposal.number for proposal in batch}
        return batch

    def rule(self, specs: Mapping[int, TrialSpec]) -> PruneRule | None:
        """What stops these trials: they are compared with all that were told by now, or, told before, stopped as they were."""
        if self._config.pruner.kind == "none" or not specs:
            return None
        if min(specs) < len(self._told):
            return AsBefore(self._config, (), {}, told={spec: self._told[number] for number, spec in specs.items()})
        seen = self._so_far
        return PruneRule(self._config, seen, {spec: Asked(number, len(seen)) for number, spec in specs.items()})

    def tell(
        self, number: int, state: State, value: float | None, others: tuple[float, ...] = (), reports: Reports | None = None
    ) -> None:
        """Report how a trial ended, in any order. Kept when all with lower numbers are told."""
        told = self._marked(self._as_ended(number, state, value, others, reports or {}), ())
        self._proposals().tell(told)
        self._under_way.remove(number)
        self._hold(told)

    def restore(self, records: Sequence[Told]) -> None:
        self._held.clear()
        self._under_way.clear()
        super().restore(records)

    @property
    def _so_far(self) -> Sequence[Told]:
        return [*self._told, *(self._held[number] for number in sorted(self._held))]

    def _hold(self, told: Told) -> None:
        self._held[told.number] = told
        while (following := self._held.get(len(self._told))) is not None:
            self._add(following)
            del self._held[following.number]
            reach("search/told", following.number)

    def _marked(self, told: Told, earlier: Sequence[Told]) -> Told:
        # A mark says what a trial reported at a rung: whom it was compared with has no part in that.
        marks = PruneRule(self._config, (), {}).marks(Asked(told.number, 0), told.reports)
        return replace(told, marks=marks)

    def _gone_on(self) -> Fresh:
        fresh = Fresh(self._config)
        fresh.take_up(self._so_far)
        return fresh


def open_search(workspace: Workspace, name: str, config: StudyConfig, *, anew: bool = False) -> Search:
    """The search in the configured order. Raises StorageError where the study's database can't be used."""
    return (FreeSearch if config.search.order == "free" else Search)(workspace, name, config, anew=anew)
