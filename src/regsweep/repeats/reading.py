"""What repeated splits say, read from the records of their studies alone.

In: the books of judged studies that differ in their split only. Out: `Repeats`. Main call: `read_repeats`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from regsweep.baselines import describe
from regsweep.book import RecordBook, read_champion
from regsweep.config import StudyConfig
from regsweep.config.split import TimeOrderedSplit
from regsweep.data.split import rows_used
from regsweep.errors import ConfigError
from regsweep.folder import read_folder
from regsweep.judgement import NETWORK
from regsweep.record import StudyFacts, differing, identity
from regsweep.repeats.comparison import Repeats, Standing

CHAMPION: Final = "champion"


def read_repeats(books: Sequence[RecordBook]) -> Repeats:
    """Read what studies on several splits came to. Raises ConfigError for fewer than two, for one that has not been judged, or
    for studies that differ in more than their split; UnreadableError where a record is damaged."""
    if len(books) < 2:
        raise ConfigError(f"a verdict over splits needs two studies at least, but got {len(books)}")
    read = [(book, book.facts(), read_champion(book)) for book in books]
    if unjudged := [book.folder.name for book, _, champion in read if champion is None]:
        raise ConfigError(f"study {unjudged[0]!r} has not been judged yet; the same command goes on with it")
    facts = [one for _, one, _ in read]
    before = _beside_split(facts[0])
    for other in facts[1:]:
        now = _beside_split(other)
        if changed := differing(before, now):
            pair, more = f"{facts[0].study!r} and {other.study!r}", f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            values = f"{before.get(changed[0])!r} and {now.get(changed[0])!r}"
            raise ConfigError(f"studies {pair} differ in more than their split: {changed[0]} is {values}{more}")
    for one, other in combinations(facts, 2):
        if split_words(one.config) == split_words(other.config):
            raise ConfigError(f"studies {one.study!r} and {other.study!r} have the same split: {split_words(one.config)}")
    champions = [champion for _, _, champion in read if champion is not None]
    tests = [len(read_folder(book.folder / "champion")[1]["y"]) for book in books]
    baselines = [{content["name"]: content for content in book.contents("baseline")} for book in books]
    asked = [name for name in facts[0].config.baselines.names if all(name in found for found in baselines)]
    labels = {_label(champion) for champion in champions}
    names = [str(champion["name"]) for champion in champions]
    led = [champion.get("baseline") is not None for champion in champions]
    # Where networks are champion, they are the best networks.
    networks = [champion.get("network", champion) for champion in champions]
    return Repeats(
        configs=tuple(one.config for one in facts),
        unit=facts[0].dataset.unit,
        studies=tuple(one.study for one in facts),
        splits=tuple(split_words(one.config) for one in facts),
        champions=tuple(names),
        subject=_one_of(labels, "the champion"),
        train_rows=tuple(rows_used(one.config.split, one.dataset.rows) - count for one, count in zip(facts, tests, strict=True)),
        test_rows=tuple(tests),
        champion=_standing(CHAMPION, _common(champions), champions),
        baselines=tuple(_standing(name, describe(name), [found[name] for found in baselines]) for name in asked),
        networks=_standing(NETWORK, "best network", networks) if any(led) else None,
        network=_one_of({_label(content) for content in networks}, "the network") if any(led) else None,
        instead=all(led),
    )


def _beside_split(facts: StudyFacts) -> dict[str, Any]:
    """What a study is but for its split, keys dotted."""
    config = facts.config
    parts = identity(config, facts.dataset.sha256) | {"dataset.target": facts.dataset.target, "n_trials": config.n_trials}
    parts |= {f"champion.{key}": value for key, value in config.champion.model_dump(mode="json").items()}
    return {key: value for key, value in parts.items() if not key.startswith("split.")}


def split_words(config: StudyConfig) -> str:
    """What tells a split from the others: `seed 3`, `until 0.8`."""
    split = config.split
    return f"until {split.until:g}" if isinstance(split, TimeOrderedSplit) else f"seed {split.seed}"


def _standing(key: str, name: str, contents: Sequence[Mapping[str, Any]]) -> Standing:
    val = {metric: tuple(_float(content["val"][metric]) for content in contents) for metric in contents[0]["val"]}
    if "mse" in val:
        # Champions have none, and baselines of earlier versions the mean of the folds' roots.
        val["rmse"] = tuple(mse**0.5 for mse in val["mse"])
    test = {metric: tuple(_float(content["test"][metric]["value"]) for content in contents) for metric in contents[0]["test"]}
    return Standing(key, name, val, test)


def _label(champion: Mapping[str, Any]) -> str:
    """What a sentence calls a split's champion; earlier versions did not write it down."""
    if "label" in champion:
        return str(champion["label"])
    return "the ensemble of networks" if len(champion["members"]) > 1 else "the network"


def _one_of(labels: set[str], several: str) -> str:
    return min(labels) if len(labels) == 1 else several


def _common(champions: Sequence[Mapping[str, Any]]) -> str:
    """What champions are called together: which trials they are differs from split to split."""
    kinds, baselines = set(), set()
    for champion in champions:
        if (baseline := champion.get("baseline")) is not None:
            baselines.add(describe(baseline))
        else:
            kinds.add("ensemble" if champion["name"].startswith("ensemble") else "best trial")
    return " or ".join([*sorted(kinds, reverse=True), *sorted(baselines)])


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
