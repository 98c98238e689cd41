"""The trainer's own loop: groups trainings into stacks, runs them, and puts folds together again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from weakref import ref

import tensorflow as tf

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.train.contract import StopRule, failure, outcome
from regsweep.train.keras_fit import KerasFit
from regsweep.train.plan import GIB, Form, Speed, form_of, stack_size
from regsweep.train.runtime import gpu_memory
from regsweep.train.stacked.activations import ACTIVATIONS
from regsweep.train.stacked.calibrate import measure
from regsweep.train.stacked.optimizers import OPTIMIZERS
from regsweep.train.stacked.stack import Member, Stack
from regsweep.train.stacked.table import FoldTable
from regsweep.trial import Array64, TrialResult, TrialSpec


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
        stacks: dict[tuple[Form, tuple[int, ...], str], list[Member]] = defaultdict(list)
        others = []
        for position, spec in enumerate(specs):
            if not self._stackable(spec, data):
                others.append(position)
                continue
            for index, fold in enumerate(_seen(spec, data)):
                form = form_of(spec, fold.inputs, len(fold.z_train), gpu=self._gpu)
                stacks[form, _size(fold), spec.encoding].append(Member(position, spec, index))
        results: dict[int, TrialResult] = {}
        for position in others:
            rule = None if stop is None else _At(stop, position)
            results |= {position: self._keras_fit.fit([specs[position]], data, rule)[0]}
        trained: dict[int, list[Member]] = defaultdict(list)
        for (form, size, encoding), members in stacks.items():
            for member in self._train(form, members, *self._table(data, size, encoding), stop):
                trained[member.position].append(member)
        for position, parts in trained.items():
            results[position] = _together(specs[position], parts)
        return tuple(results[position] for position in range(len(specs)))

    def speed(self) -> Speed:
        """Time two small stacks once."""
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
        if spec.activation not in ACTIVATIONS or spec.optimizer not in OPTIMIZERS or min(spec.widths, default=1) < 1:
            return False
        forms = [form_of(spec, fold.inputs, len(fold.z_train), gpu=self._gpu) for fold in _seen(spec, data)]
        return all(stack_size(form, self._memory, gpu=self._gpu) > 0 for form in forms)

    def _train(
        self, form: Form, members: list[Member], table: FoldTable, folds: tuple[int, ...], stop: StopRule | None
    ) -> list[Member]:
        """Train members in stacks of the size that memory allows; one that raises is told apart from its mates."""
        members.sort(key=lambda member: -member.spec.epochs)
        size, ended = stack_size(form, self._memory, gpu=self._gpu), []
        for start in range(0, len(members), size):
            part = members[start : start + size]
            try:
                Stack(form, part, table, [folds.index(member.fold) for member in part], self._config).run(stop)
            except Exception as error:
                if len(part) == 1:
                    part[0].error = error
                else:
                    fresh = [Member(member.position, member.spec, member.fold) for member in part]
                    middle = len(part) // 2
                    halves = (fresh[:middle], fresh[middle:])
                    part = [member for half in halves for member in self._train(form, half, table, folds, stop)]
            ended += part
        return ended


def _seen(spec: TrialSpec, data: Prepared) -> tuple[FoldData, ...]:
    """The folds as a training of this spec sees them."""
    return tuple(fold.encoded(spec.encoding) for fold in data.folds)


def _size(fold: FoldData) -> tuple[int, ...]:
    return fold.inputs, len(fold.z_train), len(fold.z_val)


def _together(spec: TrialSpec, members: list[Member]) -> TrialResult:
    """One result of the trainings of a spec, in the order of the folds."""
    members = sorted(members, key=lambda member: member.fold)
    folds = [member.result for member in members if member.result is not None]
    seconds = sum(member.seconds for member in members)
    errors = [member.error for member in members if member.error is not None]
    if errors:
        return failure(spec, errors[0], folds, seconds=seconds, trainer=Stacked.name)
    return outcome(spec, folds, seconds=seconds, trainer=Stacked.name, stopped=any(member.stopped for member in members))


class _At:
    """A stop rule for one spec that is trained by itself."""

    def __init__(self, rule: StopRule, position: int) -> None:
        self._rule, self._position = rule, position

    @property
    def every(self) -> int:
        return self._rule.every

    def __call__(self, position: int, fold: int, curves: Array64) -> bool:
        return self._rule(self._position, fold, curves)
