"""The champion: which trials make it, the opening of the test rows, its scores beside the baselines."""

from __future__ import annotations

from regsweep.champion.candidates import champion_model
from regsweep.champion.choice import Choice, best_trial
from regsweep.champion.judging import Judgement, judge, scored_before
from regsweep.champion.openings import read_openings
from regsweep.champion.training import Trainings, refit_rows

__all__ = [
    "Choice",
    "Judgement",
    "Trainings",
    "best_trial",
    "champion_model",
    "judge",
    "read_openings",
    "refit_rows",
    "scored_before",
]
