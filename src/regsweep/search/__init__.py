"""The search: where proposals come from, and what is kept of them. The only package that imports Optuna and Keras Tuner."""

from regsweep.search.optuna_study import Search, kept_trials
from regsweep.search.pruning import reports_of
from regsweep.search.source import Params, Proposal, Told

__all__ = ["Params", "Proposal", "Search", "Told", "kept_trials", "reports_of"]
