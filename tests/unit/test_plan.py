"""Which trainings share a stack, by hand."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regsweep.train.plan import ALONE_FLOPS, GREATEST_STACK, Form, Speed, form_of, plan, stack_size
from regsweep.trial import TrialSpec
from tests.helpers import spec

ROWS, INPUTS = 100, 8
PLENTY = 1e12
# 9 * 96 + 97 * 96 + 97 = 10,273 parameters: 6 operations for each and each row are 3,944,832 with 64 rows, 4,006,470 with 65.
AT_THE_EDGE = (96, 96)


def form(*, alone: bool = False) -> Form:
    """13 parameters: (2 + 1) * 3 + (3 + 1) * 1."""
    return Form(2, (3,), ("tanh",), 10, False, alone)


def positions(
    specs: list[TrialSpec], *, folds: int = 1, speed: Speed | None = None, workers: int = 1, memory: float = PLENTY
) -> list[tuple[int, ...]]:
    return [load.positions for load in plan(specs, {"plain": INPUTS}, ROWS, folds, speed or Speed(), workers, memory)]


@pytest.mark.parametrize(
    ("width", "padded"),
    [
        (1, 16), (16, 16), (17, 32), (33, 48), (49, 64), (65, 96), (97, 128), (129, 192), (193, 256), (257, 384), (385, 512),
        (513, 768), (769, 1024), (1024, 1024), (1025, 2048), (2049, 3072),
    ],
)  # fmt: skip
def test_widths_are_padded_to_the_next_step_of_the_ladder(width: int, padded: int) -> None:
    assert form_of(spec(widths=(width, 5), batch_size=1), 4, ROWS).widths == (padded, 16)


def test_a_linear_model_has_nothing_to_pad() -> None:
    assert form_of(spec(widths=(), activation="linear"), 4, ROWS) == Form(4, (), (), 32, False, False)


def test_batches_are_no_larger_than_the_data() -> None:
    assert [form_of(spec(batch_size=size), 4, ROWS).batch_size for size in (99, 100, 101)] == [99, 100, 100]


def test_a_step_that_fills_a_core_is_taken_alone_with_its_own_widths() -> None:
    below, above = (form_of(spec(widths=AT_THE_EDGE, batch_size=size), INPUTS, ROWS) for size in (64, 65))
    assert (below.flops, below.alone) == (3_944_832, False)
    assert (above.flops, above.alone) == (4_006_470, True)
    assert below.flops < ALONE_FLOPS <= above.flops
    assert form_of(spec(widths=(99, 97), batch_size=65), INPUTS, ROWS).widths == (99, 97)


def test_what_counts_for_alone_is_the_batch_that_there_are_rows_for() -> None:
    assert not form_of(spec(widths=AT_THE_EDGE, batch_size=65), INPUTS, 64).alone


def test_padding_does_not_count_for_alone() -> None:
    # 65 x 65 units are padded to 96 x 96, which with 65 rows would be too much.
    assert not form_of(spec(widths=(65, 65), batch_size=65), INPUTS, ROWS).alone


def test_no_training_is_alone_on_a_gpu() -> None:
    assert form_of(spec(widths=(99, 97), batch_size=100), INPUTS, ROWS, gpu=True) == Form(
        INPUTS, (128, 128), ("tanh", "tanh"), 100, False, False
    )


def test_sizes_of_a_form() -> None:
    assert form().parameters == 13
    assert form().flops == 6 * 10 * 13
    assert form().bytes == 4 * (12 * 13 + 4 * 10 * (2 + 3) + 4096 * (2 + 3))
    assert form().program == (("tanh",), False)


def test_memory_bounds_a_stack_and_where_not_two_fit_there_is_none() -> None:
    one = form().bytes
    assert [stack_size(form(), memory) for memory in (5 * one + 1, 2 * one, 2 * one - 1, 0)] == [5, 2, 0, 0]
    assert stack_size(form(), PLENTY) == GREATEST_STACK == 32
    assert stack_size(form(), 1000 * one, gpu=True) == 1000


def test_one_that_trains_alone_needs_memory_for_one() -> None:
    one = form(alone=True).bytes
    assert [stack_size(form(alone=True), memory) for memory in (9 * one, one, one - 1)] == [1, 1, 0]


def test_a_lone_network_costs_what_two_do_unless_its_form_is_alone() -> None:
    speed = Speed(step=2.0, layer=3.0, flop=0.1)
    # A step: 2 s, 3 s for its hidden layer, 78 s for each network's 780 operations.
    assert [speed.stack(form(), size, 10) for size in (1, 2, 3)] == pytest.approx([1610, 1610, 2390])
    assert [speed.stack(form(alone=True), size, 10) for size in (1, 2)] == pytest.approx([830, 1610])


def test_specs_of_one_form_share_a_load() -> None:
    same = [
        spec(widths=(9,)),
        spec(widths=(16,), optimizer="sgd", learning_rate=0.5, epochs=9, l2=0.1, seed=3),
        spec(widths=(12,), epochs=1),
    ]
    # The longest first: a stack shrinks from its end.
    assert positions(same) == [(1, 0, 2)]


@pytest.mark.parametrize(
    "changes", [{"widths": (17,)}, {"widths": (8, 8)}, {"activation": "relu"}, {"batch_size": 31}, {"dropout": 0.1}]
)
def test_specs_of_two_forms_do_not(changes: dict[str, object]) -> None:
    assert sorted(positions([spec(), spec(**changes)])) == [(0,), (1,)]


def test_the_order_of_activations_makes_a_form() -> None:
    mixed = [spec(widths=(8, 8), activations=names) for names in (("relu", "tanh"), ("tanh", "relu"), ("relu", "tanh"))]
    assert sorted(positions(mixed)) == [(0, 2), (1,)]


def test_dropout_rates_and_batches_beyond_the_data_make_no_form_of_their_own() -> None:
    mixed = [spec(dropout=0.1, batch_size=ROWS), spec(dropout=0.5, batch_size=ROWS + 1)]
    assert positions(mixed) == [(0, 1)]
    assert positions([spec(widths=(8, 8), dropouts=rates) for rates in ((0.1, 0.0), (0.2, 0.3))]) == [(0, 1)]


def test_trainings_that_fill_a_core_are_loads_of_one() -> None:
    assert sorted(positions([spec(widths=(99, 97), batch_size=65)] * 3)) == [(0,), (1,), (2,)]


def test_loads_come_most_costly_first_and_say_what_they_cost() -> None:
    specs = [spec(epochs=2), spec(activation="relu", epochs=50), spec(epochs=5), spec(widths=(8, 8), epochs=1)]
    speed = Speed(step=2.0, layer=3.0, flop=0.0)
    first, second, third = plan(specs, {"plain": INPUTS}, ROWS, 1, speed, 1, PLENTY)
    # 100 rows in batches of 32 are 4 steps; a load lasts as long as its longest member.
    assert (first.positions, first.seconds, first.program) == ((1,), 50 * 4 * 5.0, (("relu",), False))
    assert (second.positions, second.seconds, second.program) == ((2, 0), 5 * 4 * 5.0, (("tanh",), False))
    assert (third.positions, third.seconds, third.program) == ((3,), 1 * 4 * 8.0, (("tanh", "tanh"), False))


def test_a_group_of_mostly_arithmetic_is_halved_for_two_workers_and_not_for_one() -> None:
    arithmetic = Speed(step=0.0, layer=0.0, flop=1e-9)
    assert positions([spec()] * 16, speed=arithmetic, workers=1) == [tuple(range(16))]
    assert sorted(positions([spec()] * 16, speed=arithmetic, workers=2)) == [tuple(range(8)), tuple(range(8, 16))]


@pytest.mark.parametrize("workers", [3, 4])
def test_a_group_of_mostly_arithmetic_gives_every_worker_a_part(workers: int) -> None:
    arithmetic = Speed(step=0.0, layer=0.0, flop=1e-9)
    assert len(positions([spec()] * 16, speed=arithmetic, workers=workers)) >= workers


def test_a_group_of_mere_overhead_is_not_halved() -> None:
    # Each half would take as long as the whole.
    assert positions([spec()] * 16, speed=Speed(step=1.0, layer=1.0, flop=0.0), workers=2) == [tuple(range(16))]


def test_a_group_is_not_halved_while_the_other_worker_has_enough_to_do() -> None:
    arithmetic = Speed(step=0.0, layer=0.0, flop=1e-9)
    groups = [spec()] * 8 + [spec(activation="relu")] * 8
    assert sorted(positions(groups, speed=arithmetic, workers=2)) == [tuple(range(8)), tuple(range(8, 16))]


def test_memory_bounds_a_load_and_like_lengths_stay_together() -> None:
    one = form_of(spec(), INPUTS, ROWS).bytes
    specs = [spec(epochs=epochs) for epochs in (1, 9, 5, 9, 1)]
    assert positions(specs, memory=2 * one) == [(1, 3), (2, 0), (4,)]
    # Where not two fit, keras_fit trains them: one each.
    assert sorted(positions(specs, memory=1.9 * one)) == [(0,), (1,), (2,), (3,), (4,)]


def test_every_fold_takes_a_place_and_costs() -> None:
    one = form_of(spec(), INPUTS, ROWS)
    specs, arithmetic = [spec()] * 5, Speed(step=0.0, layer=0.0, flop=1.0)
    loads = plan(specs, {"plain": INPUTS}, ROWS, 3, arithmetic, 1, 7 * one.bytes)
    # Memory for 7 networks is memory for 2 specs of 3 folds; 3 epochs of 4 steps each.
    assert [load.positions for load in loads] == [(0, 1), (2, 3), (4,)]
    assert [load.seconds for load in loads] == pytest.approx([12 * 6 * one.flops, 12 * 6 * one.flops, 12 * 3 * one.flops])


@st.composite
def drawn(draw: st.DrawFn) -> TrialSpec:
    widths = tuple(draw(st.lists(st.sampled_from([3, 20, 150]), max_size=3)))
    return spec(
        widths=widths,
        activation=draw(st.sampled_from(["relu", "tanh"])),
        batch_size=draw(st.sampled_from([8, 64, 500])),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        epochs=draw(st.integers(1, 40)),
        seed=draw(st.integers(0, 9)),
    )


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    specs=st.lists(drawn(), min_size=1, max_size=60),
    folds=st.integers(1, 5),
    workers=st.integers(1, 4),
    # That of a GPU is the trainer's to bound.
    memory=st.floats(1e3, 1e9) | st.just(sys.float_info.max),
    gpu=st.booleans(),
)
def test_every_spec_is_planned_once_with_its_like_and_within_memory(
    specs: list[TrialSpec], folds: int, workers: int, memory: float, gpu: bool
) -> None:
    loads = plan(specs, {"plain": INPUTS}, ROWS, folds, Speed(gpu=gpu), workers, memory)
    assert sorted(position for load in loads for position in load.positions) == list(range(len(specs)))
    assert [load.seconds for load in loads] == sorted((load.seconds for load in loads), reverse=True)
    for load in loads:
        (shared,) = {form_of(specs[position], INPUTS, ROWS, gpu=gpu) for position in load.positions}
        steps = max(specs[position].epochs for position in load.positions) * math.ceil(ROWS / shared.batch_size)
        assert load.program == shared.program
        assert load.seconds == pytest.approx(Speed().stack(shared, len(load.positions) * folds, steps))
        if len(load.positions) > 1:
            assert len(load.positions) * folds <= stack_size(shared, memory, gpu=gpu)
