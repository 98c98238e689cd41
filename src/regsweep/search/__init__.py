"""The search: where proposals come from, and what is kept of them. The only package that imports Optuna and Keras Tuner."""

from regsweep.search.free import FreeSearch, open_search
from regsweep.search.optuna_study import Search, kept_trials
from regsweep.search.pruning import reports_of
from regsweep.search.source import Params, Proposal, Told

__all__ = ["FreeSearch", "Params", "Proposal", "Search", "Told", "kept_trials", "open_search", "reports_of"]
