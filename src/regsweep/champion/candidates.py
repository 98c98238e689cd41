"""Who stands for champion: the networks that lead, and with `champion.candidates=all` the baselines too.

In: a study's choice of networks and the fitted baselines. Out: the same choice, maybe behind a baseline. Main calls:
`first_of_all`, by validation alone, and `stand`, what is to be scored on the test rows. Nothing here sees a test row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from regsweep.baselines import describe
from regsweep.baselines.run import FoldFits, fit_on_folds
from regsweep.champion.choice import Choice
from regsweep.champion.ensemble import validation_scores
from regsweep.champion.training import Trainings
from regsweep.config import StudyConfig
from regsweep.data.features import Prepared
from regsweep.judgement import NETWORK
from regsweep.predictor import Model, blend
from regsweep.record import TrialRecord
from regsweep.trial import TrialResult, higher_is_better

# Least squares by three ways are one model: rounding does not make one of them better.
ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Candidate:
    """A model to be scored: its name, what a sentence calls it, its scores on validation rows, what is worth logging of it."""

    name: str
    label: str
    val: Mapping[str, float]
    model: Model
    parameters: Mapping[str, str | int | float]


def fitted_candidates(config: StudyConfig, data: Prepared) -> dict[str, FoldFits]:
    """The configured baselines, fitted, if they stand for champion; else none."""
    if config.champion.candidates == "networks":
        return {}
    return {name: fit_on_folds(name, config.baselines, data) for name in config.baselines.names}


def reached_by(
    networks: Choice, records: Mapping[int, TrialRecord], fits: Mapping[str, FoldFits], data: Prepared, objective: str
) -> dict[str, float]:
    """The objective of the networks, as `NETWORK`, and of each baseline, mean over the same folds."""
    metric = objective.removeprefix("val/")
    reached = {NETWORK: validation_scores(networks.members, networks.trial, records, data)[metric]}
    return reached | {name: asdict(fitted.val)[metric] for name, fitted in fits.items()}


def first_of_all(networks: Choice, reached: Mapping[str, float], objective: str) -> Choice:
    """The networks, behind the baseline with the best objective if that is better than theirs.

    Of equal ones, but for rounding, the first as `reached` has them, so the networks before any baseline. One without a value
    stands last.
    """
    sign = -1 if higher_is_better(objective) else 1
    leader, best = NETWORK, math.inf
    for name, value in reached.items():
        if sign * value < best - (ROUNDING * abs(best) if math.isfinite(best) else 0.0):
            leader, best = name, sign * value
    return replace(networks, baseline=None if leader == NETWORK else leader)


def stand(
    chosen: Choice, records: Mapping[int, TrialRecord], fits: Mapping[str, FoldFits], data: Prepared, trainings: Trainings
) -> tuple[Candidate, Candidate | None]:
    """The champion that was chosen, and if it is a baseline the networks that it is compared with.

    Raises RegsweepError if networks are to be refitted and diverge.
    """
    model = champion_model(chosen, {number: record.result for number, record in records.items()}, data, trainings)
    val = validation_scores(chosen.members, chosen.trial, records, data)
    networks = Candidate(chosen.networks.name, _label(chosen, model), val, model, {})
    if chosen.baseline is None:
        return networks, None
    fitted = fits.get(chosen.baseline) or trainings.fitted_baseline(chosen.baseline, data)
    rows = trainings.refit_rows(chosen.kind)
    answering = fitted if rows is None else trainings.fitted_baseline(chosen.baseline, rows)
    found = asdict(fitted.val)
    val = {name: found[name] for name in data.task.metrics}
    return Candidate(chosen.name, describe(chosen.baseline), val, answering.model(rows or data), answering.parameters), networks


def champion_model(chosen: Choice, results: Mapping[int, TrialResult], data: Prepared, trainings: Trainings) -> Model:
    """Make the model of the chosen networks of what their trials came to."""
    if chosen.kind == "refit":
        return trainings.refitted(results[chosen.trial])
    return blend([(data.encoding.model(results[number]), weight) for number, weight in chosen.members])


def _label(chosen: Choice, model: Model) -> str:
    linear = all(len(member.kernels) == 1 for member in model.networks)
    if len(chosen.members) > 1:
        return "the ensemble of linear networks (depth 0)" if linear else "the ensemble of networks"
    return "the linear network (depth 0)" if linear else "the network"
