"""The estimate of a study: a rehearsal gives what every study takes, a simulated search what its trials take.

time = rehearsal, from the start of the process to its end, without its trials
     + the search as simulated with measured speeds, or what driver, recorder and trainings take of the cores, if that is more
     + trainings that judgement and insight ask for
     + reading the records for judgement and report
disk = rehearsal, without its trials + trials x (weights + curves + the rest of a trial in the rehearsal)
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np

from regsweep.environment import usable_cores
from regsweep.folder import read_content, read_folder, write_folder
from regsweep.material import Material
from regsweep.paths import Workspace
from regsweep.planning.baselines import baseline_seconds, fitted_in_rehearsal
from regsweep.planning.costs import Costs
from regsweep.planning.preference import Lean, lean_of, learns
from regsweep.planning.pretended import Pretended
from regsweep.planning.rehearsal import Rehearsed, rehearse
from regsweep.planning.simulate import Course, Machine, Plan, simulate
from regsweep.runner import make_executor, workers_of
from regsweep.search import Search
from regsweep.train.plan import Speed
from regsweep.trial import CURVES, TrialSpec

# The search is simulated so many times, if its sampler learns, for so many seconds each at most; Hyperband's for so many, as its
# first trials are its shortest, from which nothing can be extrapolated.
GOES, PATIENCE, HYPERBANDS_PATIENCE = 3, 2.0, 20.0
# Records are read so many times at the end of a study.
READINGS = 4
# CPU seconds that a trial takes the recorder, by `benchmarks.end_to_end`; bytes of a metric point in MLflow's database, with its
# indices, and of a number in a record.
RECORDING, POINT_BYTES, NUMBER_BYTES = 0.01, 250, 20


@dataclass(frozen=True)
class Estimate:
    """`seconds` of wall time and `bytes` of disk for a study from nothing; what of the time is `search`; `trials` it comes to.

    `least` and `most` seconds: where its sampler comes to prefer the quickest trainings of the space, or the longest. `start`:
    seconds until there are workers, which a budget counts as search, and this does not.
    """

    seconds: float
    least: float
    most: float
    search: float
    bytes: float
    trials: int
    start: float


def estimate(material: Material, spent: float) -> Estimate:
    """Estimate a study after a calibration. `spent`: seconds from the start of the process up to here."""
    config = material.config
    with tempfile.TemporaryDirectory(prefix="regsweep-plan-") as temporary:
        folder = Path(temporary)
        began = time.perf_counter()
        # Early stopping would make trainings look quick whose epochs all count.
        patient = config.model_copy(update={"trainer": config.trainer.model_copy(update={"patience": None})})
        with make_executor(patient, material.prepared) as executor:
            costs = Costs(config, material.prepared, executor, Machine(workers_of(config), Speed().trace, writing=0.0))
            costs.start()
            start = time.perf_counter() - began
            costs.measure()
            lean = lean_of(config, material.prepared, costs.by_model)
            began = time.perf_counter()
            rehearsed = rehearse(material, folder / "rehearsal", Pretended(costs, lean))
            if config.sampler.kind.startswith("kt_"):
                # Where the rehearsal had another sampler, this imports Keras Tuner, which is no part of any proposal.
                import_module("regsweep.search.oracles")
            whole = spent + start + time.perf_counter() - began
            writing = _writing(rehearsed, folder)
            machine = replace(costs.machine, writing=writing)
            course = _course(lean, costs.plan, machine, folder / "course")
        baselines, refit = 0.0, config.champion.kind == "refit"
        if not fitted_in_rehearsal(material.prepared):
            baselines = baseline_seconds(config.baselines, material.prepared, refit=refit)
        # Trainings leave cores to others only where there are fewer workers than cores.
        available = usable_cores()
        others = course.trials * (RECORDING + writing)
        # In the free order workers don't wait for each other.
        waiting = course.seconds if config.search.order == "fixed" else course.work / machine.workers
        search = max(waiting, (course.work + others) / min(available, machine.workers + 1))
        rest = whole + rehearsed.trainings + baselines - rehearsed.trials * writing
        rest += course.trials * READINGS * rehearsed.reading
        size = _bytes(course, rehearsed, material, folder / "rehearsal")
    least, most = (rest + search * factor for factor in lean.bounds(course.specs, course.trials))
    return Estimate(rest + search, least, most, search, size, course.trials, start)


def _course(lean: Lean, plan: Plan, machine: Machine, folder: Path) -> Course:
    """Go through the search: of several goes, which differ by chance, the middle one. A sampler that doesn't learn needs one."""
    config = lean.config
    seeds = np.random.SeedSequence(config.seed).spawn(GOES if learns(config) else 1)
    patience = HYPERBANDS_PATIENCE if config.sampler.kind == "kt_hyperband" else PATIENCE
    courses = []
    for number, seed in enumerate(seeds):
        place = folder / str(number)
        place.mkdir(parents=True)
        search, objectives = Search(Workspace(place), "plan", config), partial(lean, rng=np.random.default_rng(seed))
        courses.append(simulate(config, search, plan, machine, patience, objectives=objectives))
    return sorted(courses, key=lambda course: course.seconds)[len(courses) // 2]


def _writing(rehearsed: Rehearsed, folder: Path) -> float:
    """Seconds to write a trial's record, durably."""
    content, arrays = read_folder(rehearsed.book.place(0))
    began = time.perf_counter()
    write_folder(folder / "record", content, arrays)
    return time.perf_counter() - began


def _bytes(course: Course, rehearsed: Rehearsed, material: Material, folder: Path) -> float:
    """Bytes on disk. A trial's record lies there and, copied, in MLflow's artifacts; the model holds the weights once more."""
    folds, fold = len(material.prepared.folds), material.prepared.folds[0]
    kept = material.config.tracking.models
    models = {"all": course.trials, "none": 0}.get(kept) if ":" not in kept else int(kept.partition(":")[2])
    copies = 2 + min(1.0, (models or 0) / course.trials)

    def known(spec: TrialSpec) -> float:
        dims = (fold.encoded(spec.encoding).inputs, *spec.widths, 1)
        weights = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(dims))
        points = len(CURVES) * (spec.epochs - spec.initial_epoch)
        return folds * (4 * copies * weights + 2 * NUMBER_BYTES * points) + POINT_BYTES * points

    done = [record.result.spec for record in rehearsed.book.trials()]
    places = [*rehearsed.book.folder.glob("trial-*"), *_trial_artifacts(folder)]
    trials = sum(map(_size, places)) + POINT_BYTES * len(CURVES) * sum(spec.epochs - spec.initial_epoch for spec in done)
    rest = max(0.0, trials - sum(map(known, done))) / len(done)
    return _size(folder) - trials + course.trials * (rest + float(np.mean([known(spec) for spec in course.specs])))


def _trial_artifacts(folder: Path) -> Iterator[Path]:
    """The folders of the trials' runs in MLflow; a champion's holds a copy of its trial's record, too."""
    for place in (folder / "artifacts").glob("*/*/artifacts"):
        if (
            not (place / "champion").is_dir()
            and (place / "record").is_dir()
            and read_content(place / "record")["kind"] == "trial"
        ):
            yield place.parent


def _size(place: Path) -> int:
    """Bytes that a file, or a folder with all in it, takes on disk, in whole blocks."""
    found = place.lstat()
    # Windows doesn't say how many blocks there are.
    own = 512 * getattr(found, "st_blocks", -(-found.st_size // 512))
    return own + (sum(map(_size, place.iterdir())) if place.is_dir() else 0)
