"""How far off estimates were. `plan` leaves an estimate in the user's cache; the run of that study puts both into the workspace.

`plans.json` of a workspace lists the last ones. Nothing here may make a run fail: where a file can't be read or written, it is as
if there were none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regsweep.errors import StorageError
from regsweep.locks import HeldError, lock
from regsweep.paths import Workspace

KEPT = 50
PLANS = "plans.json"


@dataclass(frozen=True)
class Compared:
    """Of a study of so many trials: the estimated and the actual wall time, in seconds."""

    study: str
    trials: int
    estimate: float
    actual: float

    @property
    def ratio(self) -> float:
        """Actual over estimated time."""
        return self.actual / self.estimate


def promise(workspace: Workspace, study: str, trials: int, seconds: float) -> None:
    """Remember what was estimated for a study, outside of the workspace, in place of an earlier estimate of it."""
    with suppress(*_ERRORS), _cache() as place:
        mine = _key(workspace, study, trials)
        others = [entry for entry in _read(place) if {key: entry.get(key) for key in mine} != mine]
        _write(place, [*others, {**mine, "estimate": seconds}])


def keep(workspace: Workspace, study: str, trials: int, seconds: float) -> Compared | None:
    """Put an actual time beside the estimate, if there is one; an estimate is compared once."""
    with suppress(*_ERRORS), _cache() as place:
        mine, entries = _key(workspace, study, trials), _read(place)
        found = [entry for entry in entries if mine.items() <= entry.items()]
        if found:
            compared = Compared(study, trials, float(found[-1]["estimate"]), seconds)
            with lock(workspace.root / ".plans.lock", patience=1.0):
                plans = workspace.root / PLANS
                _write(plans, [*_read(plans), asdict(compared)])
            _write(place, [entry for entry in entries if entry not in found])
            return compared
    return None


def compared(workspace: Workspace) -> tuple[Compared, ...]:
    """The last estimates with what came of them, oldest first."""
    with suppress(*_ERRORS):
        return tuple(Compared(**entry) for entry in _read(workspace.root / PLANS))
    return ()


_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, StorageError, HeldError)


def _key(workspace: Workspace, study: str, trials: int) -> dict[str, Any]:
    return {"workspace": str(workspace.root), "study": study, "trials": trials}


@contextmanager
def _cache() -> Iterator[Path]:
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regsweep" / PLANS
    place.parent.mkdir(parents=True, exist_ok=True)
    with lock(place.with_name(".plans.lock"), patience=1.0):
        yield place


def _read(place: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []


def _write(place: Path, entries: list[dict[str, Any]]) -> None:
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.write_text(json.dumps(entries[-KEPT:], indent=1), encoding="utf-8")
    draft.replace(place)
