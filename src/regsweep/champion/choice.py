"""Which trials make the champion, by validation alone.

In: the records of a finished study and its folds. Out: a `Choice`. Main call: `choose`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regsweep.baselines import describe
from regsweep.book import RecordBook
from regsweep.champion.ensemble import greedy_weights
from regsweep.config import StudyConfig
from regsweep.config.split import AutoSplit, KFoldSplit
from regsweep.data.features import Prepared
from regsweep.errors import UnreadableError
from regsweep.folder import read_content
from regsweep.record import TrialRecord
from regsweep.trial import State, TrialResult, TrialSpec, higher_is_better, trial_seed

Train = Callable[[Sequence[TrialSpec]], tuple[TrialResult, ...]]


@dataclass(frozen=True)
class Choice:
    """The trial that leads, and every trial whose networks predict, with its weight; weights sum to 1.

    `baseline` names the one that is champion instead of these networks, which are the best ones then.
    """

    kind: str
    trial: int
    members: tuple[tuple[int, float], ...]
    baseline: str | None = None

    @property
    def networks(self) -> Choice:
        """The networks alone."""
        return replace(self, baseline=None)

    @property
    def name(self) -> str:
        """As it stands in a table or a title."""
        if self.baseline is not None:
            return describe(self.baseline) + (", refitted" if self.kind == "refit" else "")
        if self.kind == "ensemble" and len(self.members) > 1:
            return f"ensemble of {len(self.members)} trials"
        return f"trial {self.trial}, refitted" if self.kind == "refit" else f"trial {self.trial}"

    def to_json(self) -> dict[str, Any]:
        """The key `baseline` is there only where a baseline leads."""
        said = {"trial": self.trial, "champion": self.kind, "members": [list(member) for member in self.members]}
        return said | ({"baseline": self.baseline} if self.baseline is not None else {})

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Choice:
        members = tuple((number, weight) for number, weight in values["members"])
        return Choice(values["champion"], values["trial"], members, values.get("baseline"))


def choose(book: RecordBook, records: Iterable[TrialRecord], config: StudyConfig, data: Prepared, train: Train) -> Choice | None:
    """Choose by the study's rule; None where no trial is complete. `train` is asked for the finalists' further seeds.

    `records` are the study's; the finalists' objectives are kept as a record of that name.
    """
    asked = config.champion
    records = [record for record in records if record.result.state is State.COMPLETE]
    leader = _leader(records, config)
    if leader is None:
        return None
    if asked.finalists.top > 1:
        leader = _after_finals(book, records, leader, config, train)
    if asked.kind != "ensemble":
        return Choice(asked.kind, leader.number, ((leader.number, 1.0),))
    pool = [record for record in _ranked(records, config.objective) if record.number != leader.number]
    pool = [leader, *pool[: asked.trials - 1]]
    weights = greedy_weights([record.result for record in pool], data, config.objective, asked.rounds)
    members = sorted((record.number, weight) for record, weight in zip(pool, weights, strict=True) if weight > 0)
    # The leader of an ensemble is its heaviest member.
    heaviest = max(members, key=lambda member: (member[1], -member[0]))[0]
    return Choice("ensemble", heaviest, tuple(members))


def best_trial(records: Iterable[TrialRecord], objective: str) -> TrialRecord | None:
    """The complete trial with the best objective; of equal ones the first."""
    complete = [record for record in records if record.result.state is State.COMPLETE]
    return next(iter(_ranked(complete, objective)), None)


def simplest_within_one_error(records: Sequence[TrialRecord], objective: str, repeats: int = 1) -> TrialRecord | None:
    """The trial with the fewest parameters whose objective is at most one standard error worse than the best one's.

    The standard error is that of the best trial's mean over its folds (Breiman et al. 1984, section 3.4.3); one fold has none.
    Folds of `repeats` are the same rows again, so they count as one repeat's.
    """
    best = best_trial(records, objective)
    if best is None or len(best.result.folds) < 2:
        return best
    column, sign = best.result.task.curves.index(objective), -1 if higher_is_better(objective) else 1
    values = [fold.curves[fold.kept_epoch, column] for fold in best.result.folds]
    most = sign * best.result.final[objective] + float(np.std(values, ddof=1)) * math.sqrt(repeats / len(values))
    near = [record for record in _ranked(records, objective) if sign * record.result.final[objective] <= most]
    return min(near, key=lambda record: record.result.folds[0].network.parameters)


def _leader(records: Sequence[TrialRecord], config: StudyConfig) -> TrialRecord | None:
    if config.champion.rule == "one_standard_error":
        repeats = config.split.repeats if isinstance(config.split, KFoldSplit | AutoSplit) else 1
        return simplest_within_one_error(records, config.objective, repeats)
    return best_trial(records, config.objective)


def _ranked(records: Iterable[TrialRecord], objective: str) -> list[TrialRecord]:
    sign = -1 if higher_is_better(objective) else 1
    return sorted(records, key=lambda record: (sign * record.result.final[objective], record.number))


def _after_finals(
    book: RecordBook, records: Sequence[TrialRecord], leader: TrialRecord, config: StudyConfig, train: Train
) -> TrialRecord:
    """The finalist with the best mean objective over further seeds: the seed that made it lead was luck in part."""
    asked = config.champion.finalists
    others = [record for record in _ranked(records, config.objective) if record.number != leader.number]
    finalists = [leader, *others[: asked.top - 1]]
    numbers = [record.number for record in finalists]
    objectives = _known_finals(book, numbers, asked.seeds)
    if objectives is None:
        specs = [
            replace(record.result.spec, seed=trial_seed(config.seed, record.number, again))
            for record in finalists
            for again in range(1, asked.seeds + 1)
        ]
        values = [result.final.get(config.objective) if result.state is State.COMPLETE else None for result in train(specs)]
        objectives = [values[start : start + asked.seeds] for start in range(0, len(values), asked.seeds)]
        content = {"kind": "finalists", "objective": config.objective, "trials": numbers, "objectives": objectives}
        book.write("finalists", content, {})
    sign = -1 if higher_is_better(config.objective) else 1
    means = [math.inf if None in each else sign * math.fsum(filter(None, each)) / asked.seeds for each in objectives]
    return finalists[means.index(min(means))]


def _known_finals(book: RecordBook, numbers: list[int], seeds: int) -> list[list[float | None]] | None:
    """What the finalists came to before, if they were these."""
    try:
        content = read_content(book.folder / "finalists")
    except UnreadableError:
        return None
    objectives: list[list[float | None]] = content["objectives"]
    return objectives if content["trials"] == numbers and all(len(each) == seeds for each in objectives) else None
