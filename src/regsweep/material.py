"""What a config says about its data, worked out before anything is written.

In: a config. Out: its table, split and features, and what the record will say of them. Main call: `gather`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from regsweep.config import StudyConfig
from regsweep.config.backend import missing_backend
from regsweep.config.split import SplitConfig
from regsweep.data import (
    Dataset,
    Split,
    duplicates_across,
    groups_across,
    load_dataset,
    make_split,
    times_across,
    undefined_objective,
)
from regsweep.data.features import Prepared, prepare, too_many_levels
from regsweep.environment import Environment
from regsweep.errors import ConfigError, DataError
from regsweep.record import DatasetFacts, StudyFacts, study_name
from regsweep.runner.limits import machine_memory
from regsweep.space import choices, explored, found_in, function_problems, greatest
from regsweep.train.runtime import start_for_function


@dataclass(frozen=True)
class Material:
    """A study before it begins."""

    config: StudyConfig
    facts: StudyFacts
    dataset: Dataset
    split: Split
    prepared: Prepared


def gather(config: StudyConfig, environment: Environment | None = None, *, recorded: bool = False) -> Material:
    """Load and check the data, split them, fit the features. Raises DataError or ConfigError before anything is written.

    `recorded`: the config is a record's, and nothing is going to be drawn: a function that did is not needed.
    """
    if missing := missing_backend(config.trainer.backend):
        raise ConfigError(missing)
    dataset = load_dataset(config.dataset, config.predicts)
    split = make_split(config.split, dataset)
    if not recorded and (problem := undefined_objective(config.objectives, split, dataset)):
        raise DataError(problem)
    smallest = min(len(fold.train) for fold in split.folds)
    if config.space.function is None and (largest := greatest(config.space, "batch_size")) > smallest:
        raise ConfigError(
            f"space.parameters.batch_size: goes up to {largest:g}, but there are {smallest} training rows; "
            f"set smaller ones, for example space.parameters.batch_size={max(1, smallest // 4)}"
        )
    # Half of the memory, at the most, for what workers copy.
    if not recorded and (problem := too_many_levels(dataset, split, config.features, machine_memory() / 2)):
        raise DataError(problem)
    prepared = prepare(dataset, split, config.features, choices(config.space, "encoding"))
    if config.space.function is not None and not recorded:
        config = _tried(config, smallest, prepared)
    facts = StudyFacts(
        study=study_name(config, dataset.sha256),
        config=config,
        dataset=_dataset_facts(config.split, dataset, split),
        environment=environment or Environment.here(),
    )
    return Material(config, facts, dataset, split, prepared)


def _tried(config: StudyConfig, rows: int, prepared: Prepared) -> StudyConfig:
    """The config with what the space's function draws, as far as trying it shows. Raises ConfigError where it won't do."""
    start_for_function(config)
    if problems := function_problems(config, rows, lambda encoding: prepared.folds[0].encoded(encoding).inputs):
        raise ConfigError(problems)
    drawn = explored(config.space)
    found = found_in(drawn)
    always = tuple(name for name in found if all(name in one.params for one in drawn))
    return config.model_copy(update={"space": config.space.model_copy(update={"found": found, "always": always})})


def _dataset_facts(config: SplitConfig, dataset: Dataset, split: Split) -> DatasetFacts:
    shared = {field.name: getattr(dataset, field.name) for field in fields(DatasetFacts) if field.name != "notes"}
    across = filter(None, (duplicates_across(split, dataset), groups_across(split, dataset), times_across(config, dataset)))
    return DatasetFacts(**shared, notes=(*dataset.notes, *across))
