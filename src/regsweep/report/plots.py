"""All figures of a report. In: records, importances or predictions. Out: `matplotlib.figure.Figure`, ready for `savefig`."""

from __future__ import annotations

from regsweep.report.champion_plots import learning_curves, predicted_against_true, residuals
from regsweep.report.parallel_plot import parallel_coordinates
from regsweep.report.search_plots import optimization_history, parameter_importance

__all__ = [
    "learning_curves",
    "optimization_history",
    "parallel_coordinates",
    "parameter_importance",
    "predicted_against_true",
    "residuals",
]
