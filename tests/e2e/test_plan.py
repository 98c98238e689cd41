"""`regsweep plan` says what a study is going to take, leaves nothing, and is compared with the run that follows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import TINY, run_cli

STUDY = (
    *TINY,
    "dataset=line",
    "space.parameters.batch_size=16",
    "split=kfold",
    "split.folds=3",
    "baselines=closed_form",
    "sampler=random",
)


def seconds(text: str) -> float:
    found = re.search(r"about (\d+) s, of which (\d+) s is the search", text)
    assert found is not None, text
    assert int(found[2]) <= int(found[1])
    return float(found[1])


@pytest.mark.slow
def test_a_plan_tells_what_the_run_then_takes_and_is_compared_with_it(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    printed = run_cli("plan", *STUDY, cwd=folder, env=env).stdout
    assert re.search(r"trainings +9 \(3 folds\), and some more", printed)
    assert re.search(r"configurations +infinitely many: learning_rate, dropout, l2 are continuous", printed)
    assert re.search(r"disk +about \d+ MB in mlruns", printed)
    assert "the last estimates" not in printed
    assert seconds(printed) > 0
    assert list(folder.iterdir()) == []
    assert not [place for place in (tmp_path / "temporary").iterdir() if place.name.startswith("regsweep")]

    run_cli("run", *STUDY, cwd=folder, env=env)
    (compared,) = json.loads((folder / "mlruns" / "plans.json").read_text())
    assert (compared["trials"], round(compared["estimate"])) == (3, round(seconds(printed)))
    found = re.search(r"disk +about (\d+) MB", printed)
    assert found is not None
    size = sum(512 * place.lstat().st_blocks for place in (folder / "mlruns").rglob("*")) / 1e6
    assert int(found[1]) == pytest.approx(size, rel=0.3)
    before = {place: place.stat().st_mtime_ns for place in folder.rglob("*")}
    again = run_cli("plan", *STUDY, "n_trials=4", cwd=folder, env=env).stdout
    assert "the last estimates, and how long the studies took:" in again
    assert f"{compared['actual'] / compared['estimate']:.2f}" in again
    assert re.search(r"there already +3 trials", again)
    assert {place: place.stat().st_mtime_ns for place in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["plan", "n_trails=3"], 2, "n_trails: there is no such key (did you mean n_trials?)"),
        (["plan", "dataset=csv", "dataset.path=none.csv", "dataset.target=y"], 3, "none.csv: no such file"),
    ],
)
def test_a_plan_of_nothing_costs_a_message(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    done = run_cli(*arguments, cwd=tmp_path, code=code)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
