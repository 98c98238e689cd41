"""Executors: what a worker's death costs, what limits are, what is left afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from regsweep.config import compose
from regsweep.data import Split, load_dataset, make_split
from regsweep.data.features import Prepared, prepare
from regsweep.data.split import Fold
from regsweep.errors import RegsweepError
from regsweep.runner import Inline, Processes
from regsweep.runner.limits import machine_memory, memory_share
from regsweep.runner.process import METHOD, Died, WorkerProcess
from regsweep.runner.retry import train_apart
from regsweep.runner.worker import Job, Worker
from regsweep.tasks import VAL_LOSS
from regsweep.train.plan import Speed, one_each
from regsweep.trial import State, TrialResult, TrialSpec
from tests.helpers import spec, trained

CONFIG = compose(["split=holdout"])[0]
STACK = (spec(epochs=300), spec(epochs=200, seed=8, dropout=0.2), spec(widths=(), epochs=50, activation="linear"))


def equal(found: tuple[TrialResult, ...], expected: tuple[TrialResult, ...]) -> bool:
    return [result.state for result in found] == [State.COMPLETE] * len(expected) and all(
        np.array_equal(a.curves, b.curves) and all(map(np.array_equal, a.folds[0].network.kernels, b.folds[0].network.kernels))
        for a, b in zip(found, expected, strict=True)
    )


@pytest.fixture(scope="module")
def data() -> Prepared:
    dataset = load_dataset(CONFIG.dataset)
    return prepare(dataset, make_split(CONFIG.split, dataset), CONFIG.features)


@pytest.fixture(scope="module")
def expected(data: Prepared) -> tuple[TrialResult, ...]:
    inline = Inline(CONFIG.trainer, data)
    return inline.submit(STACK).result()


@pytest.fixture
def one(data: Prepared) -> Iterator[Processes]:
    with Processes(CONFIG.trainer, data, workers=1) as executor:
        yield executor


def test_on_a_gpu_a_load_holds_as_many_as_the_plan_likes(data: Prepared) -> None:
    class OnGpu(Inline):
        def _measure(self, timed: bool) -> Speed:
            return Speed(gpu=True)

    (load,) = OnGpu(CONFIG.trainer, data).plan([spec(seed=seed) for seed in range(50)])
    assert sorted(load.positions) == list(range(50))


def test_a_single_worker_gets_the_same_stacks_without_being_timed(data: Prepared) -> None:
    specs = [spec(seed=seed, widths=(width,)) for seed in range(20) for width in (4, 40)]
    executor = Inline(CONFIG.trainer, data)
    untimed = {load.positions for load in executor.plan(specs)}
    assert executor._speed == Speed()
    executor.measure()
    assert executor._speed != Speed()
    assert {load.positions for load in executor.plan(specs)} == untimed


def gone(pid: int) -> bool:
    """Whether a process is gone, or only waits for init to take note of it; one that closed its files may need a moment."""
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_a_mate_that_is_killed_once_by_accident_is_unharmed() -> None:
    stack = tuple(spec(seed=seed) for seed in range(8))
    accidents = [stack[0]]

    def attempt(part: tuple[TrialSpec, ...]) -> tuple[TrialResult, ...]:
        if stack[5] in part:
            raise Died("SIGSEGV")
        if len(part) == 1 and part[0] in accidents:
            accidents.clear()
            raise Died("SIGKILL")
        if len(part) > 1 and stack[0] in part:
            raise Died("SIGKILL")
        return tuple(TrialResult(member, State.COMPLETE, (), 0.0, "stacked") for member in part)

    results = train_apart(stack, attempt, "stacked", lambda: 2.5)
    assert [result.spec for result in results if result.state is State.FAILED] == [stack[5]]


@pytest.mark.parametrize(("mates", "attempts"), [(0, 3), (1, 3), (2, 4), (3, 4), (7, 5)])
def test_a_stack_is_halved_until_the_culprit_is_alone(mates: int, attempts: int) -> None:
    stack = tuple(spec(seed=seed) for seed in range(mates + 1))
    culprit, seen = stack[mates // 2], []

    def attempt(part: tuple[TrialSpec, ...]) -> tuple[TrialResult, ...]:
        if culprit in part:
            seen.append(len(part))
            raise Died("SIGSEGV")
        return tuple(TrialResult(member, State.COMPLETE, (), 0.0, "stacked") for member in part)

    results = train_apart(stack, attempt, "stacked", lambda: 2.5)
    assert [result.spec for result in results] == list(stack)
    assert [result.spec for result in results if result.state is State.FAILED] == [culprit]
    assert results[mates // 2].cause == "its training took the process down, alone too (SIGSEGV)"
    assert results[mates // 2].seconds == 2.5
    assert len(seen) == attempts
    assert seen[-1] == 1


def test_a_death_by_chance_costs_nothing_but_time() -> None:
    ends = iter([Died("SIGKILL"), Died("SIGKILL"), (trained(),)])

    def attempt(_: object) -> tuple[TrialResult, ...]:
        end = next(ends)
        if isinstance(end, Died):
            raise end
        return end

    assert train_apart((spec(),), attempt, "stacked", lambda: 0.0)[0].state is State.COMPLETE


def test_a_training_that_broke_a_limit_says_so_and_one_out_of_time_is_not_tried_again() -> None:
    def fails(*ends: Died) -> str | None:
        rest = iter(ends)

        def attempt(_: object) -> tuple[TrialResult, ...]:
            raise next(rest)

        return train_apart((spec(),), attempt, "stacked", lambda: 0.0)[0].cause

    assert fails(Died("SIGKILL", "took longer than ...", judged=True)) == "took longer than ..."
    assert fails(*[Died("SIGKILL", "took more than ...")] * 3) == "took more than ..."


def test_the_memory_of_a_machine_is_that_of_its_control_group_if_that_is_less(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    groups = tmp_path / "sys/fs/cgroup"
    deep, old = groups / "slice/service", groups / "memory/job"
    deep.mkdir(parents=True)
    old.mkdir(parents=True)
    own = tmp_path / "proc/self/cgroup"
    whole = machine_memory(tmp_path)
    assert whole == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    own.write_text("0::/slice/service\n")
    (deep / "memory.max").write_text("max\n")
    assert machine_memory(tmp_path) == whole
    (groups / "slice/memory.max").write_text("1073741824\n")
    assert machine_memory(tmp_path) == 2**30
    own.write_text("12:cpu,memory:/job\n3:pids:/\n")
    assert machine_memory(tmp_path) == whole
    (old / "memory.limit_in_bytes").write_text("536870912\n")
    assert machine_memory(tmp_path) == 2**29
    # Never less than one stack and TensorFlow need.
    assert memory_share(4, 2.0, tmp_path) == 3.0
    own.write_text("0::/not/shown/in/here\n")
    (groups / "memory.max").write_text(str(20 << 30))
    assert memory_share(2, 2.0, tmp_path) == pytest.approx(min(8.0, 0.4 * whole / 2**30))


def test_a_killed_worker_is_replaced_and_what_it_trained_or_held_comes_out_the_same(
    one: Processes, expected: tuple[TrialResult, ...]
) -> None:
    pid = one.call(os.getpid)
    futures = [one.submit(STACK), one.submit(STACK[2:])]
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    assert not futures[0].done()
    assert equal(futures[0].result(), expected)
    assert equal(futures[1].result(), expected[2:])
    new = one.call(os.getpid)
    assert new != pid
    # So is one that dies while it has nothing to do.
    os.kill(new, signal.SIGKILL)
    time.sleep(0.2)
    assert one.call(os.getpid) not in (pid, new)


def test_stacks_that_wait_behind_a_dying_one_go_to_another_worker(data: Prepared) -> None:
    with Processes(CONFIG.trainer, data, workers=2) as executor:
        (long,), (short,) = executor.plan([spec(epochs=20000)])[:1], executor.plan([spec(epochs=1)])[:1]
        first, second = executor._pool
        first.call(os.getpid)
        pid = first.call(os.getpid)
        speed = executor._measure(True)
        jobs = [Job((spec(epochs=20000),), long), Job((spec(epochs=1),), short)]
        for job in jobs:
            first.take(job, speed)
        time.sleep(0.2)
        assert not jobs[1].future.done()
        os.kill(pid, signal.SIGKILL)
        assert jobs[1].future.result(timeout=60)[0].state is State.COMPLETE
        assert not jobs[0].future.done()
        assert second.busy == 0


def test_a_training_on_other_data_is_the_same_in_every_executor_and_keeps_the_limits(data: Prepared, one: Processes) -> None:
    split = Split((Fold(np.arange(40), np.arange(40, 60)),), np.arange(60, 80))
    other = prepare(load_dataset(CONFIG.dataset), split, CONFIG.features)
    kept = CONFIG.trainer.model_copy(update={"keep": "best"})
    result = one.train_elsewhere(kept, STACK[0], other)
    (fold,) = result.folds
    assert fold.kept_epoch == int(np.argmin(fold.curves[:, VAL_LOSS]))
    assert equal((result,), (Inline(CONFIG.trainer, data).train_elsewhere(kept, STACK[0], other),))
    # The worker's own data and trainer are what they were.
    assert equal(one.submit(STACK).result(), Inline(CONFIG.trainer, data).submit(STACK).result())
    with Processes(CONFIG.trainer, data, workers=1, trial_seconds=1.0) as short:
        late = short.train_elsewhere(kept, spec(epochs=10_000_000), other)
    assert (late.state, late.cause) == (State.FAILED, "took longer than executor.trial_seconds=1")


def test_closing_leaves_no_worker_and_waits_for_no_training(data: Prepared) -> None:
    executor = Processes(CONFIG.trainer, data, workers=2)
    pids = [worker.call(os.getpid) for worker in executor._pool]
    futures = [executor.submit((spec(epochs=100_000, seed=seed),)) for seed in range(4)]
    time.sleep(0.2)
    started = time.monotonic()
    executor.close()
    # Theirs would take minutes.
    assert time.monotonic() - started < 30
    assert all(map(gone, pids))
    assert all(future.cancelled() for future in futures)


def test_ctrl_c_does_not_reach_workers_and_server(one: Processes) -> None:
    pid, server = one.call(os.getpid), one.call(os.getppid)
    for process in (pid, server):
        os.kill(process, signal.SIGINT)
    time.sleep(0.2)
    assert not gone(server)
    assert one.call(os.getpid) == pid


@pytest.mark.slow
@pytest.mark.skipif(METHOD != "forkserver", reason="there is no fork server here")
def test_workers_outlive_their_server_but_not_the_executor(data: Prepared, expected: tuple[TrialResult, ...]) -> None:
    with Processes(CONFIG.trainer, data, workers=2) as executor:
        pids = [worker.call(os.getpid) for worker in executor._pool]
        future = executor.submit(STACK)
        os.kill(executor._pool[1].call(os.getppid), signal.SIGKILL)
        assert equal(future.result(), expected)
        os.kill(pids[0], signal.SIGKILL)
        time.sleep(0.2)
        pids += [worker.call(os.getpid) for worker in executor._pool]
        assert len(set(pids)) == 3
        # Busy for long: it would not see that its link is closed.
        executor._pool[1].take(Job((spec(epochs=1_000_000),)), Speed())
        time.sleep(0.5)
    assert all(map(gone, pids))


def test_a_function_that_keeps_ending_its_process_is_an_error(one: Processes) -> None:
    with pytest.raises(RegsweepError, match=r"ended 3 times \(exit code 7\); it may lack memory: try executor.workers=1"):
        one.call(os._exit, 7)
    assert one.call(os.getppid) > 0


def test_what_a_function_raises_is_raised_here(one: Processes) -> None:
    with pytest.raises(ZeroDivisionError):
        one.call(divmod, 1, 0)
    with pytest.raises(RuntimeError, match="can't be sent"):
        one.call(memoryview, b"")


class Bomb:
    """Takes the process down that unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_workers_that_do_not_start_are_an_error_and_not_a_wait() -> None:
    with (
        Processes(CONFIG.trainer, Bomb(), workers=1) as executor,  # type: ignore[arg-type]
        pytest.raises(RegsweepError, match=r"ended 3 times while it started \(exit code 3\)"),
    ):
        executor.submit(STACK).result(timeout=60)


def test_trainings_one_by_one_are_spread_over_the_workers() -> None:
    closed = Event()

    def never() -> WorkerProcess:
        closed.wait()
        raise Died("was never started")

    pool = [Worker(never, lambda _: None, "keras_fit") for _ in range(4)]
    taken: Counter[Worker] = Counter()
    for load in one_each([spec()] * 8):
        worker = min(pool, key=lambda one: one.ends(load, Speed()))
        worker.take(Job((spec(),), load), Speed())
        taken[worker] += 1
    for worker in pool:
        worker.stop()
    closed.set()
    assert sorted(taken.values()) == [2, 2, 2, 2]


def test_classes_are_trained_one_by_one() -> None:
    config = compose(["experiments=xor_blobs", "trainer=stacked", "executor=inline"])[0]
    dataset = load_dataset(config.dataset, config.predicts)
    executor = Inline(config.trainer, prepare(dataset, make_split(config.split, dataset), config.features))
    assert [load.positions for load in executor.plan([spec()] * 3)] == [(0,), (1,), (2,)]


@pytest.mark.slow
def test_forked_workers_compute_what_spawned_ones_do(
    data: Prepared, expected: tuple[TrialResult, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("forkserver", "spawn"):
        monkeypatch.setattr("regsweep.runner.process.METHOD", method)
        with Processes(CONFIG.trainer, data, workers=2) as executor:
            assert equal(executor.submit(STACK).result(), expected)
