"""Schema of the `split` group: which rows are sealed for test, and which of the others validate."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from regsweep.config.base import Count, Model, Seed

Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Fractions(Model):
    """Parts of the rows in train, val and test."""

    train: Fraction
    val: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but {self.train} + {self.val} + {self.test} = {total:g}")
        return self


class _Stratified(Model):
    """`stratify`: every part gets the same share of each class, up to a row."""

    # Splits were not, before there was such a key.
    stratify: bool = False


class _ByOtherThings(Model):
    """Rows go where time or groups say; an experiment of classes may still say that it wants no more."""

    stratify: Literal[False] = False


class HoldoutSplit(_Fractions, _Stratified):
    """Shuffled hold-out: test rows first, then validation rows from the rest, both by `train_test_split(random_state=seed)`."""

    kind: Literal["holdout"]
    seed: Seed


class TimeOrderedSplit(_Fractions, _ByOtherThings):
    """The last rows in time are test, the ones before them validation; ordered by `dataset.time`, else by row.

    `until`: of all rows the first of this share in time; the others are left out of everything.
    """

    kind: Literal["time_ordered"]
    until: Annotated[float, Field(gt=0, le=1)] = 1.0


class GroupSplit(_Fractions, _ByOtherThings):
    """Hold-out in which no value of `dataset.group` stands in two parts."""

    kind: Literal["group"]
    seed: Seed


class KFoldSplit(_Stratified):
    """Shuffled k-fold over the rows that are left after `test` of them are sealed, `repeats` times anew."""

    kind: Literal["kfold"]
    folds: Annotated[int, Field(ge=2)]
    repeats: Count
    test: Fraction
    seed: Seed


class AutoSplit(_Stratified):
    """K-fold where fewer than `below` rows are left after `test` of all rows are sealed, else a hold-out of `val` of all rows.

    The sealed rows are the same in both.
    """

    kind: Literal["auto"]
    folds: Annotated[int, Field(ge=2)]
    repeats: Count
    below: Annotated[int, Field(ge=0)]
    val: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _rows_left(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test must leave rows for train, but {self.val} + {self.test} = {self.val + self.test:g}")
        return self


SplitConfig = Annotated[AutoSplit | HoldoutSplit | TimeOrderedSplit | GroupSplit | KFoldSplit, Field(discriminator="kind")]
