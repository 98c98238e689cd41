"""Spaces whose trials a user's function draws: its two vocabularies, what is read out of a model, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from regsweep.config import StudyConfig, compose
from regsweep.config.function import locate
from regsweep.config.parameters import Choice, FloatRange, IntRange, SteppedRange
from regsweep.errors import ConfigError
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.search.samplers import distribution_of
from regsweep.space import Given, Middle, Random, as_seen, call, draw, explored, found_in, function_problems, values_of
from regsweep.space.hyperparameters import HyperParameters
from regsweep.space.suggesters import End, OutsideError
from regsweep.trial import State, spec_from_values

Write = Callable[..., StudyConfig]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module into the working directory and composes a study whose trials its `define` draws."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def written(text: str, *overrides: str) -> StudyConfig:
        name = f"function_of_{abs(hash((text, tmp_path)))}"
        (tmp_path / f"{name}.py").write_text(text)
        return compose(["space=function", f"space.function={name}:define", *overrides])[0]

    return written


def middle() -> HyperParameters:
    return HyperParameters(Middle())


@pytest.mark.parametrize("suggester", [Middle(), Random(0)])
def test_a_log_range_of_one_number_gives_that_number(suggester: Middle | Random) -> None:
    # exp(log(0.001)) is 0.0010000000000000002.
    for value in (1e-3, 0.3, 7.0, 1e-8):
        assert suggester.suggest_float("rate", value, value, log=True) == value


def test_optunas_words_draw_and_are_noted_down() -> None:
    trial = middle()
    assert trial.suggest_int("a", 0, 4) == 2
    # 7 is out of reach.
    assert trial.suggest_int("b", 1, 7, step=4) == 1
    assert trial.suggest_float("c", 1e-4, 1e-2, log=True) == pytest.approx(1e-3)
    assert trial.suggest_float("d", 0.0, 0.5, step=0.25) == 0.25
    assert trial.suggest_categorical("e", ["x", "y"]) == "x"
    assert trial.suggest_categorical("f", [True, False]) is True
    assert trial.suggest_int("a", 0, 4) == 2
    assert trial.params == {"a": 2, "b": 1, "c": pytest.approx(1e-3), "d": 0.25, "e": "x", "f": True}
    assert trial.distributions == {
        "a": IntRange(type="int", low=0, high=4),
        "b": IntRange(type="int", low=1, high=5, step=4),
        "c": FloatRange(type="float", low=1e-4, high=1e-2, log=True),
        "d": SteppedRange(type="float", low=0.0, high=0.5, step=0.25),
        "e": Choice(type="choice", choices=("x", "y")),
        "f": Choice(type="choice", choices=(1, 0)),
    }


def test_keras_tuners_words_mean_what_they_mean_there() -> None:
    import keras_tuner as kt

    def asked(hp: Any) -> list[Any]:
        values = [
            hp.Int("a", 2, 9, step=3),
            hp.Int("b", 2, 33, step=2, sampling="log"),
            hp.Float("c", 0.1, 0.35, step=0.1),
            hp.Choice("d", ["x", "y"]),
            hp.Boolean("e"),
            hp.Fixed("f", 7),
            hp.Int("g", 1, 3, parent_name="d", parent_values=["x"]),
            hp.Int("h", 1, 3, parent_name="d", parent_values=["y"]),
        ]
        with hp.conditional_scope("d", ["y"]):
            values.append(hp.Float("i", 0.0, 1.0))
        return [*values, hp.get("a"), hp["f"], "h" in hp, "d" in hp]

    # Keras Tuner's defaults are the lower ends and the first choices.
    assert asked(HyperParameters(End(upper=False))) == pytest.approx(asked(kt.HyperParameters()))
    greatest = HyperParameters(End(upper=True))
    assert asked(greatest)[:8] == [8, 32, pytest.approx(0.3), "y", True, 7, None, 3]
    assert {*greatest.params} == {"a", "b", "c", "d", "e", "h", "i"}
    assert greatest.values["f"] == 7
    assert greatest.get("e") is True and greatest.Boolean("e") is True


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda hp: hp.suggest_int("a", 3, 1), r"'a': low <= high must hold, but got low=3, high=1"),
        (lambda hp: hp.suggest_float("a", 0, 1, log=True), "a log scale needs low > 0"),
        (lambda hp: hp.suggest_float("a", 1, 0, step=2), r"'a': low <= high must hold, but got low=1.0, high=0.0"),
        (lambda hp: hp.suggest_float("a", 0.1, 1, step=0.1, log=True), "a log scale has none"),
        (lambda hp: hp.suggest_categorical("a", [None, 1]), "'a' has the choice None; choices are numbers, texts"),
        (lambda hp: hp.suggest_categorical("a", []), "'a'.*at least 1"),
        (lambda hp: hp.suggest_int("a?", 0, 1), r"'a\?' is no name"),
        # MLflow takes names for paths.
        *(
            (lambda hp, name=name: hp.suggest_int(name, 0, 1), f"'{name}' is no name: as a path it must be the shortest")
            for name in ("a//b", "a/", "./a", "a/../b", "/a", "../a", ".")
        ),
        (
            lambda hp: (hp.suggest_int("a", 0, 1), hp.suggest_int("a", 0, 2)),
            "'a' is drawn twice, from whole numbers from 0 to 1 and",
        ),
        (lambda hp: hp.Int("a", 1, 8, sampling="reverse_log"), "sampling must be linear or log, but got 'reverse_log'"),
        (lambda hp: hp.Int("a", 1, 8, step=1, sampling="log"), "step above 1"),
        (lambda hp: hp.Int("a", 1, 8, parent_name="b", parent_values=[1]), "'b', which was not drawn before"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ask: Callable[[Any], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ask(middle())


def test_what_a_trial_does_not_offer_is_answered_with_what_it_does() -> None:
    with pytest.raises(AttributeError, match=r"has no 'report'; it has suggest_int, .* Int, Float"):
        middle().report(1.0, 1)


def test_a_value_that_can_not_be_drawn_is_refused_or_fitted() -> None:
    with pytest.raises(OutsideError, match="'a' is drawn from whole numbers from 0 to 2, but 5 was proposed"):
        HyperParameters(Given({"a": 5})).suggest_int("a", 0, 2)
    with pytest.raises(OutsideError, match="'a' is drawn, which was not before"):
        HyperParameters(Given({})).suggest_int("a", 0, 2)
    assert HyperParameters(Given({"a": 5}, Middle(), fitting=True)).suggest_int("a", 0, 2) == 1


@pytest.mark.parametrize(("low", "high", "step", "last"), [(0, 0.3, 0.1, 0.3), (0, 0.6, 0.2, 0.6), (0.1, 0.35, 0.1, 0.3)])
def test_the_last_step_of_a_float_is_the_end_that_optuna_has(low: float, high: float, step: float, last: float) -> None:
    hp = middle()
    hp.suggest_float("a", low, high, step=step)
    found = hp.distributions["a"]
    assert isinstance(found, SteppedRange)
    assert (found.low, found.high) == (low, last)
    assert max(found.grid()) == last
    distribution = distribution_of(found)
    assert isinstance(distribution, FloatDistribution)
    # Optuna would warn, and make the end another one, where no step reaches it.
    assert distribution.high == last
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in found.grid())


@pytest.mark.parametrize("sampler", ["kt_random", "random"])
def test_a_study_over_steps_of_a_float_can_be_told_all_of_them(write: Write, tmp_path: Path, sampler: str) -> None:
    text = "def define(trial):\n    return {'dropout': trial.suggest_float('d', 0, 0.3, step=0.1), 'depth': 1}\n"
    study = write(text, f"sampler={sampler}")
    search, seen = Search(Workspace(tmp_path / "w"), "s", study), set()
    while batch := search.next_batch(40):
        for one in batch:
            search.tell(one.number, State.COMPLETE, 1.0)
            seen.add(round(float(one.params["d"]), 9))
    assert seen == {0.0, 0.1, 0.2, 0.3}


DEFINE = """
def define(trial):
    depth = trial.suggest_int("layers", 0, 2)
    return {"depth": depth, "learning_rate": trial.suggest_float("rate", 1e-3, 1e-1, log=True),
            **{f"width_{i}": trial.suggest_int(f"units_{i}", 4, 8) for i in range(1, depth + 1)}}
"""


def test_what_is_returned_becomes_a_spec_and_the_rest_is_the_spaces(write: Write) -> None:
    space = write(DEFINE, "space.parameters.epochs=7", "space.parameters.activation=tanh").space
    params = draw(space, End(upper=True))
    assert params == {"layers": 2, "rate": 0.1, "units_1": 8, "units_2": 8}
    spec = spec_from_values(values_of(space, {**params, "units_1": 5}), seed=3)
    assert (spec.widths, spec.activations, spec.epochs, spec.learning_rate) == ((5, 8), ("tanh", "tanh"), 7, 0.1)
    assert spec_from_values(values_of(space, {"layers": 0, "rate": 0.1}), seed=3).widths == ()


@pytest.mark.parametrize(
    ("returned", "widths"),
    [
        ("{}", (32,)),
        ("{'width': 5}", (5,)),
        ("{'width_1': 5, 'width_2': 6}", (5, 6)),
        ("{'depth': 1, 'width_1': 5, 'width_2': 6}", (5,)),
    ],
)
def test_depth_is_told_from_the_widths(write: Write, returned: str, widths: tuple[int, ...]) -> None:
    config = write(f"def define(trial):\n    trial.suggest_int('a', 0, 1)\n    return {returned}")
    assert spec_from_values(call(config.space, Middle()).values, seed=0).widths == widths


def test_what_a_function_draws_is_found_by_trying_and_widened_by_what_trials_drew(write: Write) -> None:
    text = """
def define(trial):
    first = trial.suggest_int("first", 4, 64)
    return {"width_1": first, "width_2": trial.suggest_int("second", 4, first)}
"""
    space = write(text).space
    found = found_in(explored(space))
    assert found["first"] == IntRange(type="int", low=4, high=64)
    assert found["second"] == IntRange(type="int", low=4, high=64)
    seen = as_seen(space.model_copy(update={"found": found}), [{"first": 70, "new": "x"}])
    assert seen.found["first"] == IntRange(type="int", low=4, high=70)
    assert seen.found["new"] == Choice(type="choice", choices=("x",))


def test_steps_that_differ_or_are_not_met_are_left_out_of_what_is_found(write: Write) -> None:
    text = """
def define(trial):
    if trial.suggest_categorical("kind", ["a", "b"]) == "a":
        width, dropout = trial.suggest_int("width", 8, 128, step=8), trial.suggest_float("dropout", 0.1, 0.5, step=0.1)
    else:
        width, dropout = trial.suggest_int("width", 4, 64, step=4), trial.suggest_float("dropout", 0.0, 0.3)
    return {"width": width, "dropout": dropout}
"""
    space = write(text).space
    found = found_in(explored(space))
    assert found["width"] == IntRange(type="int", low=4, high=128)
    assert found["dropout"] == FloatRange(type="float", low=0.0, high=0.5)
    stepped = {
        "width": IntRange(type="int", low=8, high=128, step=8),
        "dropout": SteppedRange(type="float", low=0.0, high=0.5, step=0.1),
    }
    met, unmet = (
        as_seen(space.model_copy(update={"found": stepped}), [{"width": width, "dropout": dropout}]).found
        for width, dropout in ((24, 0.1 + 0.2), (12, 0.25))
    )
    assert met == stepped
    assert unmet == {"width": IntRange(type="int", low=8, high=128), "dropout": FloatRange(type="float", low=0.0, high=0.5)}
    # What one kind may draw is not what the other one may.
    fitting = Given({"kind": "a", "width": 12, "dropout": 0.25}, Middle(), fitting=True)
    assert call(space, fitting).params == {"kind": "a", "width": 64, "dropout": pytest.approx(0.3)}


def test_what_is_enqueued_above_the_middle_of_what_it_depends_on_fits_where_that_is_greater(write: Write, tmp_path: Path) -> None:
    text = """
def define(trial):
    drawn = {"layers": trial.suggest_int("layers", 1, 3), "first": trial.suggest_int("first", 8, 64)}
    if drawn["layers"] > 2:
        drawn["third"] = trial.suggest_int("third", 4, drawn["first"])
    return {"depth": drawn["layers"], "width": drawn["first"]}
"""
    config = write(text, "enqueue=[{third: 60}]")
    assert function_problems(config, 100, lambda _: 10) == []
    (proposal,) = Search(Workspace(tmp_path), "s", config).next_batch(1)
    assert (proposal.params["layers"], proposal.params["third"]) == (3, 60)
    (wrong,) = function_problems(write(text, "enqueue=[{third: 65}]"), 100, lambda _: 10)
    assert "enqueue.0: 'third' is not drawn; the function draws first, layers there" in wrong
    (wrong,) = function_problems(write(text, "enqueue=[{layers: 3, first: 8, third: 9}]"), 100, lambda _: 10)
    assert "'third' is drawn from whole numbers from 4 to 8, but 9 was proposed for it; give another value" in wrong


@pytest.mark.parametrize("sampler", ["brute_force", "random", "tpe"])
def test_no_step_of_a_real_number_is_trained_twice(write: Write, tmp_path: Path, sampler: str) -> None:
    text = "def define(trial):\n    return {'dropout': trial.suggest_float('d', 0.1, 0.7, step=0.2)}\n"
    config = write(text, f"sampler={sampler}", "enqueue=[{d: 0.3}]", "n_trials=20", "parallel_trials=1")
    search, drawn = Search(Workspace(tmp_path), "s", config), list[float]()
    while proposals := search.next_batch(20):
        for one in proposals:
            drawn.append(float(one.params["d"]))
            search.tell(one.number, State.COMPLETE, float(one.number))
    assert sorted(drawn) == pytest.approx([0.1, 0.3, 0.5, 0.7][: len(drawn)])
    assert len(drawn) >= 3


def test_what_is_enqueued_beside_what_it_depends_on_is_drawn_until_it_fits(write: Write, tmp_path: Path) -> None:
    text = """
def define(trial):
    first = trial.suggest_int("first", 8, 64)
    return {"width_1": first, "width_2": trial.suggest_int("second", 4, first), "depth": 2}
"""
    for seed in range(4):
        config = write(text, f"seed={seed}", "enqueue=[{second: 30}]", "parallel_trials=1")
        assert function_problems(config, 100, lambda _: 10) == []
        (proposal,) = Search(Workspace(tmp_path / str(seed)), "s", config).next_batch(1)
        assert proposal.params["second"] == 30
        assert int(proposal.params["first"]) >= 30


@pytest.mark.parametrize(
    ("body", "overrides", "match"),
    [
        (
            "1 / trial.suggest_int('a', 0, 1)",
            [],
            r"raised ZeroDivisionError: division by zero \(function_of_\d+.py, line 2\), at a=0",
        ),
        ("trial.number", [], "has no 'number'"),
        ("pass", [], "returned nothing; a dict of hyperparameters or a compiled Keras model is needed"),
        ("return {'widht': 3}", [], r"returned 'widht', which is no hyperparameter .did you mean width\?"),
        ("return {'learning_rate': 0}", [], "returned learning_rate: must be above 0, but got 0"),
        ("return {'width_2': 3}", [], "returned no width_1, but values of layers beyond it"),
        ("return {'depth': 3, 'width_1': 64, 'width_2': 16}", [], "returned depth=3 and no width_3, but widths of other layers"),
        (
            "return {'width': 8, 'activation_2': 'tanh'}",
            [],
            "returned 'activation_2', but neither depth nor a width of that layer",
        ),
        ("return {'width_1': 5, 'width_2': 6, 'dropout_3': 0.1}", [], "returned 'dropout_3', but neither depth nor a width"),
        ("return {'dropout': True}", [], "returned dropout=True; a number or a text is needed"),
        ("return {'learning_rate': float('inf')}", [], "returned learning_rate=inf; a finite number is needed"),
        ("return {}", [], "draws nothing, so there is nothing to search"),
        (
            "return {'batch_size': trial.suggest_int('b', 8, 128)}",
            [],
            "batch_size goes up to 128, but there are 100 training rows",
        ),
        (
            "import time; trial.suggest_int('a', 0, 1); return {'learning_rate': time.time()}",
            [],
            "called twice with the same values, it",
        ),
        (
            "trial.suggest_categorical('d', list(range(trial.suggest_categorical('c', [1, 2])))); return {}",
            [],
            r"draws 'd' from the choices \[0\] and from the choices \[0, 1\]; give each its own name",
        ),
        ("return {'dropout': trial.suggest_float('d', 0, 0.5)}", ["sampler=brute_force"], "d can take any real number"),
        ("return {'epochs': trial.suggest_int('e', 1, 200)}", ["pruner=hyperband"], "set space.parameters.epochs=200"),
        (
            "return {'depth': trial.suggest_int('a', 0, 1)}",
            ["enqueue=[{b: 1}]"],
            "enqueue.0: 'b' is not drawn; the function draws a there",
        ),
        (
            "return {'width': trial.suggest_int('units', 2, 32)}",
            ["enqueue=[{units: 8.7}]"],
            "enqueue.0: .*'units' is drawn from whole numbers from 2 to 32, but 8.7 .* for it; give another value",
        ),
        (
            "return {'width': trial.suggest_int('units', 2, 32)}",
            ["enqueue=[{units: abc}]"],
            "enqueue.0: .*'units' is drawn from whole numbers from 2 to 32, but 'abc' was proposed",
        ),
        (
            "return {'dropout': trial.suggest_float('d', 0, 0.5)}",
            ["enqueue=[{d: abc}]"],
            "enqueue.0: .*'d' is drawn from real numbers from 0 to 0.5, but 'abc' was proposed",
        ),
        ("import sys; sys.exit(trial.suggest_int('a', 0, 1))", [], r"raised SystemExit: 0 .function_of_\d+.py, line 2., at a=0"),
        (
            "return {'depth': trial.suggest_int('a', 0, 1)}",
            ["enqueue=[{a: 3}]"],
            "enqueue.0: .*'a' is drawn from whole numbers from 0 to 1, but 3",
        ),
    ],
)
def test_what_is_wrong_with_a_function_is_said_before_anything_runs(
    write: Write, body: str, overrides: list[str], match: str
) -> None:
    config = write(f"def define(trial):\n    {body}\n", *overrides)
    with pytest.raises(ConfigError, match=match):
        raise ConfigError(function_problems(config, 100, lambda _: 10))


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["space=function"], "space: function: is needed as module:name"),
        (["space=function", "space.function=build"], "is needed as module:name, .* but got 'build'"),
        (["space=function", "space.function=no_such_module:build"], "there is no module 'no_such_module', neither in"),
        (["space=function", "space.function=no_such.module:build"], "there is no module 'no_such.module', neither in"),
        (["space=function", "space.function=sys:exit"], "sys is no Python file"),
        (
            ["space.function=json:loads"],
            "depth: the function draws, so what it leaves open is a single value, but got int; add space=function",
        ),
        *(
            (["space=function", "space.function=json:loads", f"sampler={name}"], f"sampler={name}: ")
            for name in ("grid", "kt_grid", "kt_hyperband")
        ),
    ],
)
def test_a_config_without_a_usable_function_is_refused(overrides: list[str], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        compose(overrides)


def test_no_package_is_run_to_find_a_function_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outer_package" / "inner").mkdir(parents=True)
    (tmp_path / "outer_package" / "__init__.py").write_text("raise SystemExit('was run')\n")
    (tmp_path / "outer_package" / "inner" / "mine.py").write_text("def define(trial):\n    return {}\n")
    monkeypatch.chdir(tmp_path)
    assert locate("outer_package.inner.mine:define") == tmp_path / "outer_package" / "inner" / "mine.py"
    with pytest.raises(ConfigError, match=r"there is no module 'outer_package\.inner\.other'"):
        locate("outer_package.inner.other:define")
    with pytest.raises(ConfigError, match=r"there is no module 'outer_package\.inner\.mine\.deeper'"):
        locate("outer_package.inner.mine.deeper:define")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("def defin(trial):\n    return {}", r"has no 'define' .did you mean defin\?"),
        ("define = 3", "is int, not a function"),
        ("class define: pass", "is a class, not a function"),
        ("def define(:", r"can't be imported: SyntaxError: .*line 1"),
        ("import sys\nsys.exit(1)", r"can't be imported: SystemExit: 1 \(.*line 2\)"),
    ],
)
def test_a_module_without_the_function_is_refused(write: Write, text: str, match: str) -> None:
    config = write(text)
    with pytest.raises(ConfigError, match=match):
        explored(config.space)


def test_a_function_whose_file_has_changed_is_not_the_studys(write: Write, tmp_path: Path) -> None:
    before = write(DEFINE).space
    (tmp_path / f"{str(before.function).partition(':')[0]}.py").write_text(DEFINE + "\n# other\n")
    with pytest.raises(ConfigError, match=r"has changed: its sha256 is .*restore the file"):
        draw(before, Middle())


KERAS = """
import keras
from keras.layers import Activation, Dense, Dropout

def define(hp):
    model = keras.Sequential(%s)
    model.compile(%s)
    return model
"""
ADAM = "optimizer='adam', loss='mse'"


def test_a_models_spec_builds_a_network_that_computes_the_same(write: Write) -> None:
    layers = (
        "[Dense(5, 'tanh', kernel_regularizer='l2'), Dropout(0.25), Dense(4, kernel_regularizer='l2'), Activation('swish'), "
        "Dense(1, kernel_regularizer='l2')]"
    )
    config = write(KERAS % (layers, "optimizer=keras.optimizers.SGD(0.02, momentum=0.9), loss=keras.losses.MeanSquaredError()"))
    values = call(config.space, Middle()).values
    spec = spec_from_values({**values, "epochs": 3}, seed=5)
    assert (spec.widths, spec.activations, spec.dropouts) == ((5, 4), ("tanh", "silu"), (0.25, 0.0))
    assert (spec.l2, spec.optimizer, spec.learning_rate) == (0.01, "sgd_momentum", 0.02)
    from regsweep.train.keras_model import OPTIMIZERS, build

    ours = build(spec, inputs=3)
    theirs: Any = sys.modules[str(config.space.function).partition(":")[0]].define(None)
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    theirs(x)
    theirs.set_weights(ours.get_weights())
    assert np.array_equal(ours(x), theirs(x))
    # So are the penalties, and what the optimizer does.
    assert float(sum(ours.losses)) == pytest.approx(float(sum(theirs.losses)))
    mine, own = OPTIMIZERS[spec.optimizer](spec.learning_rate).get_config(), theirs.optimizer.get_config()
    assert {**mine, "name": ""} == {**own, "name": ""}


def test_what_a_model_does_not_say_is_drawn_by_its_name_or_the_spaces(write: Write) -> None:
    text = KERAS.replace("    model =", "    hp.Int('epochs', 5, 9)\n    hp.Fixed('batch_size', 8)\n    model =")
    config = write(text % ("[Dense(1)]", ADAM), "space.parameters.schedule=cosine")
    values = call(config.space, Middle()).values
    assert [values[key] for key in ("depth", "epochs", "batch_size", "schedule")] == [0, 7, 8, "cosine"]
    assert draw(config.space, Middle()) == {"epochs": 7}


@pytest.mark.parametrize(
    ("layers", "compiled", "match"),
    [
        (
            "[Dense(8), keras.layers.BatchNormalization(), Dense(1)]",
            ADAM,
            r"layer 1 \(BatchNormalization 'batch_normalization.*Dense and Dropout",
        ),
        ("[Dense(8, use_bias=False), Dense(1)]", ADAM, r"layer 0 \(Dense .*use_bias must be Keras's default True, but is False"),
        (
            "[Dense(8, kernel_initializer='he_normal'), Dense(1)]",
            ADAM,
            "kernel_initializer must be Keras's default GlorotUniform, but is HeNormal",
        ),
        ("[Dense(8, trainable=False), Dense(1)]", ADAM, "trainable must be Keras's default True, but is False"),
        ("[Dense(8, dtype='float16'), Dense(1)]", ADAM, "layer 0 .*dtype must be float32, but is float16"),
        ("[Dense(1)]", f"{ADAM}, loss_weights=[10.0]", r"the loss has the weights \[10.0\]; leave loss_weights out"),
        ("[Dense(8, 'hard_tanh'), Dense(1)]", ADAM, "activation must be one of linear, .* but is 'hard_tanh'"),
        ("[Dense(8, lambda x: x), Dense(1)]", ADAM, "layer 0 .*activation must be one of"),
        ("[Dropout(0.1), Dense(1)]", ADAM, "layer 0 .*may follow each hidden Dense layer, and none the input"),
        ("[Dense(8, kernel_regularizer='l2'), Dense(1)]", ADAM, "L2 penalties 0.01, 0; regsweep weighs every kernel alike"),
        ("[Dense(8, kernel_regularizer='l1'), Dense(1)]", ADAM, "regularizer must be L2, but is L1"),
        ("[Dense(2)]", ADAM, r"the last layer must be Dense\(1\)"),
        ("[Dense(1)]", "optimizer='adagrad', loss='mse'", "the optimizer must be one of Adam, .* but is Adagrad"),
        (
            "[Dense(1)]",
            "optimizer=keras.optimizers.Adam(beta_1=0.8), loss='mse'",
            r"Adam has beta_1=0.8; regsweep's has Keras's defaults",
        ),
        (
            "[Dense(1)]",
            "optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9)), loss='mse'",
            "learning rate is a schedule",
        ),
        ("[Dense(1)]", "optimizer='adam', loss='mae'", "but are mae and linear"),
        ("[Dense(1)]", "optimizer='adam', loss=lambda y, z: y - z", "but are <lambda> .not as Keras has it. and linear"),
        ("[Dense(1, 'relu')]", ADAM, "but are mse and relu"),
        ("[keras.Input((4,)), Dense(1)]", ADAM, "takes 4 numbers in a row, but encoded rows have 10; leave the Input layer out"),
        (
            "[Dense(1, 'sigmoid')]",
            "optimizer='adam', loss='binary_crossentropy'",
            "for task=binary_classification, but this study has task=regression",
        ),
    ],
)
def test_a_model_that_regsweep_cannot_be_is_refused_by_the_layers_name(
    write: Write, layers: str, compiled: str, match: str
) -> None:
    text = KERAS.replace("    model =", "    hp.Int('epochs', 5, 9)\n    model =")
    config = write(text % (layers, compiled))
    with pytest.raises(ConfigError, match=match):
        raise ConfigError(function_problems(config, 100, lambda _: 10))


def test_a_model_that_is_not_compiled_or_not_sequential_is_refused(write: Write) -> None:
    config = write("import keras\ndef define(hp):\n    return keras.Sequential([keras.layers.Dense(1)])")
    with pytest.raises(ConfigError, match=r"not compiled; end with model.compile"):
        explored(config.space)
    functional = "import keras\ndef define(hp):\n    x = keras.Input((3,))\n    return keras.Model(x, keras.layers.Dense(1)(x))"
    with pytest.raises(ConfigError, match=r"the model is a Functional; a keras.Sequential"):
        explored(write(functional).space)


def test_random_draws_of_a_function_follow_from_the_seed(write: Write) -> None:
    space = write(DEFINE).space
    one, same, other = (draw(space, Random(seed)) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("sampler", ["kt_random", "kt_bayesian"])
def test_keras_tuner_learns_what_is_trained_and_draws_ends_of_steps_as_often_as_others(write: Write, sampler: str) -> None:
    from regsweep.search.oracles import OracleSource

    text = """
def define(trial):
    first, rate = trial.suggest_int("first", 4, 64), trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0, 0.5, step=0.1)
    return {"width_1": first, "width_2": trial.suggest_int("second", 4, first), "dropout": dropout, "learning_rate": rate}
"""
    config = write(text, f"sampler={sampler}", *(["sampler.startup_trials=300"] if sampler == "kt_bayesian" else []))
    assert function_problems(config, 100, lambda _: 10) == []
    source = OracleSource(config)
    dropouts, narrowed = [], 0
    for number in range(240):
        params = source.ask(number, 0)
        assert params is not None
        known = source._asked[number][0].hyperparameters.values
        assert {key: known[key] for key in ("first", "second", "rate")} == {
            key: params[key] for key in ("first", "second", "rate")
        }
        assert known["dropout"] == round(10 * float(params["dropout"]))
        narrowed += params["second"] == params["first"]
        dropouts.append(known["dropout"])
    assert narrowed > 50
    # Binomial: of 240 draws 40, with a standard deviation of 5.8; ends that are half as likely would come 24 times.
    counts = [dropouts.count(place) for place in range(6)]
    assert min(counts) > 27, counts
