"""Ctrl-C, SIGTERM, a closed terminal, a reader that goes away: the study ends or goes on as it should, and nothing is lost."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from regsweep.book import RecordBook
from regsweep.config import compose
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study
from tests.conftest import TINY, run_cli
from tests.helpers import Silent, group_ends

STUDY = (*TINY, "n_trials=6", "parallel_trials=2", "baselines=none")
KEPT = "what was told is kept: the same command goes on from there"
Rows = list[tuple[int, dict[str, object], float | None]]


def rows(workspace: Path) -> Rows:
    """(number, hyperparameters, objective) of every trial on record."""
    (place,) = (workspace / "records").iterdir()
    return [(record.number, dict(record.params), record.objective) for record in RecordBook(place).trials()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Rows:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / empty_store.name).write_bytes(empty_store.read_bytes())
    run_study(gather(compose(STUDY)[0]), Workspace(folder), Silent(), bare=True)
    return rows(folder)


def environment(failpoints: str = "") -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW", "REGSWEEP"))}
    return {**clean, "REGSWEEP_FAILPOINTS": failpoints}


@contextmanager
def started(folder: Path, *overrides: str, failpoints: str, terminal: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A study in a session of its own, as a shell would start it; with a `terminal` it is that session's."""

    def become_foreground() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    output = subprocess.PIPE if terminal is None else terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "regsweep.cli", "run", *STUDY, *overrides],
        cwd=folder,
        env=environment(failpoints),
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
        preexec_fn=become_foreground,  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for_trial(folder: Path, number: int) -> None:
    """Wait until a trial is on record, and a moment more, for the failpoint behind it."""
    deadline = time.monotonic() + 120
    while not list(folder.glob(f"mlruns/records/*/trial-{number:05d}")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)


def assert_ended(process: subprocess.Popen[str], code: int, word: str) -> None:
    _, printed = process.communicate(timeout=60)
    assert process.returncode == code, printed
    assert printed.splitlines() == [f"regsweep: {word}; {KEPT}"]
    # multiprocessing's helpers follow their parent a moment later.
    assert group_ends(process.pid, 30)


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_study_stopped_in_every_way_ends_like_an_undisturbed_one(tmp_path: Path, undisturbed: Rows) -> None:
    with started(tmp_path, failpoints="search/told:1=hang") as process:
        wait_for_trial(tmp_path, 1)
        # As a terminal does: to everyone in the foreground.
        os.killpg(process.pid, signal.SIGINT)
        assert_ended(process, 130, "interrupted")

    with started(tmp_path, failpoints="search/told:3=hang") as process:
        wait_for_trial(tmp_path, 3)
        # As `timeout` does: to the process, and to its group.
        process.terminate()
        os.killpg(process.pid, signal.SIGTERM)
        assert_ended(process, 143, "terminated")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (study,) = client.search_runs(experiments, "tags.`regsweep.kind` = 'study'")
    assert study.info.status == "KILLED"

    master, terminal = os.openpty()
    with started(tmp_path, failpoints="search/told:4=hang", terminal=terminal) as process:
        os.close(terminal)
        wait_for_trial(tmp_path, 4)
        # The kernel hangs up.
        os.close(master)
        assert process.wait(timeout=60) == 129
        assert group_ends(process.pid, 30)
    assert len(rows(tmp_path / "mlruns")) < len(undisturbed)
    run_study(gather(compose(STUDY)[0]), Workspace(tmp_path / "mlruns"), Silent(), bare=True)
    assert rows(tmp_path / "mlruns") == undisturbed


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_reader_that_goes_away_stops_nothing(tmp_path: Path, undisturbed: Rows) -> None:
    # After the first line, long before the study's end.
    pipeline = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", pipeline, "bash", sys.executable, "-m", "regsweep.cli", "run", *STUDY],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert rows(tmp_path / "mlruns") == undisturbed

    shown = subprocess.run(
        ["bash", "-c", pipeline, "bash", sys.executable, "-m", "regsweep.cli", "compare"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.parametrize(
    "overrides", [(), pytest.param(("executor=processes",), marks=pytest.mark.slow)], ids=["inline", "processes"]
)
@pytest.mark.usefixtures("workspace")
def test_a_second_ctrl_c_waits_for_nobody_and_loses_nothing(
    tmp_path: Path, undisturbed: Rows, overrides: tuple[str, ...]
) -> None:
    # The recorder hangs, so the first one would wait ten seconds for it.
    with started(tmp_path, *overrides, failpoints="search/told:3=hang,mlflow/recording:0=hang") as process:
        wait_for_trial(tmp_path, 3)
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert time.monotonic() - begun < 10
        assert_ended(process, 130, "interrupted")
    run_cli("run", *STUDY, *overrides, cwd=tmp_path)
    assert rows(tmp_path / "mlruns") == undisturbed


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_terminal_that_goes_without_a_signal_does_not_stop_the_study(tmp_path: Path, undisturbed: Rows) -> None:
    master, terminal = os.openpty()
    # Not the session's terminal, so nobody is told when it goes; writing to it is an input/output error from then on.
    process = subprocess.Popen(
        [sys.executable, "-m", "regsweep.cli", "run", *STUDY],
        cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    os.read(master, 1)
    os.close(master)
    assert process.wait(timeout=120) == 0
    assert rows(tmp_path / "mlruns") == undisturbed
    assert group_ends(process.pid, 30)


SWALLOWED = """
import os, signal, time
from regsweep import cli
def work():
    cli._signals.listen()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    except BaseException:
        pass
    time.sleep(60)
raise SystemExit(cli._guarded(work))
"""


IGNORED = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from regsweep import cli
cli._signals.listen()
os.kill(os.getpid(), signal.SIGHUP)
print("goes on")
"""


def test_what_nohup_ignores_stays_ignored() -> None:
    done = subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def test_a_signal_that_a_library_swallows_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (143, "regsweep: terminated\n")
