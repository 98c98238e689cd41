"""Which trainings go into one stack.

Two trainings can share a stack when they have the same form: activations, padded widths, batch size, with dropout or without.
The form follows from the spec and the data alone, and so do all sizes that a training computes with: that is why its result
does not depend on its mates. How many share a stack, and which worker trains it, is for the cost model to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace
from itertools import pairwise

from regsweep.tasks import REGRESSION, Task
from regsweep.trial import TrialSpec

# Padded widths are multiples of the longest vector register, so that every network's numbers take the same path through it.
LANE = 16
LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
# A step of so much arithmetic fills a core by itself: mates would make it little cheaper, and a stack of two for the sake of
# one would cost double. Such trainings always run by themselves.
ALONE_FLOPS = 4e6
GIB = float(1 << 30)
# Validation rows go through a network in chunks of at most so many.
VALIDATION_CHUNK = 4096
# Beyond this a stack leaves the cache.
GREATEST_STACK = 32
MOST_HALVINGS = 64

# The activations of the hidden layers, and whether there is dropout.
ProgramKey = tuple[tuple[str, ...], bool]


@dataclass(frozen=True)
class Form:
    """What the trainings of one stack have in common; `widths` are padded."""

    inputs: int
    widths: tuple[int, ...]
    activations: tuple[str, ...]
    batch_size: int
    dropout: bool
    alone: bool

    @property
    def program(self) -> ProgramKey:
        """What the graph depends on."""
        return self.activations, self.dropout

    @property
    def parameters(self) -> int:
        """Parameters of one network."""
        dims = (self.inputs, *self.widths, 1)
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(dims))

    @property
    def flops(self) -> float:
        """Floating point operations of one step of one network: forward, and twice as many backward."""
        return 6.0 * self.batch_size * self.parameters

    @property
    def bytes(self) -> float:
        """Memory of one network while it trains: parameters, moments and temporaries, activations, validation, dropout masks."""
        units = self.inputs + sum(self.widths)
        masks = 4 * self.batch_size * sum(self.widths) if self.dropout else 0
        return 4.0 * (12 * self.parameters + 4 * self.batch_size * units + VALIDATION_CHUNK * units) + masks


@dataclass(frozen=True)
class Speed:
    """The cost model, in seconds: of a step of a stack, of each hidden layer more, of an operation, of tracing a program.

    `gpu`: trainings run on a GPU, where a stack of thousands pays and none is big enough to be alone.
    """

    step: float = 4e-5
    layer: float = 2.5e-5
    flop: float = 4e-11
    trace: float = 0.16
    gpu: bool = False

    def stack(self, form: Form, size: int, steps: int) -> float:
        """Seconds to train `size` networks of a form for so many steps each."""
        shown = size if form.alone else max(2, size)
        return steps * (self.step + self.layer * len(form.widths) + shown * form.flops * self.flop)


@dataclass(frozen=True)
class Load:
    """Specs (by position) to be trained in one go, what they cost in seconds, and the program they need."""

    positions: tuple[int, ...]
    seconds: float
    program: ProgramKey


def form_of(spec: TrialSpec, inputs: int, rows: int, *, gpu: bool = False) -> Form:
    """The form of a spec on `rows` training rows of `inputs` numbers."""
    form = Form(inputs, spec.widths, spec.activations, min(spec.batch_size, rows), _drops(spec), alone=True)
    if not gpu and form.flops >= ALONE_FLOPS:
        return form
    return replace(form, widths=tuple(map(_padded, spec.widths)), alone=False)


def plan(
    specs: Sequence[TrialSpec], inputs: Mapping[str, int], rows: int, folds: int, speed: Speed, workers: int, memory: float
) -> tuple[Load, ...]:
    """Divide specs among loads for so many workers, most costly load first.

    Specs of one form share a load as long as that does not leave a worker idle for longer than another works, and as `memory`,
    in bytes, allows. `inputs` are the inputs of every encoding.
    """
    # A stack goes through the same epochs.
    groups: dict[tuple[Form, int], list[int]] = defaultdict(list)
    for position, spec in enumerate(specs):
        form = form_of(spec, inputs[spec.encoding], rows, gpu=speed.gpu)
        groups[form, spec.initial_epoch].append(position)

    def load(form: Form, positions: list[int]) -> Load:
        steps = max(specs[position].epochs - specs[position].initial_epoch for position in positions) * -(
            -rows // form.batch_size
        )
        return Load(tuple(positions), speed.stack(form, len(positions) * folds, steps), form.program)

    loads = []
    for (form, _), positions in groups.items():
        size = 1 if form.alone else max(1, stack_size(form, memory, gpu=speed.gpu) // folds)
        # Trainings of like length side by side: a stack shrinks when a member ends.
        positions.sort(key=lambda position: -specs[position].epochs)
        loads += [(form, positions[start : start + size]) for start in range(0, len(positions), size)]
    plans = [_sorted(loads, load)]
    while plans[-1] and len(plans) <= MOST_HALVINGS and workers > 1 and len(plans[-1][0].positions) > 3:
        longest = plans[-1][0].positions
        form, positions = next(part for part in loads if tuple(part[1]) == longest)
        middle = len(positions) // 2
        loads = [part for part in loads if part[1] is not positions]
        loads += [(form, positions[:middle]), (form, positions[middle:])]
        plans.append(_sorted(loads, load))
    spans = [_span(planned, workers) for planned in plans]
    # Larger stacks cost less in all: a plan with more of them must be faster by more than the cost model can be wrong.
    return next(planned for planned, span in zip(plans, spans, strict=True) if span <= 1.05 * min(spans))


def shares_stacks(kind: str, task: Task) -> bool:
    """Whether a trainer's trainings share stacks; `stacked`, too, hands classes to `keras_fit`."""
    return kind == "stacked" and task == REGRESSION


# Seconds of an epoch of `keras.Model.fit`, roughly.
EPOCH_ALONE = 0.1


def one_each(specs: Sequence[TrialSpec]) -> tuple[Load, ...]:
    """Every spec by itself, in order. How long they take is not known; without a guess one worker would get all of a program."""
    return tuple(
        Load((position,), EPOCH_ALONE * (spec.epochs - spec.initial_epoch), (spec.activations, _drops(spec)))
        for position, spec in enumerate(specs)
    )


def stack_size(form: Form, memory: float, *, gpu: bool = False) -> int:
    """How many networks of a form a stack may hold; 0 where not even two fit in `memory` bytes (one, if it trains alone)."""
    fitting = int(memory // form.bytes)
    if form.alone:
        return min(1, fitting)
    return 0 if fitting < 2 else fitting if gpu else min(fitting, GREATEST_STACK)


def _sorted(loads: Sequence[tuple[Form, list[int]]], load: Callable[[Form, list[int]], Load]) -> tuple[Load, ...]:
    return tuple(sorted((load(form, positions) for form, positions in loads), key=lambda item: -item.seconds))


def _drops(spec: TrialSpec) -> bool:
    return max(spec.dropouts, default=0.0) > 0


def _span(loads: Sequence[Load], workers: int) -> float:
    """When the last worker ends if each takes the first load that is left; the most costly come first."""
    ends = [0.0] * workers
    for item in loads:
        heapreplace(ends, ends[0] + item.seconds)
    return max(ends)


def _padded(width: int) -> int:
    steps = (LANE * step for step in LADDER)
    return next((step for step in steps if step >= width), -(-width // (LANE * LADDER[-1])) * LANE * LADDER[-1])
