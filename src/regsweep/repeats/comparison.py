"""The champion and the baselines over splits: intervals, the verdict in one sentence, table, frame and figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from regsweep.config import StudyConfig
from regsweep.judgement import NETWORK, PairedDifference, verdict
from regsweep.repeats.interval import corrected_interval
from regsweep.report.repeats_plot import repeated_splits
from regsweep.tasks import METRICS
from regsweep.trial import best_of, higher_is_better

# What is shown first, where a study's records have it; other metrics follow as they stand in the records.
_SHOWN: Final = ("r2", "rmse", "mae")
# The mean of one split: R² further below says nothing but that a model is hopeless.
_WILD_R2: Final = -1.0

Scores = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Standing:
    """One model over the splits: `val` and `test` hold a value per split for each metric, in target units (MSE squared)."""

    key: str
    name: str
    val: Scores
    test: Scores

    def same_as(self, other: Standing) -> bool:
        """Whether both predict the same on every split but for rounding."""
        return all(np.allclose(self.test[name], other.test[name], rtol=1e-6, atol=1e-9, equal_nan=True) for name in self.test)


@dataclass(frozen=True)
class Repeats:
    """The champion and the baselines that all studies have, over splits; where one's champion is a baseline, the networks too.

    `splits` are their words (`seed 3`, `until 0.8`), `champions` what each split's champion was, `subject` what sentences call
    them, `network` what they call the networks; `train_rows` and `test_rows` have a number per split, validation rows counting as
    training rows. `instead`: whether the champion of every split is a baseline.
    """

    configs: tuple[StudyConfig, ...]
    unit: str
    studies: tuple[str, ...]
    splits: tuple[str, ...]
    champions: tuple[str, ...]
    subject: str
    train_rows: tuple[int, ...]
    test_rows: tuple[int, ...]
    champion: Standing
    baselines: tuple[Standing, ...]
    networks: Standing | None = None
    network: str | None = None
    instead: bool = False

    @property
    def rivals(self) -> tuple[Standing, ...]:
        """Whom the champion is compared with."""
        return (*([self.networks] if self.networks is not None else []), *self.baselines)

    @property
    def objective(self) -> str:
        return self.configs[0].objective

    @property
    def reference(self) -> str:
        """The baseline that the verdict names in any case."""
        return self.configs[0].predicts.reference

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the test rows that are shown."""
        known = self.champion.test
        return tuple(name for name in _SHOWN if name in known) or tuple(known)

    @property
    def metric(self) -> str:
        """What differences are taken in: the task's, as for one split, or the objective's where the records do not have it."""
        wanted = self.configs[0].predicts.verdict
        return wanted if wanted in self.champion.test else self.objective.removeprefix("val/")

    @cached_property
    def best_baseline(self) -> Standing | None:
        """The best by the objective on validation rows, mean over splits; None where there is no baseline.

        One that is the champion of every split is no rival of itself.
        """
        name = self.objective.removeprefix("val/")
        best = best_of({standing.key: _mean(standing.val[name]) for standing in self._others}, self.objective)
        return next((standing for standing in self._others if standing.key == best), None)

    def difference(self, key: str) -> PairedDifference:
        """By how much the champion is better than a baseline in `metric`, with the corrected 95 % interval over splits."""
        sign = -1 if higher_is_better(f"test/{self.metric}") else 1
        pairs = zip(self._baseline(key).test[self.metric], self.champion.test[self.metric], strict=True)
        found = corrected_interval(
            [sign * (rival - ours) for rival, ours in pairs], test_rows=_mean(self.test_rows), train_rows=_mean(self.train_rows)
        )
        return PairedDifference(key, self.metric, found.value, found.low, found.high, rows=sum(self.test_rows))

    def wins(self, key: str) -> int:
        """On how many splits the champion is better than a baseline in `metric`."""
        upward = higher_is_better(f"test/{self.metric}")
        pairs = zip(self._baseline(key).test[self.metric], self.champion.test[self.metric], strict=True)
        return sum(ours > rival if upward else ours < rival for rival, ours in pairs)

    @cached_property
    def sentence(self) -> str:
        """The verdict: is the champion better than least squares, and than the best baseline by validation?"""
        best = self.best_baseline
        others = {NETWORK} if self.networks is not None else set()
        others |= {standing.key for standing in self._others}
        keys = dict.fromkeys([NETWORK, self.reference, *([best.key] if best is not None else [])])
        return verdict(
            self.unit,
            self.subject,
            [self.difference(key) for key in keys if key in others],
            best_baseline=best.key if best is not None else None,
            reference=self.reference,
            metric=self.metric,
            over=f" over {len(self.splits)} splits",
            network=self.network,
            instead=self.instead,
        )

    def table(self) -> Table:
        """A terminal table: the champion, then the baselines, the best on test rows first."""
        best, metric = self.best_baseline, METRICS[self.metric].label
        table = Table(title=self._title(), title_justify="left", caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        in_unit = f" RMSE and MAE in {self.unit}." if self.unit and "mae" in self.metrics else ""
        table.caption = (
            f"Test rows, mean ± standard deviation over {len(self.splits)} splits.{in_unit} "
            "The interval is that of the corrected resampled t-test."
        )
        table.add_column("model")
        for name in self.metrics:
            table.add_column(f"test {METRICS[name].label}", justify="right", no_wrap=True)
        table.add_column(f"champion better by ({metric}, 95 %)", justify="right", no_wrap=True)
        table.add_column("champion won", justify="right", no_wrap=True)
        table.add_row(f"{self.champion.name} (champion)", *self._spreads(self.champion), "", "", style="bold green")
        for standing in self.ordered(self.metric):
            found, mark = self.difference(standing.key), " ◆" if standing is best else ""
            value, low, high = _rounded([found.value, found.low, found.high], found.half_width)
            ends = f"{value} ({low} to {high})"
            won = f"{self.wins(standing.key)} of {len(self.splits)}"
            table.add_row(standing.name + mark, *self._spreads(standing), ends, won, style="cyan")
        if best is not None:
            table.caption += " ◆: the best baseline by validation."
        return table

    def as_frame(self) -> pd.DataFrame:
        """A row per split and model, with `val_` and `test_` columns per metric."""
        rows: list[dict[str, Any]] = []
        for position, (split, study) in enumerate(zip(self.splits, self.studies, strict=True)):
            for standing in (self.champion, *self.rivals):
                name = self.champions[position] if standing is self.champion else standing.name
                row: dict[str, Any] = {"split": split, "study": study, "model": standing.key, "name": name}
                row |= {"train_rows": self.train_rows[position], "test_rows": self.test_rows[position]}
                row |= {f"val_{key}": values[position] for key, values in standing.val.items()}
                row |= {f"test_{key}": values[position] for key, values in standing.test.items()}
                rows.append(row)
        return pd.DataFrame(rows)

    def figure(self) -> Figure:
        """A dot per model and split, of test R², or of RMSE where an R² is hopeless; baselines that are the same stand once."""
        metric = self.metrics[0]
        everyone = (self.champion, *self.rivals)
        if metric == "r2" and any(not _mean(standing.test["r2"]) > _WILD_R2 for standing in everyone):
            metric = "rmse"
        rows = [(f"{self.champion.name} (champion)", self.champion.test[metric])]
        rows += [(named, standing.test[metric]) for named, standing in self.distinct(metric)]
        return repeated_splits(rows, f"test/{metric}", self.unit, self.sentence)

    def ordered(self, metric: str) -> list[Standing]:
        """Whom the champion is compared with, the best first by a metric of the test rows, mean over splits."""
        sign = -1 if higher_is_better(f"test/{metric}") else 1
        means = {standing.key: sign * _mean(standing.test[metric]) for standing in self.rivals}
        return sorted(self.rivals, key=lambda standing: (math.isnan(means[standing.key]), means[standing.key]))

    def distinct(self, metric: str) -> list[tuple[str, Standing]]:
        """As `ordered`, but those that predict the same stand once, with how many there are in the name."""
        groups: list[list[Standing]] = []
        for standing in self.ordered(metric):
            twins = next((group for group in groups if group[0].same_as(standing)), None)
            if twins is None:
                groups.append([standing])
            else:
                twins.append(standing)
        found = []
        for group in groups:
            # The reference lends its name to all that equal it, else who was configured first.
            one = min(group, key=lambda standing: (standing.key != self.reference, self.rivals.index(standing)))
            found.append((one.name + (f" (and {len(group) - 1} equal to it)" if len(group) > 1 else ""), one))
        return found

    @property
    def _keys(self) -> dict[str, Standing]:
        return {standing.key: standing for standing in self.rivals}

    @property
    def _others(self) -> list[Standing]:
        """The baselines that are not the champion itself, refitted or not."""
        if self.networks is None:
            return list(self.baselines)
        return [one for one in self.baselines if one.name != self.subject and not one.same_as(self.champion)]

    def _baseline(self, key: str) -> Standing:
        if key not in self._keys:
            raise ValueError(f"there is no baseline {key!r}; known: {', '.join(self._keys)}")
        return self._keys[key]

    def _title(self) -> str:
        return f"{self.configs[0].experiment}: {len(self.splits)} splits, {self.splits[0]} to {self.splits[-1]}"

    def _spreads(self, standing: Standing) -> list[str]:
        cells = []
        for name in self.metrics:
            with np.errstate(invalid="ignore"):
                values = np.asarray(standing.test[name])
                mean, sd = float(values.mean()), float(values.std(ddof=1))
            cells.append(f"{mean:.3f} ± {sd:.3f}" if name == "r2" else " ± ".join(_rounded([mean, sd], sd)))
        return cells


def _mean(values: Sequence[float]) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.mean(values))


def _rounded(values: Sequence[float], spread: float) -> list[str]:
    """Values with as many decimals as leave two digits to their spread."""
    if not (math.isfinite(spread) and spread > 0) or not -9 <= (decimals := 1 - math.floor(math.log10(spread))) <= 8:
        return [f"{value:.4g}" for value in values]
    return [f"{round(value, decimals):,.{max(0, decimals)}f}" for value in values]
