"""The command line: run, verdict, plan, compare, studies, sync, fsck, repair, reproduce, ui.

Every heavy import waits until its command runs.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from regsweep.errors import ConfigError, RegsweepError
from regsweep.redact import Sink
from regsweep.signals import Signals, Stopped

_BEGAN = time.perf_counter()
FOLDER = click.option("--dir", "folder", default="mlruns", show_default=True, help="The workspace that runs were written to.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="regsweep")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Experiment-tracked hyperparameter search for tabular regression: is the neural network worth it here?"""


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "-m", "--multirun", is_flag=True, help="Run a study for each combination of comma-separated values, one after the other."
)
@click.option("--cfg", type=click.Choice(["job"]), help="Print the composed config and stop.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def run(overrides: tuple[str, ...], multirun: bool, cfg: str | None) -> int:
    """Run a study, or go on with it: search, baselines, champion, verdict.

    OVERRIDES are Hydra's: key=value. `regsweep run` alone searches on the diabetes data;

    \b
      regsweep run dataset=economics sampler=random n_trials=200 seed=1
      regsweep run dataset=csv dataset.path=houses.csv dataset.target=price
      regsweep run experiments=insurance n_trials=30
      regsweep run experiments=xor_blobs n_trials=8
      regsweep run -m dataset=diabetes,economics seed=0,1,2
      regsweep run dataset=economics --cfg job
    """
    from regsweep.config import compose

    studies = compose(overrides, multirun=multirun)
    if cfg:
        import yaml

        for config in studies:
            document = config.model_dump(mode="json")
            click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, explicit_start=len(studies) > 1), nl=False)
        return 0
    from regsweep.show.run import run_and_show

    codes = []
    for position, config in enumerate(studies):
        codes.append(_guarded(partial(run_and_show, config, None if position else _BEGAN)))
        if _signals.code is not None:
            break
    return max(codes)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option("--splits", type=int, default=10, show_default=True, help="How many splits, 2 at least.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def verdict(overrides: tuple[str, ...], splits: int) -> None:
    """Say whether the network is worth it over repeated splits: the study is run once for each, or gone on with.

    OVERRIDES as for `run`. Splits differ in `split.seed`, counted up from the configured one; with split=time_ordered in
    `split.until`, the origin up to which rows are used. Searches see nothing of their split's test rows.

    \b
      regsweep verdict
      regsweep verdict dataset=insurance n_trials=20 --splits 5
    """
    from regsweep.config import compose
    from regsweep.config.repeats import splits_of

    (config,) = compose(overrides)
    configs = splits_of(config, splits)
    from regsweep.show.verdict import verdict_and_show

    verdict_and_show(configs)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def plan(overrides: tuple[str, ...]) -> None:
    """Say what a study is going to take: trials, configurations, trainings, time, disk. Runs nothing of it.

    OVERRIDES as for `run`. A calibration, which takes about as long as a study without its trainings, tells how fast this machine
    is; how far off the last estimates were is shown below.
    """
    from regsweep.config import compose

    (config,) = compose(overrides)
    from regsweep.show.plan import plan_and_show

    plan_and_show(config, _BEGAN)


@cli.command()
@click.argument("experiment", required=False)
@click.option("--study", help="A study by its name; default: the experiment's latest.")
@click.option("--trials", type=click.IntRange(0), default=10, show_default=True, help="How many of the best trials to show.")
@FOLDER
def compare(experiment: str | None, study: str | None, trials: int, folder: str) -> None:
    """Print the leaderboard of a study: best trials, baselines, champion and verdict.

    Without EXPERIMENT: of the study that ran last.
    """
    from regsweep.paths import Workspace
    from regsweep.show.studies import show_leaderboard

    show_leaderboard(Workspace(Path(folder)), experiment=experiment, study=study, trials=trials)


@cli.command()
@FOLDER
def studies(folder: str) -> None:
    """List the studies of a workspace: how far each is, its best objective, its state."""
    from regsweep.paths import Workspace
    from regsweep.show.studies import show_studies

    show_studies(Workspace(Path(folder)))


@cli.command()
@click.argument("experiment", required=False)
@FOLDER
def sync(experiment: str | None, folder: str) -> None:
    """Copy into MLflow what it lacks of the studies' records, for example after it was away.

    Without EXPERIMENT: of all studies.
    """
    from regsweep.paths import Workspace
    from regsweep.show.upkeep import sync_and_show

    sync_and_show(Workspace(Path(folder)), experiment)


@cli.command()
@click.argument("study", required=False)
@FOLDER
def fsck(study: str | None, folder: str) -> None:
    """Check that records, Optuna and MLflow are whole and say the same. Changes nothing; exit code 1 if something is wrong.

    Without STUDY: all studies. One that is running is passed over.
    """
    from regsweep.paths import Workspace
    from regsweep.show.upkeep import check_and_show

    sys.exit(check_and_show(Workspace(Path(folder)), study))


@cli.command()
@click.argument("study", required=False)
@FOLDER
def repair(study: str | None, folder: str) -> None:
    """Restore what `fsck` complains of: records from their copies or by training again, Optuna and MLflow from the records.

    Without STUDY: all studies.
    """
    from regsweep.paths import Workspace
    from regsweep.show.upkeep import repair_and_show

    sys.exit(repair_and_show(Workspace(Path(folder)), study))


@cli.command()
@click.argument("target")
@click.option("--experiment", help="Whose champion or best trial; default: of the study that ran last.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=1e-4, show_default=True, help="Largest relative difference allowed."
)
@FOLDER
def reproduce(target: str, experiment: str | None, tolerance: float, folder: str) -> None:
    """Rebuild a model from its record, retrain it and compare every epoch.

    TARGET is champion, best (the best trial by validation) or the id of a run. Exit code 6 if it differs.
    """
    from regsweep.paths import Workspace
    from regsweep.show.reproduce import reproduce_and_show

    reproduce_and_show(Workspace(Path(folder)), target, experiment=experiment, tolerance=tolerance)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@FOLDER
def ui(port: int, folder: str) -> None:
    """Open the MLflow UI on the workspace, on this machine only."""
    from regsweep.paths import Workspace
    from regsweep.show.pages import experiment_pages
    from regsweep.tracking.moved import bring_home

    workspace = Workspace(Path(folder))
    if not workspace.mlflow_db.is_file():
        raise ConfigError(f"{workspace.mlflow_db}: there are no runs here; run a study first, or name its folder with --dir")
    # The server says better what is wrong with its database.
    with suppress(sqlite3.Error):
        bring_home(workspace)
    click.echo(f"MLflow UI on http://127.0.0.1:{port} (Ctrl-C ends it)")
    for name, page in experiment_pages(workspace, port):
        click.echo(f"{name}: {page}")
    arguments = [
        "mlflow",
        "server",
        "--backend-store-uri",
        workspace.tracking_uri,
        "--artifacts-destination",
        str(workspace.artifacts),
    ]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    arguments += ["--allowed-hosts", ",".join(f"{host}{end}" for host in ("127.0.0.1", "localhost") for end in ("", f":{port}"))]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(sys.executable, [sys.executable, "-m", *arguments], {**os.environ, **quiet})


_signals = Signals()


def main() -> None:
    """Entry point: every expected error becomes a message on stderr and an exit code."""
    sys.stdout, sys.stderr = _sink(sys.stdout), _sink(sys.stderr)
    sys.exit(_signals.ended(_guarded(_command)))


def _sink(stream: TextIO | None) -> TextIO:
    return Sink(stream) if stream is not None else open(os.devnull, "w")


def _command() -> Any:
    _signals.listen()
    return cli.main(standalone_mode=False)


def _guarded(action: Callable[[], Any]) -> int:
    try:
        return _reported(action)
    except Stopped as stopped:
        _signals.arrived()
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        kept = "; what was told is kept: the same command goes on from there" if command in ("run", "verdict", "sync") else ""
        click.echo(f"regsweep: {stopped.word}{kept}", err=True)
        return stopped.code


def _reported(action: Callable[[], Any]) -> int:
    try:
        code = action()
        return code if isinstance(code, int) else 0
    except RegsweepError as error:
        if not _shown():
            for problem in error.problems:
                click.echo(f"regsweep: {problem}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except Exception as error:
        if _shown():
            return 1
        text = str(error).splitlines()[0] if str(error) else ""
        click.echo(f"regsweep: unexpected {type(error).__name__}: {text}; please report it with what --debug shows", err=True)
        return 1


def _shown() -> bool:
    """With --debug show the traceback of what is being handled."""
    if debug := "--debug" in sys.argv:
        click.echo(traceback.format_exc(), err=True, nl=False)
    return debug


if __name__ == "__main__":
    main()
