"""Proposals that are all different: those of the user first, then a source's, without what was there before.

A proposal that equals an earlier one is asked for again, with another draw, then drawn at random, then looked for among the
configurations that are left. Nothing is trained twice: where nothing is left, the study ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import optuna

from regsweep.config import StudyConfig
from regsweep.config.enqueue import in_type
from regsweep.config.space import configurations
from regsweep.errors import ConfigError
from regsweep.search.source import Params, Proposal, Source, Told
from regsweep.space import draw, greatest
from regsweep.space.suggesters import Given

# How often a source is asked for another proposal, how many random ones are drawn then, how many configurations are looked at.
ATTEMPTS, DRAWS, LOOKED_AT = 4, 20, 100_000
# How many are drawn beside what the user gives until they go together.
DRAWS_BESIDE_GIVEN = 400


class Fresh:
    """The proposals of one study, by number, and why there are no more."""

    def __init__(self, config: StudyConfig) -> None:
        self._config, self._source = config, _source(config)
        self._proposals: list[Proposal] = []
        self._starts: list[int] = []
        self._known: set[frozenset[tuple[str, object]]] = set()
        self._told = 0
        self.ended: str | None = None

    @property
    def asked(self) -> int:
        """How many proposals there are."""
        return len(self._proposals)

    def proposal(self, number: int) -> Proposal:
        """One that was asked."""
        return self._proposals[number]

    def start(self, number: int) -> int:
        """Where the batch begins that a proposal was asked in."""
        return self._starts[number]

    def independent(self, number: int) -> bool:
        """Whether the batch from this number on needs no results."""
        return self._source.independent(number)

    def ask(self, count: int) -> bool:
        """Ask for a batch of so many proposals, or as many as there are without more results. False where there is none."""
        before = self.asked
        while self.ended is None and self.asked < before + count:
            proposal = self._next(self.asked)
            if proposal is None:
                if self.ended is None and self._told == self.asked:
                    self.ended = f"{self._config.sampler.kind} has nothing more to propose after {self.asked} trials"
                break
            self._take(proposal, before)
        return self.asked > before

    def tell(self, told: Told) -> None:
        """Pass on how a trial ended, in the order of numbers."""
        self._source.tell(told)
        self._told += 1

    def go_on(self, told: Sequence[Told], size: int) -> None:
        """Come, from the beginning, to where a study stands that was asked in batches of `size` and told these trials."""
        if self._source.recalls:
            whole = told[: len(told) // size * size]
            self._source.recall(whole)
            for one in whole:
                self._take(Proposal(one.number, one.params, one.rung), one.number // size * size)
            self._told = len(whole)
        while self._told < len(told):
            if not self.ask(size):
                # Another version of the sampler proposed more.
                self.ended = None
                self._impose(Proposal(self._told, told[self._told].params, told[self._told].rung))
            for one in told[self._told : self.asked]:
                self._known.add(_key(one.params))
                self._proposals[one.number] = Proposal(one.number, one.params, one.rung)
                self.tell(one)

    def take_up(self, told: Sequence[Told]) -> None:
        """Come to where a study stands that was told these trials in any order: those that lack among their numbers are proposed.

        A source that needs no results is asked again in the order of numbers, one that recalls knows all that were told.
        """
        recalls, by_number = self._source.recalls, {one.number: one for one in told}
        if recalls:
            self._source.recall(told)
            self._known |= {_key(one.params) for one in told}
        for number in range(max(by_number, default=-1) + 1):
            one = by_number.get(number)
            if one is None or not recalls:
                self._take(self._next(number) or self._whatever(number), number)
            if one is None:
                continue
            if recalls:
                self._take(Proposal(number, one.params), number)
            else:
                self._known.add(_key(one.params))
                self._proposals[number] = Proposal(number, one.params)
                self._source.tell(one)
        self._told = len(told)

    def _whatever(self, number: int) -> Proposal:
        """A number that later ones were trained without is trained even where nothing is left that was not tried."""
        self.ended = None
        proposal = Proposal(number, random_params(self._config, number, 0))
        self._source.impose(proposal)
        return proposal

    def _next(self, number: int) -> Proposal | None:
        if number < len(self._config.enqueue):
            return self._enqueued(number)
        # A grid goes on by itself: from what Keras Tuner tells apart and a study does not, too.
        for attempt in range(LOOKED_AT if self._config.sampler.kind == "kt_grid" else ATTEMPTS):
            params = self._source.ask(number, attempt)
            if params is None:
                return None
            if _key(params) not in self._known:
                return Proposal(number, params, self._source.rung(number))
            self._source.drop(number)
        params = self._drawn(number) or self._left()
        if params is None:
            drawn = f"{ATTEMPTS + DRAWS} draws in a row gave nothing new" if self._config.space.function is not None else ""
            self.ended = f"{drawn or 'every configuration has been tried'} after {number} trials"
            return None
        proposal = Proposal(number, params)
        self._source.impose(proposal)
        return proposal

    def _enqueued(self, number: int) -> Proposal:
        given = in_type(self._config.enqueue[number], self._config.space)
        problem: ConfigError | None = None
        new: Params | None = None
        known: list[Params] = []
        for attempt in range(DRAWS_BESIDE_GIVEN):
            # A function may not draw what is given beside what was drawn.
            try:
                params = random_params(self._config, number, attempt, given)
            except ConfigError as error:
                problem = problem or error
                continue
            if left := given.keys() - params.keys():
                problem = problem or ConfigError(f"{min(left)!r} is not drawn beside what was drawn at random")
                continue
            if _key(params) not in self._known:
                new = params
                break
            known.append(params)
            if len(known) == DRAWS:
                break
        if new is None and not known and problem is not None:
            raise ConfigError([f"enqueue.{number}: {line}; give what it depends on, too" for line in problem.problems])
        # Where nothing is left to draw, it is tried again: that is what was asked for.
        proposal = Proposal(number, known[0] if new is None else new)
        self._source.impose(proposal)
        return proposal

    def _take(self, proposal: Proposal, start: int) -> None:
        self._known.add(_key(proposal.params))
        self._starts.append(start)
        self._proposals.append(proposal)

    def _impose(self, proposal: Proposal) -> None:
        self._source.impose(proposal)
        self._take(proposal, proposal.number)

    def _drawn(self, number: int) -> Params | None:
        for attempt in range(DRAWS):
            params = random_params(self._config, number, attempt)
            if _key(params) not in self._known:
                return params
        return None

    def _left(self) -> Params | None:
        """A configuration that is left; None too where a number is real, of which there are always others to draw.

        What a function draws can't be listed.
        """
        if self._config.space.function is not None:
            return None
        try:
            every = islice(configurations(self._config.space), LOOKED_AT)
            return next((params for params in every if _key(params) not in self._known), None)
        except ValueError:
            return None


def random_params(config: StudyConfig, number: int, attempt: int, given: Params | None = None) -> Params:
    """A configuration with these values, the others drawn at random by (study seed, trial number, attempt)."""
    seed = int(np.random.SeedSequence([config.seed, number], spawn_key=(attempt, 1)).generate_state(1)[0])
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), sampler=optuna.samplers.RandomSampler(seed=seed))
    given = dict(given or {})
    if config.sampler.kind == "kt_hyperband":
        # What it has not proposed is trained to the end.
        given.setdefault("epochs", int(greatest(config.space, "epochs")))
    return draw(config.space, Given(given, study.ask()))


def _key(params: Params) -> frozenset[tuple[str, object]]:
    """What is the same for equal configurations: 0.1 + 0.2 and 0.3 are the same step of a real number."""
    return frozenset((name, float(f"{value:.12g}") if isinstance(value, float) else value) for name, value in params.items())


def _source(config: StudyConfig) -> Source:
    """The configured one."""
    if config.sampler.kind.startswith("kt_"):
        # It imports TensorFlow, which takes seconds.
        from regsweep.search.oracles import OracleSource

        return OracleSource(config)
    if config.sampler.kind == "grid":
        from regsweep.search.grid import GridSource

        return GridSource(config)
    from regsweep.search.optuna_source import OptunaSource

    return OptunaSource(config)
