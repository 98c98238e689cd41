"""The study itself in a temporary folder, but for its trainings: what starting, judging, reporting and writing cost here.

Few trials, whose results are made up, go the way to a verdict. Validation rows stand in for the test rows, which stay sealed, and
nothing of it stays.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, load_saved
from regsweep.config.sampler import RandomSampler
from regsweep.config.schema import BudgetConfig
from regsweep.errors import ConfigError
from regsweep.material import Material
from regsweep.paths import Workspace
from regsweep.planning.baselines import fitted_in_rehearsal
from regsweep.planning.pretended import Pretended
from regsweep.study import Unwatched, run_study

# A surface needs ten trials.
TRIALS = 12


@dataclass(frozen=True)
class Rehearsed:
    """A few `trials` as they were recorded; seconds of `reading` one, and those that `trainings` after the search would take."""

    book: RecordBook
    trials: int
    reading: float
    trainings: float


def rehearse(material: Material, folder: Path, pretended: Pretended) -> Rehearsed:
    """Run a few trials of the study to its verdict in a folder; an executor pretends to train them."""
    config = material.config
    trials = min(config.n_trials, max(TRIALS, config.parallel_trials, config.champion.finalists.top))
    baselines = config.baselines if fitted_in_rehearsal(material.prepared) else config.baselines.model_copy(update={"names": ()})
    short = config.model_copy(
        update={
            "study": "rehearsal",
            "n_trials": trials,
            "max_failures": trials + 1,
            # They may be more than these few.
            "enqueue": (),
            "budget": BudgetConfig(),
            "baselines": baselines,
            # It fits the same baselines, or none, and none can't stand.
            "champion": config.champion.model_copy(update={"candidates": "networks"}),
            "tracking": config.tracking.model_copy(update={"kind": "local", "dir": str(folder), "uri": None}),
        }
    )
    if short.sampler.kind == "kt_hyperband" or not _is_valid(short):
        # A grid, say, has more configurations than these few trials; Hyperband's first ones are its shortest.
        short = short.model_copy(update={"sampler": RandomSampler(kind="random")})
    stand_in = replace(
        material,
        config=short,
        facts=replace(material.facts, study="rehearsal", config=short),
        split=replace(material.split, test=material.split.folds[0].val),
    )
    where = Workspace(folder)
    book = run_study(stand_in, where, Unwatched(), executors=lambda *_: nullcontext(pretended)).book
    began = time.perf_counter()
    for _ in book.trials():
        pass
    return Rehearsed(book, trials, (time.perf_counter() - began) / trials, pretended.seconds)


def _is_valid(config: StudyConfig) -> bool:
    try:
        load_saved(config.model_dump(mode="json"))
    except ConfigError:
        return False
    return True
