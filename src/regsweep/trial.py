"""What a trial is: its hyperparameters, and what came out of training it."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    `activations` and `dropouts` have one entry per hidden layer, too; a rate of dropout acts after its layer. `l2` weighs the sum
    of squares of every kernel. `schedule` says what the learning rate does over the epochs, `encoding` which numbers stand for a
    row (see `features`). Raises ValueError where the entries are not as many as the hidden layers.
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

    def __post_init__(self) -> None:
        for name, given in (("activations", self.activations), ("dropouts", self.dropouts)):
            if len(given) != len(self.widths):
                raise ValueError(f"{name} must have one entry per hidden layer, but got {given} for the widths {self.widths}")

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


def trial_seed(study_seed: int, number: int, again: int = 0) -> int:
    """Seed of a trial's training, or of a further one of its spec: a function of these numbers alone."""
    entropy = [study_seed, number, again] if again else [study_seed, number]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)
