"""Which trials' runs hold a model: what `tracking.models` asks for, and what an earlier setting has left.

In: the study's run, whose tag says which do. Out: numbers of trials. Main calls: `wants` for a trial that is recorded, `settle`
when the study has ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from mlflow import MlflowClient
from mlflow.entities import Run

from regsweep.tracking.names import MODELS

ALL = "all"


class KeptModels:
    """The trials whose runs hold a model, as the tag of the study's run says: `all`, or their numbers.

    `complete` tells which trials can have one; it is asked where the setting has changed.
    """

    def __init__(self, client: MlflowClient, study: Run, models: str, complete: Callable[[], Iterable[int]]) -> None:
        self._client, self._run, self._asked, self._complete = client, study.info.run_id, models, complete
        self._tag = study.data.tags.get(MODELS)
        said = self._tag if self._tag is not None else ALL if models == ALL else ""
        self._all = said == ALL and models == ALL
        self._numbers = set(complete()) if said == ALL and not self._all else {*_read(said)}
        # Before anything is recorded by another setting.
        self._write()

    def wants(self, number: int) -> bool:
        """Whether a trial that is recorded now gets its model at once."""
        return self._asked == ALL or number in self._numbers

    def recorded(self, number: int) -> None:
        """A trial was recorded with the model that it was to have at once."""
        if not self._all:
            self._numbers.add(number)

    def settle(self, best: Callable[[int], Iterable[int]]) -> tuple[list[int], list[int]]:
        """Which trials lack a model that they are to have, and which are to lose theirs; `best(k)` are the k best ones.

        Call `settled` when that is done.
        """
        if self._all:
            return [], []
        wanted = {*self._complete()} if self._asked == ALL else {*best(int(self._asked.partition(":")[2] or 0))}
        lacking, spare = sorted(wanted - self._numbers), sorted(self._numbers - wanted)
        self._numbers = wanted
        return lacking, spare

    def settled(self) -> None:
        """All have what they are to have."""
        self._all = self._asked == ALL
        self._write()

    def _write(self) -> None:
        said = ALL if self._all else ",".join(_ranges(self._numbers))
        if said != self._tag:
            self._client.set_tag(self._run, MODELS, said)
            self._tag = said


def _ranges(numbers: set[int]) -> Iterator[str]:
    """`0-2`, `5`: a tag takes 8,000 letters."""
    starts = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number for number in numbers if number + 1 not in numbers)
    for start, end in zip(starts, ends, strict=True):
        yield str(start) if start == end else f"{start}-{end}"


def _read(text: str) -> Iterator[int]:
    for start, end in re.findall(r"(\d+)(?:-(\d+))?", text):
        yield from range(int(start), int(end or start) + 1)
