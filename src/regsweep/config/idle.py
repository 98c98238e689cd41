"""Settings that would have no effect beside others, or not theirs: refused where a config is composed, left alone in records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from regsweep.config.hyperband import hyperband_problems
from regsweep.config.pruner import HyperbandPruner, NoPruner, PatiencePruner, SuccessiveHalvingPruner, WilcoxonPruner
from regsweep.config.schema import StudyConfig
from regsweep.config.space import greatest

# By what a pruner's first look is set. Numbers below are what conf/ ships: its options have to pass.
_LOOKS: Final = {
    **dict.fromkeys(("median", "percentile"), "pruner.interval and pruner.warmup_epochs"),
    **dict.fromkeys(("successive_halving", "hyperband"), "pruner.min_epochs"),
    "patience": "pruner.interval and pruner.patience",
}


def idle_settings(config: StudyConfig) -> list[str]:
    """Say what is set without effect, and what it takes to have one, a line each."""
    problems = [*_idle_of_champion(config), *_idle_of_pruner(config)]
    if config.executor.kind == "inline":
        problems += [
            f"executor.{name}: has no effect in the study's own process; add executor=processes, or set executor.{name}=null"
            for name in ("workers", "trial_seconds", "memory_gb")
            if getattr(config.executor, name) is not None
        ]
    if config.enqueue_best_of is None and config.enqueue_top != 5:
        problems.append("enqueue_top: is about another study; name it with enqueue_best_of=STUDY, or set enqueue_top=5")
    if not config.insight.ablation and config.insight.ablation_seconds != 10:
        problems.append("insight.ablation_seconds: there is no ablation; set insight.ablation=true, or the seconds to 10")
    return problems + hyperband_problems(config.sampler, config.space, config.n_trials, len(config.enqueue))


def _idle_of_champion(config: StudyConfig) -> Iterator[str]:
    champion = config.champion
    if champion.kind == "ensemble":
        others, why = "bag or champion=refit", "says which trial leads, but an ensemble weighs them by itself"
        plain = {
            "rule": ("best", champion.rule),
            "finalists.top": (0, champion.finalists.top if champion.finalists.top > 1 else 0),
        }
    else:
        others, why = "ensemble", f"is about an ensemble, but champion.kind is {champion.kind}"
        plain = {"trials": (20, champion.trials), "rounds": (30, champion.rounds)}
    for name, (shipped, value) in plain.items():
        if value != shipped:
            yield f"champion.{name}: {why}; add champion={others}, or set champion.{name}={shipped}"
    if champion.finalists.top < 2 and champion.finalists.seeds != 5:
        yield "champion.finalists.seeds: there are no finalists; set champion.finalists.top=5, or the seeds to 5"
    if champion.kind != "ensemble" and champion.rule != "best" and champion.finalists.top > 1:
        yield (
            "champion.rule: which of the finalists leads is said by the mean over their seeds; set champion.rule=best, or "
            "champion.finalists.top=0"
        )
    if champion.kind != "ensemble" and champion.rule != "best" and config.split.kind not in ("kfold", "auto"):
        yield (
            f"champion.rule: one_standard_error is taken over folds, and split={config.split.kind} has one; add split=kfold, or "
            "set champion.rule=best"
        )


def _idle_of_pruner(config: StudyConfig) -> Iterator[str]:
    pruner = config.pruner
    if isinstance(pruner, PatiencePruner) and isinstance(pruner.wraps, SuccessiveHalvingPruner | HyperbandPruner):
        yield (
            f"pruner.wraps: {pruner.wraps.kind} compares trials at its rungs, and patience asks it too late for that; "
            "wrap median or percentile"
        )
    # What a function draws is not known here.
    if isinstance(pruner, NoPruner | WilcoxonPruner) or config.space.function is not None:
        return
    if (first := pruner.first_look) >= (longest := int(greatest(config.space, "epochs"))):
        yield (
            f"pruner: {pruner.kind} stops nothing before {first} epochs are over, and no trial has more than {longest}; set less "
            f"of {_LOOKS[pruner.kind]}, longer trials by space.parameters.epochs, or pruner=none"
        )
