"""`keras_fit` on PyTorch and JAX: the same initial kernels, batches and numbers as on TensorFlow; and how a backend is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from regsweep.config import compose
from regsweep.config.backend import Backend
from regsweep.config.schema import TrainerConfig
from regsweep.errors import ConfigError
from regsweep.record import identity
from regsweep.runner import Processes
from regsweep.train import make_trainer
from regsweep.train.contract import StopAfter
from regsweep.train.initial import glorot_uniform
from regsweep.trial import State
from tests.conftest import TINY
from tests.contract.test_stacked import assert_close, made_up
from tests.helpers import spec

OTHERS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
    for name in ("torch", "jax")
]
KERAS_FIT = compose(["trainer=keras_fit"])[0]
# 50 rows in batches of 16 leave a last one of 2.
SPECS = (
    spec(batch_size=16, l2=0.01, schedule="cosine"),
    spec(widths=(), activation="linear", optimizer="sgd", batch_size=50),
    spec(widths=(6, 5), activation="gelu", optimizer="rmsprop", batch_size=16, epochs=2),
)


def on(backend: Backend, **changes: object) -> TrainerConfig:
    return KERAS_FIT.trainer.model_copy(update={"backend": backend, **changes})


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 2, 2**31 - 1])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (10, 128)])
def test_initial_kernels_are_tensorflows_to_the_last_bit(seed: int, shape: tuple[int, int]) -> None:
    make_trainer(KERAS_FIT.trainer)
    import keras

    np.testing.assert_array_equal(glorot_uniform(seed, *shape), keras.initializers.GlorotUniform(seed=seed)(shape).numpy())


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("log", [False, True], ids=["plain", "log"])
def test_every_backend_gets_what_tensorflow_gets(backend: Backend, log: bool) -> None:
    data, specs = made_up(log=log), SPECS[:1] if log else SPECS
    expected = make_trainer(on("tensorflow")).fit(specs, data)
    with Processes(on(backend), data, workers=1) as executor:
        found = executor.train(specs)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("backend", OTHERS)
def test_a_rule_stops_training_on_every_backend(backend: Backend) -> None:
    data, long = made_up(), spec(epochs=6, batch_size=16)
    with Processes(on(backend, keep="best"), data, workers=1) as executor:
        (whole,), (pruned,) = executor.train([long]), executor.train([long], StopAfter(every=2, folds=1))
    assert pruned.state is State.PRUNED
    np.testing.assert_array_equal(pruned.curves, whole.curves[:2])


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_study_runs_and_is_reproduced_on_every_backend(
    backend: Backend, executor: str, cli: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    cli("run", *TINY, "trainer=keras_fit", f"trainer.backend={backend}", f"executor={executor}", "baselines=none", cwd=tmp_path)
    assert list(tmp_path.glob("mlruns/records/*/networks-1/*.keras"))
    assert "identical" in cli("reproduce", "champion", cwd=tmp_path).stdout


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_stack_on_another_backend_is_refused(backend: str) -> None:
    match = rf"stacked trains with TensorFlow alone, but backend is '{backend}'; add trainer=keras_fit"
    with pytest.raises(ConfigError, match=match):
        compose([f"trainer.backend={backend}"])


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_backend_that_is_not_installed_is_refused(backend: str) -> None:
    if find_spec(backend) is not None:
        pytest.skip(f"{backend} is installed")
    with pytest.raises(ConfigError, match=rf"needs {backend}, which is not installed; pip install 'regsweep\[{backend}\]'"):
        compose(["trainer=keras_fit", f"trainer.backend={backend}"])


def test_the_backend_names_a_study_only_where_it_is_not_tensorflow() -> None:
    before, now = (identity(KERAS_FIT.model_copy(update={"trainer": on(name)}), "") for name in ("tensorflow", "torch"))
    assert now == {**before, "trainer.backend": "torch"}


def test_a_process_keeps_the_backend_that_keras_was_loaded_with() -> None:
    make_trainer(KERAS_FIT.trainer)
    with pytest.raises(ConfigError, match="Keras runs on tensorflow in this process already, and can't change; set executor="):
        make_trainer(on("jax"))


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_what_the_environment_says_of_the_backend_does_not_count(
    executor: str, cli: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    arguments = (*TINY, "baselines=none", "sampler=kt_random", f"executor={executor}")
    cli("run", *arguments, cwd=tmp_path, env={"KERAS_BACKEND": "nonsense"})
