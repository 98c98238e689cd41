"""Studies whose trials a user's function draws, trained for real: whole, resumed, reproduced without the function."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from regsweep.book import RecordBook
from regsweep.config import StudyConfig, compose
from regsweep.errors import ConfigError
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.planning import estimate
from regsweep.record import TrialRecord
from regsweep.reproduce import reproduce
from regsweep.search import Search
from regsweep.space import function
from regsweep.study import run_study
from regsweep.trial import State
from regsweep.warm_start import with_best_of
from tests.conftest import TINY
from tests.helpers import Silent

OPTUNA = """
def define(trial):
    depth = trial.suggest_int("layers", 0, 2)
    return {
        "depth": depth,
        **{f"width_{i}": trial.suggest_int(f"units_{i}", 4, 16, log=True) for i in range(1, depth + 1)},
        "learning_rate": trial.suggest_float("rate", 1e-3, 1e-1, log=True),
        "dropout": trial.suggest_float("drop", 0.0, 0.4, step=0.2),
        "encoding": trial.suggest_categorical("encoding", ["plain", "piecewise"]),
    }
"""
KERAS = """
import keras

def define(hp):
    model = keras.Sequential()
    for layer in range(hp.Int("layers", 1, 2)):
        units = hp.Int(f"units_{layer}", 4, 16, step=4)
        model.add(keras.layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("drop"):
        model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Dense(1))
    hp.Choice("batch_size", [32, 64])
    model.compile(optimizer=keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), loss="mse")
    return model
"""
TEXTS = {"optuna": OPTUNA, "keras": KERAS}
SMALL = (*TINY, "space=function", "n_trials=4", "baselines=none")
EARLY = "sampler.startup_trials=2"
Row = tuple[int, dict[str, object], float | None]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a module for each form."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in TEXTS.items():
        for module in (f"drawn_by_{name}", f"drawn_for_{name}"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"drawn_by_{name}.py").write_text(text)
    return tmp_path


def config(form: str, *overrides: str) -> StudyConfig:
    trainer = ["trainer=keras_fit"] if form == "keras" else []
    return compose([*SMALL, EARLY, f"space.function=drawn_by_{form}:define", *trainer, *overrides])[0]


def run(study: StudyConfig, folder: Path, stop_after: int | None = None, *, bare: bool = True) -> RecordBook:
    return run_study(gather(study), Workspace(folder), Silent(stop_after), bare=bare).book


def records(book: RecordBook) -> list[TrialRecord]:
    return list(book.trials())


def table(book: RecordBook) -> list[Row]:
    return [(record.number, dict(record.params), record.objective) for record in book.trials()]


@pytest.mark.parametrize("form", ["optuna", pytest.param("keras", marks=pytest.mark.slow)])
def test_a_study_that_goes_on_equals_one_that_nothing_disturbed_and_needs_no_function_to_be_reproduced(
    here: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(config(form), here / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(config(form), here / "cut", stop_after=3)
    assert table(run(config(form), here / "cut")) == table(whole)
    for record in whole.trials():
        spec, params = record.result.spec, record.params
        assert params["rate"] == pytest.approx(spec.learning_rate)
        assert spec.depth == params["layers"]
        assert spec.epochs == 3
        assert list(spec.widths) == [params[name] for name in sorted(params) if name.startswith("units_")]
        if form == "keras":
            assert spec.batch_size == params["batch_size"]
            assert spec.dropouts[-1] == 0.2 * float(params["drop"])
    facts = whole.facts()
    assert {*facts.config.space.found} >= {"layers", "rate", "drop"}
    assert "units_2" not in facts.config.space.always
    # Elsewhere there is no such module.
    shutil.copytree(whole.place(2), here / "elsewhere" / "record")
    monkeypatch.chdir(here / "elsewhere")
    (here / f"drawn_by_{form}.py").unlink()
    for known in (function._remembered, function._loaded, function._imported):
        known.clear()
    monkeypatch.delitem(sys.modules, f"drawn_by_{form}", raising=False)
    assert reproduce(here / "elsewhere", tolerance=0.0, announce=lambda _: None).sentence == "identical"


@pytest.mark.slow
def test_insight_figures_optuna_and_mlflow_go_by_the_functions_names(here: Path) -> None:
    study = config("optuna", "n_trials=12", "insight.ablation=true", "enqueue=[{layers: 2, units_1: 5}]")
    book = run(study, here / "mlruns", bare=False)
    first = records(book)[0]
    assert (first.params["layers"], first.params["units_1"], first.result.spec.widths[0]) == (2, 5, 5)
    insight = json.loads(book.insight.read_text())
    names = {name for record in book.trials() for name in record.params}
    assert [{*one["values"]} <= names for one in insight["importance"]] == [True, True]
    steps = insight["ablation"]["steps"]
    assert {name for step in steps for name in step["flipped"]} <= names
    assert not check(Workspace(here / "mlruns"), book).findings


def asked(study: StudyConfig, folder: Path, stop_after: int | None = None) -> list[dict[str, Any]]:
    """Ask and tell without training, or give up after so many tells; what was drawn."""
    search, drawn = Search(Workspace(folder), "s", study), list[dict[str, Any]]()
    while batch := search.next_batch(study.n_trials):
        for proposal in batch:
            if len(drawn) == stop_after:
                return drawn
            drawn.append(dict(proposal.params))
            search.tell(proposal.number, State.COMPLETE, float(drawn[-1]["rate"]) + 0.01 * float(drawn[-1]["layers"]))
    return drawn


@pytest.mark.parametrize(
    ("sampler", "form"),
    [
        *((name, "optuna") for name in ("tpe", "random", "qmc", "cmaes", "nsga2", "brute_force", "kt_random")),
        pytest.param("kt_bayesian", "optuna", marks=pytest.mark.slow),
        *((name, "keras") for name in ("tpe", "kt_random")),
    ],
)
def test_samplers_draw_through_a_function_by_their_seed_and_go_on_after_a_stop(here: Path, sampler: str, form: str) -> None:
    name = f"drawn_for_{form}"
    text = TEXTS[form].replace('"rate", 1e-3, 1e-1, log=True', '"rate", 0.01, 0.05, step=0.01')
    (here / f"{name}.py").write_text(text.replace('"rate", 1e-3, 1e-1, sampling="log"', '"rate", 0.01, 0.05, step=0.01'))
    early = [EARLY] if sampler in ("tpe", "cmaes", "kt_bayesian") else []
    study = compose([*SMALL, "n_trials=8", f"space.function={name}:define", f"sampler={sampler}", *early])[0]
    whole = asked(study, made(here / "whole"))
    assert len({json.dumps(params, sort_keys=True) for params in whole}) == 8
    first = asked(study, made(here / "cut"), stop_after=3)
    assert first + asked(study, here / "cut") == whole
    assert asked(study.model_copy(update={"seed": 1}), made(here / "other")) != whole


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_function_with_few_configurations_ends_the_study(here: Path) -> None:
    (here / "few.py").write_text("def define(trial):\n    return {'depth': trial.suggest_int('a', 0, 2), 'width': 4}\n")
    book = run(compose([*SMALL, EARLY, "space.function=few:define"])[0], here / "mlruns")
    assert len(book.numbers()) == 3
    assert book.ended() == "24 draws in a row gave nothing new after 3 trials"


def test_a_changed_function_is_another_study_or_refused_by_name(here: Path) -> None:
    before = gather(config("optuna", "n_trials=1"))
    named = config("optuna", "n_trials=1", "study=mine")
    run(named, here / "mlruns")
    place = here / "drawn_by_optuna.py"
    place.write_text(place.read_text().replace("16", "32"))
    assert gather(config("optuna", "n_trials=1")).facts.study != before.facts.study
    with pytest.raises(ConfigError, match=r"space.source: was '\w+', is '\w+'"):
        run(config("optuna", "n_trials=1", "study=mine"), here / "mlruns")
    with pytest.raises(ConfigError, match="has changed"):
        gather(compose_saved(named))


def test_a_function_that_raises_at_a_draw_stops_the_study_with_a_line_and_nothing_is_lost(here: Path) -> None:
    text = "def define(trial):\n    rate = trial.suggest_float('rate', 1e-3, 1e-1)\n"
    # What the calls before the study did not meet, a trial does.
    text += "    if open('switch').read():\n        raise ValueError('too hot')\n    return {'learning_rate': rate}\n"
    (here / "moody.py").write_text(text)
    (here / "switch").write_text("")
    study = compose([*SMALL, "n_trials=8", "sampler=random", "parallel_trials=2", "space.function=moody:define"])[0]
    whole = table(run(study, here / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run(study, here / "cut", stop_after=2)
    material = gather(study)
    (here / "switch").write_text("on")
    message = r"space.function=moody:define: raised ValueError: too hot \(moody.py, line 4\), at rate=0.\d+; correct it"
    with pytest.raises(ConfigError, match=message):
        run_study(material, Workspace(here / "cut"), Silent(), bare=True)
    (here / "switch").write_text("")
    assert table(run(study, here / "cut")) == whole


def compose_saved(study: StudyConfig) -> StudyConfig:
    """A study as its record says it is, in a process that has not loaded its function."""
    from regsweep.space import function

    function._loaded.clear()
    function._explored.cache_clear()
    return StudyConfig.model_validate(study.model_dump(mode="json"))


@pytest.mark.slow
def test_a_plan_of_a_function(here: Path) -> None:
    expected = estimate(gather(config("optuna", "space.parameters.epochs=50")), 0.0)
    assert expected.trials == 4
    assert expected.seconds > expected.search > 0


def test_what_a_function_can_not_draw_is_passed_over_when_another_study_seeds(here: Path) -> None:
    run(config("optuna", "study=before", "n_trials=6"), here)
    (here / "drawn_for_optuna.py").write_text(OPTUNA.replace('"layers", 0, 2', '"layers", 1, 2'))
    narrower = config("optuna", "space.function=drawn_for_optuna:define", "enqueue_best_of=before", "n_trials=9")
    trials = sorted(RecordBook(here / "records" / "before").trials(), key=lambda trial: trial.objective or 0.0)
    expected = [dict(trial.params) for trial in trials if trial.params["layers"] != 0]
    assert 0 < len(expected) < len(trials), "one has no layers, or this asks nothing"
    assert [dict(given) for given in with_best_of(narrower, Workspace(here)).enqueue] == expected
