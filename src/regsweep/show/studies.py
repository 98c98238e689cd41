"""What `regsweep compare` and `regsweep studies` show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from regsweep.book import RecordBook, read_champion
from regsweep.errors import ConfigError, UnreadableError
from regsweep.leaderboard import as_table, epochs_saved, leaderboard
from regsweep.paths import Workspace
from regsweep.show.console import WIDE, by_budget, find_books, plain_console, where_in
from regsweep.tasks import METRICS
from regsweep.trial import State, higher_is_better


def show_leaderboard(workspace: Workspace, *, experiment: str | None, study: str | None, trials: int) -> None:
    """Print a study's leaderboard, and which other studies of the experiment there are."""
    console = plain_console()
    books = find_books(workspace, experiment)
    book = books[0]
    if study is not None:
        named = [book for book in books if book.folder.name == study]
        if not named:
            raise ConfigError(f"there is no study {study!r} here; known: {', '.join(b.folder.name for b in books)}")
        book = named[0]
    print_study(console, book, trials=trials)
    others = [other.folder.name for other in books if other.folder != book.folder]
    if others:
        console.print(f"other studies: {', '.join(others)}", soft_wrap=True)


def show_studies(workspace: Workspace) -> None:
    """Print every study of the workspace with how far it is, the latest first."""
    table = Table("study", "experiment", "trials", "failed", "best", "state", box=None, pad_edge=False)
    for book in find_books(workspace, None):
        try:
            config, contents, champion = book.facts().config, list(book.contents("trial")), read_champion(book)
        except UnreadableError:
            table.add_row(book.folder.name, "", "", "", "", f"damaged: see regsweep fsck{where_in(workspace)}")
            continue
        values = [content["objective"] for content in contents if content["objective"] is not None]
        best = (max if higher_is_better(config.objective) else min)(values, default=None)
        judged = champion is not None and book.finished()
        state = "running" if book.held() else "judged" if judged else "unfinished"
        if state == "judged":
            state += by_budget(book.ended())
        failed = sum(content["state"] == State.FAILED for content in contents)
        shown = "" if best is None else f"{config.objective} {best:,.4g}"
        table.add_row(book.folder.name, config.experiment, f"{len(contents)} of {config.n_trials}", str(failed), shown, state)
    plain_console().print(table)


def print_study(console: Console, book: RecordBook, *, trials: int) -> None:
    """Print a study's leaderboard with the best of its trials, its verdict and its optimism."""
    facts, rows = book.facts(), leaderboard(book)
    task = facts.config.predicts
    done = [row for row in rows if row.name.startswith("trial ")]
    failed, pruned = (sum(row.state == state for row in done) for state in (State.FAILED, State.PRUNED))
    saved, total = epochs_saved(book) if pruned else (0, 0)
    # Their patience might have ended them as well.
    most = "at most " if facts.config.trainer.patience is not None else ""
    below = [row for row in rows if row.kind == "trial"][trials:]
    hidden = sum(not row.pareto for row in below)
    title = (
        f"{facts.study}: {len(done)} trials"
        + (f", {failed} failed" if failed else "")
        + (f", {pruned} stopped early (saved {most}{saved:,} of {total:,} epochs)" if pruned else "")
        + (f", {hidden} not shown" if hidden else "")
    )
    console.print(as_table(rows, unit=facts.dataset.unit, title=title, trials=trials, wide=console.width >= WIDE, task=task))
    champion = read_champion(book)
    if champion is not None:
        console.print(champion["verdict"], style="bold")
        if champion["optimism"][task.headline] is not None:
            reached, there = champion["val"][task.headline], champion["test"][task.headline]["value"]
            label = METRICS[task.headline].label
            values = f"the champion's {label} is {reached:.3f} on validation, which chose it, and {there:.3f} on test"
            console.print(f"Optimism {reached - there:+.3f}: {values}.")
        if not book.finished():
            console.print(
                "note: the search has gone on since this verdict and was not judged again; the same regsweep run goes on with it",
                style="yellow",
            )
    if (note := book.ending.note()) is not None:
        console.print(f"note: {note}", style="yellow")
