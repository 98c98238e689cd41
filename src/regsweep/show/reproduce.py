"""What `regsweep reproduce` shows."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from regsweep.book import books_in
from regsweep.champion import best_trial
from regsweep.errors import ConfigError, NotReproducedError, StorageError
from regsweep.paths import Workspace
from regsweep.show.console import find_books, plain_console


def reproduce_and_show(workspace: Workspace, target: str, *, experiment: str | None, tolerance: float) -> None:
    """Reproduce a run, print the answer and leave it on the run. Raises NotReproducedError if it differs."""
    from regsweep.reproduce import reproduce
    from regsweep.tracking.runs import Runs, with_run

    # A run can be reproduced without the records of its study.
    books = find_books(workspace, experiment) if target == "best" else books_in(workspace)
    uris = [facts.config.tracking.uri for book in books if (facts := book.known_facts()) is not None] or [None]
    if target == "champion":
        runs = Runs(workspace, uris[0])
        run = runs.champion(experiment or find_books(workspace, None)[0].facts().config.experiment)
    elif target == "best":
        runs = Runs(workspace, uris[0])
        book = find_books(workspace, experiment)[0]
        facts = book.facts()
        best = best_trial(book.trials(), facts.config.objective)
        if best is None:
            raise ConfigError(f"study {facts.study!r} has no complete trial")
        shared = book.id if facts.config.tracking.uri is not None else None
        run = runs.trial(facts.config.experiment, facts.study, best.number, shared)
    else:
        runs, run = with_run(workspace, list(dict.fromkeys(uris)), target)
    console = plain_console()
    console.print(f"{run.info.run_name} of study {run.data.tags['regsweep.study']} (run {run.info.run_id})")
    with tempfile.TemporaryDirectory() as folder:
        near = (workspace.root.parent, Path.cwd())
        answer = reproduce(runs.fetch(run, Path(folder)), tolerance=tolerance, announce=console.print, near=near)
    if answer.reproduced:
        console.print(answer.sentence)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        runs.tag(run, {"regsweep.reproduced": answer.sentence, "regsweep.reproduced.at": when})
    except StorageError as error:
        # The answer took a training, and is known.
        console.print(f"note: MLflow could not be told ({error})", style="yellow", soft_wrap=True)
    if not answer.reproduced:
        raise NotReproducedError(answer.sentence)
