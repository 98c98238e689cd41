"""The same study on several splits. Main call: `splits_of`."""

from __future__ import annotations

from typing import Any, Final

from regsweep.config.compose import load_saved
from regsweep.config.schema import StudyConfig
from regsweep.config.split import TimeOrderedSplit
from regsweep.errors import ConfigError

# The earliest origin of time-ordered splits: this share of the rows that the latest one has.
EARLIEST: Final = 0.6


def splits_of(config: StudyConfig, splits: int) -> tuple[StudyConfig, ...]:
    """A study on several splits: with seeds from the configured one on or, in time, with origins up to the configured one.

    Raises ConfigError for fewer than two splits.
    """
    if splits < 2:
        raise ConfigError(
            f"--splits: at least 2 are needed, but got {splits}: the interval is made of how much splits differ; "
            "for a verdict on one split there is `regsweep run`"
        )
    values, split = config.model_dump(mode="json"), config.split
    if config.enqueue_best_of is not None:
        raise ConfigError(
            f"enqueue_best_of: {config.enqueue_best_of} has seen rows that are test rows in other splits, so its best "
            "configurations would flatter the network; leave it out of a verdict"
        )
    parts: list[dict[str, Any]]
    if isinstance(split, TimeOrderedSplit):
        shares = [EARLIEST + (1 - EARLIEST) * step / (splits - 1) for step in range(splits)]
        parts = [{"until": round(share * split.until, 6)} for share in shares[:-1]] + [{"until": split.until}]
    else:
        parts = [{"seed": split.seed + step} for step in range(splits)]
    found = []
    for part in parts:
        one = {**values, "split": {**values["split"], **part}}
        if config.study is not None:
            # A name given by the user belongs to one study.
            ((key, value),) = part.items()
            one["study"] = f"{config.study}-{key}{value if isinstance(value, int) else f'{value:g}'}"
        found.append(load_saved(one))
    return tuple(found)
