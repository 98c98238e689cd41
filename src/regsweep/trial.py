"""What a trial is: its hyperparameters, and what came out of training it."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Scalar = int | float | str

CURVES = ("train/mse", "train/mae", "train/r2", "val/mse", "val/mae", "val/r2")


class State(enum.StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class TrialSpec:
    """Everything a training depends on besides the data.

    `widths` has one entry per hidden layer: `()` is a linear model, `(32, 16)` two hidden layers of 32 and 16 units.
    `l2` weighs the sum of squares of every kernel; `dropout` acts after every hidden layer. `schedule` says what the learning
    rate does over the epochs, `encoding` which numbers stand for a row (see `features`).

    `rounds`: the epochs, in all, after which training stood still before: (1, 3) with 9 `epochs` is a training of 1 epoch that
    went on to 3 and now to 9. It goes on from the weights that were kept, with a new optimizer state. `start` are these
    weights, one network per fold: they follow from the rest, and whoever has them saves training the earlier rounds again.
    """

    widths: tuple[int, ...]
    activation: str
    learning_rate: float
    epochs: int
    batch_size: int
    optimizer: str
    dropout: float
    l2: float
    seed: int
    schedule: str = "constant"
    encoding: str = "plain"
    rounds: tuple[int, ...] = ()
    start: tuple[Network, ...] = field(default=(), compare=False, repr=False)

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
    """One training: `curves` of shape (epochs, 6) in target units, columns as in `CURVES`; row 0 is the first epoch.

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
        return dict(zip(CURVES, rows.tolist(), strict=True))

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
        """The best value of each mean curve: least error, greatest R²."""
        if not self.folds:
            return {}
        curves = self.curves
        return {name: float(curves[:, i].max() if name.endswith("r2") else curves[:, i].min()) for i, name in enumerate(CURVES)}


def mean_curves(curves: Sequence[Array64]) -> Array64:
    """Mean over folds of curves (epochs, 6); one that ended early keeps its last row."""
    if not curves:
        return np.zeros((0, len(CURVES)))
    epochs = max(map(len, curves))
    padded = [np.pad(fold, ((0, epochs - len(fold)), (0, 0)), mode="edge") for fold in curves]
    mean: Array64 = np.mean(padded, axis=0)
    return mean


def higher_is_better(metric: str) -> bool:
    """R² is maximised, errors, parameters and epochs are minimised; no metric is ever negated."""
    return metric.endswith("r2")


def spec_from_values(values: Mapping[str, Scalar], *, seed: int) -> TrialSpec:
    """Build a spec from drawn hyperparameters; one `width` serves every layer, absent regularisation is none."""
    depth = int(values["depth"])
    shared = values.get("width")
    widths = tuple(int(shared if shared is not None else values[f"width_{layer + 1}"]) for layer in range(depth))
    return TrialSpec(
        widths=widths,
        activation=str(values["activation"]) if depth else "linear",
        learning_rate=float(values["learning_rate"]),
        epochs=int(values["epochs"]),
        batch_size=int(values["batch_size"]),
        optimizer=str(values["optimizer"]),
        dropout=float(values.get("dropout", 0.0)),
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
