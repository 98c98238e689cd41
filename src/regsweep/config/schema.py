"""The schema of a study's configuration: types, ranges and choices. Values live in `conf/`.

In: plain values composed by Hydra. Out: one frozen `StudyConfig`, checked as a whole. Main call: `StudyConfig.model_validate`
(through `regsweep.config.compose`, which turns what is wrong into messages).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from regsweep.config.backend import Backend
from regsweep.config.base import Count, Model, Seed
from regsweep.config.champion import ChampionConfig
from regsweep.config.dataset import DatasetConfig
from regsweep.config.enqueue import enqueue_problems
from regsweep.config.hyperband import space_searched
from regsweep.config.names import BASELINES, CLASSIFIERS, baselines_of, check_names
from regsweep.config.parameters import Scalar
from regsweep.config.pruner import PrunerConfig
from regsweep.config.sampler import SamplerConfig, sampler_problems
from regsweep.config.search import SearchConfig, order_problems
from regsweep.config.space import SpaceConfig
from regsweep.config.split import SplitConfig
from regsweep.config.tracking import TrackingConfig
from regsweep.errors import nearest
from regsweep.tasks import BINARY, TASKS, Task, task_named


class FeaturesConfig(Model):
    """How raw columns become numbers; everything is fitted on training rows only.

    `category`: a column per level (`one_hot`), or one with the level's position in sorted order, scaled as `numeric` says
    (`ordinal`).
    `bins`: segments between quantiles, where a trial's `encoding` is `piecewise`. `target_standardise` and `target_log` are about
    numbers: a class is neither, whatever `target_standardise` says, and `target_log` is refused for it.
    """

    numeric: Literal["standard", "minmax", "max", "none"]
    category: Literal["one_hot", "ordinal"] = "one_hot"
    impute: Literal["mean", "median"]
    bins: Annotated[int, Field(ge=2, le=64)] = 8
    target_standardise: bool
    target_log: bool


class TrainerConfig(Model):
    """How trials are trained: `stacked` side by side in one graph, `keras_fit` one by one with `keras.Model.fit`.

    `patience`: stop after so many epochs without a better validation loss, MSE or log loss (null: never).
    `keep`: the weights of the `last` epoch or of the one with the `best` validation loss; the objective is read at that epoch.
    `threads`: cores one training may use inside an operation; small networks are fastest with 1.
    `memory_gb`: how much of it the networks of a stack may take in each worker; one too large for it is trained by `keras_fit`.
    `backend`: what Keras computes with; stacks are TensorFlow's.
    """

    kind: Literal["stacked", "keras_fit"]
    backend: Backend = "tensorflow"
    patience: Count | None
    keep: Literal["last", "best"]
    threads: Count
    memory_gb: Annotated[float, Field(gt=0)] = 2.0

    @model_validator(mode="after")
    def _stacks_are_tensorflows(self) -> Self:
        if self.kind == "stacked" and self.backend != "tensorflow":
            raise ValueError(f"stacked trains with TensorFlow alone, but backend is {self.backend!r}; add trainer=keras_fit")
        return self


class BaselinesConfig(Model):
    """What the networks are compared with, by name; `seed` serves those that draw."""

    names: tuple[str, ...]
    seed: Seed

    @field_validator("names")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_names("baseline", names, tuple(dict.fromkeys(BASELINES + CLASSIFIERS)))
        return names


class InsightConfig(Model):
    """What is learnt from a finished study. `ablation`: train the path from the space's middle to the champion.

    `ablation_seconds`: after so long its remaining steps are taken as one.
    """

    ablation: bool
    ablation_seconds: Annotated[float, Field(gt=0)]


class ExecutorConfig(Model):
    """Where stacks of trials are trained: `processes` on this machine, or `inline`, in the study's own process.

    `workers`: how many processes (null: one per core).
    `trial_seconds`: a training that takes longer has failed; a stack may take as many times as long as it has trainings
    (null: no limit).
    `memory_gb`: a training over which a worker comes to hold more has failed (null: four fifths of the memory of the machine,
    or of the container if that is less, divided among the workers; at least `trainer.memory_gb` and one more). Linux only.
    Inline there is nobody to keep the limits: they do not hold.
    """

    kind: Literal["inline", "processes"]
    workers: Count | None = None
    trial_seconds: Annotated[float, Field(gt=0)] | None = None
    memory_gb: Annotated[float, Field(gt=0)] | None = None


class BudgetConfig(Model):
    """What ends a study before `n_trials` (null: nothing): `seconds` of searching in one call, a `target` for the objective,
    `no_improvement` over so many trials."""

    seconds: Annotated[float, Field(gt=0)] | None = None
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    no_improvement: Count | None = None


def _objectives(info: ValidationInfo) -> tuple[str, ...]:
    """What a study can search by; where the task itself is wrong, any task's."""
    task = info.data.get("task")
    return task_named(task).objectives if task is not None else tuple(name for each in TASKS.values() for name in each.objectives)


def _check_objective(objective: str, known: tuple[str, ...]) -> None:
    """Raise ValueError, worded as the schema's other choices are."""
    if objective not in known:
        raise ValueError(f"must be one of {', '.join(known)}{nearest(objective, known)}, but got {objective!r}")


# Samplers that work towards several objectives, or look at none.
SEVERAL_OBJECTIVES = ("tpe", "random", "nsga2", "qmc", "grid", "brute_force")


class StudyConfig(Model):
    """One study: data, split, space, sampler, budget and seed, and what happens around them."""

    experiment: str
    question: str
    task: Literal["regression", "binary_classification"] = "regression"
    study: str | None
    seed: Seed
    n_trials: Count
    budget: BudgetConfig = BudgetConfig()
    parallel_trials: Count
    max_failures: Count
    objective: str
    further_objectives: tuple[str, ...] = ()
    reopen_test: bool
    bootstrap_resamples: Annotated[int, Field(ge=100)]
    dataset: DatasetConfig
    split: SplitConfig
    features: FeaturesConfig
    space: SpaceConfig
    sampler: SamplerConfig
    search: SearchConfig = SearchConfig()
    enqueue: tuple[dict[str, Scalar], ...] = ()
    enqueue_best_of: str | None = None
    enqueue_top: Count = 5
    pruner: PrunerConfig
    trainer: TrainerConfig
    champion: ChampionConfig
    baselines: BaselinesConfig
    tracking: TrackingConfig
    executor: ExecutorConfig
    insight: InsightConfig

    @property
    def predicts(self) -> Task:
        """The task with its metrics."""
        return task_named(self.task)

    @property
    def objectives(self) -> tuple[str, ...]:
        """All objectives; the first one names the champion."""
        return (self.objective, *self.further_objectives)

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, values: Any) -> Any:
        # objective=[a, b] is short for objective=a further_objectives=[b].
        listed = values.get("objective") if isinstance(values, dict) else None
        if not isinstance(listed, list | tuple):
            return values
        further = values.get("further_objectives") or ()
        further = further if isinstance(further, list | tuple) else [further]
        # An empty list is refused below, beside what else is wrong.
        return {**values, "objective": listed[0] if listed else "", "further_objectives": [*listed[1:], *further]}

    @field_validator("objective")
    @classmethod
    def _of_the_task(cls, objective: str, info: ValidationInfo) -> str:
        if not objective:
            raise ValueError("at least one is needed, such as val/mse")
        _check_objective(objective, _objectives(info))
        return objective

    @field_validator("further_objectives")
    @classmethod
    def _all_of_the_task(cls, objectives: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for objective in objectives:
            _check_objective(objective, (*_objectives(info), "parameters", "epochs"))
        return objectives

    @model_validator(mode="after")
    def _fits_the_task(self) -> Self:
        known, problems = baselines_of(self.task), []
        if wrong := [name for name in self.baselines.names if name not in known]:
            problems.append(
                f"baselines.names: {', '.join(wrong)} can't be fitted to task={self.task}; known for it: {', '.join(known)}"
            )
        if self.champion.candidates == "all" and not self.baselines.names:
            problems.append(
                "champion.candidates: all lets baselines stand for champion, but baselines.names is empty; add baselines=all, or "
                "set champion.candidates=networks"
            )
        if self.task == BINARY.name and self.features.target_log:
            problems.append("features.target_log: a class has no logarithm; leave it out for task=binary_classification")
        if self.task != BINARY.name and getattr(self.split, "stratify", False):
            problems.append(f"split.stratify: needs classes, but task={self.task}; leave it out")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _epochs_of_hyperband(self) -> Self:
        if self.sampler.kind == "kt_hyperband" and self.pruner.kind != "none":
            raise ValueError(f"pruner: kt_hyperband stops trials by itself, but got {self.pruner.kind!r}; set pruner=none")
        space = space_searched(self.sampler, self.space)
        return self if space == self.space else self.model_copy(update={"space": space})

    @model_validator(mode="after")
    def _several_objectives(self) -> Self:
        if not self.further_objectives:
            return self
        problems = []
        if len({*self.objectives}) < len(self.objectives):
            problems.append(f"objective: each can be given once, but got {list(self.objectives)}")
        if self.pruner.kind != "none":
            problems.append(
                f"pruner: no pruner can compare trials by several objectives, but got {self.pruner.kind!r}; set pruner=none"
            )
        if self.sampler.kind not in SEVERAL_OBJECTIVES:
            known = ", ".join(SEVERAL_OBJECTIVES)
            problems.append(f"sampler: several objectives need one of {known}, but got {self.sampler.kind!r}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _folds_to_compare(self) -> Self:
        if self.pruner.kind == "wilcoxon":
            folds = self.split.folds * getattr(self.split, "repeats", 1) if self.split.kind == "kfold" else 1
            if folds < (needed := self.pruner.first_wave + 1):
                raise ValueError(
                    f"pruner.kind: wilcoxon compares ended folds and needs {needed} at p_threshold={self.pruner.p_threshold:g} "
                    f"(split=kfold split.folds={max(5, needed)}), but got split={self.split.kind}"
                    + (f" with {folds}" if self.split.kind == "kfold" else "")
                )
        return self

    @field_validator("experiment", "study")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[\w][\w .-]{0,99}", name):
            raise ValueError(
                "a name is 1 to 100 letters, digits, spaces, dots, dashes or underscores, no space or dot first, "
                f"but got {name!r}"
            )
        return name

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        problems = sampler_problems(self.sampler, self.space, self.n_trials, len(self.enqueue))
        problems += order_problems(self.search, self.sampler)
        if problems := [*problems, *enqueue_problems(self.enqueue, self.space, self.n_trials)]:
            raise ValueError("\n".join(problems))
        return self
