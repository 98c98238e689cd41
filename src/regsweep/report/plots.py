"""All figures of a report. In: records, insight or predictions. Out: `matplotlib.figure.Figure`, ready for `savefig`."""

from __future__ import annotations

from regsweep.report.boundary_plot import decision_boundary, has_plane
from regsweep.report.champion_plots import learning_curves, predicted_against_true, residuals
from regsweep.report.epoch_plot import metric_by_epoch
from regsweep.report.fit_plots import fitted_line, predicted_by_index
from regsweep.report.insight_plots import ablation_path, empirical_distribution, parameter_importance
from regsweep.report.model_diagram import encoded_columns, model_diagram
from regsweep.report.parallel_plot import parallel_coordinates
from regsweep.report.pareto_plot import pareto_front
from regsweep.report.repeats_plot import repeated_splits
from regsweep.report.search_plots import optimization_history
from regsweep.report.space_plots import contour, slices
from regsweep.report.strip_plot import strip

__all__ = [
    "ablation_path",
    "contour",
    "decision_boundary",
    "empirical_distribution",
    "encoded_columns",
    "fitted_line",
    "has_plane",
    "learning_curves",
    "metric_by_epoch",
    "model_diagram",
    "optimization_history",
    "parallel_coordinates",
    "parameter_importance",
    "pareto_front",
    "predicted_against_true",
    "predicted_by_index",
    "repeated_splits",
    "residuals",
    "slices",
    "strip",
]
