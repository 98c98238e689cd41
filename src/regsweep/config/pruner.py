"""Schema of the `pruner` group: what stops trials before their end. Values live in `conf/pruner/`."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from regsweep.config.base import Count, Model

Whole = Annotated[int, Field(ge=0)]


class NoPruner(Model):
    """Every trial is trained to its end."""

    kind: Literal["none"]


class _Pruner(Model):
    """`lag`: batches proposed ahead, as random search does, are compared with trials so many batches earlier."""

    lag: Whole = 1


class _Percentile(_Pruner):
    """`interval`: epochs between two looks; `warmup_epochs`: no look before; `startup_trials`: no pruning before so many."""

    interval: Count = 5
    warmup_epochs: Whole = 5
    startup_trials: Whole = 4

    @property
    def first_look(self) -> int:
        """The first epoch at which a trial can be stopped."""
        return self.interval * max(1, ceil(self.warmup_epochs / self.interval))


class MedianPruner(_Percentile):
    """Stops a trial whose best value so far is worse than the median of complete trials at the same epoch."""

    kind: Literal["median"]


class PercentilePruner(_Percentile):
    """The same with another percentile: only trials among the best `percentile` per cent go on."""

    kind: Literal["percentile"]
    percentile: Annotated[float, Field(gt=0, lt=100)] = 25.0


class _Halving(_Pruner):
    """Rungs stand at `min_epochs`, and each `reduction_factor` times as far as the one before."""

    min_epochs: Count = 5
    reduction_factor: Annotated[int, Field(ge=2)] = 3

    @property
    def interval(self) -> int:
        """Epochs between two looks: every rung is a multiple of it."""
        return self.min_epochs

    @property
    def first_look(self) -> int:
        """The first epoch at which a trial can be stopped."""
        return self.min_epochs


class SuccessiveHalvingPruner(_Halving):
    """Asynchronous successive halving (Li et al. 2020): at each rung one in `reduction_factor` of those that came goes on."""

    kind: Literal["successive_halving"]


class HyperbandPruner(_Halving):
    """Successive halving in brackets (Li et al. 2018) whose first rungs differ, so that trials that learn late get on, too."""

    kind: Literal["hyperband"]


class WilcoxonPruner(_Pruner):
    """Stops a trial whose ended folds are worse than the best trial's by a signed-rank test with p below `p_threshold`.

    The first `first_wave` folds are trained side by side, the others one by one.
    """

    kind: Literal["wilcoxon"]
    p_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @property
    def first_wave(self) -> int:
        """The least number of folds that can be significant: n folds that are all worse have p = 2^-n."""
        folds = 2
        while 0.5**folds >= self.p_threshold:
            folds += 1
        return folds


Wrapped = Annotated[MedianPruner | PercentilePruner | SuccessiveHalvingPruner | HyperbandPruner, Field(discriminator="kind")]


class PatiencePruner(_Pruner):
    """Stops a trial whose best value of the last `patience` epochs and one `interval` is worse than its best before, by more than
    `min_delta`; with `wraps` only if that pruner would, too.
    """

    kind: Literal["patience"]
    interval: Count = 5
    patience: Count = 15
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    wraps: Wrapped | None = None

    @property
    def first_look(self) -> int:
        """The first epoch at which a trial can be stopped."""
        # As many looks without a better value, after two with one.
        return max(self.patience + 2 * self.interval, self.wraps.first_look if self.wraps is not None else 0)

    @model_validator(mode="after")
    def _whole_intervals(self) -> Self:
        if self.patience % self.interval:
            raise ValueError(f"patience must be a multiple of interval={self.interval}, but got {self.patience}")
        if self.wraps is not None and (self.wraps.interval, self.wraps.lag) != (self.interval, self.lag):
            raise ValueError(
                f"wraps: looks at the same epochs with the same lag, interval={self.interval} and lag={self.lag}, "
                f"but got {self.wraps.interval} and {self.wraps.lag}"
            )
        return self


PrunerConfig = Annotated[
    NoPruner | MedianPruner | PercentilePruner | SuccessiveHalvingPruner | HyperbandPruner | WilcoxonPruner | PatiencePruner,
    Field(discriminator="kind"),
]
