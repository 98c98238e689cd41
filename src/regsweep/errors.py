"""Errors a user can act on. Each carries the exit code of the command that meets it.

A message says what is wrong, where, the value, and what to do next; several problems are listed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from regsweep.redact import redact


class RegsweepError(Exception):
    """Base of every error that is reported as a message and an exit code, never as a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, problems: str | Sequence[str]) -> None:
        # Messages quote what others say and what users give: no secret gets further than here.
        self.problems = tuple(redact(problem) for problem in ((problems,) if isinstance(problems, str) else problems))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[RegsweepError], tuple[tuple[str, ...]]]:
        # Exceptions cross process borders; the default would pass the joined message.
        return type(self), (self.problems,)


class ConfigError(RegsweepError):
    """The command or the config is wrong."""

    exit_code = 2


class DataError(RegsweepError):
    """The data are wrong."""

    exit_code = 3


class StorageError(RegsweepError):
    """Storage or tracking failed."""

    exit_code = 4


class UnreadableError(StorageError):
    """A record is missing, torn or changed."""


class TooManyFailuresError(RegsweepError):
    """More trials failed than `max_failures` allows."""

    exit_code = 5


class NotReproducedError(RegsweepError):
    """A retrained model differs from its record."""

    exit_code = 6


def nearest(value: str, known: Sequence[str]) -> str:
    """Return ` (did you mean X?)` for the closest known name, or an empty string."""
    import difflib

    close = difflib.get_close_matches(value.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    original = {k.lower(): k for k in known}
    return f" (did you mean {original[close[0]]}?)" if close else ""
