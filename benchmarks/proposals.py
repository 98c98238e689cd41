"""What a proposal costs by sampler, and by Gaussian processes as their libraries run them: every row checked, all threads.

    python -m benchmarks.proposals

24 trials of the default space, two asked at a time and told a smooth function of their numbers, as a loss nearly is; processor
seconds per trial of asking and telling, with Optuna's database, over the second half of them. Nothing is trained. Optuna's
process is asked where torch and greenlet are installed.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import optuna

from benchmarks.common import save, show
from regsweep.config import compose
from regsweep.config.sampler import lacking_for_gp
from regsweep.paths import Workspace
from regsweep.search import Search
from regsweep.search.source import Params
from regsweep.trial import State

SAMPLERS = ("tpe", "random", "qmc", "cmaes", "nsga2", "kt_random", "kt_hyperband", "kt_bayesian")
GP = () if lacking_for_gp() else ("gp",)
THEIRS = {"kt_bayesian": "kt_bayesian as Keras Tuner runs it", "gp": "gp as Optuna runs it"}
TRIALS = 24
# Brackets of the default space's epochs begin with more trials than that; these, twice, have 46.
SHORT = {"kt_hyperband": ["sampler.max_epochs=9", "sampler.iterations=2"]}


def ask(sampler: str) -> tuple[float, list[Params]]:
    """Seconds per trial, and what was proposed."""
    plain = ["dataset=diabetes", f"sampler={sampler}", f"n_trials={TRIALS}", "parallel_trials=2", "seed=0"]
    config = compose([*plain, *SHORT.get(sampler, ())])[0]
    proposed, started = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        search = Search(Workspace(Path(folder)), "study", config)
        while len(proposed) < TRIALS:
            if len(proposed) == TRIALS // 2:
                started = time.process_time()
            for proposal in search.next_batch(TRIALS):
                proposed.append(proposal.params)
                search.tell(proposal.number, State.COMPLETE, loss(proposal.params))
        return (time.process_time() - started) / (TRIALS - TRIALS // 2), proposed


def loss(params: Params) -> float:
    """Least for a learning rate of 0.01, two hidden layers and half of the width's range."""
    rate, depth = float(params["learning_rate"]), float(params["depth"])
    return (math.log10(rate) + 2) ** 2 + (depth - 2) ** 2 / 4 + (math.log2(float(params.get("width", 1))) - 6) ** 2 / 9


def main(samplers: Sequence[str] = (*SAMPLERS, *GP)) -> None:
    """Ask every sampler, print the table and write benchmarks/results/proposals.json."""
    found = {sampler: ask(sampler) for sampler in samplers}
    rows = {sampler: seconds for sampler, (seconds, _) in found.items()}
    with as_their_libraries_run_them():
        for sampler in ("kt_bayesian", *GP):
            rows[THEIRS[sampler]], proposed = ask(sampler)
            assert proposed == found[sampler][1], "the same proposals"
    show("Seconds per proposal", ("sampler", "s"), list(rows.items()))
    for sampler in ("kt_bayesian", *GP):
        print(f"{THEIRS[sampler]}: {rows[THEIRS[sampler]] / rows[sampler]:.1f} times as long, with the same proposals")
    save("proposals", {"trials": TRIALS, "seconds_per_trial": rows})


@contextmanager
def as_their_libraries_run_them() -> Iterator[None]:
    """Gaussian processes without what regsweep spares them."""
    with (
        patch("regsweep.search.oracles.ThreadpoolController.limit", lambda *_, **__: nullcontext()),
        patch("regsweep.search.oracles.unchecked", lambda process: process),
        patch("regsweep.search.samplers._GaussianProcess", optuna.samplers.GPSampler),
    ):
        yield


if __name__ == "__main__":
    main()
