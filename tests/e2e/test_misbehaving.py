"""Trainings that raise, crash, hang, eat memory or diverge: that trial has failed with its cause, nothing else has changed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from regsweep.book import RecordBook, read_champion
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study
from regsweep.trial import State, trial_seed
from tests.helpers import Silent, group_ends

SEED = 3
# All trials have one form, so they share stacks.
SIX = (
    "n_trials=6", f"seed={SEED}", "parallel_trials=4", "sampler=random", "baselines=none", "bootstrap_resamples=200",
    "space.parameters.depth=1", "space.parameters.width=16", "space.parameters.activation=relu",
    "space.parameters.batch_size=32", "space.parameters.epochs=4",
)  # fmt: skip
# Longer than any of these trainings takes on a machine that is busy.
LIMITS = ("executor.trial_seconds=30", "executor.memory_gb=1.5")
HANGING = "executor.trial_seconds=10"


@dataclass(frozen=True)
class Ended:
    """What a study left: number -> objective, number -> cause, the champion's number, what was said."""

    objectives: dict[int, float | None]
    causes: dict[int, str]
    champion: int
    printed: str


def ended(workspace: Path, printed: str = "") -> Ended:
    (place,) = (workspace / "records").iterdir()
    trials = list(RecordBook(place).trials())
    return Ended(
        {trial.number: trial.objective for trial in trials},
        {trial.number: str(trial.result.cause) for trial in trials if trial.result.state is State.FAILED},
        read_champion(RecordBook(place))["trial"],
        printed,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The study without a failpoint."""
    folder = tmp_path_factory.mktemp("whole")
    run_study(gather(compose([*SIX, "executor=inline"])[0]), Workspace(folder), Silent(), bare=True)
    return ended(folder)


def run(folder: Path, failpoints: str, *overrides: str, code: int = 0) -> str:
    """Run the study in processes of its own under failpoints; no process may be left of it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW", "REGSWEEP"))}
    running = subprocess.Popen(
        [sys.executable, "-m", "regsweep.cli", "run", *SIX, *LIMITS, *overrides],
        cwd=folder, env={**clean, "REGSWEEP_FAILPOINTS": failpoints}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    printed, _ = running.communicate(timeout=300)
    assert running.returncode == code, printed
    assert "Traceback" not in printed
    assert group_ends(running.pid, 30)
    return printed


def at(number: int, action: str) -> str:
    return f"train/fit:{trial_seed(SEED, number)}#*={action}"


@pytest.mark.parametrize(
    ("action", "cause"),
    [
        ("crash", "its training took the process down, alone too (SIGSEGV)"),
        pytest.param("hang", f"took longer than {HANGING}", marks=pytest.mark.slow),
        pytest.param("eat", "took more than executor.memory_gb=1.5, ", marks=pytest.mark.slow),
        pytest.param("exit", "its training took the process down, alone too (exit code 1)", marks=pytest.mark.slow),
        pytest.param("kill", "its training took the process down, alone too (SIGKILL)", marks=pytest.mark.slow),
        pytest.param("raise", "RuntimeError: asked to fail", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_a_misbehaving_trial_fails_alone(tmp_path: Path, whole: Ended, action: str, cause: str) -> None:
    best = whole.champion
    assert best < 4, "it has mates"
    after = ended(tmp_path / "mlruns", run(tmp_path, at(best, action), *([HANGING] if action == "hang" else [])))
    assert list(after.causes) == [best]
    assert after.causes[best].startswith(cause)
    assert after.objectives == {**whole.objectives, best: None}
    assert after.champion == min((number for number in range(6) if number != best), key=lambda n: whole.objectives[n] or 0.0)


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_third_of_the_trials_may_fail(tmp_path: Path, whole: Ended) -> None:
    after = ended(tmp_path / "mlruns", run(tmp_path, f"{at(1, 'eat')},{at(4, 'hang')}", HANGING))
    assert sorted(after.causes) == [1, 4]
    assert re.fullmatch(r"took more than executor\.memory_gb=1\.5, \d\.\d GB", after.causes[1])
    assert after.causes[4] == f"took longer than {HANGING}"
    assert after.objectives == {**whole.objectives, 1: None, 4: None}


@pytest.mark.usefixtures("workspace")
def test_when_all_fail_the_study_stops_with_a_table_of_causes(tmp_path: Path) -> None:
    asked = ",".join([at(0, "exit"), *(at(number, "raise") for number in range(1, 6))])
    printed = run(tmp_path, asked, "max_failures=4", code=5)
    (first, *causes) = [line for line in printed.splitlines() if line.startswith("regsweep: ")]
    assert first.startswith("regsweep: 4 trials failed (max_failures=4)")
    assert causes == [
        "regsweep: 3 x RuntimeError: asked to fail",
        "regsweep: 1 x its training took the process down, alone too (exit code 1)",
    ]


@pytest.mark.parametrize("trainer", ["stacked", pytest.param("keras_fit", marks=pytest.mark.slow)])
def test_a_diverging_trial_is_never_best(workspace: Path, trainer: str) -> None:
    overrides = ("space.parameters.optimizer=sgd", "space.parameters.learning_rate.high=1e12", "space.parameters.epochs=12")
    config = compose([*SIX, *overrides, "seed=0", "n_trials=3", "executor=inline", f"trainer={trainer}"])[0]
    outcome = run_study(gather(config), Workspace(workspace), Silent(), bare=True)
    trials = {trial.number: trial for trial in outcome.book.trials()}
    diverged = {number for number, trial in trials.items() if float(trial.params["learning_rate"]) > 100}
    assert 0 < len(diverged) < 3
    for number in diverged:
        assert trials[number].result.state is State.FAILED
        assert str(trials[number].result.cause).startswith("diverged: ")
        assert trials[number].objective is None
    assert outcome.judgement.trial.number not in diverged


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_ctrl_c_of_the_whole_group_while_workers_start_ends_with_one_line(tmp_path: Path, seconds: float) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "regsweep.cli", "run", *SIX], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("mlruns/records/*/study.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    _, printed = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in printed
    assert printed.strip() == "regsweep: interrupted; what was told is kept: the same command goes on from there"
    assert group_ends(running.pid, 30)
