"""Schema of the `search` section: in which order trials are proposed and told."""

from __future__ import annotations

from typing import Literal

from regsweep.config.base import Model
from regsweep.config.sampler import SamplerConfig

# They keep in memory in which order they were asked and told.
REMEMBERING = ("cmaes", "nsga2", "kt_bayesian", "kt_grid", "kt_hyperband")


class SearchConfig(Model):
    """`order`: `fixed` tells trials in the order of their numbers and proposes in batches of `parallel_trials`, so the table
    follows from the seed; `free` tells each when it ends and proposes when a worker would be idle."""

    order: Literal["fixed", "free"] = "fixed"


def order_problems(search: SearchConfig, sampler: SamplerConfig) -> list[str]:
    """What keeps a sampler from the order, a line each."""
    if search.order == "fixed" or sampler.kind not in REMEMBERING:
        return []
    return [
        f"search.order: {sampler.kind} remembers in which order trials were asked and told, and a study that goes on can go "
        "through it again only where it is fixed, but got 'free'; set search.order=fixed, or another sampler, such as tpe"
    ]
