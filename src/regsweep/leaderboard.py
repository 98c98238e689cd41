"""The leaderboard of a study: trials, baselines and champion in one table, ordered by validation, read from records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from regsweep.baselines import describe
from regsweep.book import RecordBook, read_champion
from regsweep.pareto import front_of
from regsweep.tasks import BINARY, REGRESSION, Task
from regsweep.trial import Scalar, State, higher_is_better

STYLES = {State.FAILED.value: "red", State.PRUNED.value: "dim"}

FRONT = "◆"

_NUMBER_HEADS = ("val RMSE", "val MAE", "val R²", "test MAE (95 %)", "test R²")
_CLASS_HEADS = ("val log loss", "val accuracy", "val AUC", "test log loss (95 %)", "test accuracy")
_NUMBER_COLUMNS = (
    *("val_mse", "val_rmse", "val_mae", "val_r2"),
    *("test_mae", "test_mae_low", "test_mae_high", "test_rmse", "test_r2"),
)
_CLASS_COLUMNS = (
    *("val_log_loss", "val_accuracy", "val_auc"),
    *("test_log_loss", "test_log_loss_low", "test_log_loss_high", "test_accuracy", "test_auc"),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line. Errors are in target units (MSE squared); `test` values are None for trials: the test rows are sealed to them.

    Of the metrics those of the study's task have values.

    `pareto` says of a trial whether it is on the front of several objectives, such as `parameters` and `epochs`.
    """

    name: str
    kind: str
    state: str
    val_mse: float | None = None
    val_rmse: float | None = None
    val_mae: float | None = None
    val_r2: float | None = None
    test_mae: float | None = None
    test_mae_low: float | None = None
    test_mae_high: float | None = None
    test_rmse: float | None = None
    test_r2: float | None = None
    val_log_loss: float | None = None
    val_accuracy: float | None = None
    val_auc: float | None = None
    test_log_loss: float | None = None
    test_log_loss_low: float | None = None
    test_log_loss_high: float | None = None
    test_accuracy: float | None = None
    test_auc: float | None = None
    seconds: float
    params: str
    pareto: bool | None = None
    parameters: float | None = None
    epochs: float | None = None


def leaderboard(book: RecordBook) -> tuple[Row, ...]:
    """Read and order a study's rows: best objective first, then trials that were stopped early, failed ones last."""
    config = book.facts().config
    objective, objectives = config.objective.removeprefix("val/"), config.objectives
    champion = read_champion(book)
    contents = list(book.contents("trial"))
    front = front_of(contents, objectives) if len(objectives) > 1 else None
    rows = [_trial_row(content, champion, front) for content in contents]
    rows += [_baseline_row(content, champion) for content in book.contents("baseline")]
    if champion is not None and len(champion["members"]) > 1:
        rows.append(_ensemble_row(champion, {row.name: row.seconds for row in rows}))
    sign = -1 if higher_is_better(objective) else 1

    def order(row: Row) -> tuple[bool, bool, float]:
        value = getattr(row, f"val_{objective}")
        return (row.state == State.FAILED, value is None, sign * (value or 0.0))

    return tuple(sorted(rows, key=order))


def epochs_saved(book: RecordBook) -> tuple[int, int]:
    """How many epochs, over all folds, were not trained because their trial was pruned, and how many all trials had."""
    contents, first = list(book.contents("trial")), book.facts().config.predicts.curves[0]
    folds = max((len(content["folds"]) for content in contents), default=0)
    saved, total = 0, 0
    for content in contents:
        planned = folds * content["spec"]["epochs"]
        total += planned
        if content["state"] == State.PRUNED:
            saved += planned - sum(len(fold[first]) for fold in content["folds"])
    return saved, total


def as_frame(rows: Sequence[Row], task: Task = REGRESSION) -> pd.DataFrame:
    """One column per field, best first, with a rank; of metrics, those of the task."""
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame.insert(0, "rank", range(1, len(frame) + 1))
    frame = frame.drop(columns=[*(_CLASS_COLUMNS if task == REGRESSION else _NUMBER_COLUMNS)])
    frame = frame.drop(columns=[name for name in ("pareto", "parameters", "epochs") if frame[name].isna().all()])
    return frame


def as_table(
    rows: Sequence[Row],
    *,
    unit: str,
    title: str,
    trials: int | None = None,
    wide: bool = False,
    task: Task = REGRESSION,
) -> Table:
    """A terminal table; `trials` bounds how many trials are shown, baselines and champion always are; `wide` adds parameters."""
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    classes = task == BINARY
    errors = (
        "Log loss in natural units, trials' AUC by 200 thresholds, exact for others"
        if classes
        else f"RMSE and MAE{f' in {unit}' if unit else ''}"
    )
    scored = "the champion, the network it is compared with" if any(row.kind == "network" for row in rows) else "the champion"
    table.caption = f"{errors}. Ordered by validation; the test rows are scored for {scored} and the baselines only."
    table.add_column("#", justify="right")
    table.add_column("model")
    for column in _CLASS_HEADS if classes else _NUMBER_HEADS:
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
        cells = [str(rank), row.name, *(_class_cells if classes else _number_cells)(row)]
        if several:
            cells += [_number(getattr(row, name)) for name in further] + [FRONT if row.pareto else ""]
        if wide:
            cells += [f"{row.seconds:.1f}", row.params if row.state == State.COMPLETE else row.state]
        style = {"champion": "bold green", "network": "bold", "baseline": "cyan"}.get(row.kind, STYLES.get(row.state, ""))
        table.add_row(*cells, style=style)
    return table


def _trial_row(content: dict[str, Any], champion: dict[str, Any] | None, front: set[int] | None) -> Row:
    final = content["final"] if content["state"] == State.COMPLETE else {}
    number = content["number"]
    is_scored = champion is not None and [member[0] for member in champion["members"]] == [number]
    scored = _networks(champion) if champion is not None and is_scored else None
    own = {name.removeprefix("val/"): value for name, value in final.items() if name.startswith("val/")}
    return Row(
        name=scored["title"] if scored is not None else _name(content),
        kind=scored["kind"] if scored is not None else "trial",
        state=content["state"],
        **_validation_values((scored or {}).get("val", own)),
        **_test_values(scored["test"] if scored is not None else None),
        seconds=content["seconds"],
        params=" ".join(f"{key}={_short(value)}" for key, value in content["params"].items()),
        pareto=None if front is None else number in front,
        parameters=content["others"].get("parameters"),
        epochs=content["others"].get("epochs"),
    )


def _ensemble_row(champion: dict[str, Any], seconds: dict[str, float]) -> Row:
    trained = sum(seconds.get(f"trial {number}", 0.0) for number, _ in champion["members"])
    members = " ".join(f"{weight:.0%} of trial {number}" for number, weight in champion["members"])
    networks = _networks(champion)
    return Row(
        name=networks["title"],
        kind=networks["kind"],
        state=State.COMPLETE.value,
        **_validation_values(networks["val"]),
        **_test_values(networks["test"]),
        seconds=trained,
        params=members,
    )


def _networks(champion: dict[str, Any]) -> dict[str, Any]:
    """The networks that were scored on the test rows: the champion, or those that a baseline was compared with."""
    if champion.get("baseline") is None:
        return {**champion, "title": f"{champion['name']} (champion)", "kind": "champion"}
    networks = champion["network"]
    return {**networks, "title": f"{networks['name']} (best network)", "kind": "network"}


def _name(content: dict[str, Any]) -> str:
    return f"trial {content['number']}" + (" (stopped early)" if content["state"] == State.PRUNED else "")


def _baseline_row(content: dict[str, Any], champion: dict[str, Any] | None) -> Row:
    # Refitted by an earlier version, it has other scores on the test rows than its own row.
    led = champion if champion is not None and champion.get("baseline") == content["name"] else None
    return Row(
        name=describe(content["name"]) if led is None else f"{led['name']} (champion)",
        kind="baseline" if led is None else "champion",
        state=State.COMPLETE.value,
        **_validation_values(content["val"]),
        **_test_values((led or content)["test"]),
        seconds=content["seconds"],
        params=" ".join(f"{key}={_short(value)}" for key, value in content["parameters"].items()),
    )


def _validation_values(val: Mapping[str, float | None]) -> dict[str, Any]:
    """The fields of a row that scores on the validation rows fill; the RMSE is the root of the mean MSE."""
    found = {f"val_{name}": value for name, value in val.items()}
    if (mse := val.get("mse")) is not None:
        found["val_rmse"] = mse**0.5
    return found


def _test_values(test: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that scores on the test rows fill; the metric of the verdict comes with its interval."""
    found = {f"test_{name}": interval["value"] for name, interval in (test or {}).items() if name != "mse"}
    if led := next((name for name in ("mae", "log_loss") if name in (test or {})), None):
        found |= {f"test_{led}_{end}": (test or {})[led][end] for end in ("low", "high")}
    return found


def _number_cells(row: Row) -> list[str]:
    test = _with_ends(row.test_mae, row.test_mae_low, row.test_mae_high)
    return [_number(row.val_rmse), _number(row.val_mae), _ratio(row.val_r2), test, _ratio(row.test_r2)]


def _class_cells(row: Row) -> list[str]:
    test = _with_ends(row.test_log_loss, row.test_log_loss_low, row.test_log_loss_high)
    return [_number(row.val_log_loss), _ratio(row.val_accuracy), _ratio(row.val_auc), test, _ratio(row.test_accuracy)]


def _with_ends(value: float | None, low: float | None, high: float | None) -> str:
    return f"{_number(value)} ({_number(low)} to {_number(high)})" if value is not None else ""


def _short(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
