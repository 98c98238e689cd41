"""What proposes trials, one model per kind: Optuna's samplers, and Keras Tuner's oracles (`kt_...`)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field

from regsweep.config.base import Count, Model
from regsweep.config.parameters import FloatRange, IntRange
from regsweep.config.space import SpaceConfig, configurations

# So many configurations of a grid are counted and put in order at most.
LARGEST_GRID = 100_000
# Without greenlet Optuna's Gaussian process proposes something else.
GP_PACKAGES = ("torch", "greenlet")


class TpeSampler(Model):
    """Tree-structured Parzen estimator (Bergstra et al. 2011); its model is used from trial `startup_trials` on."""

    kind: Literal["tpe"]
    startup_trials: Count = 10


class RandomSampler(Model):
    """Independent draws."""

    kind: Literal["random"]


class QmcSampler(Model):
    """Scrambled Sobol points: random draws that cover the space more evenly."""

    kind: Literal["qmc"]


class CmaesSampler(Model):
    """Covariance matrix adaptation (Hansen 2016) over the numbers that every trial has; the rest is drawn at random."""

    kind: Literal["cmaes"]
    startup_trials: Count = 1
    population: Annotated[int, Field(ge=5)] | None = None


class GpSampler(Model):
    """Gaussian process with Matern kernel and expected improvement on the logarithm, over what every trial has.

    The rest is drawn at random. Needs the extra `gp`.
    """

    kind: Literal["gp"]
    startup_trials: Count = 10


class GridSampler(Model):
    """Every configuration once, in an order drawn from the seed; ranges of real numbers are cut into `points` values."""

    kind: Literal["grid"]
    points: Annotated[int, Field(ge=2)] | None = None


class BruteForceSampler(Model):
    """Every configuration once, drawn at random among those left."""

    kind: Literal["brute_force"]


class Nsga2Sampler(Model):
    """The genetic algorithm NSGA-II (Deb et al. 2002); the first `population` trials are random."""

    kind: Literal["nsga2"]
    population: Annotated[int, Field(ge=2)] = 16


class KtRandomSampler(Model):
    """Keras Tuner's random search."""

    kind: Literal["kt_random"]


class KtBayesianSampler(Model):
    """Keras Tuner's Gaussian process with a lower confidence bound; the first `startup_trials` complete ones are random."""

    kind: Literal["kt_bayesian"]
    startup_trials: Count = 10


class KtGridSampler(Model):
    """Keras Tuner's grid, in its own order: the seed changes nothing. Ranges of real numbers are cut into `points` values."""

    kind: Literal["kt_grid"]
    points: Annotated[int, Field(ge=2)] | None = None


class KtHyperbandSampler(Model):
    """Keras Tuner's Hyperband (Li et al. 2018): many short trials, of which the best go on, each `round` `factor` times as long.

    `max_epochs`: the most that a trial is trained in all (null: the greatest `epochs` of the space, which are not searched).
    `iterations`: how often all brackets are gone through.
    """

    kind: Literal["kt_hyperband"]
    max_epochs: Count | None = None
    factor: Annotated[int, Field(ge=2)] = 3
    iterations: Count = 1


SamplerConfig = Annotated[
    TpeSampler
    | RandomSampler
    | QmcSampler
    | CmaesSampler
    | GpSampler
    | GridSampler
    | BruteForceSampler
    | Nsga2Sampler
    | KtRandomSampler
    | KtBayesianSampler
    | KtGridSampler
    | KtHyperbandSampler,
    Field(discriminator="kind"),
]


def sampler_problems(sampler: SamplerConfig, space: SpaceConfig, n_trials: int, enqueued: int) -> list[str]:
    """What keeps a sampler from searching a space beside so many enqueued configurations, a line each."""
    if space.function is not None:
        return list(_function_problems(sampler))
    if isinstance(sampler, KtHyperbandSampler):
        asking = [name for name, one in space.parameters.items() if one.when is not None and one.when.parameter == "epochs"]
        return [
            f"sampler=kt_hyperband: whether there is {name} depends on epochs, and it trains a configuration for more and more; "
            "let it depend on something else"
            for name in asking
        ]
    if not isinstance(sampler, GridSampler | KtGridSampler | BruteForceSampler):
        return []
    points = getattr(sampler, "points", None)
    ranges = [name for name, one in space.parameters.items() if isinstance(one, FloatRange) and one.low < one.high]
    if ranges and points is None:
        remedy = "give them choices" if sampler.kind == "brute_force" else "set sampler.points, or give them choices"
        return [f"sampler={sampler.kind}: {', '.join(ranges)} can take any real number; {remedy}"]
    if sampler.kind == "brute_force":
        return [
            f"sampler=brute_force: {name} is a range of one real number; set space.parameters.{name}={one.low}"
            for name, one in space.parameters.items()
            if isinstance(one, FloatRange)
        ]
    size = sum(1 for _ in islice(configurations(space, points), LARGEST_GRID + 1))
    # Of what is enqueued, numbers need not be the grid's.
    more = enqueued if ranges else 0
    if size > LARGEST_GRID or size + more > n_trials:
        beside = f" beside {more} enqueued" if more else ""
        counted, advice = f"{size:,}{beside}", f"set n_trials={size + more}, or "
        if size > LARGEST_GRID:
            counted, advice = f"more than {LARGEST_GRID:,}", ""
        wide = [name for name, one in space.parameters.items() if isinstance(one, IntRange) and len(one.grid()) > 10]
        hint = f" ({', '.join(wide)}: give choices, or a step and log=false)" if wide else ""
        problem = f"the grid has {counted} configurations, but n_trials={n_trials}"
        return [f"sampler={sampler.kind}: {problem}; {advice}narrow it{hint}"]
    return []


def _function_problems(sampler: SamplerConfig) -> Iterator[str]:
    known = "tpe, random, qmc, cmaes, gp, nsga2, brute_force, kt_random or kt_bayesian"
    if isinstance(sampler, GridSampler | KtGridSampler):
        yield f"sampler={sampler.kind}: needs a space that can be listed before anything is drawn, not a function; take {known}"
    if isinstance(sampler, KtHyperbandSampler):
        yield f"sampler={sampler.kind}: decides on the epochs itself, which is a function's here; take {known}"


def lacking_for_gp() -> list[str]:
    """The packages that `gp` needs and that are not installed."""
    return [name for name in GP_PACKAGES if find_spec(name) is None]


def missing_package(sampler: SamplerConfig) -> str | None:
    """Say what has to be installed for a sampler, if anything."""
    if sampler.kind == "gp" and (lacking := lacking_for_gp()):
        which = f"{' and '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not installed"
        return f"sampler=gp: needs {which}; pip install 'regsweep[gp]', or take sampler=tpe"
    return None
