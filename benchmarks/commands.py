"""What the commands that train nothing cost: CPU seconds of `--help`, of shell completion, of a config error, of a leaderboard.

    python -m benchmarks.commands [--trials N] [--repeats R]

User and system seconds of the whole process, median of R runs. The leaderboard is that of N made-up trials of the default space;
what it takes beyond importing is its seconds less those of importing what it needs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

import numpy as np

from benchmarks.common import drawn_specs, material, save, show
from regsweep.book import RecordBook
from regsweep.paths import Workspace
from regsweep.record import Features, TrialRecord
from regsweep.trial import FoldResult, Network, State, TrialResult, TrialSpec

REGSWEEP = str(Path(sys.executable).with_name("regsweep"))
COMPLETION = {"_REGSWEEP_COMPLETE": "bash_complete", "COMP_WORDS": "regsweep ru", "COMP_CWORD": "1"}


def cpu_seconds(*command: str, folder: Path, code: int = 0, env: dict[str, str] | None = None) -> float:
    """User and system seconds of a command that ends with the exit code."""
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}, expected {code}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trained(spec: TrialSpec, inputs: int, rng: np.random.Generator) -> TrialResult:
    """A made-up training: curves of as many epochs and a network of the size that the spec says."""
    dims = (inputs, *spec.widths, 1)
    kernels = tuple(rng.normal(size=dims[layer : layer + 2]).astype(np.float32) for layer in range(len(dims) - 1))
    network = Network(kernels, tuple(np.zeros(width, np.float32) for width in dims[1:]))
    fold = FoldResult(rng.uniform(1, 2, (spec.epochs, 6)), network, spec.epochs - 1)
    return TrialResult(spec, State.COMPLETE, (fold,), 0.1, "stacked")


def write_study(trials: int, workspace: Workspace) -> None:
    """Write the records of a study of so many made-up trials."""
    made, rng = material(), np.random.default_rng(0)
    book = RecordBook(workspace.records / made.facts.study)
    book.open(made.facts, Features(made.prepared.encoding, made.dataset.columns))
    for number, (params, spec) in enumerate(drawn_specs(trials)):
        result = trained(spec, made.prepared.folds[0].inputs, rng)
        book.write_trial(TrialRecord(made.facts, number, params, result, 0, 100))


def main() -> None:
    """Measure, print the table and write benchmarks/results/commands.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_study(asked.trials, Workspace(folder / "mlruns"))

        def measured(*command: str, code: int = 0, env: dict[str, str] | None = None) -> float:
            return median(cpu_seconds(*command, folder=folder, code=code, env=env) for _ in range(asked.repeats))

        seconds = {
            "regsweep --help": measured(REGSWEEP, "--help"),
            "shell completion": measured(REGSWEEP, env=COMPLETION),
            "regsweep run n_trials=x": measured(REGSWEEP, "run", "n_trials=x", code=2),
            f"regsweep compare, {asked.trials} trials": measured(REGSWEEP, "compare"),
            "importing what compare needs": measured(sys.executable, "-c", "import regsweep.cli, regsweep.show.studies"),
        }
    *_, whole, imports = seconds.values()
    seconds["the leaderboard beyond importing"] = whole - imports
    show(f"median of {asked.repeats}", ("command", "CPU seconds"), list(seconds.items()))
    save("commands", {"trials": asked.trials, "repeats": asked.repeats, "cpu_seconds": seconds})


if __name__ == "__main__":
    main()
