"""Made-up specs and trainings for tests that do not train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regsweep.data.features import Encoding, FoldEncoding
from regsweep.predictor import NumberColumn, TargetScale
from regsweep.record import Features, StudyFacts, TrialRecord
from regsweep.trial import FoldResult, Network, State, TrialResult, TrialSpec


def spec(**changes: object) -> TrialSpec:
    """A small network; any field can be changed."""
    values: dict[str, object] = {
        "widths": (8,), "activation": "tanh", "learning_rate": 0.01, "epochs": 3, "batch_size": 32, "optimizer": "adam",
        "dropout": 0.0, "l2": 0.0, "seed": 7,
    }  # fmt: skip
    return TrialSpec(**{**values, **changes})  # type: ignore[arg-type]


def trained(
    number: int = 0, *, mse: float = 4.0, epochs: int = 3, state: State = State.COMPLETE, cause: str | None = None
) -> TrialResult:
    """A made-up training of one hidden layer on two inputs; `mse` is the validation MSE of its last epoch."""
    rng = np.random.default_rng(number)
    curves = rng.uniform(1, 2, (epochs, 6))
    curves[-1, 3] = mse
    kernels = (rng.normal(size=(2, 3)).astype(np.float32), rng.normal(size=(3, 1)).astype(np.float32))
    network = Network(kernels, (np.zeros(3, np.float32), np.zeros(1, np.float32)))
    return TrialResult(
        spec(widths=(3,), epochs=epochs), state, (FoldResult(curves, network, epochs - 1),), 1.5, "keras_fit", cause
    )


def features() -> Features:
    """Made-up preprocessing of two inputs for the networks of `trained`."""
    columns = tuple(NumberColumn(name, 0.0, 1.0, 0.0, False, False) for name in ("a", "b"))
    encoding = Encoding("y", "points", (FoldEncoding(columns, TargetScale(False, 0.0, 1.0)),))
    return Features(encoding, (("a", "float64"), ("b", "float64"), ("y", "float64")))


class Silent:
    """A watcher that looks away; `stop_after` trials it raises, as Ctrl-C would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[int] = []
        self.redone: list[int] = []
        self._stop_after = stop_after

    def begin(self, facts: StudyFacts, told: int) -> None:
        self.told = told

    def trial(self, record: TrialRecord) -> None:
        self.seen.append(record.number)
        if len(self.seen) == self._stop_after:
            raise KeyboardInterrupt

    def redoing(self, numbers: Sequence[int]) -> None:
        self.redone = list(numbers)

    def recording(self, done: int, of: int) -> None: ...

    def judging(self) -> None: ...
