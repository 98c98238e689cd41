"""No secret reaches a file, a database, the screen or a process title; nothing that is read back is executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from regsweep.config import compose, load_saved
from regsweep.errors import ConfigError, UnreadableError
from regsweep.folder import read_folder, write_folder
from regsweep.redact import VARIABLES
from regsweep.sums import write_sums
from tests.conftest import TINY, run_cli

CANARIES = {name: f"canary{number}of{name[:4]}" for number, name in enumerate(VARIABLES)}
SECRET = "canary"
# What a message must name in its place.
INSTEAD = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD", "~/.pgpass")
URI = f"http://bob:{SECRET}@127.0.0.1:5000"


def files_with(folder: Path, text: str) -> list[str]:
    """Files below a folder, databases and their logs among them, whose name or bytes hold a text."""
    places = [place for place in folder.rglob("*") if place.is_file()]
    return [place.name for place in places if text.encode() in place.read_bytes() or text in str(place.relative_to(folder))]


def titles(session: int) -> list[str]:
    """The command lines of a session's processes."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(place.name)) == session:
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


@pytest.mark.usefixtures("workspace")
def test_a_study_leaves_no_secret_of_the_environment_and_nothing_beside_the_workspace(tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW", "REGSWEEP"))}
    with open(tmp_path / "printed", "w") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "regsweep.cli", "run", *TINY, "baselines=none", "question=Is there a trace?"],
            cwd=tmp_path, env={**clean, **CANARIES}, stdout=printed, stderr=printed, start_new_session=True,
        )  # fmt: skip
    seen: set[str] = set()
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        seen.update(titles(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0, (tmp_path / "printed").read_text()
    assert sorted(place.name for place in tmp_path.iterdir()) == ["mlruns", "printed"]
    assert files_with(tmp_path, SECRET) == []
    assert not any(SECRET in title for title in seen)
    # The search does see what is there: the driver and the recorder's process, the question in records and database.
    assert len(seen) >= 2
    assert {"record.json", "mlflow.db"} <= set(files_with(tmp_path, "Is there a trace?"))


@pytest.mark.parametrize(
    "override",
    [
        f"tracking.uri={URI}",
        f"tracking.uri=http://127.0.0.1:5000/?token={SECRET}",
        f"dataset.url={URI}/table.csv",
        f"dataset.path=https://host/table.csv?sig={SECRET}",
        f"tracking.dir=s3://key:{SECRET}@bucket",
        f"dataset.drop=[a,'{URI}']",
        f"space.parameters.depth.when.parameter={URI}",
        f"++made.up={URI}",
        f"question={URI},b",
    ],
)
def test_a_uri_with_a_password_is_refused_wherever_it_stands(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override], multirun=True)
    key = override.partition("=")[0].lstrip("+")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{key}: ")
    assert "***" in problem
    assert SECRET not in problem
    assert all(name in problem for name in INSTEAD)


def test_it_is_refused_from_files_and_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", URI)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    (tmp_path / "conf" / "tracking" / "ours.yaml").write_text(f"kind: server\ndir: mlruns\nuri: {URI}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "taken.yaml").write_text("# @package _global_\nquestion: why ${oc.env:MLFLOW_TRACKING_TOKEN}\n")
    for override, what in {
        "experiments=taken": "question: takes the value of MLFLOW_TRACKING_TOKEN",
        "tracking=ours": r"tracking\.uri: http://bob:\*\*\*@127",
        "question=${oc.env:WHERE}": r"question: http://bob:\*\*\*@127",
        "question='why ${oc.env:MLFLOW_TRACKING_TOKEN}'": "question: takes the value of MLFLOW_TRACKING_TOKEN",
        "question='${oc.env:\"PGPASSWORD\"}'": "question: takes the value of PGPASSWORD",
    }.items():
        with pytest.raises(ConfigError, match=what) as caught:
            compose([override], folder=tmp_path)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "arguments,code",
    [
        (("run", f"tracking.uri={URI}"), 2),
        (("--debug", "run", f"tracking.uri={URI}"), 2),
        (("run", f"n_trials={CANARIES['PGPASSWORD']}"), 2),
        (("run", f"+{URI}=3"), 2),
        (("compare", "--trials", URI), 2),
        (("compare", "--dir", CANARIES["AWS_SECRET_ACCESS_KEY"]), 2),
    ],
)
def test_no_message_shows_a_secret_and_nothing_is_written(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    done = run_cli(*arguments, cwd=tmp_path, code=code, env=CANARIES)
    assert "***" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


class Hostile:
    """Unpickled, it leaves a file."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._place),)


def test_a_pickle_among_a_records_arrays_is_refused_unread(tmp_path: Path) -> None:
    place, trap = tmp_path / "trial-00000", tmp_path / "trap"
    write_folder(place, {"kind": "trial"}, {})
    np.savez(place / "arrays.npz", allow_pickle=True, bad=np.array([Hostile(trap)], dtype=object))
    write_sums(place)
    with pytest.raises(UnreadableError, match=r"arrays\.npz: is no plain NumPy archive"):
        read_folder(place)
    assert not trap.exists()


@pytest.mark.parametrize("where", [(), ("dataset",), ("tracking",), ("space", "parameters")])
def test_a_target_in_a_saved_config_is_refused_and_not_called(tmp_path: Path, where: tuple[str, ...]) -> None:
    trap = tmp_path / "trap"
    values = compose([])[0].model_dump(mode="json")
    part = values
    for key in where:
        part = part[key]
    part |= {"_target_": "os.mkdir", "path": str(trap)}
    with pytest.raises(ConfigError, match="_target_"):
        load_saved(values)
    assert not trap.exists()


def test_tags_of_yaml_and_interpolations_in_a_saved_config_stay_text(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for text in (f"!!python/object/apply:os.mkdir ['{trap}']", "${oc.env:HOME}", "{{7*7}}"):
        saved = load_saved({**compose([])[0].model_dump(mode="json"), "question": text})
        assert saved.question == text
    assert not trap.exists()


def test_a_hostile_record_ends_a_command_with_a_message(tmp_path: Path) -> None:
    trap, folder = tmp_path / "trap", tmp_path / "mlruns" / "records" / "s"
    folder.mkdir(parents=True)
    config = {**compose([])[0].model_dump(mode="json"), "_target_": "os.mkdir", "path": str(trap)}
    shared = {"study": "s", "config": config, "environment": {}, "dataset": {"features": [], "notes": []}}
    (folder / "study.json").write_text(json.dumps({"format": "regsweep-record/2", **shared}))
    done = run_cli("compare", cwd=tmp_path, code=4)
    assert f"{folder}/study.json: is no study of this version (_target_: there is no such key" in done.stderr
    assert "Traceback" not in done.stderr
    assert not trap.exists()


def test_a_tag_in_a_users_config_file_is_refused_and_not_called(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "experiments").mkdir()
    text = f"# @package _global_\nquestion: !!python/object/apply:os.mkdir ['{trap}']\n"
    (tmp_path / "experiments" / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"experiments/bad\.yaml, line 2: is no plain YAML \(could not determine a constructor"):
        compose(["experiments=bad"], folder=tmp_path)
    assert not trap.exists()
