"""The search of a study, gone through without training: real proposals and stacks, times from the cost model.

In: a search to ask and tell, what stacks cost, how fast the machine is. Out: when each trial would be told, and the work in it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regsweep.config import StudyConfig
from regsweep.flight import Pace, spec_for
from regsweep.planning.count import most_trials
from regsweep.search import Proposal, Search
from regsweep.train.plan import Load, ProgramKey
from regsweep.trial import State, TrialSpec, higher_is_better

# Of fewer trials nothing is said about growth.
FEW = 20

Plan = Callable[[Sequence[TrialSpec]], Sequence[Load]]
Seconds = Callable[[], float]
Objectives = Callable[[Sequence[TrialSpec]], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Machine:
    """How many `workers` train; seconds of a `trace` and of `writing` a trial; `slowness` times what the cost model says.

    `begin`: seconds that each training takes before its first step and after its last, whatever comes between.
    """

    workers: int
    trace: float
    writing: float
    slowness: float = 1.0
    begin: float = 0.0


@dataclass
class Pool:
    """Simulated workers: until when each is busy, the programs that it has `traced`; seconds of `work` in all."""

    machine: Machine
    work: float = 0.0
    ends: list[float] = field(init=False)
    traced: list[set[ProgramKey]] = field(init=False)

    def __post_init__(self) -> None:
        self.ends = [0.0] * self.machine.workers
        self.traced = [set() for _ in self.ends]

    def train(self, loads: Sequence[Load], now: float) -> dict[int, float]:
        """Place loads as the executor does; for each position of a spec the second at which it has been trained."""
        finished: dict[int, float] = {}
        for load in loads:
            costs = [self._cost(load, worker) for worker in range(len(self.ends))]
            worker = min(range(len(costs)), key=lambda index: max(self.ends[index], now) + costs[index])
            self.work += costs[worker]
            self.ends[worker] = max(self.ends[worker], now) + costs[worker]
            self.traced[worker].add(load.program)
            finished |= dict.fromkeys(load.positions, self.ends[worker])
        return finished

    def _cost(self, load: Load, worker: int) -> float:
        trace = 0.0 if load.program in self.traced[worker] else self.machine.trace
        return trace + self.machine.begin * len(load.positions) + load.seconds * self.machine.slowness


@dataclass(frozen=True)
class Course:
    """What a search comes to: `specs` of the trials gone through, `seconds` until all `trials` are told, `work` in training."""

    specs: tuple[TrialSpec, ...]
    trials: int
    seconds: float
    work: float


@dataclass
class _InFlight:
    proposals: Sequence[Proposal]
    specs: Sequence[TrialSpec]
    finished: dict[int, float]
    submitted: float


def simulate(
    config: StudyConfig,
    search: Search,
    plan: Plan,
    machine: Machine,
    patience: float,
    objectives: Objectives,
    clock: Seconds = time.perf_counter,
) -> Course:
    """Go through the search as `study` does; what `patience` seconds don't reach is extrapolated.

    `objectives` are made up for the configurations of a batch, as errors: less is better, whatever the study's objective is.
    """
    began, now, others = clock(), 0.0, np.random.default_rng(config.seed)
    most = most_trials(config)
    pool, pace, flights = Pool(machine), Pace(config.parallel_trials), deque[_InFlight]()
    specs: list[TrialSpec] = []
    asked: list[float] = []
    sign = -1 if higher_is_better(config.objective) else 1
    told = 0
    # (told, second) at the start and after each batch: trials of a batch may all be told in the same moment.
    landings = [(told, now)]
    while told < most and (not told or clock() - began < patience):
        while len(flights) < 2:
            started = clock()
            proposals = search.next_batch(config.n_trials, pace.size)
            if not proposals:
                break
            spent = clock() - started
            now += spent
            asked += [spent / len(proposals)] * len(proposals)
            new = [spec_for(one, config) for one in proposals]
            specs += new
            flights.append(_InFlight(proposals, new, pool.train(plan(new), now), now))
        if not flights:
            break
        flight = flights.popleft()
        values = (sign * objectives(flight.specs)).tolist()
        further = others.uniform(size=(len(flight.specs), len(config.further_objectives))).tolist()
        for position, proposal in enumerate(flight.proposals):
            started = clock()
            search.tell(proposal.number, State.COMPLETE, values[position], tuple(further[position]))
            now = max(now, flight.finished[position]) + clock() - started + machine.writing
        told += len(flight.proposals)
        landings.append((told, now))
        pace.landed(len(flight.proposals), round(1000 * flight.submitted), round(1000 * now))
    left = most - told
    if not told or not left or (not flights and not search.next_batch(config.n_trials, 1)):
        return Course(tuple(specs), told, now, pool.work)
    # From here on as in the latter half, but for asking: samplers take longer the more they know.
    half, then = landings[(len(landings) - 1) // 2]
    each = (now - then) / (told - half)
    growth = _growth(asked) * (most - half) / 2
    seconds, work = now + left * (each + growth), pool.work * most / len(specs)
    return Course(tuple(specs), most, seconds, work)


def _growth(asked: Sequence[float]) -> float:
    """By how many seconds asking for a trial takes longer than for the one before it; 0 where it hardly does, or who can tell."""
    third = len(asked) // 3
    if third < FEW:
        return 0.0
    before, after = float(np.median(asked[-2 * third : -third])), float(np.median(asked[-third:]))
    # Less than a quarter more may be chance, and would be multiplied by thousands of trials.
    return (after - before) / third if after > 1.25 * before else 0.0


def makespan(loads: Sequence[Load], machine: Machine, known: Collection[ProgramKey] = ()) -> tuple[float, int]:
    """Seconds until workers have trained these loads, and how many programs the busiest traces beyond `known` ones."""
    pool = Pool(machine)
    for programs in pool.traced:
        programs.update(known)
    pool.train(loads, 0.0)
    return max(pool.ends, default=0.0), max((len(programs) for programs in pool.traced), default=0) - len(set(known))
