from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from regsweep.config import compose
from regsweep.config.compose import GROUPS
from regsweep.config.parameters import Choice, Condition, IntRange
from regsweep.errors import ConfigError
from regsweep.paths import shipped
from tests.helpers import FINITE, FINITE_SPACE


def problems(*overrides: str, multirun: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, multirun=multirun)
    return list(caught.value.problems)


# One line per row of what a user can get wrong: the override, and what the message must say.
WRONG = {
    "n_trails=3": "n_trails: there is no such key (did you mean n_trials?)",
    "+n_trails=3": "n_trails: there is no such key (did you mean n_trials?)",
    "dataset.targget=x": "dataset.targget: there is no such key (did you mean target?)",
    "dataset=diabetess": "dataset=diabetess: there is no such option (did you mean diabetes?); known: csv, cubic, diabetes,",
    "sampler=tpi": "sampler=tpi: there is no such option (did you mean tpe?)",
    "n_trials=many": "n_trials: must be a valid integer, but got 'many'",
    "n_trials=null": "n_trials: is needed, but got null",
    "n_trials=0": "n_trials: must be at least 1, but got 0",
    "n_trials=-1": "n_trials: must be at least 1, but got -1",
    "n_trials=2.5": "n_trials: a whole number is needed, but got 2.5",
    "n_trials=true": "n_trials: a whole number is needed, but got True",
    "seed=-1": "seed: must be at least 0, but got -1",
    "seed=18446744073709551616": "seed: must be at most 4294967295, but got 18446744073709551616",
    "seed=abc": "seed: must be a valid integer, but got 'abc'",
    "objective=test/mse": "objective: must be one of val/mse, val/mae, val/r2",
    "space.parameters.depth.low=9": "space.parameters.depth: low <= high must hold, but got low=9, high=3",
    "space.parameters.width.low=0": "space.parameters.width: a log scale needs low > 0, but got low=0",
    "space.parameters.epochs.step=7": "space.parameters.epochs: step must divide high - low, but 7 does not divide 100 - 20",
    "space.parameters.learning_rate.high=inf": "space.parameters.learning_rate.high: must be a finite number, but got inf",
    "space.parameters.learning_rate.low=nan": "space.parameters.learning_rate.low: must be a finite number, but got nan",
    "space.parameters.depth.high=3.5": "depth.high: must be a valid integer, got a number with a fractional part",
    "space.parameters.batch_size.choices=[]": "space.parameters.batch_size.choices:",
    "space.parameters.batch_size.choices=[16,16]": "space.parameters.batch_size: choices must differ, but got [16, 16]",
    "space.parameters.width.when.parameter=dept": "asks for 'dept', which no parameter above it is called (did you mean depth?)",
    "space.parameters.width.when.at_least=2": "width: every hidden layer has one, so its condition can only be depth at_least 1",
    "space.parameters.epochs=0": "space: epochs: must be at least 1, but got 0",
    "space.parameters.activation.choices=[rely]": "unknown activation 'rely' (did you mean relu?); known: linear, relu,",
    "space.parameters.optimizer=adem": "optimizer: unknown optimizer 'adem' (did you mean adam?)",
    "space.parameters.depht=3": "space: depht: unknown hyperparameter (did you mean depth?)",
    "space.parameters.dropout.high=1.0": "dropout: must be below 1, but got 1.0",
    "space.parameters.learning_rate={type: int, low: 0, high: 2, log: false}": "learning_rate: must be above 0, but got 0",
    "space.parameters.depth={type: float, low: 0, high: 2}": "depth: takes whole numbers, so its type is int, not float",
    "baselines.names=[ridge]": "unknown baseline 'ridge' (did you mean ridge_cv?); known: least_squares_qr,",
    "split=holdout split.test=0.5": "split: train + val + test must be 1, but 0.64 + 0.16 + 0.5 = 1.3",
    "split=kfold split.folds=1": "split.folds: must be at least 2, but got 1",
    "study=../x": "study: a name is 1 to 100 letters",
    "dataset.strict=maybe": "dataset.strict:",
    "dataset.group=1e3": "dataset.group: was read as the number 1000.0; quote a name that looks like one",
    "dataset=insurance dataset.folder='~nobody.of.that.name/x'": "folder: ~nobody.of.that.name/x: there is no such user here",
    "dataset=insurance dataset.file=../x": "dataset.file: must be the name of a file, without folders, but got '../x'",
    "dataset=insurance dataset.file=/tmp/x": "dataset.file: must be the name of a file, without folders, but got '/tmp/x'",
    "trainer.kind=pytorch": "trainer.kind: must be one of stacked, keras_fit, but got 'pytorch'",
    "foo": "'foo' can't be read; write key=value",
    "--n_trials=5": "'--n_trials=5' is no option; settings have no dashes: write key=value",
    "+experiments=insuranse": "experiments=insuranse: there is no such option (did you mean insurance?)",
    "a b=3": "'a b=3' is not an override; write key=value",
    "dataset.unit=€": "'dataset.unit=€' can't be read; a value that is not plain needs quotes of its own: 'dataset.unit=\"€\"'",
    "hydra.run.dir=x": "Hydra only composes here, its own settings have no effect",
    "experiments=insurance epochs=budget": "the experiment insurance says its own epochs; add space.parameters.epochs=60",
    "experiments=xor_blobs epochs=early_stopping": "experiment xor_blobs says its own epochs; add space.parameters.epochs=200",
    "champion.finalists.top=5": "says which trial leads, but an ensemble weighs them by itself; add champion=bag",
    "champion.rule=one_standard_error": "champion.rule: says which trial leads",
    "executor=inline executor.workers=2": "executor.workers: has no effect in the study's own process; add executor=processes",
    "seed=0,1": "'seed=0,1' names several values: `regsweep run -m` runs a study for each",
    "champion=bag champion.rounds=50": "champion.rounds: is about an ensemble, but champion.kind is bag; add champion=ensemble",
    "champion=refit champion.finalists.seeds=3": "champion.finalists.seeds: there are no finalists",
    "champion=bag champion.rule=one_standard_error split=holdout": "champion.rule: one_standard_error is taken over folds",
    "enqueue_top=3": "enqueue_top: is about another study; name it with enqueue_best_of=STUDY",
    "insight.ablation=false insight.ablation_seconds=3": "insight.ablation_seconds: there is no ablation",
    "pruner=median space.parameters.epochs=5": "median stops nothing before 5 epochs are over, and no trial has more than 5",
    "pruner=percentile pruner.interval=4 space.parameters.epochs=8": "percentile stops nothing before 8 epochs are over",
    "pruner=hyperband epochs=budget pruner.min_epochs=60": "hyperband stops nothing before 60 epochs are over",
    "pruner=patience space.parameters.epochs=25": "patience stops nothing before 25 epochs are over, and no trial has more",
    "champion=bag champion.rule=one_standard_error champion.finalists.top=3": "which of the finalists leads is said by the mean",
    "enqueue=[{depth: null}]": "enqueue.0.depth: must be a number or a text, but got null",
    "n_trials=${nope}": "n_trials: Interpolation key 'nope' not found",
    "objective=[] seed=-1": "objective: at least one is needed, such as val/mse",
    "pruner=null": "'pruner=null': a group is not null; leave it out, or name one of its options: hyperband, median, none, ",
    "experiments.n_trials=5": "experiments: what stands below it has no effect (n_trials); an experiment's file ",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_mistake_is_named_with_its_place_and_value(override: str) -> None:
    several = ("split=", "dataset=insurance ", "experiments=", "executor=", "champion=", "insight.", "pruner=", "objective=")
    overrides = override.split(" ") if override.startswith(several) else [override]
    found = problems(*overrides)
    assert any(WRONG[override] in problem for problem in found), found
    assert not any(problem.split(":")[0].endswith((".int", ".float", ".str")) for problem in found), found


def test_all_problems_are_listed_not_the_first_alone() -> None:
    assert len(problems("n_trials=0", "seed=-1", "n_trails=3", "split.tests=1")) >= 4


def test_a_csv_needs_a_path_and_a_target() -> None:
    assert problems("dataset=csv") == ["dataset.target: is needed, but got null", "dataset.path: is needed, but got null"]


def test_a_csv_is_named_after_its_file_and_its_path_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose(["dataset=csv", "dataset.path=in/houses.csv", "dataset.target=price"])[0]
    assert (config.experiment, config.dataset.name, config.dataset.path) == (
        "houses",
        "houses",
        str(tmp_path / "in" / "houses.csv"),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"n_trials: 5\n", r"experiments: what stands below it has no effect \(n_trials\)"),
        (b"# @package _global_\nquestion: caf\xe9\n", "can't be composed .*files are YAML in UTF-8"),
        (b"# @package _global_\ndefaults:\n  - self\n", "."),
    ],
    ids=["no header", "Latin-1", "self"],
)
def test_an_experiment_that_would_be_passed_over_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        compose(["experiments=mine"])


@pytest.mark.parametrize("name", ["My Data (2024)", "o'neil", "a=b", "x,y", "back\\slash"])
def test_any_working_directory_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / name
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "mine.yaml").write_text("# @package _global_\nn_trials: 5\n")
    monkeypatch.chdir(folder)
    assert compose(["experiments=mine"])[0].n_trials == 5


def test_a_column_may_be_called_by_a_number() -> None:
    overrides = ["dataset=csv", "dataset.path=x", "dataset.target=2020", "dataset.drop=[2019,a]", "dataset.group='1.5'"]
    dataset = compose(overrides)[0].dataset
    assert (dataset.target, dataset.drop, dataset.group) == ("2020", ("2019", "a"), "1.5")


def test_a_file_name_that_is_no_study_name_is_made_one() -> None:
    config = compose(["dataset=csv", "dataset.path='houses (1).csv'", "dataset.target=y"])[0]
    assert config.experiment == "houses 1"


def test_multirun_is_the_product_in_command_line_order() -> None:
    studies = compose(["dataset=diabetes,line", "seed=range(2)"], multirun=True)
    assert [(study.dataset.name, study.seed) for study in studies] == [("diabetes", 0), ("diabetes", 1), ("line", 0), ("line", 1)]


def test_overrides_reach_what_they_name() -> None:
    config = compose(["dataset=economics", "sampler=random", "n_trials=200", "seed=1", "space.parameters.depth.high=2"])[0]
    assert (config.experiment, config.sampler.kind, config.n_trials, config.seed) == ("economics", "random", 200, 1)
    assert config.space.parameters["depth"].values() == (0, 2)


def test_a_bare_value_is_a_constant() -> None:
    assert compose(["space.parameters.epochs=7"])[0].space.parameters["epochs"].values() == (7,)


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "experiments"])
def test_every_shipped_option_is_valid(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the extra `gp` were installed.
    monkeypatch.setattr("regsweep.config.sampler.find_spec", lambda _: object())
    options = [place.stem for place in (shipped("conf") / group).glob("*.yaml") if not place.stem.startswith("_")]
    assert options
    for option in options:
        table = ["dataset.path=x", "dataset.target=y"]
        # A function's file is looked up when composing, and not run.
        named = ["space.function=json:loads"]
        others = {"server": ["tracking.uri=http://127.0.0.1:5000"], "wilcoxon": ["split=kfold"], "function": named}
        extra = {"csv": table, "parquet": table, **others}.get(option, [])
        if option in FINITE:
            extra = ["space=broad", *FINITE_SPACE]
        if option == "kt_hyperband":
            extra = ["n_trials=254"]
        assert compose([f"{group}={option}", *extra])


def test_users_bring_experiments_and_options_from_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /space: narrow\nn_trials: 5\n"
    )
    (tmp_path / "conf" / "space").mkdir(parents=True)
    space = {
        "per_layer_width": False,
        "parameters": {"depth": 0, "learning_rate": 0.1, "epochs": 2, "batch_size": 8, "optimizer": "sgd"},
    }
    (tmp_path / "conf" / "space" / "narrow.yaml").write_text(yaml.safe_dump(space))
    config = compose(["experiments=mine"], folder=tmp_path)[0]
    assert (config.n_trials, config.space.parameters["optimizer"].values()) == (5, ("sgd",))


def test_a_folder_of_the_users_takes_no_key(tmp_path: Path) -> None:
    for name in ("study", "seed", "experiments", "objective"):
        (tmp_path / name).mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("# @package _global_\nn_trials: 5\n")
    overrides = ["study=mine", "seed=3", "objective=[val/mae,parameters]", "+experiments=mine", "question='why ${seed}?'"]
    config = compose(overrides, folder=tmp_path)[0]
    assert (config.study, config.seed, config.objectives, config.n_trials) == ("mine", 3, ("val/mae", "parameters"), 5)
    assert config.question == "why 3?"
    studies = compose(["seed=1,2"], multirun=True, folder=tmp_path)
    assert [study.seed for study in studies] == [1, 2]
    with pytest.raises(ConfigError, match="seed: must be at least 0, but got -1"):
        compose(["seed=-1"], folder=tmp_path)


def test_a_file_of_the_users_that_hydra_would_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf" / "sampler").mkdir(parents=True)
    shutil.copy(shipped("conf") / "sampler" / "tpe.yaml", tmp_path / "conf" / "sampler")
    # Somebody else's Hydra program may have one of this name.
    (tmp_path / "conf" / "config.yaml").write_text("server: {port: 80}\n")
    compose([], folder=tmp_path)
    (tmp_path / "conf" / "sampler" / "tpe.yaml").write_text("kind: tpe\nstartup_trials: 3\n")
    with pytest.raises(ConfigError, match=r"conf/sampler/tpe\.yaml: is not read, as a shipped file has its name"):
        compose([], folder=tmp_path)


def test_a_key_of_another_type_is_refused() -> None:
    (problem,) = problems("space.parameters.width.choices=[16,32]")
    assert problem.startswith("space.parameters.width.choices: there is no such key")


def test_an_experiments_epochs_are_compared_only_where_the_way_of_training_has_some(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("# @package _global_\nspace: {parameters: {epochs: 30}}\n")
    for chosen in ("epochs=hyperparameter", "epochs=early_stopping"):
        with pytest.raises(ConfigError, match="epochs: is needed"):
            compose(["experiments=mine", chosen, "~space.parameters.epochs"], folder=tmp_path)


def test_an_experiments_choices_take_the_place_of_a_range_too(tmp_path: Path) -> None:
    # Hydra merges an experiment's into those of the space that it chooses.
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(
        """# @package _global_
defaults:
  - override /space: broad
space:
  parameters:
    width: {type: choice, choices: [16, 32]}
    batch_size: {type: int, low: 8, high: 64}
    learning_rate: {type: float, low: 0.1, high: 0.2, choices: [1]}
"""
    )
    # What an experiment says itself without effect is refused.
    with pytest.raises(ConfigError, match=r"^space\.parameters\.learning_rate\.choices: there is no such key"):
        compose(["experiments=mine"], folder=tmp_path)
    config = compose(["experiments=mine", "space.parameters.learning_rate=0.1"], folder=tmp_path)[0]
    width, batch_size = config.space.parameters["width"], config.space.parameters["batch_size"]
    assert isinstance(width, Choice)
    assert (width.values(), width.when) == ((16, 32), Condition(parameter="depth", at_least=1))
    assert isinstance(batch_size, IntRange)
    assert (batch_size.low, batch_size.high, batch_size.log) == (8, 64, False)


def test_choices_take_the_place_of_a_range_and_a_range_that_of_choices() -> None:
    config = compose(
        ["space.parameters.l2={type: choice, choices: [0.0, 0.1]}", "space.parameters.batch_size={type: int, low: 8, high: 64}"]
    )[0]
    assert config.space.parameters["l2"].values() == (0.0, 0.1)
    assert config.space.parameters["batch_size"].values() == (8, 64)


def test_a_sweep_that_can_not_be_listed_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'seed=interval\(0,3\)': a sweep lists its values"):
        compose(["seed=interval(0,3)"], multirun=True)


def test_what_a_study_saves_can_be_read_back() -> None:
    from regsweep.config import load_saved

    config = compose(["dataset=insurance", "split=kfold"])[0]
    assert load_saved(config.model_dump(mode="json")) == config
