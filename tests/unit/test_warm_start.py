"""A study seeded from another one's best configurations."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.config.repeats import splits_of
from regsweep.errors import ConfigError
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.study import run_study
from regsweep.warm_start import _same_test_rows, with_best_of
from tests.helpers import Silent

Tiny = Callable[..., StudyConfig]
SPACE = (
    "baselines=none",
    "space.parameters.batch_size=64",
    "space.parameters.optimizer=adam",
    "space.parameters.epochs={type: int, low: 1, high: 3}",
)

FAST = "space.parameters.learning_rate={low: 0.5, high: 0.9}"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """A workspace with the study `before`, of six trials."""
    from tests.conftest import TINY

    workspace = Workspace(tmp_path_factory.mktemp("before"))
    config = compose([*TINY, *SPACE, "study=before", "n_trials=6", f"tracking.dir={workspace.root}"])[0]
    run_study(gather(config), workspace, Silent(), bare=True)
    return workspace


def ranked(workspace: Workspace) -> list[dict[str, object]]:
    """Hyperparameters of the study's trials, by the objective in their records."""
    trials = sorted(RecordBook(workspace.records / "before").trials(), key=lambda trial: trial.objective or 0.0)
    return [dict(trial.params) for trial in trials]


def test_the_best_are_tried_first_in_order_of_merit(before: Workspace, tiny: Tiny) -> None:
    config = with_best_of(
        tiny(*SPACE, "enqueue_best_of=before", "enqueue_top=3", "sampler=random", "seed=9", "n_trials=5"), before
    )
    book = run_study(gather(config), before, Silent(), bare=True).book
    assert [dict(trial.params) for trial in book.trials()][:3] == ranked(before)[:3]
    assert [trial.origin for trial in book.trials()] == ["enqueued"] * 3 + ["random"] * 2


def test_what_is_enqueued_by_hand_comes_first_and_is_not_tried_twice(before: Workspace, tiny: Tiny) -> None:
    best = {key: value for key, value in ranked(before)[0].items() if key not in ("batch_size", "optimizer")}
    by_hand = "{" + ",".join(f"{key}: {value}" for key, value in best.items()) + "}"
    config = with_best_of(tiny(*SPACE, f"enqueue=[{by_hand}]", "enqueue_best_of=before", "enqueue_top=2"), before)
    assert len(config.enqueue) == 3
    assert config.enqueue[0] == best


def test_constants_of_the_new_space_hold_and_what_lies_outside_is_passed_over(before: Workspace, tiny: Tiny) -> None:
    config = with_best_of(tiny(*SPACE, "space.parameters.epochs=2", "enqueue_best_of=before", "enqueue_top=1"), before)
    assert "epochs" not in config.enqueue[0]
    deep = [params for params in ranked(before) if int(str(params["depth"])) >= 1]
    assert len(deep) < 6, "a linear one is among them, or this asks nothing"
    narrowed = tiny(*SPACE, "space.parameters.depth={low:1,high:3}", "enqueue_best_of=before", "enqueue_top=6", "n_trials=9")
    assert [given["depth"] for given in with_best_of(narrowed, before).enqueue] == [params["depth"] for params in deep]


def test_a_study_that_has_lost_its_study_json_may_seed(before: Workspace, tiny: Tiny, tmp_path: Path) -> None:
    asked = tiny(*SPACE, "enqueue_best_of=before", "enqueue_top=3")
    (shutil.copytree(before.root, tmp_path / "mlruns") / "records" / "before" / "study.json").unlink()
    assert with_best_of(asked, Workspace(tmp_path / "mlruns")).enqueue == with_best_of(asked, before).enqueue


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("enqueue_best_of=befor",), "has no study 'befor' (did you mean before?); known: before"),
        (("enqueue_best_of=before", FAST), "no trial of before lies in this study's space"),
        (("enqueue_best_of=before", "split.seed=1"), "split.seed is 0 there and 1 here"),
        (("enqueue_best_of=before", "split=time_ordered"), "split is shuffled there and in time by row here"),
        (("enqueue_best_of=before", "enqueue_top=2", "sampler=kt_hyperband", "n_trials=4"), "n_trials=4, of which 2 enqueued"),
        (("enqueue_best_of=before", "enqueue_top=6"), "enqueue: has 6 configurations, but n_trials=3"),
    ],
)  # fmt: skip
def test_what_can_not_seed_is_refused(before: Workspace, tiny: Tiny, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_best_of(tiny(*SPACE, *overrides), before)


def test_another_table_with_other_test_rows_may_seed(before: Workspace, tiny: Tiny) -> None:
    config = with_best_of(tiny(*SPACE, "dataset=line", "split.seed=1", "enqueue_best_of=before", "enqueue_top=1"), before)
    assert len(config.enqueue) == 1


def test_a_verdict_over_splits_is_not_seeded(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match="has seen rows that are test rows in other splits"):
        splits_of(tiny("enqueue_best_of=before"), 3)


def test_a_study_of_classes_from_before_they_were_stratified_may_not_seed() -> None:
    config = compose(["dataset=xor_blobs", "task=binary_classification"])[0]
    facts = gather(config).facts
    _same_test_rows(config, facts, "before")
    former = config.model_copy(update={"split": config.split.model_copy(update={"stratify": False})})
    with pytest.raises(ConfigError, match=r"split\.stratify is False there and by odd here"):
        _same_test_rows(config, replace(facts, config=former), "before")


def test_a_study_of_other_classes_or_of_a_table_that_has_changed_may_not_seed(tmp_path: Path) -> None:
    place = tmp_path / "houses.csv"

    def study(target: str, *overrides: str) -> StudyConfig:
        return compose(["dataset=csv", f"dataset.path={place}", f"dataset.target={target}", *overrides])[0]

    def write(rows: int) -> None:
        lines = (f"{row},{row % 7},{row % 2},{row % 3 > 0:d}" for row in range(rows))
        place.write_text("\n".join(["size,price,sold,seen", *lines]))

    write(150)
    classes, numbers = study("sold", "task=binary_classification"), study("price")
    facts = gather(classes).facts
    _same_test_rows(classes, facts, "before")
    # Each seals the same share of its own classes, so other rows.
    with pytest.raises(ConfigError, match=r"split\.stratify is by sold there and by seen here"):
        _same_test_rows(study("seen", "task=binary_classification"), facts, "before")
    facts = gather(numbers).facts
    _same_test_rows(study("size"), facts, "before")
    write(151)
    with pytest.raises(ConfigError, match="before was searched on houses when that was another table"):
        _same_test_rows(study("size"), facts, "before")
    _same_test_rows(study("size", "dataset.name=others"), facts, "before")
