"""Commands, exit codes and messages, as far as no study is needed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY, run_cli
from tests.helpers import of_group


def test_help_and_config_errors_import_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (
        ["--help"],
        ["run", "--help"],
        ["run", "n_trails=3"],
        ["run", "--cfg", "job"],
        ["verdict", "--splits", "1"],
    ):
        program = (
            "import sys; from regsweep.cli import main; sys.argv[1:] = " + repr(arguments) + "\n"
            "try: main()\nexcept SystemExit: pass\n"
            "heavy = {'tensorflow', 'keras', 'mlflow', 'optuna', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, capture_output=True)


def test_cfg_prints_the_composed_config_and_writes_nothing(tmp_path: Path) -> None:
    printed = run_cli("run", "dataset=economics", "sampler=random", "n_trials=200", "seed=1", "--cfg", "job", cwd=tmp_path).stdout
    config = yaml.safe_load(printed)
    assert (config["dataset"]["name"], config["sampler"]["kind"], config["n_trials"], config["seed"]) == (
        "economics",
        "random",
        200,
        1,
    )
    assert not list(tmp_path.iterdir())
    several = run_cli("run", "-m", "seed=1,2", "--cfg", "job", cwd=tmp_path).stdout
    assert [one["seed"] for one in yaml.safe_load_all(several)] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "n_trails=3", "seed=-1"], 2, "n_trails: there is no such key (did you mean n_trials?)"),
        (["run", "dataset=csv", "dataset.path=none.csv", "dataset.target=y"], 3, "none.csv: no such file"),
        (["run", "space.parameters.batch_size=100000", "n_trials=1"], 2, "goes up to 100000, but there are 282 training rows"),
        (["run", "split=group"], 2, "set dataset.group"),
        (
            ["verdict", "--splits", "1"],
            2,
            "--splits: at least 2 are needed, but got 1: the interval is made of how much splits differ",
        ),
        (["compare"], 2, "there are no studies here; run one first"),
        (["ui"], 2, "there are no runs here; run a study first"),
        (["reproduce", "champion"], 2, "there are no runs here; run a study first"),
        (["launch"], 2, "No such command 'launch'"),
        (["compare", "--trials", "-1"], 2, "Invalid value for '--trials'"),
    ],
)
def test_a_mistake_costs_a_message_and_an_exit_code(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    done = run_cli(*arguments, cwd=tmp_path, code=code)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "nothing is written before input has been checked"


def test_a_message_is_the_end_of_what_was_loading_beside(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", "dataset=csv", "dataset.path=none.csv", "dataset.target=y"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    assert running.wait() == 3
    for process in of_group(running.pid):
        # What only notes that its parent has ended may end right now.
        with suppress(FileNotFoundError, ProcessLookupError):
            assert b"forkserver" not in Path(f"/proc/{process}/cmdline").read_bytes()


def test_debug_shows_the_traceback_and_leaves_the_exit_code(tmp_path: Path) -> None:
    assert "Traceback" in run_cli("--debug", "run", "seed=-1", cwd=tmp_path, code=2).stderr


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = run_cli("run", "n_trials=1", "tracking.dir=taken", cwd=tmp_path, code=4)
    assert "taken/records/" in done.stderr
    assert "can't be written" in done.stderr


@pytest.mark.slow
def test_too_many_failures_stop_the_study_with_their_causes(tmp_path: Path) -> None:
    diverging = ("space.parameters.learning_rate=1e8", "space.parameters.optimizer=sgd", "space.parameters.epochs=20")
    done = run_cli("run", *diverging, "n_trials=8", "max_failures=4", "executor=inline", "baselines=none", cwd=tmp_path, code=5)
    assert "4 trials failed (max_failures=4); narrow the space or raise max_failures" in done.stderr
    assert " x diverged: " in done.stderr


def test_workers_start_where_nobody_takes_messages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "regsweep.cli", "run", *TINY, "executor=processes", "executor.workers=1", "baselines=none"]
    done = subprocess.run(["bash", "-c", 'exec "$@" 2>&-', "bash", *command], cwd=tmp_path, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert b"trained" in done.stdout or b"trial" in done.stdout


def test_the_readme_shows_commands_that_exist() -> None:
    from regsweep.cli import cli
    from regsweep.config import compose

    shown = [line.split()[1:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    regsweep ")]
    assert {name for name, *_ in shown} >= {"run", "plan", "verdict", "studies", "compare", "reproduce", "ui"}
    for name, *arguments in shown:
        # Raises for an option that is not known, or a value that can't be.
        parsed = cli.commands[name].make_context(name, list(arguments))
        if "overrides" in parsed.params:
            assert compose(parsed.params["overrides"], multirun=parsed.params.get("multirun", False))
