"""The seam to MLflow: a ledger knows which child runs of a study are there, and writes them.

`Database` writes the workspace's own sqlite database, `Server` any store through MLflow's client. Both are idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from regsweep.sums import digest
from regsweep.tracking.content import RunContent
from regsweep.tracking.names import KEY, KIND, PARENT, RECORD

Child = tuple[str, str]
"""Kind and key."""


@dataclass(frozen=True)
class Family:
    """What the children of a study's run share: ids of experiment and parent, where artifacts go, tags of every child."""

    experiment: str
    artifacts: str
    parent: str
    tags: Mapping[str, str]
    user: str


@dataclass(frozen=True)
class Ended:
    """A child run that is there to its end: its id, and the digest of the record it was made from."""

    run: str
    record: str | None


def tags_of(content: RunContent, family: Family) -> dict[str, str]:
    """All tags of a child run."""
    ours = {KIND: content.kind, KEY: content.key, PARENT: family.parent, RECORD: digest(content.record) or ""}
    return {**family.tags, **ours, **content.tags}


class Ledger(Protocol):
    """The child runs of one study's run."""

    def ended(self) -> dict[Child, Ended]:
        """The child runs that are there to their end; asking also puts away what a crash left half made."""
        ...

    def write(self, content: RunContent) -> str:
        """Write a child run, whatever an earlier attempt left of it; returns its id."""
        ...

    def put_model(self, run: str, content: RunContent) -> None:
        """Add a model to a child run that is there without one."""
        ...

    def drop_model(self, run: str) -> None:
        """Take the model of a child run away, where the store can."""
        ...

    def remove(self, run: str) -> None:
        """Remove a run and, where the store can, its artifacts."""
        ...
