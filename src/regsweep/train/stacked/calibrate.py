"""A short measurement of what a stack costs on this machine: one that is all overhead, and one that is mostly arithmetic."""

from __future__ import annotations

import time

import numpy as np

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData
from regsweep.predictor import TargetScale
from regsweep.train.plan import Speed, form_of
from regsweep.train.stacked.stack import Member, Stack
from regsweep.train.stacked.table import FoldTable
from regsweep.trial import TrialSpec

ROWS, INPUTS, EPOCHS = 320, 10, 20
# Of what a step of two hidden layers costs without its arithmetic, a third belongs to each layer and to what all depths share.
LAYERS = 2


def measure(config: TrainerConfig, *, gpu: bool) -> Speed:
    """Time a stack of 2 x 16 units and one of 8 x 64 units; what the first call costs more is the tracing."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(ROWS, INPUTS)), rng.normal(size=ROWS)
    z32 = z.astype(np.float32)
    fold = FoldData((), TargetScale(False, 0.0, 1.0), 0.0, 1.0, x, z, z32, x[:32], z[:32], z32[:32])
    table, plain = FoldTable([fold]), config.model_copy(update={"patience": None})

    def seconds(width: int, size: int) -> float:
        spec = _spec(width, EPOCHS)
        form = form_of(spec, INPUTS, ROWS, gpu=gpu)
        started = time.perf_counter()
        Stack(form, [Member(i, spec, 0) for i in range(size)], table, [0] * size, plain).advance()
        return time.perf_counter() - started

    first = seconds(16, 2)
    small, large = min(seconds(16, 2) for _ in range(2)), min(seconds(64, 8) for _ in range(2))
    steps = EPOCHS * ROWS / 16
    flops = [size * form_of(_spec(width, 1), INPUTS, ROWS).flops for width, size in ((16, 2), (64, 8))]
    flop = max(1e-15, (large - small) / steps / (flops[1] - flops[0]))
    share = max(1e-6, small / steps - flops[0] * flop) / (LAYERS + 1)
    return Speed(step=share, layer=share, flop=flop, trace=max(0.0, first - small), gpu=gpu)


def _spec(width: int, epochs: int) -> TrialSpec:
    return TrialSpec((width,) * LAYERS, ("relu",) * LAYERS, 0.001, epochs, 16, "adam", (0.0,) * LAYERS, 0.0, 0)
