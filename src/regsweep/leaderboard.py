"""The leaderboard of a study: trials, baselines and champion in one table, ordered by validation, read from records alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from regsweep.baselines import describe
from regsweep.book import RecordBook, read_champion
from regsweep.pareto import front_of
from regsweep.trial import CURVES, Scalar, State, higher_is_better

STYLES = {State.FAILED.value: "red", State.PRUNED.value: "dim"}

FRONT = "◆"


@dataclass(frozen=True)
class Row:
    """One line. Errors are in target units (MSE squared); `test` values are None for trials: the test rows are sealed to them.

    `pareto` says of a trial whether it is on the front of several objectives, such as `parameters` and `epochs`.
    """

    name: str
    kind: str
    state: str
    val_mse: float | None
    val_rmse: float | None
    val_mae: float | None
    val_r2: float | None
    test_mae: float | None
    test_mae_low: float | None
    test_mae_high: float | None
    test_rmse: float | None
    test_r2: float | None
    seconds: float
    params: str
    pareto: bool | None = None
    parameters: float | None = None
    epochs: float | None = None


def leaderboard(book: RecordBook) -> tuple[Row, ...]:
    """Read and order a study's rows: best objective first, then trials that were stopped early, failed ones last."""
    objective = book.facts().config.objective.removeprefix("val/")
    champion = read_champion(book)
    contents = list(book.contents("trial"))
    objectives = book.facts().config.objectives
    front = front_of(contents, objectives) if len(objectives) > 1 else None
    rows = [_trial_row(content, champion, front) for content in contents]
    rows += [_baseline_row(content) for content in book.contents("baseline")]
    if champion is not None and len(champion["members"]) > 1:
        rows.append(_ensemble_row(champion, {row.name: row.seconds for row in rows}))
    sign = -1 if higher_is_better(objective) else 1

    def order(row: Row) -> tuple[bool, bool, float]:
        value = getattr(row, f"val_{objective}")
        return (row.state == State.FAILED, value is None, sign * (value or 0.0))

    return tuple(sorted(rows, key=order))


def epochs_saved(book: RecordBook) -> tuple[int, int]:
    """How many epochs, over all folds, were not trained because their trial was pruned, and how many all trials had."""
    contents = list(book.contents("trial"))
    folds = max((len(content["folds"]) for content in contents), default=0)
    saved, total = 0, 0
    for content in contents:
        planned = folds * content["spec"]["epochs"]
        total += planned
        if content["state"] == State.PRUNED:
            saved += planned - sum(len(fold[CURVES[0]]) for fold in content["folds"])
    return saved, total


def as_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One column per field, best first, with a rank."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame.insert(0, "rank", range(1, len(frame) + 1))
    frame = frame.drop(columns=[name for name in ("pareto", "parameters", "epochs") if frame[name].isna().all()])
    return frame


def as_table(rows: Sequence[Row], *, unit: str, title: str, trials: int | None = None, wide: bool = False) -> Table:
    """A terminal table; `trials` bounds how many trials are shown, baselines and champion always are; `wide` adds parameters."""
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.caption = (
        f"RMSE and MAE{f' in {unit}' if unit else ''}. Ordered by validation; "
        "the test rows are scored for the champion and the baselines only."
    )
    table.add_column("#", justify="right")
    table.add_column("model")
    for column in ("val RMSE", "val MAE", "val R²", "test MAE (95 %)", "test R²"):
        table.add_column(column, justify="right", no_wrap=True)
    further = [name for name in ("parameters", "epochs") if any(getattr(row, name) is not None for row in rows)]
    several = any(row.pareto is not None for row in rows)
    if several:
        table.caption += f" {FRONT}: on the Pareto front, no other trial is as good in all objectives and better in one."
        for name in further:
            table.add_column(name, justify="right")
        table.add_column("front", justify="center")
    if wide:
        table.add_column("seconds", justify="right")
        table.add_column("hyperparameters", style="dim")
    shown = 0
    for rank, row in enumerate(rows, start=1):
        shown += row.kind == "trial"
        if row.kind == "trial" and trials is not None and shown > trials and not row.pareto:
            continue
        ends = f"({_number(row.test_mae_low)} to {_number(row.test_mae_high)})"
        cells = [str(rank), row.name, _number(row.val_rmse), _number(row.val_mae), _ratio(row.val_r2)]
        cells += [f"{_number(row.test_mae)} {ends}" if row.test_mae is not None else "", _ratio(row.test_r2)]
        if several:
            cells += [_number(getattr(row, name)) for name in further] + [FRONT if row.pareto else ""]
        if wide:
            cells += [f"{row.seconds:.1f}", row.params if row.state == State.COMPLETE else row.state]
        style = {"champion": "bold green", "baseline": "cyan"}.get(row.kind, STYLES.get(row.state, ""))
        table.add_row(*cells, style=style)
    return table


def _trial_row(content: dict[str, Any], champion: dict[str, Any] | None, front: set[int] | None) -> Row:
    final = content["final"] if content["state"] == State.COMPLETE else {}
    mse, number = final.get("val/mse"), content["number"]
    is_champion = champion is not None and [member[0] for member in champion["members"]] == [number]
    return Row(
        f"{champion['name']} (champion)" if champion is not None and is_champion else _name(content),
        "champion" if is_champion else "trial",
        content["state"],
        mse,
        mse**0.5 if mse is not None else None,
        final.get("val/mae"),
        final.get("val/r2"),
        *_test_values(champion["test"] if champion is not None and is_champion else None),
        content["seconds"],
        " ".join(f"{key}={_short(value)}" for key, value in content["params"].items()),
        None if front is None else number in front,
        content["others"].get("parameters"),
        content["others"].get("epochs"),
    )


def _ensemble_row(champion: dict[str, Any], seconds: dict[str, float]) -> Row:
    val, trained = champion["val"], sum(seconds.get(f"trial {number}", 0.0) for number, _ in champion["members"])
    members = " ".join(f"{weight:.0%} of trial {number}" for number, weight in champion["members"])
    return Row(
        f"{champion['name']} (champion)", "champion", State.COMPLETE.value, val["mse"], val["mse"] ** 0.5, val["mae"], val["r2"],
        *_test_values(champion["test"]), trained, members,
    )  # fmt: skip


def _name(content: dict[str, Any]) -> str:
    return f"trial {content['number']}" + (" (stopped early)" if content["state"] == State.PRUNED else "")


def _baseline_row(content: dict[str, Any]) -> Row:
    val = content["val"]
    return Row(
        describe(content["name"]), "baseline", State.COMPLETE.value, val["mse"], val["mse"] ** 0.5, val["mae"], val["r2"],
        *_test_values(content["test"]), content["seconds"],
        " ".join(f"{key}={_short(value)}" for key, value in content["parameters"].items()),
    )  # fmt: skip


def _test_values(test: dict[str, Any] | None) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    if test is None:
        return (None,) * 5
    return (test["mae"]["value"], test["mae"]["low"], test["mae"]["high"], test["rmse"]["value"], test["r2"]["value"])


def _short(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
