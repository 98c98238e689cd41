"""`insight.json` beside a study's trials: importance by two methods, and the ablation path to the champion.

In: a judged study's records and an executor to train what the path needs. Out: the record's content. Main call: `look_into`.
What follows from records is made from records; nothing here sees a test row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from regsweep.book import RecordBook
from regsweep.config.space import SpaceConfig
from regsweep.errors import UnreadableError
from regsweep.folder import read_json, write_json
from regsweep.insight.ablation import AblationPath, Configuration, ablate
from regsweep.insight.surface import surface
from regsweep.record import StudyFacts, TrialRecord
from regsweep.runner import Executor
from regsweep.search.importance import importances
from regsweep.space import central, values_of
from regsweep.trial import State, higher_is_better, spec_from_values

# A round of the ablation path that would take so many times its limit is not begun.
FAR = 10


def look_into(
    book: RecordBook, facts: StudyFacts, records: Sequence[TrialRecord], champion: TrialRecord | None, executor: Executor
) -> dict[str, Any]:
    """Write `insight.json`, or return what it says if it is there already and of these trials and this champion."""
    if (known := kept_insight(book, facts, records, champion)) is not None:
        return known
    objective = facts.config.objective
    found = importances(records, objective, seed=facts.config.seed)
    # The first method's, fANOVA's: it looks at the whole space, as the surface does.
    greatest = [name for name, share in found[0].values.items() if share > 0][:2] if found else []
    content = _about(facts, records, champion) | {
        "importance": [asdict(one) for one in found],
        "surface": surface(records, objective, greatest, seed=facts.config.seed),
        "ablation": _ablation(facts, champion, executor) if champion is not None and facts.config.insight.ablation else None,
    }
    write_json(book.insight, content)
    return content


def kept_insight(
    book: RecordBook, facts: StudyFacts, records: Sequence[TrialRecord], champion: TrialRecord | None
) -> dict[str, Any] | None:
    """What `insight.json` says if it is there and of these trials and this champion."""
    known, about = read_insight(book), _about(facts, records, champion)
    return known if known is not None and {key: known.get(key) for key in about} == about else None


def _about(facts: StudyFacts, records: Sequence[TrialRecord], champion: TrialRecord | None) -> dict[str, Any]:
    return {
        "kind": "insight",
        "study": facts.study,
        "objective": facts.config.objective,
        "trials": [record.number for record in records if record.result.state is State.COMPLETE],
        "champion": champion.number if champion is not None else None,
        "switches": facts.config.insight.model_dump(mode="json"),
    }


def read_insight(book: RecordBook) -> dict[str, Any] | None:
    """What `insight.json` says; None where there is none or it is damaged: it can be made again."""
    try:
        return read_json(book.insight)
    except UnreadableError:
        return None


def _ablation(facts: StudyFacts, champion: TrialRecord, executor: Executor) -> dict[str, Any] | None:
    config, objective = facts.config, facts.config.objective
    began, limit = executor.now(), config.insight.ablation_seconds
    train = partial(_train, executor, config.space, objective, champion.result.spec.seed)
    goal_value: float | None = champion.result.final[objective]
    seconds = champion.result.seconds
    if champion.result.spec.rounds:
        # All of the path is trained in one go. A training that went on, with an optimizer of its own, is no part of it.
        (goal_value,) = train([champion.params])
        seconds = executor.now() - began
    if goal_value is None or not math.isfinite(goal_value):
        return None
    # Side by side they take less than one after the other, but not that much.
    each = seconds / executor.workers

    def enough(trainings: int) -> bool:
        return executor.now() - began > limit or trainings * each > FAR * limit

    path = ablate(
        config.space,
        central(config.space),
        champion.params,
        goal_value,
        train,
        upward=higher_is_better(objective),
        enough=enough,
    )
    return {"objective": objective, "seed": champion.result.spec.seed, **_json(path), "seconds": executor.now() - began}


def _train(
    executor: Executor, space: SpaceConfig, objective: str, seed: int, configurations: Sequence[Configuration]
) -> list[float | None]:
    """Train configurations side by side, all with the champion's seed, and read the objective on the validation rows."""
    specs = [spec_from_values(values_of(space, one), seed=seed) for one in configurations]
    return [result.score(objective) for result in executor.train(specs)]


def _json(path: AblationPath) -> Mapping[str, Any]:
    return {
        "start": dict(path.start),
        "value": path.value,
        "trainings": path.trainings,
        "steps": [
            {
                "flipped": list(step.flipped),
                "changes": {name: list(change) for name, change in step.changes.items()},
                "value": step.value,
                "tried": dict(step.tried),
            }
            for step in path.steps
        ],
    }
