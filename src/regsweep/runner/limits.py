"""How long a training may take and how much memory a worker may hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from regsweep.train.plan import GIB

# The rest is for the driver, the recorder and whatever else runs here.
SHARE = 0.8
# TensorFlow, the libraries and a table of some size.
BASE_GB = 1.0


@dataclass(frozen=True)
class Limits:
    """`seconds` for one training (None: no limit), `memory_gb` for a worker in GiB (None: no limit)."""

    seconds: float | None = None
    memory_gb: float | None = None


def memory_share(workers: int, training_gb: float, root: Path = Path("/")) -> float:
    """GiB that each worker may hold by default: its share of the machine, but never less than one stack may take."""
    return max(SHARE * machine_memory(root) / GIB / workers, training_gb + BASE_GB)


def machine_memory(root: Path = Path("/")) -> float:
    """Bytes of memory of this machine, or of the control group that this process is in, if that has less."""
    total = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min([total, *_group_limits(root)])


def resident(pid: int) -> float:
    """GiB of memory that a process holds; 0 where that can't be known."""
    with suppress(OSError, IndexError):
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / GIB
    return 0.0


def _group_limits(root: Path) -> Iterator[float]:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # A group's ancestors bind it too; inside a container its own folder may not be shown.
        here = top / group.lstrip("/")
        for folder in (here, *here.parents):
            if folder.is_relative_to(top):
                with suppress(OSError, ValueError):
                    yield float(int((folder / name).read_text(encoding="ascii")))
