"""The arrays that a program is called with, made from what each network of a stack says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from regsweep.train.contract import Seeds
from regsweep.train.plan import Form
from regsweep.train.stacked import draws
from regsweep.train.stacked.arguments import Fixed, State, Steps
from regsweep.train.stacked.layout import Layout
from regsweep.train.stacked.optimizers import OPTIMIZERS, Coefficients, schedule
from regsweep.train.stacked.table import FoldTable
from regsweep.trial import Array32, Array64, Network, TrialSpec


@dataclass(frozen=True)
class Lane:
    """One network's place in a stack: its spec, its seeds, which of the table's folds it trains on, what it starts from."""

    spec: TrialSpec
    seeds: Seeds
    fold: int
    start: Network | None = None

    @property
    def optimizer(self) -> Coefficients:
        return OPTIMIZERS[self.spec.optimizer]


def first_state(form: Form, lanes: Sequence[Lane]) -> State:
    """Initial weights by Keras's initialiser or those that a network starts from, moments zero."""
    layout, count = Layout(form), len(lanes)
    rows = []
    for lane in lanes:
        if lane.start is not None:
            rows.append(layout.pack(lane.start.kernels, lane.start.biases))
            continue
        shapes = pairwise((form.inputs, *lane.spec.widths, 1))
        kernels = [
            keras.initializers.GlorotUniform(seed=seed)(shape).numpy()
            for seed, shape in zip(lane.seeds.kernels, shapes, strict=True)
        ]
        rows.append(layout.pack(kernels, [0.0] * len(kernels)))
    params = tf.constant(np.stack(rows))
    zeros = tf.zeros_like(params)
    return State(
        params=params,
        first=zeros,
        second=zeros,
        kept=params,
        sums=tf.zeros((count, 2)),
        best=tf.fill((count,), np.float32(np.inf)),
        since=tf.zeros(count, tf.int32),
        active=tf.ones(count, tf.bool),
    )


def fixed(form: Form, lanes: Sequence[Lane], table: FoldTable) -> Fixed:
    """Coefficients, penalties and sizes. Padding is given no gradient, so it stays at zero; the penalty is on kernels."""
    layout = Layout(form)

    def wide(bias: float, weight: Callable[[Lane], float]) -> tf.Tensor:
        return tf.constant(np.stack([_ones(layout, lane.spec, bias) * np.float32(weight(lane)) for lane in lanes]))

    def column(value: Callable[[Lane], float]) -> tf.Tensor:
        return tf.constant(np.array([value(lane) for lane in lanes], np.float32)[:, None])

    return Fixed(
        gradient=wide(1.0, lambda lane: lane.optimizer.gradient),
        penalty=wide(0.0, lambda lane: 2 * lane.spec.l2),
        second_decay=column(lambda lane: lane.optimizer.second_decay),
        square=column(lambda lane: lane.optimizer.square),
        inside=column(lambda lane: lane.optimizer.inside),
        outside=column(lambda lane: lane.optimizer.outside),
        slope=column(lambda lane: table.folds[lane.fold].target.scale),
        offset=column(lambda lane: table.folds[lane.fold].target.shift - np.log(table.folds[lane.fold].std)),
        keep_scale=tf.constant(_keep_scale(form, lanes)),
        fold=tf.constant([lane.fold for lane in lanes], tf.int32),
        dims=tf.constant(layout.dims),
    )


def step_bytes(form: Form, lanes: int) -> int:
    """What one step's batch orders and dropout masks take."""
    return lanes * form.batch_size * (4 + (sum(form.widths) if form.dropout else 0))


def batch_rows(form: Form, lanes: Sequence[Lane], table: FoldTable, epochs: range) -> npt.NDArray[np.int32]:
    """Which rows of the table every batch holds, shape (epochs, steps, lanes, batch_size)."""
    drawn = [draws.batch_rows(lane.seeds.order, epochs, table.rows, form.batch_size) for lane in lanes]
    return np.stack([rows + np.int32(lane.fold * table.rows) for rows, lane in zip(drawn, lanes, strict=True)], axis=2)


def make_steps(
    form: Form, lanes: Sequence[Lane], rows: npt.NDArray[np.int32], weights: Array32, epochs: range, steps: range
) -> Steps:
    """The arrays of some epochs, or of some steps of one epoch; `rows` and `weights` are those of whole epochs."""
    total = len(weights)
    start = epochs.start * total + steps.start
    shape = (len(epochs), len(steps))
    paces = []
    for lane in lanes:
        spec, stop = lane.spec, start + shape[0] * shape[1]
        rates = schedule(spec.schedule, spec.learning_rate, start, stop, spec.epochs * total)
        # A new optimizer state counts its own steps.
        own = start - spec.initial_epoch * total
        paces.append(lane.optimizer.paces(rates, own).reshape(3, *shape))
    return Steps(
        tf.constant(rows[:, steps.start : steps.stop]),
        tf.constant(weights[steps.start : steps.stop]),
        tf.constant(np.moveaxis(np.stack(paces), (0, 1), (3, 2))[..., None]),
        tf.constant(_masks(form, lanes, epochs, steps, total)),
    )


def _masks(form: Form, lanes: Sequence[Lane], epochs: range, steps: range, total: int) -> npt.NDArray[np.bool_]:
    if not form.dropout:
        return np.zeros((0, 0, 0, 0, 0), np.bool_)
    shape = (form.batch_size, sum(form.widths))
    rates = [_rates(form, lane.spec) if _differ(lane.spec) else lane.spec.dropouts[0] for lane in lanes]
    masks = np.empty((len(epochs), len(steps), len(lanes), *shape), np.bool_)
    for index, epoch in enumerate(epochs):
        for place, lane in enumerate(lanes):
            draws.dropout_masks(lane.seeds.dropout[0], rates[place], epoch, steps, total, shape, masks[index, :, place])
    return masks


def _keep_scale(form: Form, lanes: Sequence[Lane]) -> Array32:
    """What units that stay are multiplied by, shape (lanes, 1, units), or (lanes, 1, 1) where layers don't differ."""
    if any(_differ(lane.spec) for lane in lanes):
        kept = np.array([1 - _rates(form, lane.spec) for lane in lanes])
    else:
        kept = np.array([[1 - max(lane.spec.dropouts, default=0.0)] for lane in lanes])
    return (1 / kept).astype(np.float32)[:, None, :]


def _rates(form: Form, spec: TrialSpec) -> Array64:
    """The dropout rate of every unit, padding included, shape (units,)."""
    return np.repeat(np.array(spec.dropouts), form.widths)


def _differ(spec: TrialSpec) -> bool:
    return len(set(spec.dropouts)) > 1


def _ones(layout: Layout, spec: TrialSpec, bias: float) -> Array32:
    shapes = pairwise((int(layout.dims[0]), *spec.widths, 1))
    kernels = [np.ones(shape, np.float32) for shape in shapes]
    return layout.pack(kernels, [bias] * len(kernels))
