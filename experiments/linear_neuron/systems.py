"""Four small tables, one linear neuron: what plain SGD makes of them, beside the closed form.

Each system is trained through regsweep's own trainers, under five seeds of initial weights and batch orders. `systems()` returns
all four. `descend` and `one_by_one` are gradient descent in NumPy: in full batches, and by rows drawn with replacement.

A trainer minimises the mean of squares over a batch. The gradient of a sum over n rows is n times that of their mean, so SGD on
summed squares is SGD on mean squares at n times the rate, and is trained so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from regsweep.baselines.closed_form import least_squares_qr
from regsweep.config.schema import TrainerConfig
from regsweep.data.features import FoldData, Prepared
from regsweep.predictor import TargetScale
from regsweep.train import make_trainer
from regsweep.trial import CURVES, Scalar, spec_from_values

Array64 = npt.NDArray[np.float64]
Loss = Literal["mean", "sum"]

SEEDS = (0, 1, 2, 3, 4)
LEARNING_RATE = 0.01
HALF_RATE = 0.005
# One row at a time the line never rests: its error is averaged over so many last epochs.
LAST = 100


@dataclass(frozen=True)
class Table:
    """Points of shape (rows,)."""

    x: Array64
    y: Array64


THREE = Table(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
TEN = Table(np.arange(10.0), np.array([1.0, 3, 2, 5, 7, 8, 8, 9, 10, 12]))


@dataclass(frozen=True)
class Line:
    """prediction = intercept + slope x; `mse` over the rows it was fitted to."""

    slope: float
    intercept: float
    mse: float

    def at(self, x: float) -> float:
        """The prediction at x."""
        return self.intercept + self.slope * x


@dataclass(frozen=True)
class Training:
    """One neuron after training, from one seed. `late_mse`: its error over the rows, mean over the last `LAST` epochs."""

    seed: int
    line: Line
    late_mse: float


@dataclass(frozen=True)
class Run:
    """One way to train, under every seed; `batch_size` rows make a step. `learning_rate` is that of the loss."""

    loss: Loss
    learning_rate: float
    batch_size: int
    epochs: int
    trainings: tuple[Training, ...]

    def mean(self, value: Callable[[Line], float]) -> float:
        """Mean over seeds of something of a line."""
        return float(np.mean([value(training.line) for training in self.trainings]))

    def excess(self, least: Line) -> float:
        """By how much the mean late error exceeds that of the least-squares line, as a share of it."""
        return float(np.mean([training.late_mse for training in self.trainings])) / least.mse - 1


@dataclass(frozen=True)
class System:
    """A table, the least-squares line, and the runs on it. `asked_at`: the x that the tutorial predicts at, if any."""

    name: str
    table: Table
    closed_form: Line
    runs: tuple[Run, ...]
    asked_at: float | None = None


def systems(trainer: str = "stacked") -> tuple[System, ...]:
    """All four."""
    return three_points(trainer), fifty_points(trainer), seventeen_points(trainer), ten_points(trainer)


def three_points(trainer: str = "stacked") -> System:
    """x = 1, 2, 3 and y = 2 x: 500 full-batch steps, summed and mean squares; what is predicted at x = 4?

    A prediction is affine in the initial weights, so its mean over any that are symmetric about zero is what zero weights give:
    7.985 with summed squares, 7.832 with their mean.
    """
    losses: tuple[Loss, ...] = ("sum", "mean")
    runs = tuple(train(THREE, epochs=500, loss=loss, trainer=trainer) for loss in losses)
    return System("three points", THREE, least_squares(THREE), runs, asked_at=4.0)


def fifty_points(trainer: str = "stacked") -> System:
    """50 points around y = 2 x + 1 with noise of standard deviation 1: 1,000 epochs, full batches and batches of 32."""
    table = noisy_line(50, slope=2.0, intercept=1.0, noise=1.0, high=10.0, seed=0)
    runs = [train(table, epochs=1000, batch_size=rows, trainer=trainer) for rows in (50, 32)]
    return System("fifty points on a noisy line", table, least_squares(table), tuple(runs))


def seventeen_points(trainer: str = "stacked") -> System:
    """17 points around y = 0.5 x + 1 with noise of standard deviation 0.3: 10,000 full-batch steps."""
    table = noisy_line(17, slope=0.5, intercept=1.0, noise=0.3, high=8.0, seed=1)
    return System("seventeen points", table, least_squares(table), (train(table, epochs=10_000, trainer=trainer),))


def ten_points(trainer: str = "stacked") -> System:
    """x = 0, 1, ..., 9: full batches come to least squares, single rows at a constant rate do not.

    How far above they stay goes by the rate: shuffled rows at 0.01 a third, at 0.005 some 6 %. A tutorial that takes the gradient
    of half a square at 0.01, which is 0.005 here, and draws rows with replacement stays some 10 % above (`one_by_one`).
    """
    runs = [train(TEN, epochs=3000, trainer=trainer)]
    runs += [train(TEN, epochs=1000, learning_rate=rate, batch_size=1, trainer=trainer) for rate in (LEARNING_RATE, HALF_RATE)]
    return System("ten points", TEN, least_squares(TEN), tuple(runs))


def noisy_line(rows: int, *, slope: float, intercept: float, noise: float, high: float, seed: int) -> Table:
    """Points with x uniform on 0 to `high` and normal noise of standard deviation `noise`."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.0, high, rows))
    return Table(x, intercept + slope * x + noise * rng.normal(size=rows))


def least_squares(table: Table) -> Line:
    """The least-squares line, by QR."""
    fit = least_squares_qr(table.x[:, None], table.y)
    return _line(table, float(fit.coefficients[0]), fit.intercept)


def descend(table: Table, *, steps: int, loss: Loss, slope: float = 0.0, intercept: float = 0.0) -> Line:
    """Full-batch gradient descent from given weights, in float64."""
    rate = 2 * LEARNING_RATE / (len(table.x) if loss == "mean" else 1)
    for _ in range(steps):
        error = intercept + slope * table.x - table.y
        slope, intercept = slope - rate * float(error @ table.x), intercept - rate * float(error.sum())
    return _line(table, slope, intercept)


def one_by_one(table: Table, *, epochs: int, learning_rate: float, seed: int) -> Training:
    """SGD by single rows drawn with replacement, as many to an epoch as there are, from zero weights; float64."""
    rng, rows = np.random.default_rng(seed), len(table.x)
    slope, intercept, late = 0.0, 0.0, []
    for epoch in range(epochs):
        for row in rng.integers(0, rows, rows):
            error = intercept + slope * table.x[row] - table.y[row]
            slope, intercept = slope - 2 * learning_rate * error * table.x[row], intercept - 2 * learning_rate * error
        if epoch >= epochs - LAST:
            late.append(_line(table, float(slope), float(intercept)).mse)
    return Training(seed, _line(table, float(slope), float(intercept)), float(np.mean(late)))


def train(
    table: Table, *, epochs: int, loss: Loss = "mean", learning_rate: float = LEARNING_RATE, batch_size: int | None = None,
    seeds: Sequence[int] = SEEDS, trainer: str = "stacked",
) -> Run:  # fmt: skip
    """Train one neuron by SGD on raw numbers, in batches of `batch_size` (None: of all rows).

    Raises RuntimeError if a training diverges.
    """
    size = batch_size or len(table.x)
    rate = learning_rate * (size if loss == "sum" else 1)
    values: dict[str, Scalar] = {"depth": 0, "learning_rate": rate, "epochs": epochs, "batch_size": size, "optimizer": "sgd"}
    specs = [spec_from_values(values, seed=seed) for seed in seeds]
    config = TrainerConfig.model_validate({"kind": trainer, "patience": None, "keep": "last", "threads": 1})
    trainings = []
    for seed, result in zip(seeds, make_trainer(config).fit(specs, _prepared(table)), strict=True):
        if result.cause is not None:
            raise RuntimeError(f"seed {seed}, batches of {size}: {result.cause}")
        network = result.folds[0].network
        line = _line(table, float(network.kernels[0][0, 0]), float(network.biases[0][0]))
        late = result.curves[-LAST:, CURVES.index("val/mse")]
        trainings.append(Training(seed, line, float(late.mean())))
    return Run(loss, learning_rate, size, epochs, tuple(trainings))


def _line(table: Table, slope: float, intercept: float) -> Line:
    return Line(slope, intercept, float(np.mean((intercept + slope * table.x - table.y) ** 2)))


def _prepared(table: Table) -> Prepared:
    """All rows to train on, and the same rows to validate on; features and target as they are."""
    x, y = table.x[:, None], table.y
    z = y.astype(np.float32)
    fold = FoldData((), TargetScale(False, 0.0, 1.0), float(y.mean()), float(y.std()), x, y, z, x, y, z)
    return Prepared("y", "", (fold,))
