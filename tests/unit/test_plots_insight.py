from __future__ import annotations

import io
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from regsweep.record import TrialRecord
from regsweep.report import plots
from regsweep.trial import Network, State
from tests.unit.plot_parts import LINEAR, PARAMS, facts, is_sentence, line, record, texts, trials, xs, ys

IMPORTANCE = [
    {"method": "fANOVA", "trials": 250, "values": {"depth": 0.7, "width": 0.25, "l2": 0.05, "epochs": float("nan")}},
    {"method": "PED-ANOVA", "trials": 300, "values": {"width": 0.6, "depth": 0.4}},
]
ABLATION: dict[str, Any] = {
    "objective": "val/mse",
    "value": 100.0,
    "steps": [
        {"flipped": ["epochs"], "changes": {"epochs": [40, 60]}, "value": 64.0},
        {"flipped": ["depth"], "changes": {"depth": [0, 2], "width": [None, 32]}, "value": 81.0},
        {"flipped": ["l2"], "changes": {"l2": [1e-4, 1e-6]}, "value": 36.0},
    ],
}
SURFACE = {
    "names": ["learning_rate", "optimizer"],
    "trials": 12,
    "x": [1e-4, 1e-3, 1e-2],
    "y": ["adam", "rmsprop", "sgd_momentum"],
    "mean": [[3.0, 1.0, 2.0], [4.0, 2.0, 3.0], [9.0, 5.0, 4.0]],
}


def test_importance_shows_both_methods_by_name_with_their_trials() -> None:
    figure = plots.parameter_importance(IMPORTANCE, "val/mse")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["l2", "width", "depth"]
    first, second = axes.containers
    assert [bar.get_width() for bar in first] == [0.05, 0.25, 0.7]
    assert [bar.get_width() for bar in second] == [0.0, 0.6, 0.4]
    assert (first.get_label(), second.get_label()) == ("fANOVA", "PED-ANOVA")
    # Told apart without colour.
    assert {bar.get_hatch() for bar in first} != {bar.get_hatch() for bar in second}
    assert [text.get_text() for text in axes.texts] == ["0.05", "0.25", "0.70", "not told", "0.60", "0.40"]
    assert "fANOVA and PED-ANOVA" in figure.get_suptitle()
    assert "250 trials" in texts(figure)
    assert "300 trials" in texts(figure)


@pytest.mark.parametrize("importance", [[], [{"method": "fANOVA", "trials": 3, "values": {"depth": float("nan")}}]])
def test_without_importance_a_sentence_says_so(importance: list[dict[str, Any]]) -> None:
    assert is_sentence(plots.parameter_importance(importance, "val/mse"), "No importance can be told")


def test_the_path_is_drawn_in_target_units_with_what_every_step_changed() -> None:
    figure = plots.ablation_path(ABLATION, 7, "dollars", {"least_squares_qr": 49.0, "random_forest": 1e9})
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["middle of the space", "epochs: 40 → 60", "depth: 0 → 2, with width", "l2: 10⁻⁴ → 10⁻⁶"]
    assert axes.get_xlabel() == "validation RMSE [dollars], lower is better"
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(10, -2), (8, 1), (9, -3)]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True, False]
    assert [text.get_text() for text in axes.texts] == ["10", "8  (−2)", "9  (+1)", "6  (−3)"]
    assert xs(line(axes, "closed-form least squares")) == [7, 7]
    assert "random forest" not in texts(figure)
    assert figure.get_suptitle() == "From the middle of the space to trial 7, one hyperparameter at a time"


def test_the_path_names_failures_and_a_rest_that_was_not_walked() -> None:
    rest = {"flipped": ["l2", "epochs"], "changes": {"l2": [1e-4, 1e-6], "epochs": [40, 20]}, "value": 0.5}
    path = {"objective": "val/r2", "value": None, "steps": [rest]}
    figure = plots.ablation_path(path, 7, "dollars", {})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["middle of the space", "the rest: l2, epochs"]
    assert [text.get_text() for text in axes.texts] == ["failed", "0.5"]
    assert axes.get_xlabel() == "validation R², higher is better"
    assert is_sentence(plots.ablation_path({**path, "steps": []}, 7, "", {}), "is the middle of the space")


def test_a_step_of_many_names_is_read_in_full() -> None:
    names = [f"hyperparameter_{index}" for index in range(12)]
    rest = {"flipped": names, "changes": {name: [1, 2] for name in names}, "value": 0.5}
    path = {"objective": "val/r2", "value": 0.4, "steps": [rest]}
    figure = plots.ablation_path(path, 7, "dollars", {})
    figure.savefig(io.BytesIO(), format="png")
    default, step = figure.axes[0].get_yticklabels()
    assert step.get_text().replace("\n", " ") == f"the rest: {', '.join(names)}"
    boxes = [label.get_window_extent() for label in (default, step)]
    assert not boxes[0].overlaps(boxes[1])
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)


def test_a_step_names_whole_numbers_and_all_that_it_took_along() -> None:
    # A function's later draws follow from earlier ones.
    changes = {"units": [36, 1024], "layers": [2, 3], "rate": [0.123456, None], "more": [None, 1]}
    step = {"flipped": ["layers"], "changes": changes, "value": 0.5}
    after = {"flipped": ["units"], "changes": {"units": [1016, 1024]}, "value": 0.6}
    figure = plots.ablation_path({"objective": "val/r2", "value": 0.4, "steps": [step, after]}, 7, "", {})
    rows = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert rows[1:] == ["layers: 2 → 3, with units, more, without rate", "units: 1,016 → 1,024"]


def test_long_names_leave_the_bars_of_importance_their_room() -> None:
    names = ["h" * 90, "a" * 90]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.parameter_importance([{"method": "fANOVA", "trials": 9, "values": dict.fromkeys(names, 0.5)}], "val/mse")
        figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    labels = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert not labels[0].overlaps(labels[1])
    assert min(label.x0 for label in labels) >= 0
    assert axes.get_window_extent().width > figure.bbox.width / 2


def test_the_distribution_climbs_to_the_share_of_trials() -> None:
    values = [40.0, 10.0, 30.0, 20.0, 50.0, 15.0, 25.0, 35.0, 45.0, 12.0]
    figure = plots.empirical_distribution(trials(values), "val/mse", "dollars", {"least_squares_qr": 36.0})
    (axes,) = figure.axes
    whole = line(axes, "all trials")
    assert xs(whole)[1:-1] == sorted(values)
    assert ys(whole)[1:-1] == pytest.approx(np.arange(1, 11) / 10)
    assert max(xs(line(axes, "first half"))[:-1]) == 50
    assert xs(line(axes, "second half"))[1] == 12
    assert axes.get_xlabel() == "validation MSE [dollars²], lower is better"
    assert axes.get_ylabel() == "share of trials as good or better"
    assert xs(line(axes, "closed-form least squares")) == [36, 36]


def test_the_distribution_of_r2_begins_at_the_greatest() -> None:
    (axes,) = plots.empirical_distribution(trials([50.0, 60.0, 20.0]), "val/r2", "", {}).axes
    assert xs(line(axes, "all trials"))[1:-1] == pytest.approx([0.8, 0.5, 0.4])
    low, high = axes.get_xlim()
    assert low > high


def test_slices_have_a_panel_per_hyperparameter_and_mark_the_best() -> None:
    records = [*trials([40.0, 30.0, 20.0]), record(3, [10.0], params=LINEAR), record(4, [1e9]), record(5, [], state=State.FAILED)]
    figure = plots.slices(records, "val/mse", "dollars")
    panels = [axes for axes in figure.axes if axes.axison]
    names = ["depth", "width", "activation", "learning_rate", "epochs", "batch_size", "optimizer", "dropout", "l2"]
    assert [axes.get_xlabel() for axes in panels] == names
    assert "validation MSE [dollars²]" in texts(figure)
    assert "trial 3" in texts(figure)
    for axes in panels:
        assert len(xs(line(axes, "complete trial"))) == 4
        assert ys(line(axes, "off the scale"))[0] == pytest.approx(max(ys(line(axes, "complete trial"))))
        assert ys(line(axes, "best trial")) == [10]
    # The linear trial has no width: it stands at the label for that.
    width = panels[1]
    assert xs(line(width, "best trial"))[0] == pytest.approx(0, abs=0.05)
    assert next(label.get_text() for label in width.get_xticklabels()) == "\nabsent"


def test_no_label_of_many_choices_covers_another() -> None:
    names = ["linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid"]
    study = facts(f"space.parameters.activation={{type: choice, choices: [{','.join(names)}]}}")
    records = [record(at, [10.0 + at], params={**PARAMS, "activation": name}, study=study) for at, name in enumerate(names)]
    figure = plots.slices(records, "val/mse", "")
    figure.savefig(io.BytesIO(), format="png")
    labels = next(axes for axes in figure.axes if axes.get_xlabel() == "activation").get_xticklabels()
    assert [label.get_text() for label in labels] == names
    boxes = [label.get_window_extent() for label in labels]
    assert not [index for index in range(1, len(boxes)) if boxes[index].overlaps(boxes[index - 1])]


def test_medians_are_those_of_the_trials_at_a_place() -> None:
    records = [record(number, [value], params={**PARAMS, "optimizer": name}) for number, (name, value) in enumerate(
        [("adam", 10.0), ("adam", 20.0), ("adam", 90.0), ("rmsprop", 1.0), ("rmsprop", 2.0)])]  # fmt: skip
    figure = plots.slices(records, "val/mse", "")
    axes = next(axes for axes in figure.axes if axes.get_xlabel() == "optimizer")
    assert [ys(found) for found in axes.lines if found.get_label() == "median"] == [[20, 20]]


def sized(number: int, mse: float, width: int) -> TrialRecord:
    one = record(number, [mse], study=facts("objective=[val/mse,parameters]"))
    network = Network((np.zeros((width, 1), np.float32),), (np.zeros(1, np.float32),))
    return replace(one, result=replace(one.result, folds=(replace(one.result.folds[0], network=network),)))


def test_the_front_is_filled_numbered_and_joined() -> None:
    records = [sized(0, 40.0, 9), sized(1, 30.0, 99), sized(2, 50.0, 49), sized(3, 20.0, 999), record(4, [], state=State.FAILED)]
    figure = plots.pareto_front(records, ("val/mse", "parameters"), "dollars")
    (axes,) = figure.axes
    front = line(axes, "Pareto front")
    assert xs(front) == pytest.approx([10, 100, 1000])
    assert ys(front) == pytest.approx([40, 30, 20])
    assert [*xs(line(axes, "other trial")), *ys(line(axes, "other trial"))] == pytest.approx([50, 50])
    assert [*xs(line(axes, "best")), *ys(line(axes, "best"))] == pytest.approx([1000, 20])
    assert [text.get_text() for text in axes.texts] == ["0", "1", "3"]
    assert axes.get_xlabel() == "trained weights, lower is better"
    assert axes.get_ylabel() == "validation MSE [dollars²], lower is better"
    assert axes.get_xscale() == "log"
    assert "3 of 4 complete trials" in texts(figure).replace("\n", " ")


def test_all_of_the_front_is_on_the_scale_and_what_is_not_is_counted() -> None:
    records = [sized(number, 3000.0 + 30 * number, 99 + (number > 0)) for number in range(20)]
    records += [sized(20, 20_000.0, 9), sized(21, 90_000.0, 999)]
    figure = plots.pareto_front(records, ("val/mse", "parameters"), "dollars")
    (axes,) = figure.axes
    assert ys(line(axes, "Pareto front")) == pytest.approx([20_000, 3000])
    assert axes.get_ylim()[1] > 20_000
    assert max(ys(line(axes, "other trial"))) < 90_000
    assert "1 other trial is far off the scale" in texts(figure).replace("\n", " ")


def test_contour_shades_the_surface_and_places_trials_on_it() -> None:
    records = [
        record(0, [30.0], params={**PARAMS, "learning_rate": 1e-3, "optimizer": "adam"}),
        record(1, [10.0], params={**PARAMS, "learning_rate": 1e-4, "optimizer": "sgd_momentum"}),
    ]
    figure = plots.contour(records, SURFACE, "val/mse", "dollars")
    axes, bar = figure.axes
    (mesh,) = [found for found in axes.collections if isinstance(found, QuadMesh)]
    assert np.asarray(mesh.get_array()).tolist() == SURFACE["mean"]
    shades = mesh.to_rgba(np.array([1.0, 5.0, 9.0]))[:, :3].sum(axis=1)
    assert [*shades] == sorted(shades)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning_rate", "optimizer")
    assert bar.get_ylabel() == "expected validation MSE [dollars²], lower is better"
    star = line(axes, "best trial")
    assert xs(star)[0] == pytest.approx(0, abs=0.06)
    assert ys(star)[0] == pytest.approx(1, abs=0.06)
    assert "trial 1: 10" in texts(figure)
    assert is_sentence(plots.contour(records, None, "val/mse", ""), "No surface can be told")
