"""The wheel works where the checkout is not: configs and experiments are inside, any directory will do."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as the wheel holds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_there(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "regsweep.cli", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_configs_and_experiments_come_with_the_wheel(site: Path, tmp_path: Path) -> None:
    done = run_there(site, tmp_path, "run", "experiments=economics", "features=minmax", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "seed: 40" in done.stdout, "the experiment's own split"
    assert "numeric: minmax" in done.stdout
    where = run_there(site, tmp_path, "run", "experiments=nothing")
    assert "known: backprop, diabetes, economics, economics_ahead, insurance" in where.stderr


def test_the_package_under_test_is_the_wheels(site: Path, tmp_path: Path) -> None:
    program = "import regsweep.paths as p; print(p.shipped('conf')); print(p.shipped('experiments'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(site / "regsweep" / "conf"), str(site / "regsweep" / "experiments")]


def test_the_wheel_carries_no_tests_and_no_pictures(site: Path) -> None:
    names = [str(place.relative_to(site)) for place in site.rglob("*") if place.is_file()]
    assert not [name for name in names if name.endswith((".png", ".csv")) or name.startswith(("tests", "benchmarks"))]
