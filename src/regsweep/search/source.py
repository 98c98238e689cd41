"""Where proposals come from: asked for one trial at a time, told of every trial in the order of numbers.

A source is a deterministic function of its seed and of what it was asked and told, in that order. A study that goes on asks and
tells a new one as the old one was, so nothing of a source needs storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from regsweep.trial import Rung, Scalar, State

Params = Mapping[str, Scalar]


@dataclass(frozen=True)
class Proposal:
    """A trial that waits for its result."""

    number: int
    params: Params
    rung: Rung | None = None


@dataclass(frozen=True)
class Told:
    """A trial that was told, with the hyperparameters it was proposed with; `others` are its values of further objectives.

    `reports` are its values on the way, by epochs trained or by fold; `marks` are what Optuna's pruner noted down on it.
    """

    number: int
    state: State
    value: float | None
    params: Params
    others: tuple[float, ...] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)
    rung: Rung | None = None

    @property
    def values(self) -> list[float] | None:
        """All values, the first objective's first."""
        return None if self.value is None else [self.value, *self.others]

    @property
    def ended_as(self) -> tuple[State, float | None, tuple[float, ...]]:
        """State and values, as `TrialRecord` has them."""
        return self.state, self.value, self.others


class Source(Protocol):
    """Proposes the trials of one study."""

    recalls: bool
    """Whether proposals follow from the trials told before alone: then `recall` stands for asking and telling them again."""

    def independent(self, number: int) -> bool:
        """Whether the batch from this number on is proposed without a look at the results of earlier trials."""
        ...

    def ask(self, number: int, attempt: int) -> Params | None:
        """Propose a trial; `attempt` counts from 0 what was proposed for it and dropped. None: nothing without more results."""
        ...

    def rung(self, number: int) -> Rung | None:
        """Where in Hyperband the trial stands that was asked for last under this number; None elsewhere."""
        ...

    def drop(self, number: int) -> None:
        """Take back what was proposed for a trial: it was there before."""
        ...

    def impose(self, proposal: Proposal) -> None:
        """Take note of a trial that was proposed by somebody else."""
        ...

    def tell(self, told: Told) -> None:
        """Take in how a trial ended that was asked for or imposed."""
        ...

    def recall(self, told: Sequence[Told]) -> None:
        """Take in trials without having been asked for them; called once, first, where `recalls`."""
        ...
