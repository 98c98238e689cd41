"""What the benchmark of folds says of its studies, by hand, and its tables."""

from __future__ import annotations

import numpy as np

from benchmarks.folds import WAYS, Ran, summary, table


def test_means_and_ratios_by_hand() -> None:
    missed = {"folds": (0.1, 0.2), "hold-out": (0.2, 0.2), "hold-out, as long": (0.15, 0.1)}
    ran = [Ran(500, way, seed, 20, 10.0 + seed, missed[way][seed]) for seed in (0, 1) for way in WAYS]
    rows, *means, as_many, as_long = summary(ran)
    assert rows == 500
    np.testing.assert_allclose(means, [0.15, 10.5, 0.2, 10.5, 0.125, 10.5])
    # Ratios 2 and 1, and 1.5 and 0.5: standard errors of half their distance.
    assert (as_many, as_long) == ("1.50 ± 0.50", "1.00 ± 0.50")


def test_noise_is_all_by_which_tables_of_a_seed_differ() -> None:
    clean, noisy = table(2_000, 3, 0.0), table(2_000, 3, 3.0)
    np.testing.assert_array_equal(clean.drop(columns="y"), noisy.drop(columns="y"))
    assert 2.8 < float(np.std(noisy["y"] - clean["y"])) < 3.2
