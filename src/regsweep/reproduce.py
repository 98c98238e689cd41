"""Rebuilds a trial from its record alone, retrains it in a fresh process and compares it epoch by epoch; refits a baseline.

In: a run of MLflow (the champion's, the best trial's, any trial's). Out: `Answer`: identical, within a tolerance, or different
from some epoch on. Nothing of the run is executed: data, split, features and network are made anew from the record's config.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regsweep.baselines.run import fit_on_folds
from regsweep.book import read_trial
from regsweep.champion import Choice, Trainings, champion_model, refit_rows
from regsweep.config import StudyConfig
from regsweep.config.dataset import DownloadDataset, FileDataset
from regsweep.data.sealed import unseal
from regsweep.environment import Environment
from regsweep.errors import DataError
from regsweep.folder import read_content, read_folder
from regsweep.material import Material, gather
from regsweep.metrics import score
from regsweep.predictor import Model
from regsweep.record import StudyFacts, TrialRecord
from regsweep.runner import Processes
from regsweep.train.contract import StopAfter
from regsweep.trial import Array64, State, TrialResult


@dataclass(frozen=True)
class Answer:
    """`deviation` is the largest relative difference found, `epoch` the first one (from 1) that differs at all, 0 for none.

    `where` names the curve, weight or test metric that deviates most.
    """

    tolerance: float
    deviation: float
    epoch: int
    where: str

    @property
    def reproduced(self) -> bool:
        return self.deviation <= self.tolerance

    @property
    def sentence(self) -> str:
        if self.deviation == 0:
            return "identical"
        if self.reproduced:
            return f"within tolerance {self.tolerance:g} (largest relative difference {self.deviation:.2g}, in {self.where})"
        begin = f"differs from epoch {self.epoch}" if self.epoch else "differs after training"
        return f"{begin} (largest relative difference {self.deviation:.2g}, in {self.where})"


def reproduce(folder: Path, *, tolerance: float, announce: Callable[[str], None], near: Sequence[Path] = ()) -> Answer:
    """Reproduce the trial whose run's artifacts lie in `folder`; what changed since is announced before training begins.

    A table that is no longer where it was is looked for under these folders: projects are moved, and given to others.
    Raises DataError if the data are not the recorded ones.
    """
    champion = folder / "champion"
    judged = read_content(champion) if champion.is_dir() else None
    if judged is not None and judged.get("baseline") is not None:
        return _refit(champion, tolerance, announce, near)
    record = read_trial(folder / "record")
    members = [read_trial(place) for place in sorted(folder.glob("members/trial-*"))]
    material = _gathered(record.facts, announce, near)
    with Processes(record.facts.config.trainer, material.prepared, workers=1) as executor:
        trainings = Trainings(record.facts.config, material.dataset, material.split, executor)
        records = [record, *members]
        again = executor.train([each.result.spec for each in records], _stopped_again(record))
        found = [_compare(before.result, after) for before, after in zip(records, again, strict=True)]
        deviation, where, epoch = max(found)
        if len(found) > 1 and deviation:
            where = f"{where} of trial {records[found.index(max(found))].number}"
        if judged is not None:
            chosen, trained = Choice.from_json(judged), {each.number: one for each, one in zip(records, again, strict=True)}
            if chosen.kind == "refit" and "course" not in judged:
                announce("made by an earlier version: its refit's learning rate ended its course at the epochs that were kept")
            model = champion_model(chosen, trained, material.prepared, trainings)
            deviation, where = max((deviation, where), _compare_test(judged, model, material))
    return Answer(tolerance, deviation, epoch, where)


def _refit(champion: Path, tolerance: float, announce: Callable[[str], None], near: Sequence[Path]) -> Answer:
    """Fit a baseline again that is champion, in this process, and compare predictions and scores on the test rows."""
    content, arrays = read_folder(champion)
    facts, chosen = StudyFacts.from_json(content), Choice.from_json(content)
    assert chosen.baseline is not None
    material = _gathered(facts, announce, near)
    config = material.config
    data = refit_rows(chosen.kind, config, material.dataset, material.split) or material.prepared
    model = fit_on_folds(chosen.baseline, config.baselines, data).model(data)
    before, again = arrays["prediction"], model.predict(unseal(material.dataset, material.split).x)
    # Single predictions pass through zero; the greatest is the scale that matters.
    gap = 0.0 if np.array_equal(before, again) else float(np.abs(before - again).max() / np.abs(before).max())
    deviation, where = max((gap, "the predictions of the test rows"), _compare_test(content, model, material))
    return Answer(tolerance, deviation, 0, where)


def _gathered(facts: StudyFacts, announce: Callable[[str], None], near: Sequence[Path]) -> Material:
    """The data of a record, made anew. What changed since is announced; raises DataError if the data are others."""
    for change in facts.environment.changes(Environment.here()):
        announce(f"changed since: {change}")
    config = _at_hand(facts.config, near)
    if isinstance(config.dataset, FileDataset) and config.dataset != facts.config.dataset:
        announce(f"the table is taken from {config.dataset.path}")
    material = gather(config, recorded=True)
    _same_data(facts, material)
    return material


def relative_difference(a: Array64, b: Array64, least: float | Array64 = 0.0) -> Array64:
    """|a - b| / max(|a|, |b|, least) elementwise; 0 where both are equal or both NaN, infinite where one alone is NaN."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), least)
    with np.errstate(invalid="ignore", divide="ignore"):
        difference: Array64 = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b) / scale)
    return np.where(np.isnan(difference), np.inf, difference)


def _at_hand(config: StudyConfig, near: Sequence[Path]) -> StudyConfig:
    """Let this machine's offline folder, or a file of the same name under a folder, stand in for those of the study's machine."""
    dataset, here = config.dataset, os.environ.get("REGSWEEP_DATA")
    if isinstance(dataset, DownloadDataset) and here:
        return config.model_copy(update={"dataset": dataset.model_copy(update={"folder": here})})
    if isinstance(dataset, FileDataset) and not Path(dataset.path).exists():
        _, *parts = Path(dataset.path).parts
        # As much of its path as a moved folder has kept; whether it is the table its sha256 says.
        ends = [Path(*parts[start:]) for start in range(len(parts))]
        if (found := next((folder / end for end in ends for folder in near if (folder / end).is_file()), None)) is not None:
            return config.model_copy(update={"dataset": dataset.model_copy(update={"path": str(found.absolute())})})
    return config


def _same_data(facts: StudyFacts, material: Material) -> None:
    then, now = facts.dataset, material.dataset
    if then.sha256 != now.sha256:
        rows = f" ({then.rows} rows then, {now.rows} now)" if then.rows != now.rows else ""
        raise DataError(
            f"{then.name}: the table is not the recorded one{rows}: sha256 {now.sha256[:12]}..., recorded {then.sha256[:12]}...; "
            "restore the recorded table, or run a new study on this one"
        )


def _stopped_again(record: TrialRecord) -> StopAfter | None:
    """A pruned trial is trained as far as it came."""
    if record.result.state is not State.PRUNED:
        return None
    over_folds = record.facts.config.pruner.kind == "wilcoxon"
    return StopAfter(None if over_folds else len(record.result.curves), len(record.result.folds))


def _compare(before: TrialResult, after: TrialResult) -> tuple[float, str, int]:
    """Largest relative difference over curves and weights, where it is, and the first epoch that differs; 0: none."""
    first = before.spec.initial_epoch + 1
    if (before.state, len(before.folds)) != (after.state, len(after.folds)):
        return np.inf, f"the state ({before.state} then, {after.state} now)", first
    found, differing = [(0.0, "")], list[int]()
    for index, (old, new) in enumerate(zip(before.folds, after.folds, strict=True)):
        fold = f" of fold {index}" if len(before.folds) > 1 else ""
        shared = min(len(old.curves), len(new.curves))
        then, now = old.curves[:shared], new.curves[:shared]
        # R² is 1 minus a ratio: near 0 its rounding is that of 1.
        names = before.task.curves
        least = np.array([1.0 if name.endswith("r2") else 0.0 for name in names])
        # Records have null for whatever is not finite; early ones have 0 for the AUC of one class alone.
        now = np.where(np.isfinite(now), now, np.nan)
        now = np.where(before.task.aucs & np.isnan(now) & (then == 0), 0.0, now)
        difference = relative_difference(then, now, least)
        if len(old.curves) != len(new.curves):
            found.append((np.inf, f"the number of epochs{fold}"))
            differing.append(first + shared)
        found += [(float(difference[:, i].max(initial=0.0)), f"{name}{fold}") for i, name in enumerate(names)]
        differing += (first + np.flatnonzero(difference.any(axis=1))).tolist()
        for kind in ("kernels", "biases"):
            for layer, (a, b) in enumerate(zip(getattr(old.network, kind), getattr(new.network, kind), strict=True)):
                # Single weights pass through zero; a layer's greatest weight is the scale that matters.
                gap = 0.0 if np.array_equal(a, b, equal_nan=True) else float(np.abs(a - b).max() / np.abs(a).max())
                found.append((np.inf if np.isnan(gap) else gap, f"{kind} of layer {layer}{fold}"))
    deviation, where = max(found)
    return deviation, where, min(differing, default=0)


def _compare_test(content: dict[str, Any], model: Model, material: Material) -> tuple[float, str]:
    test = unseal(material.dataset, material.split)
    scores = score(test.y, model.predict(test.x), material.prepared.task)
    return max(
        (
            float(relative_difference(np.array(interval["value"]), np.array(getattr(scores, name)), float(name == "r2"))),
            f"test/{name}",
        )
        for name, interval in content["test"].items()
        if interval["value"] is not None
    )
