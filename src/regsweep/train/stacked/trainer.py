"""The trainer's own loop: groups trainings into stacks, runs them, and puts folds together again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from weakref import ref

import tensorflow as tf

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.tasks import REGRESSION
from regsweep.train.contract import StopRule, failure, outcome, stops, waves_of
from regsweep.train.keras_fit import KerasFit
from regsweep.train.plan import GIB, Form, Speed, form_of, stack_size
from regsweep.train.runtime import gpu_memory
from regsweep.train.stacked.activations import ACTIVATIONS
from regsweep.train.stacked.calibrate import measure
from regsweep.train.stacked.optimizers import OPTIMIZERS
from regsweep.train.stacked.stack import Member, Stack
from regsweep.train.stacked.table import FoldTable
from regsweep.trial import Array64, FoldResult, TrialResult, TrialSpec


class Stacked:
    """Trains specs of one form side by side, folds too; what it can't stack is trained by `keras_fit`."""

    name = "stacked"

    def __init__(self, config: TrainerConfig) -> None:
        self._config = config
        self._keras_fit = KerasFit(config)
        self._gpu = bool(tf.config.list_physical_devices("GPU"))
        self._memory = 0.8 * gpu_memory() if self._gpu else config.memory_gb * GIB
        self._speed: Speed | None = None
        self._data: ref[Prepared] | None = None
        self._tables: dict[tuple[tuple[int, ...], str], tuple[FoldTable, tuple[int, ...]]] = {}

    def fit(self, specs: Sequence[TrialSpec], data: Prepared, stop: StopRule | None = None) -> tuple[TrialResult, ...]:
        """Train every spec on every fold."""
        groups: dict[tuple[str, tuple[Form, ...], int], list[int]] = defaultdict(list)
        results: dict[int, TrialResult] = {}
        for position, spec in enumerate(specs):
            if self._stackable(spec, data):
                groups[spec.encoding, self._forms(spec, data), spec.initial_epoch].append(position)
            else:
                results |= {position: self._keras_fit.fit([spec], data, stop)[0]}
        for (_, forms, _), positions in groups.items():
            # All folds of a trial train side by side: a rule compares them at equal epochs.
            size = max(1, min(stack_size(form, self._memory, gpu=self._gpu) for form in forms) // len(forms))
            positions.sort(key=lambda position: -specs[position].epochs)
            for start in range(0, len(positions), size):
                results |= self._train(data, forms, {i: specs[i] for i in positions[start : start + size]}, stop)
        return tuple(results[position] for position in range(len(specs)))

    def speed(self, *, timed: bool = True) -> Speed:
        """Time two small stacks once, or tell a GPU from cores."""
        if not timed:
            return self._speed or Speed(gpu=self._gpu)
        if self._speed is None:
            self._speed = measure(self._config, gpu=self._gpu)
        return self._speed

    def _table(self, data: Prepared, size: tuple[int, ...], encoding: str) -> tuple[FoldTable, tuple[int, ...]]:
        """The folds of a size as tensors, and which they are."""
        if self._data is None or self._data() is not data:
            self._tables, self._data = {}, ref(data)
        if (size, encoding) not in self._tables:
            folds = [fold.encoded(encoding) for fold in data.folds]
            indices = tuple(index for index, fold in enumerate(folds) if _size(fold) == size)
            self._tables[size, encoding] = FoldTable([folds[index] for index in indices]), indices
        return self._tables[size, encoding]

    def _stackable(self, spec: TrialSpec, data: Prepared) -> bool:
        if data.task != REGRESSION or not ACTIVATIONS.keys() >= {*spec.activations} or spec.optimizer not in OPTIMIZERS:
            return False
        if min(spec.widths, default=1) < 1:
            return False
        return all(stack_size(form, self._memory, gpu=self._gpu) > 0 for form in self._forms(spec, data))

    def _forms(self, spec: TrialSpec, data: Prepared) -> tuple[Form, ...]:
        """The form of each fold."""
        return tuple(form_of(spec, fold.inputs, len(fold.z_train), gpu=self._gpu) for fold in _seen(spec, data))

    def _train(
        self, data: Prepared, forms: tuple[Form, ...], specs: dict[int, TrialSpec], stop: StopRule | None
    ) -> dict[int, TrialResult]:
        """Train specs (by position) side by side; one that raises is told apart from its mates."""
        members = [Member(position, spec, fold) for position, spec in specs.items() for fold in range(len(forms))]
        try:
            stopped = self._run(data, forms, members, stop)
        except Exception as error:
            if len(specs) > 1:
                positions, middle = list(specs), len(specs) // 2
                halves = ({i: specs[i] for i in part} for part in (positions[:middle], positions[middle:]))
                return {i: result for half in halves for i, result in self._train(data, forms, half, stop).items()}
            ((position, spec),), (folds, seconds) = specs.items(), _sum(members)
            return {position: failure(spec, error, folds, seconds=seconds, trainer=self.name)}
        results = {}
        for i, spec in specs.items():
            folds, seconds = _sum([member for member in members if member.position == i])
            rule = stop if i in stopped else None
            results[i] = outcome(spec, folds, seconds=seconds, trainer=self.name, stopped=rule)
        return results

    def _run(self, data: Prepared, forms: tuple[Form, ...], members: list[Member], stop: StopRule | None) -> set[int]:
        """Train members, wave by wave; returns the positions that the rule stopped."""
        stopped = set[int]()
        for number, wave in enumerate(waves_of(stop, len(forms))):
            if number and stop is not None:
                stopped |= _asked(stop, [m for m in members if m.fold < wave.start and m.position not in stopped])
            part = [member for member in members if member.fold in wave and member.position not in stopped]
            if stop is None or stop.every is None:
                for stack in self._stacks(data, forms, part):
                    stack.advance()
                continue
            stacks, epochs = list(self._stacks(data, forms, part)), members[0].spec.initial_epoch
            while any(member.result is None for member in part):
                epochs += stop.every
                for stack in stacks:
                    stack.advance(epochs)
                going = {member.position for member in part if member.result is None}
                dropped = _asked(stop, [m for m in members if m.fold < wave.stop and m.position in going])
                for stack in stacks:
                    stack.drop(dropped)
                stopped |= dropped
        return stopped

    def _stacks(self, data: Prepared, forms: tuple[Form, ...], members: list[Member]) -> Iterator[Stack]:
        """Seat members of one form and one number of rows together, as far as memory allows."""
        groups: dict[tuple[Form, tuple[int, ...], str], list[Member]] = defaultdict(list)
        for member in members:
            size = _size(data.folds[member.fold].encoded(member.spec.encoding))
            groups[forms[member.fold], size, member.spec.encoding].append(member)
        for (form, size, encoding), group in groups.items():
            table, folds = self._table(data, size, encoding)
            most = stack_size(form, self._memory, gpu=self._gpu)
            for start in range(0, len(group), most):
                part = group[start : start + most]
                yield Stack(form, part, table, [folds.index(member.fold) for member in part], self._config)


def _seen(spec: TrialSpec, data: Prepared) -> tuple[FoldData, ...]:
    """The folds as a training of this spec sees them."""
    return tuple(fold.encoded(spec.encoding) for fold in data.folds)


def _size(fold: FoldData) -> tuple[int, ...]:
    return fold.inputs, len(fold.z_train), len(fold.z_val)


def _asked(stop: StopRule, members: list[Member]) -> set[int]:
    """The positions that the rule stops, asked about all folds that members stand for."""
    curves: dict[int, list[Array64]] = defaultdict(list)
    specs = {member.position: member.spec for member in members}
    for member in sorted(members, key=lambda member: member.fold):
        curves[member.position].append(member.curves)
    return {position for position, folds in curves.items() if stops(stop, specs[position], folds)}


def _sum(members: list[Member]) -> tuple[list[FoldResult], float]:
    """The folds of one spec that have ended, in order, and the seconds of all."""
    folds = [member.result for member in sorted(members, key=lambda member: member.fold) if member.result is not None]
    return folds, sum(member.seconds for member in members)
