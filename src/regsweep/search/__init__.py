"""The search: what Optuna knows of a study. The only package that imports Optuna."""

from regsweep.search.optuna_study import Finished, Proposal, Search

__all__ = ["Finished", "Proposal", "Search"]
