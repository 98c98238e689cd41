"""Networks and baselines as candidates for champion: validation decides, by hand-made numbers; what the sentence says then."""

from __future__ import annotations

import math

import numpy as np
import pytest

from regsweep.champion.candidates import first_of_all
from regsweep.champion.choice import Choice
from regsweep.champion.scoring import _same
from regsweep.config import compose
from regsweep.errors import ConfigError
from regsweep.judgement import NETWORK, PairedDifference, verdict
from regsweep.record import study_name

NETWORKS = Choice("ensemble", 4, ((2, 0.25), (4, 0.75)))


@pytest.mark.parametrize(
    ("objective", "reached", "expected"),
    [
        ("val/mse", {NETWORK: 4.0, "mean": 9.0, "random_forest": 3.0, "svr": 3.5}, "random_forest"),
        ("val/mse", {NETWORK: 4.0, "mean": 9.0, "random_forest": 4.0}, None),
        ("val/r2", {NETWORK: 0.5, "mean": 0.0, "random_forest": 0.6}, "random_forest"),
        ("val/r2", {NETWORK: 0.5, "mean": -0.1, "random_forest": 0.4}, None),
        ("val/r2", {NETWORK: -0.5, "mean": -0.1, "svr": -0.2}, "mean"),
        # Least squares by another way is better by rounding alone.
        ("val/mse", {NETWORK: 4.0, "least_squares_qr": 3.0, "least_squares_svd": 3.0 - 1e-12}, "least_squares_qr"),
        ("val/mse", {NETWORK: 4.0, "mean": math.nan}, None),
        ("val/auc", {NETWORK: math.nan, "random_forest": 0.6}, "random_forest"),
        ("val/mse", {NETWORK: 0.0, "mean": 0.0}, None),
    ],
)
def test_the_best_validation_names_the_champion(objective: str, reached: dict[str, float], expected: str | None) -> None:
    found = first_of_all(NETWORKS, reached, objective)
    assert found.baseline == expected
    assert found.networks == NETWORKS


def test_an_opening_names_the_baseline_only_where_one_leads() -> None:
    # Openings for networks are what they were before baselines could stand.
    assert NETWORKS.to_json() == {"trial": 4, "champion": "ensemble", "members": [[2, 0.25], [4, 0.75]]}
    forest = first_of_all(NETWORKS, {NETWORK: 2.0, "random_forest": 1.0}, "val/mse")
    assert forest.to_json() == {**NETWORKS.to_json(), "baseline": "random_forest"}
    assert Choice.from_json(forest.to_json()) == forest
    assert (forest.name, forest.networks.name) == ("random forest", "ensemble of 2 trials")


def difference(name: str, value: float, half: float) -> PairedDifference:
    return PairedDifference(name, "mae", value, value - half, value + half, rows=100)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            difference(NETWORK, 1230.0, 200.0),
            "The network is not worth it here: random forest is better than the network by 1,230 ± 200 points of MAE (95 % "
            "interval), better than closed-form least squares by 3,000 ± 200 points of MAE, and not distinguishable from "
            "gradient boosting, the best other baseline by validation.",
        ),
        (
            difference(NETWORK, 30.0, 200.0),
            "The network is not worth it here: random forest is not distinguishable from the network, better than closed-form "
            "least squares by 3,000 ± 200 points of MAE (95 % interval), and not distinguishable from gradient boosting, the "
            "best other baseline by validation.",
        ),
        (
            # Validation was mistaken: nothing is said against the network.
            difference(NETWORK, -1230.0, 200.0),
            "Random forest is worse than the network by 1,230 ± 200 points of MAE (95 % interval), better than closed-form least "
            "squares by 3,000 ± 200 points of MAE, and not distinguishable from gradient boosting, the best other baseline by "
            "validation.",
        ),
    ],
)
def test_the_sentence_says_which_model_it_is_and_what_of_the_network(network: PairedDifference, expected: str) -> None:
    found = [network, difference("least_squares_qr", 3000.0, 200.0), difference("gradient_boosting", 50.0, 200.0)]
    said = verdict("points", "random forest", found, best_baseline="gradient_boosting", network="the network")
    assert said == expected


def test_a_baseline_without_others_is_compared_with_the_network_alone() -> None:
    said = verdict("", "the mean", [difference(NETWORK, 1230.0, 200.0)], best_baseline=None, network="the network")
    assert said == "The network is not worth it here: the mean is better than the network by 1,230 ± 200 of MAE (95 % interval)."


def test_candidates_need_baselines_and_leave_names_of_studies_alone() -> None:
    with pytest.raises(ConfigError, match=r"champion\.candidates: all lets baselines stand .* baselines\.names is empty"):
        compose(["champion.candidates=all", "baselines=none"])
    with pytest.raises(ConfigError, match=r"champion\.candidates: must be one of networks, all"):
        compose(["champion.candidates=everyone"])
    (alone,), (everyone,) = compose([]), compose(["champion=bag", "champion.candidates=all"])
    assert study_name(alone, "a" * 64) == study_name(everyone, "a" * 64)


def test_models_are_the_same_by_how_much_targets_differ_and_not_by_how_far_they_are_from_zero() -> None:
    rng = np.random.default_rng(0)
    y = 1.7e9 + rng.normal(0, 2000, 50)
    one = y + rng.normal(0, 500, 50)
    assert not _same(one, one + rng.normal(0, 300, 50), y)
    assert _same(one, one * (1 + 1e-15), y)
    assert _same(one - 1.7e9, (one - 1.7e9) * (1 + 1e-9), y - 1.7e9)
    endless = np.array([1.0, np.inf])
    assert _same(endless, endless, np.array([1.0, 2.0]))
    assert not _same(endless, np.array([2.0, np.inf]), np.array([1.0, 2.0]))
