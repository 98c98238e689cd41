"""The search: what Optuna knows of a study. The only package that imports Optuna."""

from regsweep.search.optuna_study import Proposal, Search, Told, kept_trials

__all__ = ["Proposal", "Search", "Told", "kept_trials"]
