"""What happens in a worker's process: it answers the driver's questions, one after the other, until the driver is gone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from regsweep import failpoints
from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.train import Trainer, make_trainer
from regsweep.train.contract import StopRule, failure
from regsweep.train.plan import Speed
from regsweep.trial import TrialResult, TrialSpec

Results = tuple[TrialResult, ...]
# When memory runs out, Linux ends the process with the highest score first: a worker is replaced, driver and recorder are not.
OOM_SCORE = "500"


@dataclass(frozen=True)
class Site:
    """What a process trains with."""

    config: TrainerConfig
    trainer: Trainer
    data: Prepared


def work(link: Connection, config: TrainerConfig, data: Prepared) -> None:
    """Take (function, arguments) from the link, send back (True, what it returned) or (False, what it raised)."""
    Thread(target=_follow_driver, daemon=True).start()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    site = Site(config, make_trainer(config), data)
    with suppress(EOFError, ConnectionError):
        while True:
            function, arguments = link.recv()
            _answer(link, site, function, arguments)


def train(site: Site, stack: tuple[TrialSpec, ...], rule: StopRule | None = None) -> Results:
    """Train a stack. An error that is not caught within a training is traced to the one it belongs to by halving the stack."""
    try:
        for spec in stack:
            failpoints.reach("train/fit", spec.seed)
        return site.trainer.fit(stack, site.data, rule)
    except Exception as error:
        if len(stack) > 1:
            middle = len(stack) // 2
            return train(site, stack[:middle], rule) + train(site, stack[middle:], rule)
        return (failure(stack[0], error, (), seconds=0.0, trainer=site.config.kind),)


def elsewhere(site: Site, stack: tuple[TrialSpec, ...], rule: StopRule | None, config: TrainerConfig, data: Prepared) -> Results:
    """Train a stack on other data than the site's."""
    return train(replace(site, config=config, trainer=make_trainer(config), data=data), stack, rule)


def measure(site: Site, timed: bool) -> Speed:
    """What trainings cost here."""
    return site.trainer.speed(timed=timed)


def call(_site: Site, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Any function."""
    return function(*arguments)


def ready(_site: Site) -> None:
    """Answered once the process has started."""


def _answer(link: Connection, site: Site, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = (True, function(site, *arguments))
    except Exception as error:
        answer = (False, error)
    try:
        link.send(answer)
    except (EOFError, OSError):
        raise
    except Exception as error:
        # Neither everything that is returned nor every error can be sent.
        link.send((False, RuntimeError(f"{answer[1]!r} can't be sent: {error}")))


def _follow_driver() -> None:
    # A killed driver can't stop its workers, and one in the middle of a training does not look at its link.
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)
