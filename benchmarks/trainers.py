"""The stacked trainer against `keras.Model.fit`, training alone: same specs, same data, same curves, tracing included.

    python -m benchmarks.trainers

Three questions, each measured in a process of its own: 64 specs drawn from the broad space; 2,000 trials in one process
(cost per trial and memory); 1,000 to 1,000,000 rows. Ratios within one run count; seconds depend on the machine.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import drawn_specs, material, save
from benchmarks.peers import fit_alone
from regsweep.config import compose
from regsweep.data.features import FoldData, Prepared
from regsweep.predictor import TargetScale
from regsweep.runner import Processes
from regsweep.train import make_trainer
from regsweep.trial import TrialSpec

SPECS = 64
CYCLE, CYCLES = 100, 20
ROWS = (1_000, 10_000, 100_000, 1_000_000)


def relu(*widths: int, batch_size: int = 64, dropout: float = 0.0) -> TrialSpec:
    """A network of ReLUs that is trained for an epoch."""
    depth = len(widths)
    return TrialSpec(widths, ("relu",) * depth, 0.001, 1, batch_size, "adam", (dropout,) * depth, 0.0, 0)


WIDE = relu(64, 64)
LARGE = (
    WIDE,
    relu(64, 64, dropout=0.2),
    relu(16, batch_size=1024),
    relu(128, 128, 128, 128),
    relu(256, 256, batch_size=1024),
)


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in a process of its own, as TensorFlow keeps threads and graphs."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def keras_seconds(count: int) -> list[float]:
    """Seconds of `model.fit` for each of the first specs."""
    return fit_alone([spec for _, spec in drawn_specs(count)], material().prepared)


def stacked_seconds(count: int) -> float:
    """Seconds of the stacked trainer for all of the first specs in this process, on one thread."""
    specs, data = [spec for _, spec in drawn_specs(count)], material().prepared
    trainer = make_trainer(compose([])[0].trainer)
    started = time.perf_counter()
    trainer.fit(specs, data)
    return time.perf_counter() - started


def workers_seconds(count: int) -> float:
    """The same in one started worker process per core, planned and measured as a study does."""
    specs, data = [spec for _, spec in drawn_specs(count)], material().prepared
    with Processes(compose([])[0].trainer, data) as executor:
        for _ in range(2 * (os.cpu_count() or 1)):
            executor.call(os.getpid)
        started = time.perf_counter()
        loads = executor.plan(specs)
        stacks = [[specs[position] for position in load.positions] for load in loads]
        futures = [executor.submit(stack, load) for stack, load in zip(stacks, loads, strict=True)]
        for future in futures:
            future.result()
        return time.perf_counter() - started


def many_trials() -> list[tuple[float, float]]:
    """Seconds per trial and resident MiB after each cycle of the same specs under new seeds, eight trials at a time."""
    specs, data = [spec for _, spec in drawn_specs(CYCLE)], material().prepared
    trainer = make_trainer(compose([])[0].trainer)
    trainer.speed()
    cycles = []
    for cycle in range(CYCLES):
        started = time.perf_counter()
        for start in range(0, CYCLE, 8):
            trainer.fit([replace(spec, seed=spec.seed + 1 + cycle) for spec in specs[start : start + 8]], data)
        cycles.append(((time.perf_counter() - started) / CYCLE, resident()))
    return cycles


def resident() -> float:
    """MiB of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / (1 << 20)


def table_of(rows: int, inputs: int = 20) -> Prepared:
    """Made-up data with a fifth as many validation rows."""
    rng, total = np.random.default_rng(0), rows + rows // 5
    x = rng.normal(size=(total, inputs))
    z = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=total)
    z32 = z.astype(np.float32)
    fold = FoldData((), TargetScale(False, 0.0, 1.0), 0.0, 1.0, x[:rows], z[:rows], z32[:rows], x[rows:], z[rows:], z32[rows:])
    return Prepared("y", "", (fold,))


def by_rows(rows: int) -> list[dict[str, Any]]:
    """Seconds of one epoch of each of some specs: trained by itself, with seven mates (per trial), and by `fit`."""
    data, trainer = table_of(rows), make_trainer(compose([])[0].trainer)
    found = []
    for spec in LARGE if rows == ROWS[-1] else LARGE[:1]:
        trainer.fit([spec], table_of(100))
        seconds = []
        for stack in ([spec], [replace(spec, seed=seed) for seed in range(8)]):
            started = time.perf_counter()
            trainer.fit(stack, data)
            seconds.append((time.perf_counter() - started) / len(stack))
        (keras,) = fit_alone([spec], data)
        name = f"{'-'.join(map(str, spec.widths))}, batch {spec.batch_size}{', dropout' if any(spec.dropouts) else ''}"
        found.append({"rows": rows, "spec": name, "alone": seconds[0], "of_eight": seconds[1], "keras": keras})
    return found


def main() -> None:
    """Measure, print three tables and write benchmarks/results/trainers.json."""
    console = Console(width=120)
    keras = in_a_process(keras_seconds, SPECS)
    one, workers = in_a_process(stacked_seconds, SPECS), workers_seconds(SPECS)
    table = Table("trainer", "s per trial", "times faster than fit", title=f"{SPECS} specs drawn from the broad space")
    for name, seconds in (
        ("keras.Model.fit, one process, all cores", sum(keras)),
        ("stacked, one process, one thread", one),
        (f"stacked, {os.cpu_count()} workers", workers),
    ):
        table.add_row(name, f"{seconds / SPECS:.4f}", f"{sum(keras) / seconds:.0f}")
    console.print(table)
    cycles = in_a_process(many_trials)
    early, late = cycles[1], cycles[-1]
    cost, memory = late[0] / early[0], late[1] / early[1]
    title = f"{CYCLE * CYCLES} trials in one process"
    table = Table("trials", "s per trial", "resident MiB", title=title, caption=f"cost x {cost:.2f}, memory x {memory:.3f}")
    for index, (seconds, resident) in enumerate(cycles):
        table.add_row(f"{index * CYCLE + 1} to {(index + 1) * CYCLE}", f"{seconds:.4f}", f"{resident:.0f}")
    console.print(table)
    sizes = [row for rows in ROWS for row in in_a_process(by_rows, rows)]
    columns = ("rows", "network", "fit, s", "stacked, s", "times faster", "one of 8, s", "times faster")
    table = Table(*columns, title="one epoch, 20 inputs; fit has all cores, stacked one thread")
    for row in sizes:
        ratios = [f"{row['keras'] / row[key]:.1f}" for key in ("alone", "of_eight")]
        values = [f"{row[key]:.3f}" for key in ("keras", "alone", "of_eight")]
        table.add_row(f"{row['rows']:,}", row["spec"], values[0], values[1], ratios[0], values[2], ratios[1])
    console.print(table)
    save(
        "trainers",
        {
            "default_space": {"specs": SPECS, "keras": keras, "stacked": one, "workers": workers, "median_fit": median(keras)},
            "many_trials": [{"seconds_per_trial": seconds, "resident_mib": resident} for seconds, resident in cycles],
            "rows": sizes,
        },
    )


if __name__ == "__main__":
    main()
