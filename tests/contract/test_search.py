"""What every sampler must keep, through the study's ask and tell."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from regsweep.config import compose, load_saved
from regsweep.config.hyperband import first_round, once_through
from regsweep.config.schema import SEVERAL_OBJECTIVES
from regsweep.errors import ConfigError, StorageError
from regsweep.paths import Workspace
from regsweep.record import study_name
from regsweep.search import Search, Told, kept_trials
from regsweep.search.optuna_source import OptunaSource
from regsweep.trial import Scalar, State
from tests.helpers import FINITE, FINITE_SPACE, HERE, SAMPLERS, Ending, Table, each_of, go_on, outside, search_config, value_of

# Every sampler's own model or grid is at work before these are over.
TRIALS = {sampler: 9 if sampler == "kt_bayesian" else 24 for sampler in HERE}
EVERY = each_of(SAMPLERS)
# Numbers before, between and after 8 and 17, where studies are interrupted and extended; by 17 those that learn have begun.
FAILED, PRUNED = (1, 7, 12, 18), (4, 10, 16, 20)
LEARNERS = ("tpe", "cmaes", "gp", "nsga2", "kt_bayesian", "kt_hyperband")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Table]:
    """The trials of a sampler's study that nothing disturbed."""
    tables: dict[str, Table] = {}

    def table(sampler: str) -> Table:
        if sampler not in tables:
            tables[sampler] = go_on(tmp_path_factory.mktemp(sampler), search_config(sampler), TRIALS[sampler])
        return tables[sampler]

    return table


@EVERY
def test_proposals_lie_in_the_space_keep_its_conditions_and_differ(sampler: str, whole: Callable[[str], Table]) -> None:
    table, space, finite = whole(sampler), search_config(sampler).space, sampler in FINITE
    assert [number for number, _, _ in table] == list(range(TRIALS[sampler]))
    for _, params, _ in table:
        assert outside(space, params) == []
        assert int(params["depth"]) in range(3 if finite else 5)
        assert ("width" in params) == ("activation" in params) == (int(params["depth"]) > 0)
        if not finite:
            assert 1e-4 <= float(params["learning_rate"]) <= 3e-2
            assert 1e-6 <= float(params["l2"]) <= 1e-2
            assert params["batch_size"] in (16, 32, 64)
            assert ("dropout" in params) == (int(params["depth"]) > 0)
            assert int(params["epochs"]) in ((1, 3, 9) if sampler == "kt_hyperband" else (20, 30, 40, 50, 60))
    assert len({json.dumps(params, sort_keys=True) for _, params, _ in table}) == len(table)
    depths = {int(params["depth"]) for _, params, _ in table}
    assert len(depths) >= 3


INSIDE: dict[str, Scalar] = {
    "depth": 2, "width": 8, "activation": "relu", "learning_rate": 0.01, "epochs": 20, "batch_size": 16, "optimizer": "adam",
    "dropout": 0.4, "l2": 1e-6,
}  # fmt: skip


def test_a_proposal_outside_the_space_would_be_seen() -> None:
    space = search_config("random").space
    assert outside(space, INSIDE) == []
    changes: list[tuple[dict[str, Scalar], str]] = [
        ({"width": 500}, "width: 500 is none of "),
        ({"width": 8.0}, "width: 8.0 is none of "),
        ({"depth": 5}, "depth: 5 is none of "),
        ({"activation": "sigmoid"}, "activation: 'sigmoid' is none of "),
        ({"optimizer": "sgd"}, "optimizer: 'sgd' is none of "),
        ({"dropout": 0.5}, "dropout: 0.5 is none of "),
        ({"learning_rate": 0.04}, "learning_rate: 0.04 is none of "),
        ({"l2": 0.0}, "l2: 0.0 is none of "),
        ({"batch_size": 48}, "batch_size: 48 is none of "),
        ({"epochs": 25}, "epochs: 25 is none of "),
        ({"momentum": 0.9}, "momentum: does not exist here"),
    ]
    for change, expected in changes:
        (problem,) = outside(space, INSIDE | change)
        assert problem.startswith(expected)
    stray = [f"{name}: does not exist here" for name in ("activation", "dropout", "width")]
    assert outside(space, INSIDE | {"depth": 0}) == stray


def test_a_proposal_that_lacks_something_or_has_it_for_the_wrong_layers_would_be_seen() -> None:
    space = search_config("random").space
    for name in INSIDE.keys() - {"depth"}:
        assert outside(space, {key: value for key, value in INSIDE.items() if key != name}) == [f"{name}: lacks"]
    layered = search_config("random", "space.per_layer_width=true").space
    widths: dict[str, Scalar] = {key: value for key, value in INSIDE.items() if key != "width"} | {"width_1": 8, "width_2": 9}
    assert outside(layered, widths) == []
    assert outside(layered, widths | {"width_2": 500})[0].startswith("width_2: 500 is none of ")
    assert outside(layered, widths | {"width_3": 8, "width": 8}) == ["width: does not exist here", "width_3: does not exist here"]
    assert outside(layered, widths | {"depth": 3}) == ["width_3: lacks"]


@EVERY
@pytest.mark.parametrize("cut", [pytest.param(1, marks=pytest.mark.slow), 4, pytest.param(8, marks=pytest.mark.slow)])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(
    tmp_path: Path, sampler: str, cut: int, whole: Callable[[str], Table]
) -> None:
    cut = cut if sampler == "kt_bayesian" else 3 * cut - 1
    first = go_on(tmp_path, search_config(sampler), TRIALS[sampler], stop_after=cut)
    assert len(first) == cut
    assert first + go_on(tmp_path, search_config(sampler), TRIALS[sampler]) == whole(sampler)


@EVERY
def test_an_extended_study_equals_one_that_was_as_long_from_the_start(
    tmp_path: Path, sampler: str, whole: Callable[[str], Table]
) -> None:
    table: Table = []
    for n_trials in (2, TRIALS[sampler] - 1, TRIALS[sampler]):
        table += go_on(tmp_path, search_config(sampler), n_trials)
        assert len(table) == n_trials
        assert go_on(tmp_path, search_config(sampler), n_trials) == []
    assert table == whole(sampler)


@EVERY
def test_how_many_are_trained_at_once_changes_nothing(tmp_path: Path, sampler: str, whole: Callable[[str], Table]) -> None:
    assert go_on(tmp_path, search_config(sampler), TRIALS[sampler], at_most=12) == whole(sampler)


def test_proposals_are_the_same_in_another_process(tmp_path: Path, whole: Callable[[str], Table]) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.helpers import *; import json;"
        "print(json.dumps({s: go_on(Path(sys.argv[1]) / s, search_config(s), n) for s, n in json.loads(sys.argv[2]).items()}))"
    )
    there = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path), json.dumps(TRIALS)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    here = {sampler: whole(sampler) for sampler in HERE}
    assert json.loads(there.stdout.splitlines()[-1]) == json.loads(json.dumps(here))


@each_of([sampler for sampler in SAMPLERS if not sampler.startswith("kt_")])
def test_optuna_has_nothing_to_say_about_what_it_draws_by_itself(
    tmp_path: Path, sampler: str, caplog: pytest.LogCaptureFixture
) -> None:
    optuna.logging.enable_propagation()
    try:
        go_on(tmp_path, search_config(sampler), TRIALS[sampler])
    finally:
        optuna.logging.disable_propagation()
    assert caplog.messages == []


@EVERY
def test_another_seed_gives_other_proposals(tmp_path: Path, sampler: str, whole: Callable[[str], Table]) -> None:
    other = go_on(tmp_path, search_config(sampler, "seed=1"), 6)
    # Keras Tuner's grid has one order.
    assert (other == whole(sampler)[:6]) == (sampler == "kt_grid")


@EVERY
def test_failures_in_a_row_are_survived_and_results_that_are_no_numbers_are_failures(tmp_path: Path, sampler: str) -> None:
    search = Search(Workspace(tmp_path), "s", search_config(sampler))
    results = [(State.FAILED, None)] * 3 + [(State.COMPLETE, math.nan), (State.COMPLETE, math.inf), (State.FAILED, None)]
    # Keras Tuner's grid proposes less than a batch at first.
    while batch := search.next_batch(6):
        for proposal in batch:
            search.tell(proposal.number, *results[proposal.number])
    assert search.failures() == 6
    rest = go_on(tmp_path, search_config(sampler), TRIALS[sampler])
    again = Search(Workspace(tmp_path), "s", search_config(sampler))
    assert [told.state for told in again.told()] == [State.FAILED] * 6 + [State.COMPLETE] * (TRIALS[sampler] - 6)
    assert [told.value for told in again.told()[:6]] == [None] * 6
    assert [dict(told.params) for told in again.told()[6:]] == [params for _, params, _ in rest]


@EVERY
def test_a_study_of_failed_and_pruned_trials_goes_on_and_is_extended_as_if_it_had_been_left_alone(
    tmp_path: Path, sampler: str, whole: Callable[[str], Table]
) -> None:
    rungs = ("pruner=successive_halving", f"pruner.min_epochs={1 if sampler in FINITE else 5}")
    study = search_config(sampler, *(rungs if sampler != "kt_hyperband" else ()))
    pruned = PRUNED if sampler != "kt_hyperband" else ()
    ends = dict.fromkeys(FAILED, (State.FAILED, None)) | dict.fromkeys(pruned, (State.PRUNED, None))
    table = go_on(tmp_path / "whole", study, 24, ends=ends)
    parts = go_on(tmp_path / "parts", study, 17, stop_after=8, ends=ends)
    parts += go_on(tmp_path / "parts", study, 17, ends=ends)
    assert len(parts) == 17
    assert parts + go_on(tmp_path / "parts", study, 24, ends=ends) == table
    told, again = (Search(Workspace(tmp_path / name), "s", study).told() for name in ("whole", "parts"))
    assert again == told
    assert [one.number for one in told if one.state is State.FAILED] == list(FAILED)
    assert [one.number for one in told if one.state is State.PRUNED] == list(pruned)
    assert all(bool(one.reports) == bool(one.marks) == (bool(pruned) and one.state is not State.FAILED) for one in told)
    # Those that learn do so from other results than where all trials are complete, and before the study is extended.
    differ = [mine != theirs for (_, mine, _), (_, theirs, _) in zip(table[:17], whole(sampler), strict=False)]
    assert any(differ) == (sampler in LEARNERS)


def test_what_pruned_trials_reported_is_known_to_tpe_when_it_goes_on(tmp_path: Path) -> None:
    # So few are complete that pruned ones are among the best by its model.
    study = search_config("tpe", "pruner=median")
    ends: dict[int, Ending] = {number: (State.PRUNED, None) for number in range(24) if number != 5}
    table = go_on(tmp_path / "whole", study, 24, ends=ends)
    assert go_on(tmp_path / "cut", study, 24, stop_after=17, ends=ends) + go_on(tmp_path / "cut", study, 24, ends=ends) == table


@EVERY
def test_a_result_that_is_no_finite_number_is_what_a_failure_is_to_the_sampler(tmp_path: Path, sampler: str) -> None:
    start = ["sampler.startup_trials=2"] if sampler in ("tpe", "gp", "kt_bayesian") else []
    study, found = search_config(sampler, *start), []
    # Afterwards as few as make it learn: two are among the first three.
    n_trials = 12 if sampler in ("gp", "kt_bayesian") else 15
    for name, value in {"failed": None, "nan": math.nan, "inf": math.inf, "minus_inf": -math.inf}.items():
        end = (State.FAILED if value is None else State.COMPLETE, value)
        table = go_on(tmp_path / name, study, n_trials, ends=dict.fromkeys(range(6), end))
        told = Search(Workspace(tmp_path / name), "s", study).told()
        assert [one.state for one in told] == [State.FAILED] * 6 + [State.COMPLETE] * (n_trials - 6), name
        assert [one.value for one in told[:6]] == [None] * 6, name
        found.append([params for _, params, _ in table])
    assert found == found[:1] * 4


@each_of(SEVERAL_OBJECTIVES)
def test_a_study_of_two_objectives_goes_on_and_is_extended_as_if_it_had_been_left_alone(tmp_path: Path, sampler: str) -> None:
    study = search_config(sampler, "further_objectives=[parameters]")
    ends = dict.fromkeys(FAILED, (State.FAILED, None))
    table = go_on(tmp_path / "whole", study, 24, ends=ends)
    parts = go_on(tmp_path / "parts", study, 17, stop_after=8, ends=ends)
    parts += go_on(tmp_path / "parts", study, 17, ends=ends)
    assert parts + go_on(tmp_path / "parts", study, 24, ends=ends) == table
    told, again = (Search(Workspace(tmp_path / name), "s", study).told() for name in ("whole", "parts"))
    assert again == told
    assert [len(one.others) for one in told] == [int(number not in FAILED) for number in range(24)]
    assert len({one.others for one in told}) > 5


@EVERY
def test_the_database_says_what_was_told_and_can_be_written_anew(
    tmp_path: Path, sampler: str, whole: Callable[[str], Table]
) -> None:
    go_on(tmp_path, search_config(sampler), 8)
    search = Search(Workspace(tmp_path), "s", search_config(sampler))
    told = search.told()
    search.restore(told)
    kept = kept_trials(Workspace(tmp_path), "s")
    assert [one.params.items() <= mine.params.items() for one, mine in zip(kept, told, strict=True) if one] == [True] * 8
    assert [(one.number, dict(one.params), one.value) for one in search.told()] == whole(sampler)[:8]
    assert go_on(tmp_path, search_config(sampler), TRIALS[sampler]) == whole(sampler)[8:]


def test_asked_trials_that_an_earlier_version_kept_are_asked_again(tmp_path: Path, whole: Callable[[str], Table]) -> None:
    import optuna

    go_on(tmp_path, search_config("tpe"), 24, stop_after=14)
    kept = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/optuna.db")
    kept.ask()
    kept.ask()
    go_on(tmp_path, search_config("tpe"), 24)
    trials = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/optuna.db").get_trials()
    assert [(trial.number, trial.value) for trial in trials] == [(number, value) for number, _, value in whole("tpe")]


def test_a_trial_that_another_program_adds_is_noticed(tmp_path: Path) -> None:
    import optuna

    search = Search(Workspace(tmp_path), "s", search_config("random"))
    (proposal,) = search.next_batch(1)
    optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/optuna.db").ask()
    with pytest.raises(StorageError, match="added by another program"):
        search.tell(proposal.number, State.COMPLETE, 1.0)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "kt_bayesian"])
def test_trials_that_another_version_proposed_count_as_they_are(tmp_path: Path, sampler: str) -> None:
    # As if another Optuna had drawn other learning rates.
    study = search_config(sampler)
    go_on(tmp_path, study, 6)
    search = Search(Workspace(tmp_path), "s", study)
    search.restore([type(t)(t.number, t.state, t.value, {**t.params, "learning_rate": 0.001}) for t in search.told()])
    assert len(go_on(tmp_path, study, 10)) == 4
    search = Search(Workspace(tmp_path), "s", study)
    search.next_batch(11)
    source = search._fresh._source if search._fresh is not None else None
    if isinstance(source, OptunaSource):
        # It learns from what was trained, and from nothing that was proposed instead.
        complete = [one for one in source._study.get_trials() if one.state.name == "COMPLETE"]
        assert [one.params["learning_rate"] for one in complete[:6]] == [0.001] * 6
        assert len(complete) == 10
    else:
        statuses = [one.status for one in source._oracle.trials.values()]  # type: ignore[union-attr]
        assert (statuses.count("FAILED"), statuses.count("COMPLETED")) == (6, 4)
    assert {told.params["learning_rate"] for told in Search(Workspace(tmp_path), "s", study).told()[:6]} == {0.001}


def test_tpe_finds_better_trials_than_its_random_start(tmp_path: Path) -> None:
    values = [value for _, _, value in go_on(tmp_path, search_config("tpe"), 60) if value is not None]
    assert min(values[10:]) < min(values[:10])
    assert sum(values[40:]) / 20 < sum(values[:10]) / 10


def test_sobol_points_cover_every_sixteenth_of_every_range(tmp_path: Path) -> None:
    table = go_on(tmp_path, search_config("qmc"), 16)
    for name, low, high in (("learning_rate", 1e-4, 3e-2), ("l2", 1e-6, 1e-2)):
        shares = [math.log(float(params[name]) / low) / math.log(high / low) for _, params, _ in table]
        assert sorted(int(16 * share) for share in shares) == list(range(16))


def test_r2_is_maximised_without_a_flipped_sign(tmp_path: Path) -> None:
    search = Search(Workspace(tmp_path), "s", search_config("random", "objective=val/r2"))
    for proposal in search.next_batch(3):
        search.tell(proposal.number, State.COMPLETE, 0.1 * proposal.number)
    assert [trial.value for trial in search.told()] == [0.0, 0.1, 0.2]
    assert search._kept.best_trial.number == 2


@pytest.mark.parametrize("sampler", ["grid", "brute_force", "kt_grid", "kt_random", "tpe", "random", "cmaes", "nsga2", "qmc"])
def test_a_finite_space_is_searched_once_and_then_the_study_ends_with_a_word(tmp_path: Path, sampler: str) -> None:
    # depth 0: 2 batch sizes; depth 1 or 2: 3 widths, 2 activations, 2 batch sizes.
    study = search_config(sampler, *FINITE_SPACE)
    search = Search(Workspace(tmp_path), "s", study)
    seen = []
    while batch := search.next_batch(40):
        for proposal in batch:
            seen.append(json.dumps(dict(proposal.params), sort_keys=True))
            search.tell(proposal.number, State.COMPLETE, value_of(proposal.params))
    assert len(set(seen)) == len(seen)
    assert len(seen) == 26 or (sampler == "kt_random" and len(seen) > 13)
    assert search.ended is not None
    assert f"after {len(seen)} trials" in search.ended
    assert go_on(tmp_path, study, 40) == []


@pytest.mark.parametrize("sampler", ["brute_force", "kt_grid", "kt_random", "kt_hyperband", "tpe"])
def test_every_hidden_layer_has_what_it_has_of_its_own(tmp_path: Path, sampler: str) -> None:
    space = [
        *FINITE_SPACE, "space.parameters.width=8",
        "space.parameters.batch_size=16", "space.parameters.optimizer={type: choice, choices: [adam, sgd]}",
        "space.parameters.dropout={type: choice, choices: [0, 0.1], when: {parameter: optimizer, one_of: [adam]}}",
        "space.per_layer_activation=true", "space.per_layer_dropout=true",
    ]  # fmt: skip
    if sampler == "kt_hyperband":
        # It needs many configurations.
        space.append("space.parameters.learning_rate={type: float, low: 0.001, high: 0.1}")
    config = search_config(sampler, space=space)
    table = go_on(tmp_path, config, 29 if sampler in FINITE else 9)
    for _, params, _ in table:
        assert outside(config.space, params) == []
        numbers = range(1, int(params["depth"]) + 1)
        layered = {f"activation_{layer}" for layer in numbers}
        layered |= {f"dropout_{layer}" for layer in numbers if params["optimizer"] == "adam"}
        assert {key for key in params if key.startswith(("activation", "dropout"))} == layered
    if sampler in FINITE:
        # By adam 1 + 2 x 2 + 4 x 4, by sgd 1 + 2 + 4.
        assert len(table) == 28


def test_a_real_range_that_is_never_drawn_from_does_not_end_a_study_early(tmp_path: Path) -> None:
    # Thirty linear models; dropout, a real number, exists from depth 1 on.
    space = ["space.parameters.depth=0", "space.parameters.learning_rate=0.01", "space.parameters.l2=0", "seed=3"]
    config = search_config("random", "space=broad", *space, "space.parameters.optimizer.choices=[adam,sgd]")
    config = config.model_copy(update={"parallel_trials": 1})
    space_of = {name: len(set(config.space.parameters[name].grid())) for name in ("epochs", "batch_size", "optimizer")}
    assert math.prod(space_of.values()) == 30
    table = go_on(tmp_path, config, 40)
    assert len({json.dumps(params, sort_keys=True) for _, params, _ in table}) == len(table) == 30


def test_a_grid_larger_than_the_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the grid has 26 configurations, but n_trials=20; set n_trials=26"):
        search_config("grid", "n_trials=20")
    with pytest.raises(ConfigError, match=r"learning_rate, dropout, l2 can take any real number; set sampler\.points"):
        compose(["sampler=grid"])
    for trials in (40, 150_000):
        with pytest.raises(ConfigError, match=f"more than 100,000 configurations, but n_trials={trials}; narrow it"):
            compose(["sampler=kt_grid", "sampler.points=3", f"n_trials={trials}"])
    single = "space.parameters.l2={type: float, low: 0.001, high: 0.001}"
    with pytest.raises(ConfigError, match=r"l2 is a range of one real number; set space\.parameters\.l2=0\.001"):
        compose(["sampler=brute_force", "space=broad", *FINITE_SPACE[:-1], single])
    real = ["space=broad", "space.parameters.depth=0", *FINITE_SPACE[5:], "sampler.points=3", "n_trials=6"]
    assert compose(["sampler=grid", *real])[0].n_trials == 6
    with pytest.raises(ConfigError, match="the grid has 6 beside 1 enqueued configurations, but n_trials=6; set n_trials=7"):
        compose(["sampler=grid", *real, "enqueue=[{batch_size: 16}]"])


def test_hyperband_refuses_what_depends_on_how_long_a_trial_is() -> None:
    dropout = "space.parameters.dropout={type: choice, choices: [0, 0.1], when: {parameter: epochs, at_least: 30}}"
    compose(["sampler=tpe", dropout])
    with pytest.raises(ConfigError, match="sampler=kt_hyperband: whether there is dropout depends on epochs"):
        compose(["sampler=kt_hyperband", "n_trials=99", dropout])


@pytest.mark.parametrize("sampler", ["grid", "kt_grid"])
def test_a_range_of_real_numbers_is_cut_into_points_on_its_scale(tmp_path: Path, sampler: str) -> None:
    ranges = ["space.parameters.depth=0", "space.parameters.batch_size=16", "space.parameters.learning_rate.high=1e-2"]
    study = search_config(
        sampler,
        *ranges,
        "space.parameters.l2=0",
        "space.parameters.epochs=3",
        "space.parameters.optimizer=adam",
        "sampler.points=3",
        space=(),
    )
    rates = sorted({float(params["learning_rate"]) for _, params, _ in go_on(tmp_path, study, 40)})
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2])


def test_a_grid_in_which_keras_tuner_tells_apart_what_is_one_configuration_is_gone_through_to_its_end(tmp_path: Path) -> None:
    # Under two conditions Keras Tuner knows of one: by sgd it goes through five dropouts that aren't there.
    space = [
        "space.parameters.depth.high=1", "space.parameters.width=8", "space.parameters.activation=relu",
        "space.parameters.learning_rate.high=1e-2", "space.parameters.epochs=3", "space.parameters.batch_size=16",
        "space.parameters.optimizer={type: choice, choices: [sgd, adam]}", "space.parameters.l2=0",
        "space.parameters.dropout={type: choice, choices: [0, 0.1, 0.2, 0.3, 0.4], when: {parameter: optimizer, one_of: [adam]}}",
        "space.per_layer_dropout=true",
    ]  # fmt: skip
    table = go_on(tmp_path, search_config("kt_grid", "sampler.points=3", space=space), 40)
    rates = sorted({float(params["learning_rate"]) for _, params, _ in table})
    assert rates == pytest.approx([1e-4, 1e-3, 1e-2])
    # Three rates: linear ones by either, one layer by sgd, and with five dropouts by adam.
    assert len({json.dumps(params, sort_keys=True) for _, params, _ in table}) == len(table) == 3 * (2 + 1 + 5)


@pytest.mark.parametrize("batch", [2, 3])
def test_a_study_that_ends_says_why_wherever_a_batch_ended(tmp_path: Path, batch: int) -> None:
    only = ("depth=0", "learning_rate=0.01", "l2=0", "epochs=3", "optimizer=adam", "batch_size={type: choice, choices: [8, 16]}")
    config = search_config("tpe", *(f"space.parameters.{one}" for one in only)).model_copy(update={"parallel_trials": batch})
    search = Search(Workspace(tmp_path), "s", config)
    while proposals := search.next_batch(40):
        for one in proposals:
            search.tell(one.number, State.COMPLETE, value_of(one.params))
    assert search.ended == "every configuration has been tried after 2 trials"


def test_what_is_not_installed_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regsweep.config.sampler.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs torch and greenlet, which are not installed; pip install 'regsweep\[gp\]'"):
        compose(["sampler=gp"])
    monkeypatch.setattr("regsweep.config.sampler.find_spec", lambda name: name == "torch" or None)
    with pytest.raises(ConfigError, match="needs greenlet, which is not installed"):
        compose(["sampler=gp"])


@EVERY
def test_enqueued_configurations_come_first_in_every_study_however_interrupted(tmp_path: Path, sampler: str) -> None:
    study = search_config(sampler, "enqueue=[{depth: 2, width: 9},{depth: 0, batch_size: 16}]")
    table = go_on(tmp_path / "whole", study, 8)
    assert {"depth": 2, "width": 9}.items() <= table[0][1].items()
    assert {"depth": 0, "batch_size": 16}.items() <= table[1][1].items()
    assert len({json.dumps(params, sort_keys=True) for _, params, _ in table}) == 8
    first = go_on(tmp_path / "cut", study, 8, stop_after=1)
    assert first + go_on(tmp_path / "cut", study, 8) == table


def test_a_grid_leaves_out_what_was_enqueued(tmp_path: Path) -> None:
    for sampler in ("grid", "brute_force", "kt_grid"):
        study = search_config(sampler, "enqueue=[{depth: 0, batch_size: 16},{depth: 0, batch_size: 32}]")
        table = go_on(tmp_path / sampler, study, 40)
        assert len(table) == len({json.dumps(params, sort_keys=True) for _, params, _ in table}) == 26


def test_what_is_wrong_with_enqueued_configurations_is_said() -> None:
    wrong = [
        ("[{dept: 2}]", "enqueue.0.dept: the space has no such hyperparameter (did you mean depth?); it has depth, width, "),
        ("[{depth: 0},{depth: 5}]", "enqueue.1.depth: must be a whole number from 0 to 4, but got 5"),
        ("[{epochs: 25}]", "enqueue.0.epochs: must be a whole number from 20 to 60 in steps of 10, but got 25"),
        ("[{learning_rate: 1}]", "enqueue.0.learning_rate: must be a number from 0.0001 to 0.03, but got 1"),
        ("[{optimizer: lion}]", "enqueue.0.optimizer: must be one of adam, rmsprop, sgd_momentum, but got 'lion'"),
        ("[{width: 8}]", "enqueue.0.width: depends on depth; give depth, too"),
        ("[{depth: 0, width: 8}]", "enqueue.0.width: does not exist where depth is 0"),
        ("[{depth: 1},{depth: 1}]", "enqueue.1: equals enqueue.0"),
    ]
    layered = [
        ("[{activation_1: relu}]", "enqueue.0.activation_1: depends on depth; give depth, too"),
        ("[{depth: 1, dropout_2: 0.1}]", "enqueue.0.dropout_2: does not exist where depth is 1"),
        ("[{depth: 2, dropout_2: 0.5}]", "enqueue.0.dropout_2: must be a number from 0 to 0.4, but got 0.5"),
        ("[{depth: 2, activation: relu}]", "enqueue.0.activation: the space has no such hyperparameter"),
    ]
    switches = ["space.per_layer_activation=true", "space.per_layer_dropout=true"]
    for (given, message), more in [*((one, []) for one in wrong), *((one, switches) for one in layered)]:
        with pytest.raises(ConfigError) as raised:
            compose(["space=broad", f"enqueue={given}", *more])
        assert message in str(raised.value), given
    with pytest.raises(ConfigError, match="enqueue: has 2 configurations, but n_trials=1"):
        compose(["enqueue=[{depth: 0},{depth: 1}]", "n_trials=1"])


def test_enqueued_configurations_are_part_of_what_a_study_is() -> None:
    plain, enqueued = compose([])[0], compose(["enqueue=[{depth: 0}]"])[0]
    assert study_name(plain, "") != study_name(enqueued, "")


def hyperband_trials(folder: Path, failed: Callable[[int], bool] = lambda _: False, *, upward: bool = False) -> list[Told]:
    """Every trial of a study, with the same objective in every round; `upward`: an R², the higher the better."""
    sign, objective = (-1, "val/r2") if upward else (1, "val/mse")
    config = search_config("kt_hyperband", "sampler.iterations=1", f"objective={objective}")
    search = Search(Workspace(folder), "s", config)
    while batch := search.next_batch(40):
        for one in batch:
            ended = (State.FAILED, None) if failed(one.number) else (State.COMPLETE, sign * value_of(one.params))
            search.tell(one.number, *ended)
    # As they are read back from the database.
    return list(Search(Workspace(folder), "s", config).told())


@pytest.mark.parametrize("upward", [False, True])
def test_hyperband_goes_on_with_the_best_third_of_every_round(tmp_path: Path, upward: bool) -> None:
    told, sign = hyperband_trials(tmp_path, upward=upward), -1 if upward else 1
    rounds: dict[tuple[int, int], list[Told]] = {}
    for one in told:
        assert one.rung is not None
        rounds.setdefault((one.rung.bracket, one.rung.round), []).append(one)
    # Li et al. 2018, table 1, but for Keras Tuner's sizes: ceil(3 / (bracket + 1) * 3 ** (bracket - round)).
    sizes = {(2, 0): (9, 1), (2, 1): (3, 3), (2, 2): (1, 9), (1, 0): (5, 3), (1, 1): (2, 9), (0, 0): (3, 9)}
    assert {key: (len(ones), ones[0].params["epochs"]) for key, ones in rounds.items()} == sizes
    assert all(len({one.params["epochs"] for one in ones}) == 1 for ones in rounds.values())
    for (bracket, number), ones in rounds.items():
        for one in ones:
            rung = one.rung
            assert rung is not None
            if number == 0:
                assert (rung.parent, rung.root, rung.rounds) == (None, one.number, ())
                continue
            before = rounds[bracket, number - 1]
            parent = next(each for each in before if each.number == rung.parent)
            assert {**one.params, "epochs": 0} == {**parent.params, "epochs": 0}
            assert parent.rung is not None
            assert rung.root == parent.rung.root
            assert rung.rounds == (*parent.rung.rounds, parent.params["epochs"])
            # Only so many can be better as go on too.
            assert sum(sign * each.value < sign * parent.value for each in before if each.value and parent.value) < len(ones)


def test_hyperband_never_goes_on_with_a_failed_trial(tmp_path: Path) -> None:
    told = hyperband_trials(tmp_path, failed=lambda number: number % 4 == 1)
    parents = [one.rung.parent for one in told if one.rung is not None and one.rung.parent is not None]
    assert parents
    assert not [number for number in parents if number % 4 == 1]


@pytest.mark.parametrize(("longest", "factor"), [(100, 3), (27, 3), (9, 3), (50, 4), (3, 3), (2, 3), (81, 2)])
def test_hyperbands_rounds_are_counted_as_keras_tuner_counts_them(longest: int, factor: int) -> None:
    kt = pytest.importorskip("keras_tuner")
    oracle = kt.oracles.HyperbandOracle(kt.Objective("loss", "min"), max_epochs=longest, factor=factor)
    rounds = [(bracket, done) for bracket in range(oracle._get_num_brackets()) for done in range(bracket + 1)]
    assert once_through(longest, factor) == sum(oracle._get_size(*one) for one in rounds)
    assert first_round(longest, factor) == oracle._get_size(oracle._get_num_brackets() - 1, 0)


def test_hyperband_that_would_never_get_to_its_second_round_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"begins with 98 trials of 2, .* n_trials=98; set n_trials=254 .*max_epochs=80 \(90"):
        compose(["sampler=kt_hyperband", "n_trials=98"])
    with pytest.raises(ConfigError, match=r"n_trials=10, of which 1 enqueued; set n_trials=24 .*max_epochs=3 \(6 trials"):
        compose(["sampler=kt_hyperband", "sampler.max_epochs=9", "n_trials=10", "enqueue=[{depth: 0}]"])
    # Depths 0, 1 and 2, two batch sizes.
    six = ["space=broad", FINITE_SPACE[0], "space.parameters.width=8", "space.parameters.activation=relu", *FINITE_SPACE[4:]]
    # The brackets begin with 9, 5 and 3.
    with pytest.raises(ConfigError, match=r"draws 17 different .* the space has 6; widen it to 34"):
        compose(["sampler=kt_hyperband", "sampler.max_epochs=9", "n_trials=23", *six])
    # A record of one that was run before stays readable.
    assert load_saved({**compose(["sampler=kt_hyperband", "n_trials=99"])[0].model_dump(mode="json"), "n_trials": 40})
    # Where every trial is trained in one go there is nothing to get to.
    assert compose(["sampler=kt_hyperband", "sampler.max_epochs=2", "n_trials=1"])


def test_hyperband_searches_from_its_shortest_round_to_its_longest() -> None:
    def epochs(*overrides: str) -> tuple[int, int]:
        low, high = compose(["sampler=kt_hyperband", *overrides])[0].space.parameters["epochs"].values()
        return int(low), int(high)

    assert epochs("n_trials=99") == (2, 100)
    assert epochs("space.parameters.epochs=27") == (1, 27)
    assert epochs("sampler.max_epochs=50", "sampler.factor=4") == (4, 50)
    assert epochs("sampler.max_epochs=1") == (1, 1)
    with pytest.raises(ConfigError, match="kt_hyperband stops trials by itself, but got 'median'; set pruner=none"):
        compose(["sampler=kt_hyperband", "n_trials=99", "pruner=median"])
