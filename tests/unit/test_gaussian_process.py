"""The Gaussian process without checks predicts what scikit-learn's does, and Keras Tuner proposes the same with it."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import threadpool_info, threadpool_limits

from regsweep.config import compose
from regsweep.search.gaussian_process import UncheckedGaussianProcess, unchecked
from regsweep.search.optuna_source import OptunaSource
from regsweep.search.oracles import OracleSource
from regsweep.search.source import Told
from regsweep.train.runtime import import_keras
from regsweep.trial import State


def process() -> GaussianProcessRegressor:
    """As Keras Tuner makes it, with fewer restarts."""
    matern = kernels.Matern(nu=2.5)
    return GaussianProcessRegressor(kernel=matern, n_restarts_optimizer=1, normalize_y=True, alpha=1e-4, random_state=3)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_predictions_are_those_of_scikit_learn_bit_for_bit(alike: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(20, 4)), np.full(20, 7.0) if alike else rng.normal(50, 9, size=20)
    theirs, ours = process().fit(x, y), unchecked(process()).fit(x, y)
    for rows in (x[:1], rng.uniform(size=(1, 4)), rng.uniform(size=(5, 4))):
        for one, other in zip(theirs.predict(rows, return_std=True), ours.predict(rows, return_std=True), strict=True):
            assert np.array_equal(one, other) and one.shape == other.shape == (len(rows),)


def test_before_it_is_fitted_it_predicts_by_its_prior() -> None:
    mean, deviation = unchecked(process()).predict(np.zeros((2, 4)), return_std=True)
    assert mean.tolist() == [0.0, 0.0] and deviation.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kernel", [kernels.Matern(nu=1.5), kernels.Matern([1.0, 2.0], nu=2.5), kernels.RBF(), None])
def test_a_process_with_another_kernel_is_left_as_it_is(kernel: Any) -> None:
    assert unchecked(one := GaussianProcessRegressor(kernel=kernel)) is one


def test_the_oracle_proposes_the_same_with_it() -> None:
    assert proposals(by_ours=True) == proposals(by_ours=False)


def test_a_proposal_is_made_with_one_thread_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, predict = set[int](), UncheckedGaussianProcess.predict

    def watched(self: UncheckedGaussianProcess, *arguments: Any, **options: Any) -> Any:
        threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return predict(self, *arguments, **options)

    monkeypatch.setattr(UncheckedGaussianProcess, "predict", watched)
    source = OracleSource(compose(["sampler=kt_bayesian", "sampler.startup_trials=2"])[0])
    with threadpool_limits(2, user_api="blas"):
        for number in range(3):
            params = source.ask(number, 0)
            assert params is not None
            source.tell(Told(number, State.COMPLETE, float(number), params))
        outside = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert (threads, outside) == ({1}, {2})


def test_optunas_process_computes_with_one_thread_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="needs torch, of regsweep[gp]")
    pytest.importorskip("greenlet", reason="needs greenlet, of regsweep[gp]")
    threads, cholesky = set[int](), torch.linalg.cholesky

    def watched(*arguments: Any, **options: Any) -> Any:
        threads.add(torch.get_num_threads())
        return cholesky(*arguments, **options)

    monkeypatch.setattr(torch.linalg, "cholesky", watched)
    source, before = OptunaSource(compose(["sampler=gp", "sampler.startup_trials=2"])[0]), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for number in range(3):
            params = source.ask(number, 0)
            assert params is not None
            source.tell(Told(number, State.COMPLETE, float(number), params))
        assert (threads, torch.get_num_threads()) == ({1}, 3)
    finally:
        torch.set_num_threads(before)


def proposals(*, by_ours: bool) -> list[dict[str, Any]]:
    """Ten of Keras Tuner's Bayesian oracle, told two at a time; six of them by its Gaussian process."""
    import_keras()
    import keras_tuner as kt

    hp = kt.HyperParameters()
    hp.Float("rate", 1e-3, 1.0, sampling="log")
    hp.Int("width", 1, 64)
    oracle = kt.oracles.BayesianOptimizationOracle(
        objective=kt.Objective("loss", "min"), max_trials=None, num_initial_points=4, seed=1, hyperparameters=hp
    )
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *_: None
    if by_ours:
        oracle.gpr = unchecked(oracle.gpr)
    proposed = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            trials = [oracle.create_trial("one"), oracle.create_trial("other")]
            for trial in trials:
                values = trial.hyperparameters.values
                proposed.append(dict(values))
            for trial in trials:
                values = trial.hyperparameters.values
                loss = (np.log10(values["rate"]) + 1.5) ** 2 + (values["width"] / 32 - 1) ** 2
                oracle.update_trial(trial.trial_id, {"loss": loss})
                trial.status = "COMPLETED"
                oracle.end_trial(trial)
    assert len({str(values) for values in proposed}) == 10
    return proposed
