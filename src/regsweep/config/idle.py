"""Settings that would have no effect beside others, or not theirs: refused where a config is composed, left alone in records."""

from __future__ import annotations

from regsweep.config.hyperband import hyperband_problems
from regsweep.config.pruner import HyperbandPruner, PatiencePruner, SuccessiveHalvingPruner
from regsweep.config.schema import StudyConfig


def idle_settings(config: StudyConfig) -> list[str]:
    """Say what is set without effect, and what it takes to have one, a line each."""
    champion, executor, problems = config.champion, config.executor, []
    if champion.kind == "ensemble":
        idle = {"rule": ("best", champion.rule != "best"), "finalists.top": ("0", champion.finalists.top > 1)}
        problems += [
            f"champion.{name}: says which trial leads, but an ensemble weighs them by itself; add champion=bag or "
            f"champion=refit, or set champion.{name}={plain}"
            for name, (plain, is_set) in idle.items()
            if is_set
        ]
    if executor.kind == "inline":
        problems += [
            f"executor.{name}: has no effect in the study's own process; add executor=processes, or set executor.{name}=null"
            for name in ("workers", "trial_seconds", "memory_gb")
            if getattr(executor, name) is not None
        ]
    problems += hyperband_problems(config.sampler, config.space, config.n_trials, len(config.enqueue))
    if isinstance(pruner := config.pruner, PatiencePruner) and isinstance(
        pruner.wraps, SuccessiveHalvingPruner | HyperbandPruner
    ):
        problems.append(
            f"pruner.wraps: {pruner.wraps.kind} compares trials at its rungs, and patience asks it too late for that; "
            "wrap median or percentile"
        )
    return problems
