"""Locks between processes, by files; the system lets go of them when their holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regsweep.errors import StorageError


class HeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def lock(place: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock. Raises HeldError where another process does and we don't wait, StorageError where the file can't be made."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        stream = place.open("w")
    except OSError as error:
        raise StorageError(f"{place.parent}: can't be written ({error.strerror}); free space or set tracking.dir") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError from None
        yield
