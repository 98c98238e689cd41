"""The bake-off: what its sittings collect and what is read from their lines, on lines that can be checked by hand."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.keras_parts import Declared, unconditional
from benchmarks.search.__main__ import chosen, main
from benchmarks.search.cells import BUDGET, NONE, PRUNERS, SAMPLERS, SEEDS, TABLES, Cell, Limits, all_cells, jobs
from benchmarks.search.numbers import ANEW_VALIDATION, TEST, VALIDATION, by_kind, curve, final_r2
from benchmarks.search.overview import overview
from benchmarks.search.plots import curves_over, figures
from benchmarks.search.replay import values_of
from benchmarks.search.report import write
from benchmarks.search.scoring import Searched
from benchmarks.search.sitting import sit
from benchmarks.search.store import Store
from benchmarks.search.tables import blocks, defaults
from regsweep.config import compose
from regsweep.errors import ConfigError
from regsweep.space import draw
from tests.conftest import ROOT
from tests.helpers import each_of

PLACE = {"machine": {"cpu": "a cpu", "cores": 2}, "packages": {"optuna": "5"}, "commit": "abc", "command": "a command"}


def line(
    rmse: Sequence[float | None], r2: float = 0.5, *, second: float = 1.0, anew: float = 1.0, tested: float = 1.0
) -> dict[str, Any]:
    """A line of trials with these validation RMSE, each of ten epochs and `second` seconds; its last best is trained anew.

    `anew` times its validation RMSE are then found, and RMSE `tested` on test rows.
    """
    searched = Searched()
    best = []
    for number, value in enumerate(rmse):
        if searched.take(second * (number + 1), None if value is None else value**2, 10):
            assert value is not None
            best.append({"trial": number, "val_mse": value**2, "test_r2": r2, "test_rmse": 2 * value})
    if best:
        best[-1]["anew"] = {"val_mse": (anew * best[-1]["val_mse"] ** 0.5) ** 2, "test_r2": r2 - 0.1, "test_rmse": tested}
    return {
        "problem": None, "champion": None, "seconds": searched.seconds, "objective": searched.objectives,
        "epochs": searched.epochs, "best": best, "whole_seconds": 7.0, **PLACE,
    }  # fmt: skip


def cell(system: str, table: str = "diabetes", seed: int = 0, *, part: str = "ours", pruner: str = NONE) -> Cell:
    return next(
        one
        for one in all_cells(Limits(), gp=True)
        if (one.part, one.table, one.system, one.pruner, one.seed) == (part, table, system, pruner, seed)
    )


class Runner:
    """Finishes every job at once and notes it."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Cell, ...]] = []

    def __call__(self, job: Sequence[Cell]) -> list[dict[str, Any]]:
        self.jobs.append(tuple(job))
        return [line([3.0, 2.0])] * len(job)


def test_a_sitting_goes_on_where_the_last_one_was_cut(tmp_path: Path) -> None:
    store, cells = Store(tmp_path / "made"), [cell("tpe"), cell("random"), cell("qmc")]
    store.append(cells[1], line([1.0]))
    runner = Runner()
    assert sit(store, cells, run=runner) == 2
    assert runner.jobs == [(cells[0],), (cells[2],)]
    assert sit(store, cells, run=runner) == 0
    assert list(store.read()) == [cells[1], cells[0], cells[2]]
    kept = store.read()[cells[0]]
    assert kept["command"].startswith("python -m benchmarks.search")
    assert {"optuna", "keras-tuner", "tensorflow", "regsweep"} <= kept["packages"].keys()
    assert kept["machine"]["cores"] > 0
    assert kept["load_before"] >= 0


def test_a_torn_line_is_no_line_and_costs_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(cell("tpe"), line([1.0]))
    whole = (tmp_path / "ours.jsonl").read_bytes()
    (tmp_path / "ours.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    assert list(store.read()) == [cell("tpe")]
    store.append(cell("random"), line([1.0]))
    assert list(store.read()) == [cell("tpe"), cell("random")]


def test_of_a_cell_that_is_there_twice_the_first_line_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(cell("tpe"), line([1.0]))
    store.append(cell("tpe"), line([9.0]))
    assert curve(store.read()[cell("tpe")], VALIDATION).last == 1.0


def test_where_peers_ran_on_another_machine_the_default_is_searched_there_too(tmp_path: Path) -> None:
    store, runner = Store(tmp_path), Runner()
    cells = [cell("default", seed=seed, part="default") for seed in (0, 1)] + [cell("optuna", part="peers")]
    for one in cells[:2]:
        store.append(one, line([1.0]))
    assert sit(store, cells, run=runner) == 2
    assert runner.jobs == [(cells[2],), (cells[0],)]
    known = store.read()
    assert [known[one]["machine"]["cpu"] == "a cpu" for one in cells] == [False, True, False]
    # The first machine's line stays and is asked for where its peers ran.
    assert len((tmp_path / "default.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    assert sit(store, cells, run=runner) == 0


def test_every_peer_races_the_default_of_its_own_machine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for cpu, tested in (("a cpu", 4.0), ("another cpu", 2.0)):
        store.append(cell("default", part="default"), {**line([2.0], tested=tested), "machine": {"cpu": cpu, "cores": 2}})
        store.append(cell("default", part="default"), {**line([2.0], tested=9.0), "machine": {"cpu": cpu, "cores": 2}})
    store.append(cell("optuna", part="peers"), {**line([2.0]), "machine": {"cpu": "another cpu", "cores": 2}})
    store.append(cell("keras_tuner_bayesian", part="peers"), {**line([2.0]), "kept": "best"})
    # Twice and four times its RMSE.
    said = blocks(store.read())["verdict"].splitlines()
    assert [one.partition("(RMSE")[2] for one in said] == [" on test rows +100.0 % so far).", " on test rows +300.0 % so far)."]
    assert store.read()[cell("default", part="default")]["best"][0]["anew"]["test_rmse"] == 2.0


def test_a_race_between_machines_is_none() -> None:
    there = {**line([2.0]), "machine": {"cpu": "another cpu", "cores": 2}}
    found = {cell("default", part="default"): line([2.0], 0.6), cell("optuna", part="peers"): there}
    assert "Optuna" not in blocks(found)["race"]
    assert blocks(found)["verdict"] == "Nothing is in yet."


def test_what_would_not_end_in_time_is_not_begun(tmp_path: Path) -> None:
    runner = Runner()
    cells = [cell("default", part="default"), cell("tpe"), cell("optuna", part="peers")]
    # A study is expected to take seconds, the default a minute, a peer twenty.
    assert sit(Store(tmp_path), cells, minutes=0.5, run=runner) == 1
    assert runner.jobs == [(cells[1],)]


def test_peers_run_in_pairs_and_ours_alone() -> None:
    cells = [cell("tpe"), *(cell(name, part="peers") for name in ("optuna", "keras_tuner_random", "keras_tuner_bayesian"))]
    assert list(jobs(cells)) == [(cells[0],), (cells[1], cells[2]), (cells[3],)]


def test_every_sampler_meets_every_pruner_once_a_seed_and_table_and_what_tells_most_comes_first() -> None:
    cells = all_cells(Limits(), gp=True)
    assert len(cells) == len(set(cells))
    ours = [one for one in cells if one.part == "ours"]
    assert len(ours) == len(SEEDS) * len(TABLES) * ((len(SAMPLERS) - 1) * len(PRUNERS) + 1)
    assert [(one.system, one.pruner) for one in ours[:6]] == [("tpe", NONE)] * 3 + [("random", NONE)] * 3
    alone, paired = len(SEEDS) * len(TABLES) * len(SAMPLERS), len(SEEDS) * len(TABLES) * 2 * (len(PRUNERS) - 1)
    assert {one.pruner for one in ours[:alone]} == {NONE}
    assert {(one.system, one.pruner) for one in ours[alone : alone + paired]} == set(
        itertools.product(("tpe", "random"), PRUNERS[1:])
    )
    assert [one.seed for one in ours[:alone]] == sorted(one.seed for one in ours[:alone])


@each_of(SAMPLERS)
def test_a_cell_is_a_study_that_can_be_run(sampler: str) -> None:
    config = compose(cell(sampler).overrides())[0]
    assert (config.sampler.kind, config.pruner.kind, config.split.seed, config.seed) == (sampler, "none", 0, 0)


@pytest.mark.parametrize("pruner", PRUNERS[1:])
def test_with_a_pruner_every_trial_may_train_equally_long(pruner: str) -> None:
    config = compose(cell("tpe", seed=3, pruner=pruner).overrides())[0]
    kinds = {BUDGET: "none", "patient_median": "patience"}
    assert (config.pruner.kind, config.split.seed) == (kinds.get(pruner, pruner), 3)
    assert config.space.parameters["epochs"].values() == (60,)


def test_the_best_so_far_against_trials_seconds_and_epochs() -> None:
    found = line([None, 4.0, 5.0, 3.0, 3.0, math.nan], second=2.0)
    assert found["objective"] == [None, 16.0, 25.0, 9.0, 9.0, None]
    one = curve(found, VALIDATION)
    np.testing.assert_array_equal(one.at_trials(np.arange(1.0, 7.0)), [math.nan, 4, 4, 3, 3, 3])
    np.testing.assert_array_equal(one.at_seconds(np.array([3.9, 4.0, 7.9, 8.0, 100.0])), [math.nan, 4, 4, 3, 3])
    # Three trials of ten epochs, one of five.
    epochs = curve({**found, "epochs": [10, 10, 10, 5, 10, 10]}, VALIDATION)
    np.testing.assert_array_equal(epochs.at_epochs(np.array([19.0, 20.0, 34.0, 35.0])), [math.nan, 4, 4, 3])
    np.testing.assert_array_equal(curve(found, TEST).at_trials(np.array([2.0, 4.0])), [8, 6])
    # Only the last best was trained anew.
    assert curve(found, ANEW_VALIDATION).trials.tolist() == [4.0]
    assert (final_r2(found, anew=False), final_r2(found, anew=True)) == (0.5, pytest.approx(0.4))


def test_curves_are_relative_to_the_reference_on_the_same_rows() -> None:
    mine, reference = ({("diabetes", 0): line(values)} for values in ([4.0, 3.0], [5.0, 2.0]))
    np.testing.assert_allclose(curves_over(mine, reference, VALIDATION, "trials", np.array([1.0, 2.0])), [[2.0, 1.5]])
    # A row per seed: the mean over its tables.
    mine |= {("insurance", 0): line([8.0, 2.0]), ("insurance", 1): line([2.0, 6.0])}
    reference |= {("insurance", 0): line([2.0]), ("insurance", 1): line([1.0])}
    found = curves_over(mine, reference, VALIDATION, "epochs", np.array([10.0, 20.0]))
    np.testing.assert_allclose(found, [[(2.0 + 4.0) / 2, (1.5 + 1.0) / 2], [2.0, 2.0]])


def test_a_search_that_has_ended_keeps_what_it_found_to_the_end_of_the_longest() -> None:
    found = {cell("random"): line([2.0]), cell("tpe"): line([4.0, 2.0]), cell("random", seed=1): line([2.0] * 4)}
    found[cell("tpe", seed=1)] = line([6.0, 4.0, 4.0, 2.0], second=3.0)
    panel = figures(found)["bakeoff_samplers_validation_seconds"].axes[0]
    drawn = {one.get_linestyle(): one for one in panel.lines if len(one.get_xdata()) > 100}
    xs, ys = drawn["-"].get_data()
    # From when both have one, 3 s, to the end of the last, 12 s; half of (1 + 3), of (1 + 2), of (1 + 1).
    assert (xs[0], xs[-1]) == (pytest.approx(3.0), pytest.approx(12.0))
    assert [float(ys[np.searchsorted(xs, at)]) for at in (4.0, 7.0, 11.5)] == pytest.approx([2.0, 1.5, 1.5])
    assert ys[-1] == pytest.approx(1.0)
    # They end after 2 and 12 s, 7 in the mean.
    (bar,) = [one for one in panel.lines if one.get_marker() == "|" and one.get_color() == drawn["-"].get_color()]
    assert (bar.get_xdata()[0], bar.get_ydata()[0]) == (pytest.approx(7.0), pytest.approx(1.5))
    assert panel.get_xscale() == "log"


def test_every_sampler_and_pruner_is_drawn_of_seeds_whose_tables_are_all_in() -> None:
    found = {}
    for table in TABLES:
        for seed in (0, 1):
            found[cell("tpe", table, seed, pruner=BUDGET)] = line([1.1, 1.0])
            found[cell("tpe", table, seed, pruner="median")] = line([1.2, 1.05])
        found[cell("qmc", table, 0, pruner="median")] = line([1.0])
    found.pop(cell("tpe", "economics", 1, pruner="median"))
    drawn = overview(by_kind(found, "ours"), VALIDATION)
    assert drawn is not None
    median, other = drawn.axes[0], drawn.axes[1]
    # qmc has no control to be compared with.
    assert (len(drawn.axes), median.get_ylabel(), median.get_title()) == (len(PRUNERS) - 2, "tpe", "median")
    assert [text.get_text() for text in median.texts] == ["n = 1"]
    control, pruned = (curve.get_ydata()[-1] for curve in median.lines if len(curve.get_xdata()) > 100)
    assert (control, pruned) == (pytest.approx(1.0), pytest.approx(1.05))
    assert not other.axison
    assert overview(by_kind({cell("tpe"): line([1.0])}, "ours"), VALIDATION) is None


def test_two_cells_make_a_report_that_says_no_more_than_they_do(tmp_path: Path) -> None:
    found = {
        cell("default", part="default"): line([2.0], 0.6),
        cell("optuna", part="peers"): line([4.0, 3.0], 0.55, tested=2.0),
    }
    said = blocks(found)
    assert "2 of 2,880 cells are in" in said["state"]
    # 0.6 and 0.55 by their own models, 0.5 and 0.45 trained anew.
    assert "| diabetes | Optuna's `optimize` (TPE) | 1 | 2 | 0.5500 | 0.4500 | 0.0500 | 1 of 1 |" in said["race"]
    assert "1 of 10 seeds is in, which decides nothing (RMSE on test rows −50.0 % so far)." in said["verdict"]
    assert said["samplers"] == "Nothing is in yet."
    assert "No sampler can be compared with the default yet" in said["defaults"]


# In logarithms mean ± 2.2622 * 0.01054 * sqrt(1/10 + 0.2/0.8), t(9) times the sd of leads that are 0.01 off: ± 0.0141; the RMSE
# themselves vary tenfold.
@pytest.mark.parametrize(
    ("lead", "said"),
    [
        (-0.03, "regsweep's configurations are better, RMSE on test rows −3.0 % (−4.3 % to −1.6 %)."),
        (0.005, "no difference is shown, RMSE on test rows +0.5 % (−0.9 % to +1.9 %)."),
        (0.03, "regsweep's configurations are worse, RMSE on test rows +3.0 % (+1.6 % to +4.5 %)."),
    ],
)
def test_a_difference_over_seeds_is_paired(lead: float, said: str) -> None:
    found = {}
    for seed in SEEDS:
        off = lead + (0.01 if seed % 2 else -0.01)
        found[cell("default", seed=seed, part="default")] = line([2.0], tested=(seed + 1) * math.exp(off))
        found[cell("optuna", seed=seed, part="peers")] = line([2.0], tested=seed + 1)
    assert said in blocks(found)["verdict"]
    # Without the last seed nothing is concluded.
    del found[cell("optuna", seed=SEEDS[-1], part="peers")]
    assert "9 of 10 seeds are in, which decides nothing" in blocks(found)["verdict"]


def test_where_a_peers_core_stood_idle_the_default_is_given_as_much_less_time() -> None:
    found = {}
    for seed in (0, 1):
        # Two bests, after 20 and 50 of 60 s, the second one half as far off.
        default = line([4.0, 3.0], second=20.0, tested=1.0)
        default["seconds"] = [20.0, 50.0]
        default["best"][0]["anew"] = {**default["best"][1]["anew"], "test_rmse": 2.0}
        found[cell("default", seed=seed, part="default")] = default
        # 900 of 1,200 s, which the other line of this peer does not know.
        found[cell("optuna", seed=seed, part="peers")] = {**line([2.0]), **({"cpu_seconds": 900.0} if seed else {})}
        found[cell("keras_tuner_random", seed=seed, part="peers")] = {**line([2.0]), "kept": "best", "cpu_seconds": 1300.0}
    (optuna, keras_tuner) = (row for row in blocks(found)["waits"].splitlines() if row.startswith("| diabetes"))
    assert optuna.endswith("| 75 % | 45 s | +100.0 % (+100.0 % to +100.0 %) |")
    assert keras_tuner.endswith("| 100 % | 60 s | +0.0 % (+0.0 % to +0.0 %) |")


def test_a_trial_that_ends_after_the_time_does_not_count() -> None:
    late = line([4.0, 3.0], second=40.0)
    kinds = by_kind({cell("default", part="default"): late, cell("tpe"): late}, "default")
    kept = kinds["default", NONE]["diabetes", 0]
    assert ([entry["trial"] for entry in kept["best"]], kept["seconds"]) == ([0], [40.0])
    assert [entry["trial"] for entry in by_kind({cell("tpe"): late}, "ours")["tpe", NONE]["diabetes", 0]["best"]] == [0, 1]


def test_configurations_of_keras_tuner_are_compared_by_their_best_epochs_alone() -> None:
    def anew(**kept: str) -> float:
        one = cell("keras_tuner_random", part="peers")
        return final_r2(by_kind({one: {**line([2.0]), **kept}}, "peers")["keras_tuner_random", NONE]["diabetes", 0], anew=True)

    assert math.isnan(anew())
    assert math.isnan(anew(kept="last"))
    assert anew(kept="best") == pytest.approx(0.4)


def test_draws_that_are_replayed_are_those_of_keras_tuners_search(tmp_path: Path) -> None:
    keras_tuner = pytest.importorskip("keras_tuner")
    space = unconditional(compose([])[0].space)

    class Networks(keras_tuner.HyperModel):  # type: ignore[misc]
        def build(self, hp: Any) -> None:
            draw(space, Declared(hp))

    tuner = keras_tuner.RandomSearch(
        Networks(), keras_tuner.Objective("val_mse", "min"), max_trials=9, seed=4, directory=str(tmp_path)
    )
    theirs = []
    for number in range(5):
        trial = tuner.oracle.create_trial(f"worker {number}")
        theirs.append(draw(space, Declared(trial.hyperparameters)))
    assert list(itertools.islice(values_of(space, 4), 5)) == theirs


def test_the_default_stands_beside_peers_on_their_seeds() -> None:
    found = {cell("default", seed=seed, part="default"): line([2.0], 0.5 + 0.1 * seed) for seed in range(3)}
    assert "| diabetes | regsweep's default | 3 |" in blocks(found)["race"]
    found[cell("optuna", seed=1, part="peers")] = line([2.0], 0.5)
    assert "| diabetes | regsweep's default | 1 | 1 | 0.6000 | 0.5000 |" in blocks(found)["race"]


def test_samplers_are_judged_by_configurations_that_were_trained_anew_once_all_seeds_are_in() -> None:
    found = {}
    for seed in SEEDS:
        assert "- No sampler can be compared with the default yet: that takes all 10 seeds" in defaults(found)
        for table in TABLES:
            found[cell("tpe", table, seed)] = line([2.0])
            # Luckier in the search, 5 to 7 % worse trained anew.
            found[cell("random", table, seed)] = line([1.9], anew=2.0 / 1.9 * (1.05 + 0.01 * (seed % 3)))
    assert "- Samplers against the default, tpe: worse: `random`." in defaults(found)
    assert "what the others are relative to" in blocks(found)["samplers"]


def test_pruners_are_set_beside_the_same_sampler_without_one() -> None:
    found = {}
    for table in TABLES:
        for seed, worse in ((0, 1.01), (1, 1.03)):
            found[cell("tpe", table, seed)] = line([9.0])
            found[cell("tpe", table, seed, pruner=BUDGET)] = line([3.0, 2.0])
            # Half the epochs, 1 and 3 % worse, in a quarter of the time.
            found[cell("tpe", table, seed, pruner="median")] = line([2.0 * worse], second=0.5)
    said = blocks(found)
    (row,) = [text for text in said["pruners"].splitlines() if "`tpe` × `median`" in text]
    cells = [text.strip() for text in row.strip("|").split("|")]
    # Two seeds: t = 12.706, and s = 1.414 %, so ± 12.706 · 1.414 · √(1/2) = 12.71.
    assert cells[1:] == [*["+2.00 % (−10.71 % to +14.71 %), 2 seeds"] * 4, "50 %", "25 %"]
    assert "| +2.00 % at 50 % (2) |" in said["matrix"]
    # A third seed with a table missing is left out; where all are as much worse, the mean is shown to be.
    found[cell("tpe", "diabetes", 2, pruner="median")] = found[cell("tpe", "diabetes", 2, pruner=BUDGET)] = line([2.0])
    assert "| +2.00 % at 50 % (2) |" in blocks(found)["matrix"]
    for table in TABLES:
        found[cell("tpe", table, 1, pruner="median")] = line([2.0 * 1.011], second=0.5)
    assert "| **+1.05 %** at 50 % (2) |" in blocks(found)["matrix"]


def test_a_cell_without_a_result_is_named_and_left_out() -> None:
    found = {cell("tpe"): {**line([]), "problem": "no trial was completed"}, cell("random"): line([2.0])}
    said = blocks(found)
    assert "Without a result: tpe, diabetes, seed 0" in said["state"]
    assert "`tpe`" not in said["samplers"]


def test_of_many_commits_the_most_frequent_are_listed_and_the_others_counted() -> None:
    commits = "aaabbcdefg"
    found = {cell("tpe", seed=seed): {**line([2.0]), "commit": commit} for seed, commit in enumerate(commits)}
    said = blocks(found)["state"]
    assert "Commit: `a` (3 cells); `b` (2 cells); `c` (1 cells); `d` (1 cells); 3 others (3 cells), as their lines say." in said


def test_the_page_is_written_anew_with_its_figures(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bakeoff_gone.png").touch()
    (tmp_path / "bakeoff.md").write_text((ROOT / "docs" / "bakeoff.md").read_text(encoding="utf-8"), encoding="utf-8")
    store = Store(tmp_path / "made")
    for seed in (0, 1):
        store.append(cell("random", seed=seed), line([3.0, 2.0]))
        store.append(cell("tpe", seed=seed), line([2.5, 2.0 + seed]))
    write(store, tmp_path)
    page = (tmp_path / "bakeoff.md").read_text(encoding="utf-8")
    drawn = sorted(place.stem for place in (tmp_path / "images").glob("*.png"))
    assert drawn == sorted(figures(store.read())) and len(drawn) == 4
    assert all(f"(images/{name}.png)" in page for name in drawn)
    assert "4 of 2,880 cells are in" in page


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("minuts=3", "did you mean minutes"),
        ("minutes=soon", "minutes=soon: must be a number above 0"),
        ("only=diabetis", "'diabetis' is not known .did you mean diabetes"),
        ("reprot", "known: report, minutes="),
    ],
)
def test_wrong_options_are_refused(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main([argument])


def test_options_choose_cells() -> None:
    found = chosen({"part": "ours", "only": "diabetes", "seeds": "0,1", "systems": "tpe", "trials": "5"})
    assert len(found) == 2 * len(PRUNERS)
    assert {(one.table, one.system, one.limit) for one in found} == {("diabetes", "tpe", 5)}


@pytest.mark.slow
def test_every_part_really_searches(tmp_path: Path) -> None:
    options = [f"folder={tmp_path}", "only=diabetes", "seeds=0", "trials=3", "default_seconds=1", "peer_seconds=1"]
    main([*options, "part=default"])
    # Its first round has 98 trials.
    main([*options, "part=ours", "systems=kt_hyperband", "trials=16"])
    main([*options, "part=peers"])
    found = {json.loads(text)["system"]: json.loads(text) for place in tmp_path.glob("*.jsonl") for text in place.open()}
    assert set(found) == {
        "default", "kt_hyperband", "optuna", "keras_tuner_random", "keras_tuner_bayesian", "keras_tuner_hyperband",
    }  # fmt: skip
    for one in found.values():
        assert one["problem"] is None
        assert len(one["seconds"]) == len(one["objective"]) == len(one["epochs"])
        best = one["best"][-1]
        assert one["kept"] == ("best" if one["system"].startswith("keras_tuner") else "last")
        assert best["spec"]["epochs"] > 0
        assert best["val_mse"] ** 0.5 < 200 and best["anew"]["val_mse"] ** 0.5 < 200
        assert one["objective"][best["trial"]] == pytest.approx(best["val_mse"], rel=1e-6)
