"""Trains one stack: calls its program for some epochs at a time, and lets members go when they end."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from regsweep.config.schema import TrainerConfig
from regsweep.train.contract import first_weights, kept_epoch, seeds
from regsweep.train.plan import GREATEST_STACK, Form
from regsweep.train.stacked import draws
from regsweep.train.stacked.arguments import State, Stopping
from regsweep.train.stacked.arrays import Lane, batch_rows, first_state, fixed, make_steps, step_bytes
from regsweep.train.stacked.layout import Layout
from regsweep.train.stacked.program import program
from regsweep.train.stacked.table import FoldTable, curves_of
from regsweep.trial import Array64, FoldResult, TrialSpec

# The host looks at a stack after so many epochs at the latest: what has stopped is let go.
LONGEST_CALL = 20
CALL_WITH_PATIENCE = 10
# Batch orders and dropout masks of one call of a full stack take no more than this.
DRAWS_BYTES = 64 << 20
NEVER = np.iinfo(np.int32).max


@dataclass
class Member:
    """One training in a stack: a spec (by position) on a fold, and what has come of it."""

    position: int
    spec: TrialSpec
    fold: int
    seconds: float = 0.0
    result: FoldResult | None = None
    parts: list[Array64] = field(default_factory=list)

    @property
    def curves(self) -> Array64:
        """What it has come to, shape (epochs, 6)."""
        return np.concatenate(self.parts)


class Stack:
    """Members of one form and one initial epoch; `folds[i]` says which of the table's folds member i trains on."""

    def __init__(
        self, form: Form, members: Sequence[Member], table: FoldTable, folds: Sequence[int], config: TrainerConfig
    ) -> None:
        self._form, self._table, self._config = form, table, config
        self._layout = Layout(form)
        self._weights = draws.batch_weights(table.rows, form.batch_size)
        self._program = program(*form.program, table.folds[0].target.log)
        self._part = _part(form, len(self._weights))
        self._done = members[0].spec.initial_epoch
        lanes = [
            Lane(m.spec, seeds(m.spec, m.fold), fold, first_weights(m.spec, m.fold))
            for m, fold in zip(members, folds, strict=True)
        ]
        self._seat(list(members), lanes)
        self._state = first_state(form, self._lanes)

    def advance(self, epochs: int | None = None) -> None:
        """Train until so many epochs are done, or to the end; results are left in the members."""
        while self._members and (epochs is None or self._done < epochs):
            started = time.perf_counter()
            count = self._epochs(epochs)
            sums = self._call(range(self._done, self._done + count))
            self._done += count
            going = self._state.active.numpy()
            share = (time.perf_counter() - started) / len(self._members)
            for place, member in enumerate(self._members):
                member.seconds += share
                member.parts.append(curves_of(sums[:, place], self._table.folds[self._lanes[place].fold]))
            self._let_go([bool(going[place]) and self._done < member.spec.epochs for place, member in enumerate(self._members)])

    def drop(self, positions: Collection[int]) -> None:
        """End the members of these specs here, with the weights that they keep."""
        self._let_go([member.position not in positions for member in self._members])

    def _seat(self, members: list[Member], lanes: list[Lane]) -> None:
        # One network alone would go through other kernels than two do, with other rounding: it is trained twice.
        self._members = members
        self._lanes = lanes * 2 if len(lanes) == 1 and not self._form.alone else lanes
        self._fixed = fixed(self._form, self._lanes, self._table)

    def _epochs(self, until: int | None) -> int:
        """How many epochs the next call takes."""
        left = min(member.spec.epochs for member in self._members) - self._done
        most = CALL_WITH_PATIENCE if self._config.patience else LONGEST_CALL
        if until is not None:
            most = min(most, until - self._done)
        fitting = DRAWS_BYTES // (step_bytes(self._form, len(self._lanes)) * len(self._weights)) if self._part is None else 1
        return max(1, min(left, most, fitting))

    def _call(self, epochs: range) -> Array64:
        """Train for some epochs, or for one in parts; returns sums of errors, shape (epochs, networks, 5)."""
        total = len(self._weights)
        part = self._part or total
        rows = batch_rows(self._form, self._lanes, self._table, epochs)
        for start in range(0, total, part):
            steps = range(start, min(start + part, total))
            stopping = Stopping(
                patience=tf.constant(self._config.patience or NEVER),
                keep_best=tf.constant(self._config.keep == "best"),
                closing=tf.constant(steps.stop == total),
            )
            drawn = make_steps(self._form, self._lanes, rows, self._weights, epochs, steps)
            self._state, sums = self._program(self._table.tensors, self._fixed, stopping, drawn, self._state)
        result: Array64 = sums.numpy().astype(np.float64)
        return result

    def _let_go(self, going: Sequence[bool]) -> None:
        """Take out the members that do not go on, with the weights that they keep."""
        left = []
        for place, member in enumerate(self._members):
            if going[place]:
                left.append(place)
                continue
            curves = member.curves
            network = self._layout.unpack(self._state.kept[place].numpy(), member.spec.widths)
            member.result = FoldResult(curves, network, kept_epoch(curves, self._config))
        if len(left) == len(self._members):
            return
        lanes = [self._lanes[place] for place in left]
        members = [self._members[place] for place in left]
        if not members:
            self._members = []
            return
        self._seat(members, lanes)
        seats = left * 2 if len(self._lanes) > len(left) else left
        self._state = State(*(tf.gather(values, seats) for values in self._state))


def _part(form: Form, steps: int) -> int | None:
    """How many steps of a long epoch one call takes; None where calls take whole epochs.

    It follows from the form, not from the number of members: sums over an epoch are rounded where parts end.
    """
    size = step_bytes(form, GREATEST_STACK)
    block = draws.block((form.batch_size, sum(form.widths)))
    return None if size * steps <= DRAWS_BYTES else block * max(1, DRAWS_BYTES // (size * block))
