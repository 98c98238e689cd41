"""Where things lie: the shipped configs, and the files of a workspace (`mlruns/`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from regsweep.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """Return the shipped folder `conf` or `experiments`: inside the wheel, or beside `src/` in a checkout."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parents[1] / folder


def expanded(path: str | Path) -> Path:
    """A path with `~` resolved. Raises ValueError for the home of somebody who is no user here."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no such user here; write the whole path") from None


def read_only(database: Path) -> str:
    """The URI by which sqlite reads a database and changes nothing, in a folder that can't be written either."""
    # There sqlite can't make the files beside a write-ahead log, and must be told that nobody writes; without such a file nobody
    # does, or has only just begun.
    still = not os.access(database.parent, os.W_OK) and not database.with_name(f"{database.name}-wal").exists()
    return f"{database.as_uri()}?mode=ro{'&immutable=1' if still else ''}"


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything runs write; every path is absolute, so the working directory can change.

    Raises ConfigError for the home of somebody who is no user here.
    """

    root: Path

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "root", expanded(self.root).resolve())
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @property
    def mlflow_db(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.mlflow_db}"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def optuna_db(self) -> Path:
        return self.root / "optuna.db"

    @property
    def records(self) -> Path:
        return self.root / "records"
