"""How much each hyperparameter mattered, by two methods that answer different questions.

In: a study's records. Out: an `Importance` per method. Main call: `importances`.

fANOVA (Hutter, Hoos and Leyton-Brown 2014) says, according to a random forest, which share a hyperparameter has of what single
ones explain of the objective's variance over the whole space; PED-ANOVA (Watanabe, Bansal and Hutter 2023) how much the values
of the best tenth of the trials differ from those of all. Both add up to 1.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FixedTrial, TrialState, create_trial

from regsweep.config.space import SpaceConfig
from regsweep.metrics import evenly_chosen, fenced, unit_factor
from regsweep.record import TrialRecord
from regsweep.search.samplers import distribution_of
from regsweep.space import as_seen, draw, middle_of
from regsweep.trial import higher_is_better

FANOVA: Final = "fANOVA"
PED_ANOVA: Final = "PED-ANOVA"

# fANOVA's time grows with more than the square of the trials: 24 s for 1,000.
MOST: Final = 250
FEWEST: Final = 4


@dataclass(frozen=True)
class Importance:
    """Importance by hyperparameter in parts of 1, the greatest first, told from so many complete trials."""

    method: str
    trials: int
    values: Mapping[str, float]


def importances(records: Sequence[TrialRecord], objective: str, *, seed: int) -> tuple[Importance, ...]:
    """Importance for `objective` by both methods; () where fewer than four complete trials differ in it.

    fANOVA looks at `MOST` trials, evenly chosen by number, if there are more. It sees log-scaled hyperparameters on their log
    scale, absent ones at the middle of their range (as SMAC keeps inactive ones at a default), and objectives worse than
    Tukey's fence at the fence: one diverged trial would otherwise be all the variance there is.
    """
    found = {record.number: record.result.score(objective) for record in records}
    complete = sorted((record for record in records if found[record.number] is not None), key=lambda record: record.number)
    values = np.array([found[record.number] for record in complete], dtype=np.float64)
    chosen = evenly_chosen(len(complete), MOST)
    if len(np.unique(values[chosen])) < FEWEST:
        return ()
    upward = higher_is_better(objective)
    space = as_seen(complete[0].facts.config.space, [record.params for record in complete])
    drawn = [_drawn(record, space) for record in complete]
    tamed = fenced(values[chosen], upward=upward)
    return (
        _importance(
            FANOVA,
            FanovaImportanceEvaluator(seed=seed),
            _filled(space, [drawn[index] for index in chosen]),
            unit_factor(tamed) * tamed,
            upward=upward,
        ),
        _importance(PED_ANOVA, PedAnovaImportanceEvaluator(), drawn, values, upward=upward),
    )


FloatArray = npt.NDArray[np.float64]
_Drawn = dict[str, tuple[Any, BaseDistribution]]


def _drawn(record: TrialRecord, space: SpaceConfig) -> _Drawn:
    if space.function is not None:
        return {name: (value, distribution_of(space.drawn[name])) for name, value in record.params.items()}
    suggester = FixedTrial(dict(record.params))
    draw(space, suggester)
    return {name: (record.params[name], distribution) for name, distribution in suggester.distributions.items()}


def _filled(space: SpaceConfig, drawn: Sequence[_Drawn]) -> list[_Drawn]:
    """All hyperparameters in every trial, log scales unrolled."""
    known = {name: distribution for one in drawn for name, (_, distribution) in one.items()}
    middles = {name: middle_of(space, name) for name in known}
    return [
        {name: _unrolled(one[name][0] if name in one else middles[name], known[name]) for name in sorted(known)} for one in drawn
    ]


def _unrolled(value: Any, distribution: BaseDistribution) -> tuple[Any, BaseDistribution]:
    if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        low, high = math.log10(distribution.low), math.log10(distribution.high)
        return min(high, max(low, math.log10(value))), FloatDistribution(low, high)
    return value, distribution


def _importance(
    method: str,
    evaluator: FanovaImportanceEvaluator | PedAnovaImportanceEvaluator,
    drawn: Sequence[_Drawn],
    values: FloatArray,
    *,
    upward: bool,
) -> Importance:
    study = optuna.create_study(direction="maximize" if upward else "minimize")
    study.add_trials(
        [
            create_trial(
                state=TrialState.COMPLETE,
                value=float(value),
                params={name: chosen for name, (chosen, _) in one.items()},
                distributions={name: distribution for name, (_, distribution) in one.items()},
            )
            for one, value in zip(drawn, values, strict=True)
        ]
    )
    with warnings.catch_warnings():
        # Optuna warns of hyperparameters that few trials have; the figure says how many trials there are.
        warnings.simplefilter("ignore", UserWarning)
        found = get_param_importances(study, evaluator=evaluator)
    ranked = sorted(found, key=lambda name: (-found[name], name))
    return Importance(method, len(drawn), {name: float(found[name]) for name in ranked})
