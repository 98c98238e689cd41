from __future__ import annotations

import io

import pytest
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.text import Text

from regsweep.predictor import CategoryColumn, NumberColumn, OrdinalColumn, SegmentsColumn
from regsweep.report import plots
from tests.unit.plot_parts import texts

COLUMNS = [("age", "scaled number", 1), ("sex", "one input per category", 2)]
LABELS = {"target": "charges", "unit": "$", "title": "T"}


def test_small_layers_show_units_and_connections_and_large_ones_their_count() -> None:
    figure = plots.model_diagram(COLUMNS, [(4, "relu", 0.0), (1024, "leaky_relu", 0.25)], **LABELS)
    (axes,) = figure.axes
    # Inputs, the small layer and the output are circles; raw columns, encoding and the large layer boxes.
    assert len([patch for patch in axes.patches if isinstance(patch, Circle)]) == 3 + 4 + 1
    assert len(axes.lines) == 3 * 4
    assert len([patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]) == 3
    assert len([patch for patch in axes.patches if isinstance(patch, Polygon)]) == 4
    written = texts(figure)
    for part in ("Hidden layer 1: 4 units", "Hidden layer 2: 1,024 units", "leaky_relu, then dropout 0.25", "Inputs: 3 numbers",
                 "age, sex", "one input per category: 1 column, 2 inputs", r"predicted charges [\$]"):  # fmt: skip
        assert part in written
    assert "relu, then" not in written.replace("leaky_relu, then", "")


def test_the_weights_are_those_of_dense_layers_with_biases() -> None:
    figure = plots.model_diagram(COLUMNS, [(8, "relu", 0.0), (16, "tanh", 0.0)], **LABELS, note="A note.")
    assert figure.get_supxlabel() == f"{3 * 8 + 8 + 8 * 16 + 16 + 16 + 1} trained weights, biases included. A note."


def test_what_is_made_of_the_output_is_said() -> None:
    assert "Output: 1 unit, linear, then sigmoid" in texts(plots.model_diagram(COLUMNS, [], **LABELS, then="sigmoid"))
    assert "linear, then" not in texts(plots.model_diagram(COLUMNS, [], **LABELS))


@pytest.mark.parametrize("depth", [0, 2, 6])
@pytest.mark.parametrize(("inputs", "units"), [(1, 1), (8, 8), (200, 9), (200, 1024)])
def test_no_text_covers_another_or_leaves_the_figure(depth: int, inputs: int, units: int) -> None:
    columns = [(f"a column with number {index}", "scaled number and missing or not", 1) for index in range(inputs)]
    figure = plots.model_diagram(columns, [(units, "leaky_relu", 0.123)] * depth, **LABELS)
    figure.savefig(io.BytesIO(), format="png")
    found = figure.axes[0].texts
    boxes = [Text.get_window_extent(text) for text in found]
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes)


def test_columns_are_put_into_words_with_the_inputs_they_give() -> None:
    columns = (
        NumberColumn("age", 0, 1, 0, True, False),
        NumberColumn("day", 0, 1, 0, False, True),
        CategoryColumn("sex", ("a", "b"), True, (0.5, 0.5, 0.0)),
        SegmentsColumn("age", (0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 0.0), 0.0, False),
        OrdinalColumn("size", ("l", "m", "s"), False, 1.0, 1.0, 1.0),
    )
    assert plots.encoded_columns(columns) == [
        ("age", "scaled number and missing or not", 2),
        ("day", "date as scaled days", 1),
        ("sex", "one input per category", 3),
        ("age", "piecewise-linear segments", 3),
        ("size", "position among the categories", 1),
    ]
