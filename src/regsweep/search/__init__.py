"""The search: where proposals come from, and what is kept of them. The only package that imports Optuna and Keras Tuner."""

import optuna

from regsweep.search.free import FreeSearch, open_search
from regsweep.search.optuna_study import Search, kept_trials
from regsweep.search.pruning import reports_of
from regsweep.search.source import Params, Proposal, Told

__all__ = ["FreeSearch", "Params", "Proposal", "Search", "Told", "kept_trials", "open_search", "reports_of"]

# In workers, too: of every study in memory, such as a pruner's, Optuna would say that there is one.
optuna.logging.set_verbosity(optuna.logging.WARNING)
