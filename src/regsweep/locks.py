"""Locks between processes, by files; the system lets go of them when their holder dies."""

from __future__ import annotations

import fcntl
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regsweep.errors import StorageError


class HeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def lock(place: Path, *, patience: float = math.inf) -> Iterator[None]:
    """Hold a lock. Raises HeldError where another process does for so many seconds, StorageError where no file can be made."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        stream = place.open("w")
    except OSError as error:
        raise StorageError(f"{place.parent}: can't be written ({error.strerror}); free space or set tracking.dir") from None
    with stream:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if patience == math.inf else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HeldError from None
                time.sleep(0.02)
        yield
