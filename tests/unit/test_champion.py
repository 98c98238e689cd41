"""Which trials make the champion: rules, further seeds, ensembles, against values found by hand or by trying everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from regsweep.book import RecordBook, judged_model, read_champion
from regsweep.champion import read_openings
from regsweep.champion.choice import Choice, choose, simplest_within_one_error
from regsweep.champion.ensemble import _distances, _greedy, _row_weights, _squares, validation_predictions
from regsweep.champion.training import Trainings, whole
from regsweep.config import StudyConfig
from regsweep.errors import RegsweepError
from regsweep.folder import read_folder
from regsweep.material import Material, gather
from regsweep.metrics import score
from regsweep.paths import Workspace
from regsweep.predictor import Model, encode
from regsweep.record import TrialRecord
from regsweep.runner import make_executor
from regsweep.study import Outcome, run_study
from regsweep.train import make_trainer
from regsweep.train.contract import StopAfter
from regsweep.trial import FoldResult, Network, State, TrialResult, TrialSpec, trial_seed
from tests.helpers import Silent, spec

Tiny = Callable[..., StudyConfig]


def record(facts: object, number: int, errors: Sequence[float], width: int) -> TrialRecord:
    """A made-up trial of one hidden layer: one epoch, a fold for every validation MSE."""
    kernels = (np.zeros((2, width), np.float32), np.zeros((width, 1), np.float32))
    network = Network(kernels, (np.zeros(width, np.float32), np.zeros(1, np.float32)))
    folds = tuple(FoldResult(np.array([[1.0, 1, 0, error, 1, 1 - error]]), network, 0) for error in errors)
    result = TrialResult(spec(widths=(width,), epochs=1), State.COMPLETE, folds, 0.1, "stacked")
    return TrialRecord(facts, number, {}, result, 0, 1)  # type: ignore[arg-type]


def test_within_one_standard_error_the_smallest_network_leads() -> None:
    # The best has mean 2 and standard error sd(1, 2, 3) / sqrt 3 = 0.577.
    best, near, far = record(None, 0, [1, 2, 3], 64), record(None, 1, [2.5, 2.5, 2.7], 8), record(None, 2, [2.6, 2.6, 2.6], 2)
    assert simplest_within_one_error([best, near, far], "val/mse") is near
    assert simplest_within_one_error([best, far], "val/mse") is best
    assert simplest_within_one_error([best, near, far], "val/r2") is near
    assert simplest_within_one_error([], "val/mse") is None


def test_folds_that_are_repeated_are_the_same_rows_again() -> None:
    # The best has mean 2 and standard error sd(1, 3, 1, 3) / sqrt 4 = 0.577, were these four parts of the rows; of two, twice
    # over, it is sd / sqrt 2 = 0.816.
    best, other = record(None, 0, [1, 3, 1, 3], 64), record(None, 1, [2.7] * 4, 8)
    assert simplest_within_one_error([best, other], "val/mse") is best
    assert simplest_within_one_error([best, other], "val/mse", repeats=2) is other


@pytest.mark.parametrize(("kind", "objective"), [("bag", "val/mse"), ("refit", "val/r2")])
@pytest.mark.parametrize(
    ("rule", "split", "lead"),
    [
        # Trial 1 is best, of mean 2. Its standard error over four parts of the rows is sd(1, 3, 1, 3) / sqrt 4 = 0.577: trials 2
        # and 3 are near enough, and the former is the smaller one.
        ("best", ("split.folds=4",), 1),
        ("one_standard_error", ("split.folds=4",), 2),
        # Of two parts, twice over, it is sd / sqrt 2 = 0.816: trial 0 is near enough, too, and the smallest.
        ("best", ("split.folds=2", "split.repeats=2"), 1),
        ("one_standard_error", ("split.folds=2", "split.repeats=2"), 0),
    ],
)
def test_the_rule_says_which_trial_leads(
    tiny: Tiny, tmp_path: Path, kind: str, objective: str, rule: str, split: tuple[str, ...], lead: int
) -> None:
    config = tiny(f"champion={kind}", f"champion.rule={rule}", "split=kfold", *split, f"objective={objective}")
    trials = [([2.7] * 4, 2), ([1.0, 3.0] * 2, 64), ([2.5] * 4, 8), ([2.55] * 4, 16), ([0.1] * 4, 1)]
    records = [record(None, number, errors, width) for number, (errors, width) in enumerate(trials)]
    # What one that failed had come to does not count.
    records[4] = replace(records[4], result=replace(records[4].result, state=State.FAILED, cause="made up"))
    chosen = choose(RecordBook(tmp_path), records, config, gather(config).prepared, lambda _: pytest.fail("nobody is trained"))
    assert chosen == Choice(kind, lead, ((lead, 1.0),))


def test_one_fold_has_no_standard_error() -> None:
    best, other = record(None, 0, [2.0], 64), record(None, 1, [2.0001], 1)
    assert simplest_within_one_error([other, best], "val/mse") is best


@pytest.mark.parametrize("power", [1, 2])
def test_greedy_selection_finds_the_blend_that_trying_everything_finds(power: int) -> None:
    # Two that err to opposite sides, three to one: the best mean takes them 3 to 1.
    truth = np.array([0.0, 10.0, 20.0])
    predictions = np.stack([truth + 1, truth - 3, truth + 9])
    counts = _greedy(predictions, truth, np.full(3, 1 / 3), _distances if power == 1 else _squares, 8)
    blends = [np.bincount(picks, minlength=3) for size in (1, 2, 3, 4) for picks in combinations_with_replacement(range(3), size)]
    losses = [np.mean(np.abs(truth - blend @ predictions / blend.sum()) ** power) for blend in blends]
    found = counts / counts.sum()
    assert found.tolist() == (blends[int(np.argmin(losses))] / blends[int(np.argmin(losses))].sum()).tolist() == [0.75, 0.25, 0.0]


@pytest.mark.parametrize("objective", ["val/mse", "val/mae", "val/r2"])
def test_rows_weigh_so_that_their_sum_is_the_mean_over_folds(objective: str) -> None:
    rng = np.random.default_rng(0)
    folds = [(y := rng.normal(size=size) * scale, y + rng.normal(size=size)) for size, scale in ((5, 1.0), (9, 4.0))]
    power = 1 if objective == "val/mae" else 2
    loss = sum(np.sum(_row_weights(y, objective, 2) * np.abs(y - p) ** power) for y, p in folds)
    mean = np.mean([getattr(score(y, p), objective.removeprefix("val/")) for y, p in folds])
    assert loss == pytest.approx(1 - mean if objective == "val/r2" else mean)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Material, Outcome]]:
    """Runs a small study of three folds; the same trials serve several champions."""
    from tests.conftest import TINY

    known: dict[tuple[str, ...], tuple[Material, Outcome]] = {}

    def run(*overrides: str) -> tuple[Material, Outcome]:
        if overrides not in known:
            from regsweep.config import compose

            root = tmp_path_factory.mktemp("champion")
            settings = [*TINY, "split=kfold", "split.folds=3", "n_trials=6", "baselines.names=[mean,least_squares_qr]"]
            config = compose([*settings, "space.parameters.epochs=6", f"tracking.dir={root}", *overrides])[0]
            material = gather(config)
            known[overrides] = material, run_study(material, Workspace(root), Silent(), bare=True)
        return known[overrides]

    return run


def test_r2_of_a_champion_is_undefined_where_all_validation_targets_are_the_same(tiny: Tiny, tmp_path: Path) -> None:
    # Of 50 rows in time the validation part is rows 32 to 39.
    rows = [f"{t},{t % 7},{5 if 32 <= t < 40 else t % 5}" for t in range(50)]
    (tmp_path / "data.csv").write_text("\n".join(["t,a,y", *rows]))
    own = [f"dataset.path={tmp_path / 'data.csv'}", "dataset.target=y", "dataset.time=t", "split=time_ordered"]
    config = tiny("dataset=csv", *own, "space.parameters.batch_size=16", f"tracking.dir={tmp_path}", "champion=bag")
    content = read_champion(run_study(gather(config), Workspace(tmp_path), Silent(), bare=True).book)
    assert content is not None
    # A record writes what is no number as null.
    assert content["val"]["r2"] is None and content["optimism"]["r2"] is None
    assert content["val"]["mse"] > 0 and content["test"]["r2"]["value"] < 1


def test_an_ensemble_predicts_the_weighted_mean_of_its_trials(studied: Callable[..., tuple[Material, Outcome]]) -> None:
    material, outcome = studied("champion=ensemble")
    content = read_champion(outcome.book)
    assert content is not None
    assert content["champion"] == "ensemble"
    assert sum(weight for _, weight in content["members"]) == pytest.approx(1)
    rows = material.dataset.x.iloc[material.split.test]
    model = judged_model(outcome.book)
    trials = {number: outcome.book.trial(number) for number, _ in content["members"]}
    single = {n: material.prepared.encoding.model(trial.result).predict(rows) for n, trial in trials.items() if trial is not None}
    expected = sum(weight * single[number] for number, weight in content["members"])
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-9)
    np.testing.assert_allclose(content["test"]["r2"]["value"], score(material.dataset.y[material.split.test], expected).r2)


def test_an_ensemble_is_at_least_as_good_on_validation_as_the_best_trial(
    studied: Callable[..., tuple[Material, Outcome]],
) -> None:
    _, outcome = studied("champion=ensemble")
    content = read_champion(outcome.book)
    assert content is not None
    best = min(one.result.final["val/mse"] for one in outcome.book.trials() if one.result.state is State.COMPLETE)
    assert content["val"]["mse"] <= best * (1 + 1e-6)
    reached, there = content["val"]["r2"], content["test"]["r2"]["value"]
    assert content["optimism"]["r2"] == pytest.approx(reached - there)
    assert content["optimism"]["mse"] == pytest.approx(content["test"]["mse"]["value"] - content["val"]["mse"])


def test_no_row_is_predicted_by_a_network_that_was_trained_on_it(studied: Callable[..., tuple[Material, Outcome]]) -> None:
    material, outcome = studied("champion=bag")
    trial = outcome.judgement.trial
    predictions = validation_predictions(trial.result, material.prepared)
    ends = np.cumsum([len(fold.val) for fold in material.split.folds])[:-1]
    for fold, part, trained in zip(material.split.folds, np.split(predictions, ends), trial.result.folds, strict=True):
        error = score(material.dataset.y[fold.val], part).mse
        assert error == pytest.approx(trained.curves[trained.kept_epoch, 3], rel=1e-4)


def test_a_refitted_champion_is_one_network_of_all_rows_but_the_sealed(
    studied: Callable[..., tuple[Material, Outcome]],
) -> None:
    material, outcome = studied("champion=refit")
    model = judged_model(outcome.book)
    (member,) = model.members
    data = whole(material.config, material.dataset, material.split, "plain")
    assert sorted(data.folds[0].y_train) == sorted(np.delete(material.dataset.y, material.split.test))
    (again,) = make_trainer(material.config.trainer).fit([outcome.judgement.trial.result.spec], data)
    np.testing.assert_array_equal(member.kernels[0], again.folds[0].network.kernels[0])


def test_beside_a_refitted_champion_baselines_are_fitted_on_the_same_rows(
    studied: Callable[..., tuple[Material, Outcome]],
) -> None:
    material, outcome = studied("champion=refit")
    fold = whole(material.config, material.dataset, material.split, "plain").folds[0]
    line = LinearRegression().fit(fold.x_train, fold.y_train)
    content, arrays = read_folder(outcome.book.folder / "baseline-least_squares_qr")
    test = encode(material.dataset.x.iloc[material.split.test], fold.columns)
    np.testing.assert_allclose(arrays["prediction"], line.predict(test), rtol=1e-9)
    # Its validation score is the folds', as that of the networks is.
    errors = []
    for each in material.prepared.folds:
        fitted = LinearRegression().fit(each.x_train, each.y_train)
        errors.append(np.mean((each.y_val - fitted.predict(each.x_val)) ** 2))
    assert content["val"]["mse"] == pytest.approx(np.mean(errors), rel=1e-9)


def test_a_refit_takes_the_course_of_its_trial_up_to_the_epochs_that_were_kept(
    studied: Callable[..., tuple[Material, Outcome]],
) -> None:
    material, outcome = studied("champion=refit")
    result = outcome.judgement.trial.result
    assert result.spec.schedule == "cosine"
    earlier = replace(result, folds=tuple(replace(fold, kept_epoch=1) for fold in result.folds))
    with make_executor(material.config, material.prepared) as executor:
        (member,) = Trainings(material.config, material.dataset, material.split, executor).refitted(earlier).members
    data = whole(material.config, material.dataset, material.split, result.spec.encoding)
    trainer = make_trainer(material.config.trainer)
    ((two,),) = (one.folds for one in trainer.fit([result.spec], data, StopAfter(2, folds=1)))
    ((short,),) = (one.folds for one in trainer.fit([replace(result.spec, epochs=2)], data))
    np.testing.assert_array_equal(member.kernels[0], two.network.kernels[0])
    assert not np.array_equal(member.kernels[0], short.network.kernels[0]), "its rate would have fallen to 0 in two epochs"


def test_a_champion_that_can_not_be_made_opens_nothing(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(*_: object) -> Model:
        raise RegsweepError("the champion could not be refitted (diverged); try champion=bag")

    monkeypatch.setattr(Trainings, "refitted", diverges)
    with pytest.raises(RegsweepError, match="try champion=bag"):
        run_study(gather(tiny("champion=refit", "study=one")), Workspace(tmp_path), Silent(), bare=True)
    assert read_openings(RecordBook(tmp_path / "records" / "one")) == []
    outcome = run_study(gather(tiny("champion=bag", "study=one")), Workspace(tmp_path), Silent(), bare=True)
    assert (outcome.judgement.content["champion"], outcome.judgement.note) == ("bag", None)


def test_a_judged_study_says_its_intervals_and_units_as_they_are_asked_for_now(tiny: Tiny, tmp_path: Path) -> None:
    def judged(*overrides: str) -> dict[str, Any]:
        study = gather(tiny("study=one", "baselines=none", *overrides))
        return run_study(study, Workspace(tmp_path), Silent(), bare=True).judgement.content

    first, same, other = judged(), judged(), judged("bootstrap_resamples=333", "dataset.unit=miles")
    assert first["finished"] == same["finished"], "it was scored again for nothing"
    for name, found in first["test"].items():
        assert other["test"][name]["value"] == found["value"]
    assert other["test"]["rmse"]["low"] != first["test"]["rmse"]["low"]
    assert other["dataset"]["unit"] == "miles"
    assert other["openings"] == first["openings"]


@pytest.mark.parametrize("objective", ["val/mse", "val/r2"])
def test_finalists_are_ranked_by_their_further_seeds(studied: Callable[..., tuple[Material, Outcome]], objective: str) -> None:
    material, outcome = studied("champion=bag", f"objective={objective}")
    upward = objective == "val/r2"
    config = material.config.model_copy(
        update={"champion": material.config.champion.model_copy(
            update={"finalists": material.config.champion.finalists.model_copy(update={"top": 3, "seeds": 2})}
        )}
    )  # fmt: skip
    asked: list[TrialSpec] = []
    sign = -1 if upward else 1
    ranked = sorted((one for one in outcome.book.trials()), key=lambda one: sign * (one.objective or sign * np.inf))[:3]
    luck = {ranked[0].number: [9.0, 9.0], ranked[1].number: [7.0, 7.5], ranked[2].number: [1.0, np.nan]}

    def train(specs: Sequence[TrialSpec]) -> tuple[TrialResult, ...]:
        asked.extend(specs)
        values = [value for each in ranked for value in luck[each.number]]
        results = []
        for one, value in zip(specs, values, strict=True):
            row = [1.0, 1, 0, 1, 1, -value] if upward else [1.0, 1, 0, value, 1, 0]
            fold = FoldResult(np.array([row]), ranked[0].result.folds[0].network, 0)
            state = State.FAILED if np.isnan(value) else State.COMPLETE
            results.append(TrialResult(one, state, (fold,), 0.1, "stacked"))
        return tuple(results)

    chosen = choose(outcome.book, outcome.book.trials(), config, material.prepared, train)
    assert chosen is not None
    assert chosen.trial == ranked[1].number
    seeds = [trial_seed(config.seed, each.number, again) for each in ranked for again in (1, 2)]
    assert [one.seed for one in asked] == seeds
    assert len({*seeds, *(each.result.spec.seed for each in ranked)}) == 9
    # Once they are on record, nobody is trained again.
    assert (
        choose(outcome.book, outcome.book.trials(), config, material.prepared, lambda specs: pytest.fail("trained again"))
        == chosen
    )
