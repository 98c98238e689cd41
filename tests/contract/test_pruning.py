"""Every pruner decides as it would in Optuna's own loop, and compares a trial with trials that were fixed beforehand."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from regsweep.config import StudyConfig, compose
from regsweep.errors import ConfigError
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.search.pruning import reports_of
from regsweep.trial import CURVES, Array64, FoldResult, Network, State, TrialResult, TrialSpec
from tests.helpers import spec

EPOCHS, FOLDS, TRIALS = 60, 5, 40
FAILING = (3, 11, 12)
# Made by hand, beside what `make_pruner` makes of the configs.
THEIRS: dict[str, tuple[Callable[[], optuna.pruners.BasePruner], int]] = {
    "median": (lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=5), 5),
    "percentile": (lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=4, n_warmup_steps=5), 5),
    "successive_halving": (lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=5, reduction_factor=3), 5),
    "hyperband": (lambda: optuna.pruners.HyperbandPruner(min_resource=5, max_resource=60, reduction_factor=3), 5),
    "patience": (lambda: optuna.pruners.PatientPruner(None, patience=3), 5),
    "patient_median": (lambda: optuna.pruners.PatientPruner(THEIRS["median"][0](), patience=3), 5),
    "wilcoxon": (lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.1), 0),
}


def config(pruner: str, *overrides: str) -> StudyConfig:
    split = ("split=kfold", f"split.folds={FOLDS}")
    return compose([f"pruner={pruner}", "sampler=random", f"space.parameters.epochs={EPOCHS}", *split, *overrides])[0]


def curves_of(number: int, column: str) -> list[Array64]:
    """Made-up curves of the folds of a trial: they fall (R² rises), some rise again, some cross, folds differ."""
    rng = np.random.default_rng([number, 7])
    level, speed, late = rng.uniform(1, 3), rng.uniform(3, 40), rng.uniform(0, 4) * (number % 2)
    folds = []
    for _ in range(FOLDS):
        error = level + rng.normal(0, 0.2) + 5 * np.exp(-np.arange(EPOCHS) / speed)
        error += late * np.arange(EPOCHS) / EPOCHS + 0.05 * rng.normal(size=EPOCHS)
        curves = np.ones((EPOCHS, len(CURVES)))
        curves[:, CURVES.index(column)] = 1 - error / 10 if column.endswith("r2") else error
        folds.append(curves)
    return folds


def in_optuna(pruner: str, objective: str) -> list[Any]:
    """The study in `Study.optimize`: every trial reports and asks as Optuna's documentation has it."""
    made, every = THEIRS[pruner]
    column = CURVES.index(objective)

    def train(trial: optuna.Trial) -> float:
        if trial.number in FAILING:
            raise ValueError("fails")
        folds = [curves[:, column] for curves in curves_of(trial.number, objective)]
        if pruner == "wilcoxon":
            for fold, curve in enumerate(folds):
                trial.report(curve[-1], fold)
                if fold == 3 and trial.should_prune():
                    raise optuna.TrialPruned
            return float(np.mean([curve[-1] for curve in folds]))
        for epochs in range(every, EPOCHS + 1, every):
            trial.report(np.mean([curve[epochs - 1] for curve in folds]), epochs)
            if epochs < EPOCHS and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean([curve[-1] for curve in folds]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruning = made()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Hyperband draws brackets from the study's name.
    direction = "maximize" if objective.endswith("r2") else "minimize"
    study = optuna.create_study(study_name="regsweep", direction=direction, pruner=pruning)
    study.optimize(train, n_trials=TRIALS, catch=(ValueError,))
    return [facts(trial) for trial in study.trials]


def facts(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    marks = {key: value for key, value in trial.system_attrs.items() if key.startswith("completed_rung")}
    return trial.state.name, trial.value, trial.intermediate_values, marks


def trained(spec: TrialSpec, folds: Sequence[Array64], state: State) -> TrialResult:
    network = Network((), ())
    parts = () if state is State.FAILED else tuple(FoldResult(curves, network, len(curves) - 1) for curves in folds)
    return TrialResult(spec, state, parts, 0.0, "made up", None)


def outcome_under(rule: Any, spec: TrialSpec, folds: Sequence[Array64]) -> TrialResult:
    """What the trainers do, see their contract."""
    if rule.every is None:
        waves = rule.waves(len(folds))
        for wave in waves[:-1]:
            if rule(spec, folds[: wave.stop]):
                return trained(spec, folds[: wave.stop], State.PRUNED)
    else:
        for epochs in range(rule.every, EPOCHS, rule.every):
            if rule(spec, [curves[:epochs] for curves in folds]):
                return trained(spec, [curves[:epochs] for curves in folds], State.PRUNED)
    return trained(spec, folds, State.COMPLETE)


def in_ours(folder: Path, study: StudyConfig, stop_after: int | None = None, copies: bool = False) -> Search:
    """The study through the search, up to so many tells."""
    search, told = Search(Workspace(folder), "s", study), 0
    while batch := search.next_batch(TRIALS, 12):
        specs = {proposal.number: spec(seed=proposal.number, epochs=EPOCHS) for proposal in batch}
        rule = search.rule(specs)
        results = {}
        for number, one in reversed(specs.items()):
            asked = pickle.loads(pickle.dumps(rule)) if copies else rule
            folds = curves_of(number, study.objective)
            results[number] = trained(one, (), State.FAILED) if number in FAILING else outcome_under(asked, one, folds)
            if copies and number not in FAILING:
                # As a worker asks that halves a stack and trains it anew.
                again = outcome_under(asked, one, folds)
                assert (again.state, reports_of(study, again)) == (results[number].state, reports_of(study, results[number]))
        for number, result in sorted(results.items()):
            if told == stop_after:
                return search
            value = result.final[study.objective] if result.state is State.COMPLETE else None
            search.tell(number, result.state, value, reports=reports_of(study, result))
            told += 1
    return search


def kept(folder: Path) -> list[tuple[Any, ...]]:
    """What the database says, by number."""
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/optuna.db")
    return [facts(trial) for trial in study.get_trials()]


# Which way is better, some pruners are told in every test run.
OTHER_WAY = ("median", "successive_halving")


@pytest.mark.parametrize(
    ("pruner", "objective"),
    [
        *((pruner, "val/mse") for pruner in THEIRS),
        *(pytest.param(name, "val/r2", marks=() if name in OTHER_WAY else pytest.mark.slow) for name in THEIRS),
    ],
)
def test_a_pruner_decides_as_in_optunas_own_loop(tmp_path: Path, pruner: str, objective: str) -> None:
    in_ours(tmp_path, config(pruner, f"objective={objective}", "parallel_trials=1", "pruner.lag=0"))
    expected = in_optuna(pruner, objective)
    states = [state for state, *_ in expected]
    assert states.count("FAIL") == len(FAILING)
    assert 0 < states.count("PRUNED") < 36
    for number, (mine, theirs) in enumerate(zip(kept(tmp_path), expected, strict=True)):
        # A failed trial has no curve to us.
        assert mine == (theirs if theirs[0] != "FAIL" else ("FAIL", None, {}, {})), number


@pytest.mark.parametrize("sampler", [pytest.param("random", marks=pytest.mark.slow), "tpe"])
@pytest.mark.parametrize("pruner", ["median", "hyperband", "wilcoxon"])
@pytest.mark.parametrize("cut", [pytest.param(5, marks=pytest.mark.slow), 16, pytest.param(18, marks=pytest.mark.slow)])
def test_an_interrupted_study_prunes_as_if_it_had_not_been(tmp_path: Path, sampler: str, pruner: str, cut: int) -> None:
    study = config(pruner, f"sampler={sampler}")
    in_ours(tmp_path / "whole", study)
    in_ours(tmp_path / "cut", study, stop_after=cut)
    assert len(kept(tmp_path / "cut")) == cut
    in_ours(tmp_path / "cut", study)
    assert kept(tmp_path / "cut") == kept(tmp_path / "whole")


@pytest.mark.parametrize("pruner", [pytest.param("patient_median", marks=pytest.mark.slow), "hyperband"])
def test_a_rule_that_is_sent_and_asked_from_the_start_again_decides_the_same(tmp_path: Path, pruner: str) -> None:
    in_ours(tmp_path / "one", config(pruner))
    in_ours(tmp_path / "two", config(pruner), copies=True)
    assert kept(tmp_path / "one") == kept(tmp_path / "two")


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband", "wilcoxon"])
def test_a_restored_database_has_reports_and_the_pruners_marks_again(tmp_path: Path, pruner: str) -> None:
    search = in_ours(tmp_path, config(pruner))
    before = kept(tmp_path)
    assert any(marks for *_, marks in before) == (pruner in ("successive_halving", "hyperband"))
    search.restore(search.told())
    assert kept(tmp_path) == before


def test_a_batch_waits_until_the_trials_are_told_that_it_is_compared_with(tmp_path: Path) -> None:
    study = config("median", "parallel_trials=3", "pruner.lag=2")
    search = Search(Workspace(tmp_path), "s", study)

    def asked() -> list[int]:
        return [proposal.number for proposal in search.next_batch(40, 96)]

    # Batches are compared with what was told two batches before them: three are in training at a time.
    assert asked() == list(range(9))
    assert asked() == []
    for number in range(2):
        search.tell(number, State.COMPLETE, 1.0)
    assert asked() == []
    search.tell(2, State.COMPLETE, 1.0)
    assert asked() == [9, 10, 11]
    rule = search.rule({number: spec(seed=number) for number in (7, 9, 11)})
    assert rule is not None
    assert sorted((one.number, one.bound) for one in rule.asked.values()) == [(7, 0), (9, 3), (11, 3)]
    assert len(rule.seen) == 3


def test_a_batch_that_is_proposed_after_all_earlier_ones_is_compared_with_all(tmp_path: Path) -> None:
    search = Search(Workspace(tmp_path), "s", config("median", "sampler=tpe", "parallel_trials=3"))
    bounds = {}
    while batch := search.next_batch(18, 3):
        rule = search.rule({proposal.number: spec(seed=proposal.number) for proposal in batch})
        assert rule is not None
        bounds |= {one.number: one.bound for one in rule.asked.values()}
        for proposal in batch:
            search.tell(proposal.number, State.COMPLETE, 1.0 + proposal.number)
    # Ten trials are TPE's random start.
    assert [bounds[start] for start in range(0, 18, 3)] == [0, 0, 3, 6, 12, 15]


def test_without_a_pruner_there_is_no_rule_and_nothing_is_reported(tmp_path: Path) -> None:
    search = Search(Workspace(tmp_path), "s", config("none"))
    (proposal,) = search.next_batch(1)
    assert search.rule({proposal.number: spec()}) is None
    assert reports_of(config("none"), trained(spec(), curves_of(0, "val/mse"), State.COMPLETE)) == {}


def test_wilcoxon_without_enough_folds_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"wilcoxon compares ended folds and needs 5 .*split.folds=5.*got split=auto"):
        compose(["pruner=wilcoxon"])
    with pytest.raises(ConfigError, match=r"needs 5 at p_threshold=0\.1"):
        compose(["pruner=wilcoxon", "split=kfold", "split.folds=4"])
    # 2^-5 is below 0.05: five folds can be significant, and a sixth one be saved.
    with pytest.raises(ConfigError, match=r"needs 6 at p_threshold=0\.05"):
        compose(["pruner=wilcoxon", "split=kfold", "split.folds=5", "pruner.p_threshold=0.05"])


def test_patience_is_counted_in_whole_intervals() -> None:
    with pytest.raises(ConfigError, match="patience must be a multiple of interval=5, but got 7"):
        compose(["pruner=patience", "pruner.patience=7"])
    with pytest.raises(ConfigError, match="interval=5 and lag=1, but got 3 and 1"):
        compose(["pruner=patient_median", "pruner.wraps.interval=3"])


def test_a_worker_that_prunes_says_nothing_of_optunas(tmp_path: Path) -> None:
    program = "import optuna, regsweep.search.pruning; optuna.create_study()"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_patience_wraps_no_pruner_that_compares_at_rungs() -> None:
    with pytest.raises(ConfigError, match="successive_halving compares trials at its rungs, and patience asks it too late"):
        compose(["pruner=patience", "pruner.wraps={kind: successive_halving, min_epochs: 5}"])


def test_the_three_modes_of_epochs() -> None:
    searched, budget, stopping = (compose([f"epochs={mode}"])[0] for mode in ("hyperparameter", "budget", "early_stopping"))
    assert searched == compose([])[0]
    assert (budget.space.parameters["epochs"].values(), budget.pruner.kind == "none") == ((60,), False)
    assert (stopping.trainer.patience, stopping.trainer.keep, stopping.pruner.kind) == (20, "best", "none")
    longer = compose(["epochs=budget", "pruner=hyperband", "space.parameters.epochs=81"])[0]
    assert (longer.space.parameters["epochs"].values(), longer.pruner.kind) == ((81,), "hyperband")
