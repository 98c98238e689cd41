"""Schema of the `champion` group: what becomes of the best trials."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regsweep.config.base import Count, Model


class FinalistsConfig(Model):
    """The `top` best trials are trained under `seeds` further seeds, and the best mean leads (`top` 0 or 1: nobody is)."""

    top: Annotated[int, Field(ge=0)]
    seeds: Count


class ChampionConfig(Model):
    """What becomes of the best trials.

    `kind`: `bag`, the networks of the best trial's folds, averaged; `refit`, the best trial trained once more on training and
    validation rows together; `ensemble`, the networks of several trials, weighted by greedy selection on validation rows.
    `rule`: `best` objective, or the trial with the fewest parameters within `one_standard_error` of it (over folds).
    `trials`: how many of the best an ensemble may draw on; `rounds`: how often it picks one.
    `candidates`: who stands for champion, the `networks`, or `all`, the baselines too; the best objective decides.
    """

    kind: Literal["bag", "refit", "ensemble"]
    rule: Literal["best", "one_standard_error"]
    finalists: FinalistsConfig
    trials: Count
    rounds: Count
    candidates: Literal["networks", "all"] = "networks"
