"""Seeds a study from another one: that one's best configurations join those to try first.

In: a config with `enqueue_best_of`, the workspace with that study's records. Out: the config with these configurations in
`enqueue`, so that the records say what was tried and need the other study no more. Main call: `with_best_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regsweep.book import RecordBook, books_in
from regsweep.config import StudyConfig, load_saved
from regsweep.config.enqueue import enqueue_problems
from regsweep.config.idle import idle_settings
from regsweep.config.parameters import Scalar
from regsweep.config.space import SpaceConfig
from regsweep.data import load_dataset
from regsweep.errors import ConfigError, nearest
from regsweep.paths import Workspace
from regsweep.record import StudyFacts
from regsweep.space import given_problems, parameter_of
from regsweep.train.runtime import start_for_function
from regsweep.trial import higher_is_better

Params = dict[str, Scalar]


def with_best_of(config: StudyConfig, workspace: Workspace) -> StudyConfig:
    """Enqueue the `enqueue_top` best trials of the study `enqueue_best_of`, after what is enqueued already.

    "Best" is by that study's own objective; of equal configurations the first counts. What this space holds constant is left to
    it, and configurations that lie outside of it are passed over.

    Raises ConfigError where the workspace has no such study, where it was searched on the same data with other test rows (its
    choice has seen these), where none of its trials was completed or none lies in this space, and where `n_trials` are fewer than
    what is enqueued.
    """
    name = config.enqueue_best_of
    if name is None:
        return config
    book = _book(workspace, name)
    facts = book.known_facts() or book.facts()
    other = facts.config
    _same_test_rows(config, facts, name)
    ranked = _ranked(book, other.objective, name)
    fitting: list[Params] = []
    wrong = ""
    for number, params in ranked:
        given = {key: value for key, value in params.items() if not _constant(config.space, key)}
        if problem := _problem(given, config):
            wrong = wrong or f"trial {number}, its best, {problem}"
        elif given not in fitting and given not in config.enqueue:
            fitting.append(given)
        if len(fitting) == config.enqueue_top:
            break
    if not fitting and wrong:
        raise ConfigError(f"enqueue_best_of: no trial of {name} lies in this study's space; {wrong}")
    begun = load_saved({**config.model_dump(mode="json"), "enqueue": [*config.enqueue, *fitting]})
    if problems := idle_settings(begun):
        raise ConfigError(problems)
    return begun


def _book(workspace: Workspace, name: str) -> RecordBook:
    books = {book.folder.name: book for book in books_in(workspace)}
    if name not in books:
        known = [*books]
        there = f"; known: {', '.join(known)}" if known else "; run it first, or set tracking.dir to the workspace that has it"
        raise ConfigError(f"enqueue_best_of: {workspace.root} has no study {name!r}{nearest(name, known)}{there}")
    return books[name]


def _same_test_rows(config: StudyConfig, facts: StudyFacts, name: str) -> None:
    other, same = facts.config, load_dataset(config.dataset, config.predicts).sha256 == facts.dataset.sha256
    if not same and config.dataset.name != other.dataset.name:
        return
    if not same:
        raise ConfigError(
            f"enqueue_best_of: {name} was searched on {config.dataset.name} when that was another table, so its choice may have "
            "seen this study's test rows; if it is another table indeed, give it another dataset.name"
        )
    here, there = _sealing(config), _sealing(other)
    if differing := [f"{key} is {there.get(key)} there and {here.get(key)} here" for key in here if there.get(key) != here[key]]:
        raise ConfigError(
            f"enqueue_best_of: {name} was searched with other test rows of {config.dataset.name} ({', '.join(differing)}), so "
            "its choice has seen this study's; run a study with this split first"
        )


def _sealing(config: StudyConfig) -> dict[str, Any]:
    """What says which rows are sealed; how the others validate is left out: all that shuffle do so alike."""
    split = config.split.model_dump()
    # Which rows make the same share of each class depends on whose classes.
    stratified = f"by {config.dataset.target}" if split.get("stratify") else False
    ways = {"time_ordered": f"in time by {config.dataset.time or 'row'}", "group": f"by {config.dataset.group}"}
    return {
        "split": ways.get(split["kind"], "shuffled"),
        **{f"split.{key}": split.get(key) for key in ("test", "seed", "until")},
        "split.stratify": stratified,
    }


def _ranked(book: RecordBook, objective: str, name: str) -> list[tuple[int, Params]]:
    """Numbers and hyperparameters of the study's complete trials, the best first."""
    sign = -1 if higher_is_better(objective) else 1
    done: list[Mapping[str, Any]] = [content for content in book.contents("trial") if content["objective"] is not None]
    if not done:
        raise ConfigError(f"enqueue_best_of: no trial of {name} was completed")
    done.sort(key=lambda content: (sign * content["objective"], content["number"]))
    return [(content["number"], dict(content["params"])) for content in done]


def _problem(given: Params, config: StudyConfig) -> str | None:
    """Why a configuration does not lie in a space; None if it does."""
    if config.space.function is None:
        return next((text.removeprefix("enqueue.0.") for text in enqueue_problems([given], config.space, 1)), None)
    start_for_function(config)
    return next(iter(given_problems(config.space, given)), None)


def _constant(space: SpaceConfig, key: str) -> bool:
    parameter = parameter_of(space, key)
    return parameter is not None and len(set(parameter.values())) == 1
