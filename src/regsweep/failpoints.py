"""Named places at which tests make a process fail: before and after each durable step, and around a training.

`REGSWEEP_FAILPOINTS` holds entries `NAME[:KEY][#COUNT]=ACTION`, comma-separated. An entry acts when the place NAME is reached for
the COUNT-th time in a process (default: the first; `*`: every time), with the KEY if one is given. Without the variable a place
costs one look at an empty tuple. `NAMES` lists the durable steps.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

NAMES = (
    "study/opening",
    "study/opened",
    "record/writing",
    "record/drafted",
    "record/replacing",
    "record/written",
    "search/telling",
    "search/told",
    "mlflow/recording",
    "mlflow/artifacts",
    "mlflow/recorded",
    "mlflow/model",
    "mlflow/judging",
    "mlflow/registering",
    "mlflow/judged",
    "study/ending",
    "study/ended",
    "judge/opening",
    "judge/opened",
    "judge/judged",
)
"""Every durable step of a study: the place before it and the one after it."""


def reach(name: str, key: object = "") -> None:
    """Do here what the environment asks for; nothing by default."""
    for entry in _ENTRIES:
        entry.reach(name, str(key))


@dataclass
class _Entry:
    name: str
    key: str
    count: int | None
    action: Callable[[], None]
    seen: int = field(default=0)

    def reach(self, name: str, key: str) -> None:
        if name == self.name and self.key in ("", key):
            self.seen += 1
            if self.count in (None, self.seen):
                self.action()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_group() -> None:
    os.killpg(0, signal.SIGKILL)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _exit() -> None:
    os._exit(1)


def _raise() -> None:
    raise RuntimeError("asked to fail")


def _fill_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _hang() -> None:
    while True:
        time.sleep(60)


def _eat() -> None:
    eaten = []
    while True:
        eaten.append(b"x" * (64 << 20))
        time.sleep(0.02)


_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "kill-group": _kill_group,
    "crash": _crash,
    "exit": _exit,
    "raise": _raise,
    "disk-full": _fill_disk,
    "hang": _hang,
    "eat": _eat,
}


def _parse(text: str) -> tuple[_Entry, ...]:
    entries = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"([^:#=]+)(?::([^#=]*))?(?:#(\d+|\*))?=([a-z-]+)", part)
        if found is None or found[4] not in _ACTIONS:
            raise ValueError(f"REGSWEEP_FAILPOINTS: {part!r} is not NAME[:KEY][#COUNT]=ACTION with one of {', '.join(_ACTIONS)}")
        count = None if found[3] == "*" else int(found[3] or 1)
        entries.append(_Entry(found[1], found[2] or "", count, _ACTIONS[found[4]]))
    return tuple(entries)


_ENTRIES = _parse(os.environ.get("REGSWEEP_FAILPOINTS", ""))
