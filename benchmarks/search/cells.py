"""What is compared, and in which order it is collected.

In: limits. Out: cells, the most telling first: what the defaults follow from comes before what completes the picture; jobs of
cells that run at the same time. Main calls: `all_cells`, `jobs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from regsweep.config.sampler import lacking_for_gp

PARTS: Final = ("default", "ours", "peers")
TABLES: Final = ("diabetes", "insurance", "economics")
SEEDS: Final = tuple(range(10))

# The first two are collected first: the default, and what everything has to be better than.
SAMPLERS: Final = (
    "tpe", "random", "qmc", "cmaes", "nsga2", "kt_random", "kt_bayesian", "kt_hyperband", "grid", "brute_force", "kt_grid", "gp",
)  # fmt: skip
# These need a finite space: a small part of the default one, the same for the three.
FINITE: Final = ("grid", "brute_force", "kt_grid")
NONE: Final = "none"
# The control of the pruners, which are compared where every trial may train equally long.
BUDGET: Final = "none, budget"
PRUNERS: Final = (
    NONE, BUDGET, "median", "percentile", "successive_halving", "hyperband", "patience", "patient_median", "wilcoxon",
)  # fmt: skip
# Two run at the same time, on a core each: first Optuna's optimize beside the tuner that Keras Tuner's guide begins with.
PEERS: Final = ("optuna", "keras_tuner_random", "keras_tuner_bayesian", "keras_tuner_hyperband")
AT_ONCE: Final = 2

# Once through all its brackets are 254 trials, most of them short: about as many epochs as 40 of the others.
_HYPERBAND: Final = 254 / 40

_SMALL_SPACE: Final = (
    "space.parameters.depth.low=1",
    "~space.parameters.width",
    "+space.parameters.width={type: choice, choices: [16, 64]}",
    "~space.parameters.learning_rate",
    "+space.parameters.learning_rate={type: choice, choices: [0.002, 0.006, 0.02]}",
    "space.parameters.activation=relu",
    "space.parameters.epochs=60",
    "space.parameters.batch_size=32",
    "space.parameters.optimizer=adam",
    "space.parameters.dropout=0.1",
    "space.parameters.l2=0.0001",
)


@dataclass(frozen=True)
class Limits:
    """`trials` of a study of ours (of Hyperband more, shorter ones); seconds that the default study and a peer search."""

    trials: int = 40
    default_seconds: float = 60
    peer_seconds: float = 1200


@dataclass(frozen=True)
class Cell:
    """One search. `system` is the sampler (`ours`), `default`, or the peer; `limit` its trials (`ours`) or seconds."""

    part: str
    table: str
    system: str
    pruner: str
    seed: int
    limit: float

    @property
    def name(self) -> str:
        """As it is shown."""
        pruner = "" if self.pruner == NONE else f" × {self.pruner}"
        return f"{self.system}{pruner}, {self.table}, seed {self.seed}"

    def overrides(self) -> list[str]:
        """The study that a cell of ours is. The seed draws the sealed fifth of the rows, the five folds and the search."""
        common = [
            f"dataset={self.table}",
            f"seed={self.seed}",
            f"split.seed={self.seed}",
            "baselines=none",
            "tracking.models=none",
        ]
        # Resamples are for intervals that nobody looks at here.
        common.append("bootstrap_resamples=100")
        if self.part == "default":
            return [*common, f"budget.seconds={self.limit:g}", "n_trials=1000000"]
        space = _SMALL_SPACE if self.system in FINITE else ()
        budget = ("epochs=budget",) if self.pruner != NONE else ()
        pruner = "none" if self.pruner in (NONE, BUDGET) else self.pruner
        # Like split=auto on tables of this size; the Wilcoxon pruner wants it said.
        ours = ["split=kfold", "champion=bag", f"n_trials={self.limit:g}", f"sampler={self.system}", f"pruner={pruner}"]
        return [*budget, *common, *ours, *space]


def all_cells(limits: Limits, *, gp: bool | None = None) -> list[Cell]:
    """Every cell, in the order of collecting. `gp` is left out where what it needs is not installed."""
    gp = not lacking_for_gp() if gp is None else gp
    return [cell for cell in _all(limits) if gp or cell.system != "gp"]


def stage(sampler: str, pruner: str) -> int:
    """When a pair of ours is collected: samplers without a pruner (0), pruners with the first two samplers (1), the rest (2)."""
    if pruner == NONE:
        return 0
    return 1 if sampler in SAMPLERS[:2] else 2


def jobs(cells: Sequence[Cell], slots: int = AT_ONCE) -> Iterator[tuple[Cell, ...]]:
    """What runs at the same time: a cell of ours by itself, for it takes every core; of peers `slots`, a core each."""
    waiting: list[Cell] = []
    for cell in cells:
        if cell.part != "peers":
            yield (cell,)
            continue
        waiting.append(cell)
        if len(waiting) == slots:
            yield tuple(waiting)
            waiting = []
    if waiting:
        yield tuple(waiting)


def _all(limits: Limits) -> Iterator[Cell]:
    for seed in SEEDS:
        for table in TABLES:
            yield Cell("default", table, "default", NONE, seed, limits.default_seconds)
        yield from _peers(PEERS[:AT_ONCE], seed, limits)
    pairs = list(_pairs())
    for now in range(3):
        for seed in SEEDS:
            for sampler, pruner in (pair for pair in pairs if stage(*pair) == now):
                trials = round(limits.trials * (_HYPERBAND if sampler == "kt_hyperband" else 1))
                for table in TABLES:
                    yield Cell("ours", table, sampler, pruner, seed, trials)
    for seed in SEEDS:
        yield from _peers(PEERS[AT_ONCE:], seed, limits)


def _peers(names: Sequence[str], seed: int, limits: Limits) -> Iterator[Cell]:
    for table in TABLES:
        for name in names:
            yield Cell("peers", table, name, NONE, seed, limits.peer_seconds)


def _pairs() -> Iterator[tuple[str, str]]:
    for sampler in SAMPLERS:
        for pruner in PRUNERS:
            # Hyperband stops trials by itself and decides on epochs.
            if sampler != "kt_hyperband" or pruner == NONE:
                yield sampler, pruner
