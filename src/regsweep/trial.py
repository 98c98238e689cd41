"""What a trial is: its hyperparameters, and what came out of training it."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from regsweep.tasks import REGRESSION, Task, higher_is_better

__all__ = ["higher_is_better"]

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Scalar = int | float | str

# Of a regression; a task names its own.
CURVES = REGRESSION.curves


class State(enum.StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class TrialSpec:
    """Everything a training depends on besides the data.

    `widths` has one entry per hidden layer: `()` is a linear model, `(32, 16)` two hidden layers of 32 and 16 units.
    `activations` and `dropouts` have one entry per hidden layer, too; a rate of dropout acts after its layer. `l2` weighs the sum
    of squares of every kernel. `schedule` says what the learning rate does over the epochs, `encoding` which numbers stand for a
    row (see `features`). Raises ValueError where the entries are not as many as the hidden layers.

    `rounds`: the epochs, in all, after which training stood still before: (1, 3) with 9 `epochs` is a training of 1 epoch that
    went on to 3 and now to 9. It goes on from the weights that were kept, with a new optimizer state. `start` are these
    weights, one network per fold: they follow from the rest, and whoever has them saves training the earlier rounds again.
    """

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    learning_rate: float
    epochs: int
    batch_size: int
    optimizer: str
    dropouts: tuple[float, ...]
    l2: float
    seed: int
    schedule: str = "constant"
    encoding: str = "plain"
    rounds: tuple[int, ...] = ()
    start: tuple[Network, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, given in (("activations", self.activations), ("dropouts", self.dropouts)):
            if len(given) != len(self.widths):
                raise ValueError(f"{name} must have one entry per hidden layer, but got {given} for the widths {self.widths}")

    @property
    def initial_epoch(self) -> int:
        """How many epochs were trained before."""
        return self.rounds[-1] if self.rounds else 0

    @property
    def before(self) -> Self:
        """The round before this one. Only for a spec that has `rounds`."""
        return replace(self, epochs=self.rounds[-1], rounds=self.rounds[:-1], start=())

    @property
    def bare(self) -> Self:
        """Without the weights to start from."""
        return replace(self, start=()) if self.start else self

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.widths)


@dataclass(frozen=True)
class Network:
    """Weights: `kernels[i]` of shape (fan_in, fan_out), `biases[i]` of shape (fan_out,), output layer last."""

    kernels: tuple[Array32, ...]
    biases: tuple[Array32, ...]

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(array.size for array in (*self.kernels, *self.biases))


@dataclass(frozen=True)
class FoldResult:
    """One training: `curves` of shape (epochs, 6) in target units, columns as in `Task.curves`; row 0 is the first epoch.

    Of a training that goes on, the curves are those of its own epochs: row 0 is epoch `initial_epoch`, counted from 0.

    `kept_epoch` is the row that `network` belongs to.
    """

    curves: Array64
    network: Network
    kept_epoch: int


@dataclass(frozen=True)
class TrialResult:
    """What a trainer returns. A failed trial has a cause, and the folds that ended well before it failed."""

    spec: TrialSpec
    state: State
    folds: tuple[FoldResult, ...]
    seconds: float
    trainer: str
    cause: str | None = None
    task: Task = REGRESSION

    @property
    def curves(self) -> Array64:
        """Mean over folds, shape (epochs, 6); a fold that stopped early keeps its last row."""
        return mean_curves([fold.curves for fold in self.folds])

    @property
    def final(self) -> dict[str, float]:
        """Each metric at the kept epoch, mean over folds."""
        if not self.folds:
            return {}
        rows = np.mean([fold.curves[fold.kept_epoch] for fold in self.folds], axis=0)
        return dict(zip(self.task.curves, rows.tolist(), strict=True))

    def score(self, objective: str) -> float | None:
        """An objective of a complete trial, if it is finite.

        A metric is the kept epoch's, mean over folds; `parameters` are one network's trained weights, `epochs` those that were
        trained, mean over folds.
        """
        if self.state is not State.COMPLETE:
            return None
        value = self.final.get(objective)
        if objective == "parameters":
            value = float(self.folds[0].network.parameters)
        elif objective == "epochs":
            value = float(np.mean([len(fold.curves) for fold in self.folds]))
        return value if value is not None and math.isfinite(value) else None

    @property
    def best(self) -> dict[str, float]:
        """The best value of each mean curve: least error, greatest R², accuracy, AUC."""
        if not self.folds:
            return {}
        curves = self.curves
        ends = zip(self.task.curves, curves.min(axis=0), curves.max(axis=0), strict=True)
        return {name: float(high if higher_is_better(name) else low) for name, low, high in ends}


def best_of(values: Mapping[str, float | None], objective: str) -> str | None:
    """The name of the best value of an objective, the first of equal ones; None where none is a finite number."""
    finite = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    return (max if higher_is_better(objective) else min)(finite, key=finite.__getitem__, default=None)


def mean_curves(curves: Sequence[Array64]) -> Array64:
    """Mean over folds of curves (epochs, 6); one that ended early keeps its last row."""
    if not curves:
        return np.zeros((0, len(CURVES)))
    epochs = max(map(len, curves))
    padded = [np.pad(fold, ((0, epochs - len(fold)), (0, 0)), mode="edge") for fold in curves]
    mean: Array64 = np.mean(padded, axis=0)
    return mean


def spec_from_values(values: Mapping[str, Scalar], *, seed: int) -> TrialSpec:
    """Build a spec from drawn hyperparameters; one `width`, `activation` or `dropout` serves every hidden layer, absent
    regularisation is none.
    """
    layers = range(1, int(values["depth"]) + 1)

    def each(name: str) -> list[Scalar]:
        return [values[name] if name in values else values[f"{name}_{layer}"] for layer in layers]

    shared = values.get("dropout", 0.0)
    return TrialSpec(
        widths=tuple(map(int, each("width"))),
        activations=tuple(map(str, each("activation"))),
        learning_rate=float(values["learning_rate"]),
        epochs=int(values["epochs"]),
        batch_size=int(values["batch_size"]),
        optimizer=str(values["optimizer"]),
        dropouts=tuple(float(values.get(f"dropout_{layer}", shared)) for layer in layers),
        l2=float(values.get("l2", 0.0)),
        seed=seed,
        schedule=str(values.get("schedule", "constant")),
        encoding=str(values.get("encoding", "plain")),
    )


@dataclass(frozen=True)
class Rung:
    """Where a trial stands in Hyperband. `parent` is the trial it goes on with, `root` the one where that training began.

    `rounds` as in `TrialSpec`; a trial of round 0 has none, no parent, and is its own root.
    """

    bracket: int
    round: int
    root: int
    parent: int | None = None
    rounds: tuple[int, ...] = ()


def rung_from(values: Mapping[str, Any] | None) -> Rung | None:
    """A place in Hyperband from what JSON keeps of it."""
    return Rung(**{**values, "rounds": tuple(values["rounds"])}) if values is not None else None


def spec_of(number: int, values: Mapping[str, Scalar], rung: Rung | None, study_seed: int) -> TrialSpec:
    """The spec of a study's trial. One that goes on with another keeps its seed: batch order and masks go on, too."""
    if rung is None:
        return spec_from_values(values, seed=trial_seed(study_seed, number))
    return replace(spec_from_values(values, seed=trial_seed(study_seed, rung.root)), rounds=rung.rounds)


def trial_seed(study_seed: int, number: int, again: int = 0) -> int:
    """Seed of a trial's training, or of a further one of its spec: a function of these numbers alone."""
    entropy = [study_seed, number, again] if again else [study_seed, number]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)
