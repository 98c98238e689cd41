from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from regsweep.report import plots
from regsweep.report.scale import fit_scale
from regsweep.report.style import metric_unit, new_figure, number, spread, style_axes, with_unit
from regsweep.report.write import save
from regsweep.trial import State
from tests.unit.plot_parts import BASELINES, LINEAR, record, trials
from tests.unit.test_plots_insight import ABLATION, IMPORTANCE, SURFACE


def every_figure() -> list[Figure]:
    rng = np.random.default_rng(0)
    found = trials(rng.lognormal(3, 1, 60).tolist())
    y = rng.normal(size=50)
    several = record(0, [[9.0, 5.0, 4.0], [8.0, 7.0, 9.0]], kept=[2, 1])
    return [
        plots.optimization_history([*found, record(60, [np.nan], state=State.FAILED)], "val/mse", "dollars", BASELINES),
        plots.parameter_importance(IMPORTANCE, "val/mse"),
        plots.parameter_importance([], "val/mse"),
        plots.empirical_distribution(found, "val/mse", "dollars", BASELINES),
        plots.ablation_path(ABLATION, 3, "dollars", BASELINES),
        plots.slices([*found, record(61, params=LINEAR)], "val/mse", "dollars"),
        plots.contour(found, SURFACE, "val/mse", "dollars"),
        plots.parallel_coordinates([*found, record(61, params=LINEAR)], "val/mse", "dollars"),
        plots.learning_curves(several, "thousand metric tons of CO2 per capita"),
        plots.predicted_against_true(1e8 * y, 1e8 * y + 1, "charges", "$", "On $ and $"),
        plots.residuals(y, y + rng.normal(size=50), "charges", "dollars", "Residuals"),
        plots.predicted_by_index(y, 1.1 * y, "charges", "$", "Row by row"),
        plots.fitted_line([("champion", y, y)], [("training", y, y)], feature="age", target="charges", unit="$", title="A line"),
        plots.model_diagram(
            [("age", "number", 1)], [(64, "leaky_relu", 0.5), (3, "tanh", 0)], target="y", unit="$", title="Network"
        ),
        plots.metric_by_epoch([("one", [9.0, 5.0]), ("another", [8.0])], metric="val/mse", unit="$", title="Two trainings"),
        plots.strip([("one", y), ("another", [1.0])], axis_label="MAE [$]", title="Seeds", references=[(0.5, "a tutorial")]),
    ]


def test_every_figure_is_drawn_without_a_warning_900_pixels_wide_in_letters_of_9_points() -> None:
    for figure in every_figure():
        figure.savefig(io.BytesIO(), format="png")
        assert figure.get_figwidth() * figure.dpi == 900
        assert min(float(text.get_fontsize()) for text in figure.findobj(Text) if text.get_text()) >= 9
        title = figure.get_suptitle()
        assert title
        extent = figure.get_tightbbox()
        assert extent.x0 > -0.01
        assert extent.x1 < figure.get_figwidth() + 0.01


def test_figures_need_neither_pyplot_nor_the_heavy_packages() -> None:
    code = "import sys, regsweep.report.plots; print({'matplotlib.pyplot', 'tensorflow', 'mlflow', 'optuna'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_scale_holds_its_own_ends_and_places_values_by_their_logarithm() -> None:
    scale = fit_scale([1.0, 10.0, 100.0], higher_is_better=False)
    assert scale.log
    assert scale.position([1.0, 10.0, 1e9]).tolist() == pytest.approx([0, 0.5, 1])
    assert scale.holds([1.0, 100.0, 101.0]).tolist() == [True, True, False]
    wide = scale.widened(0.25, 0.25)
    assert wide.position([1.0, 100.0]).tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e8])
def test_a_scale_of_one_value_has_room_on_both_sides(value: float) -> None:
    for upward in (True, False):
        scale = fit_scale([value], higher_is_better=upward)
        assert scale.low < value < scale.high


def test_labels_are_moved_apart_but_keep_their_order() -> None:
    moved = spread([0.98, 0.2, 0.97, 0.99], 0.1)
    assert moved == pytest.approx([0.9, 0.2, 0.8, 1.0])


@pytest.mark.parametrize(
    ("value", "text"),
    [(3021.4, "3,021"), (0.03120, "0.0312"), (1.5e8, "1.5×10⁸"), (1e-6, "10⁻⁶"), (-2.5, "−2.5"), (0.0, "0"), (2000.0, "2,000"),
     (float("nan"), "undefined"), (999_999.9, "1,000,000")],
)  # fmt: skip
def test_numbers_are_written_for_readers(value: float, text: str) -> None:
    assert number(value) == text


def test_labels_that_are_too_long_take_two_lines_within_the_figure() -> None:
    name = "a very long name of a column " * 10
    figure = new_figure("t", height=3)
    axes = figure.add_subplot()
    style_axes(axes, x=f"predicted {name}[kg]", y=f"true {name}")
    figure.draw_without_rendering()
    for label in (axes.xaxis.label, axes.yaxis.label):
        box, whole = label.get_window_extent(), figure.bbox
        assert label.get_text().count("\n") == 1 and "…" in label.get_text()
        assert box.x0 >= 0 and box.x1 <= whole.x1 and box.y0 >= 0 and box.y1 <= whole.y1
    assert "[kg]" in axes.get_xlabel()


@pytest.mark.parametrize(
    ("metric", "unit", "label"),
    [("val/mse", "dollars", "[dollars²]"), ("val/mse", "thousand persons", "[(thousand persons)²]"),
     ("val/mae", "dollars", "[dollars]"), ("val/r2", "dollars", ""), ("val/mse", "", "")],
)  # fmt: skip
def test_metrics_have_their_unit(metric: str, unit: str, label: str) -> None:
    assert with_unit("x", metric_unit(metric, unit)) == f"x {label}".rstrip()


def test_letters_that_no_font_has_are_saved_without_a_warning(tmp_path: Path) -> None:
    figure = Figure()
    figure.suptitle("价格 🏠")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0
