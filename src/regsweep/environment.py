"""What a result may depend on besides its record: package versions, Python, machine, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "regsweep", "tensorflow", "torch", "jax", "keras", "optuna", "mlflow", "numpy", "pandas", "scikit-learn", "scipy",
    "hydra-core",
)  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """Where a study ran: on so many of the machine's `cores` as it might use.

    `commit` is the git commit of the working directory, `+` where files differ from it.
    """

    python: str
    system: str
    cpu: str
    cores: int
    packages: Mapping[str, str]
    commit: str | None

    @staticmethod
    def here() -> Environment:
        """Describe this process's environment."""
        return Environment(
            python=platform.python_version(),
            system=platform.platform(),
            cpu=_cpu(),
            cores=usable_cores(),
            packages={name: found for name in PACKAGES if (found := _version(name)) is not None},
            commit=_commit(),
        )

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Environment:
        """Rebuild from `to_json`."""
        return Environment(**values)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def changes(self, now: Environment) -> list[str]:
        """Name what differs from `now` and may change numbers, one line each; the commit is not among it."""
        pairs = {"Python": (self.python, now.python), "system": (self.system, now.system), "CPU": (self.cpu, now.cpu)}
        for name in sorted({*self.packages, *now.packages}):
            pairs[name] = (self.packages.get(name, "absent"), now.packages.get(name, "absent"))
        return [f"{name}: {then} in the record, {here} here" for name, (then, here) in pairs.items() if then != here]


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    description = Path("/proc/cpuinfo")
    if description.is_file():
        for line in description.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        status = ["git", "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(status, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}{'+' if changed else ''}"
