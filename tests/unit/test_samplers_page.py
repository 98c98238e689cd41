"""What docs/samplers.md shows to paste is what the config takes, and pruned trials teach what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from regsweep.config import StudyConfig, compose
from regsweep.config.enqueue import Given
from regsweep.search.optuna_source import OptunaSource
from regsweep.search.source import Params, Told
from regsweep.trial import State
from tests.conftest import ROOT
from tests.helpers import HERE


def pasted() -> list[str]:
    """The arguments of the page's one command with `enqueue=`, as a shell hands them to regsweep."""
    lines = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8").splitlines()
    (start,) = (at for at, line in enumerate(lines) if line.startswith("    regsweep run") and "enqueue=" in line)
    end = next(at for at in range(start, len(lines)) if not lines[at].endswith("\\"))
    shell = "regsweep() { printf '%s\\0' \"$@\"; }\n" + "\n".join(lines[start : end + 1])
    verb, *overrides, _ = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.split("\0")
    assert verb == "run"
    return overrides


def ends(config: StudyConfig, name: str) -> tuple[float, float]:
    values = [float(value) for value in config.space.parameters[name].values()]
    return min(values), max(values)


@pytest.fixture(scope="module")
def shown() -> tuple[StudyConfig, Given, Given]:
    (config,) = compose(pasted())
    first, second = config.enqueue
    # Nothing of them is left to be drawn.
    assert first.keys() == second.keys() == config.space.parameters.keys()
    return config, first, second


def test_the_first_is_scikit_learns_default_as_near_as_the_space_comes(shown: tuple[StudyConfig, Given, Given]) -> None:
    from sklearn.neural_network import MLPRegressor

    config, first, _ = shown
    theirs = MLPRegressor().get_params()
    assert (first["width"],) == theirs["hidden_layer_sizes"] and first["depth"] == 1
    assert (first["activation"], first["optimizer"]) == (theirs["activation"], theirs["solver"])
    assert first["learning_rate"] == theirs["learning_rate_init"] and theirs["learning_rate"] == "constant"
    assert first["batch_size"] == ends(config, "batch_size")[1] < 200
    assert first["epochs"] == ends(config, "epochs")[1] < theirs["max_iter"]
    assert first["l2"] == pytest.approx(theirs["alpha"] / int(first["batch_size"]), rel=0.03)


def test_the_second_is_the_insurance_tutorials_as_near_as_the_space_comes(shown: tuple[StudyConfig, Given, Given]) -> None:
    config, _, second = shown
    tutorials = compose(["experiments=insurance"])[0].enqueue[1]
    assert second["width"] == tutorials["width_1"]
    same = ("depth", "activation", "learning_rate", "batch_size", "optimizer", "dropout")
    assert [second[name] for name in same] == [tutorials[name] for name in same]
    assert second["epochs"] == ends(config, "epochs")[1] < tutorials["epochs"] == 200
    assert second["l2"] == ends(config, "l2")[0] > tutorials["l2"] == 0


def test_there_is_room_for_as_many_epochs_as_the_page_says() -> None:
    longer = [override.replace("epochs: 60", "epochs: 200") for override in pasted()]
    config = compose([*longer, "space.parameters.epochs.high=200"])[0]
    assert [given["epochs"] for given in config.enqueue] == [200, 200]


def proposals(sampler: str, ending: State, *, every: int = 2, report: Callable[[int], float] = float) -> list[Params]:
    """What is proposed where each `every`-th trial is complete and all others end otherwise."""
    source = OptunaSource(compose([f"sampler={sampler}", "space=broad", "pruner=median"])[0])
    found = []
    for number in range(24):
        params = source.ask(number, 0)
        assert params is not None
        found.append(params)
        if number % every == 0:
            source.tell(Told(number, State.COMPLETE, float(params["learning_rate"]), params))
        else:
            reports = {5: report(number)} if ending is State.PRUNED else {}
            source.tell(Told(number, ending, None, params, reports=reports))
    return found


@pytest.mark.parametrize(("sampler", "taught"), [("tpe", True), ("gp", False), ("cmaes", False), ("nsga2", False)])
def test_a_pruned_trial_is_more_than_a_failed_one_to_tpe_alone(sampler: str, taught: bool) -> None:
    if sampler not in HERE:
        pytest.skip("torch and greenlet are not installed")
    assert (proposals(sampler, State.PRUNED) != proposals(sampler, State.FAILED)) is taught


def test_tpe_looks_at_reports_of_pruned_trials_where_few_are_complete() -> None:
    for every, looks in ((2, False), (24, True)):
        rising, falling = (
            proposals("tpe", State.PRUNED, every=every, report=lambda number, sign=sign: sign * number) for sign in (1.0, -1.0)
        )
        assert (rising != falling) is looks
