"""The logged models where regsweep is not installed: raw tables in, target units out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from regsweep.book import RecordBook
from regsweep.config import StudyConfig
from regsweep.folder import read_folder
from regsweep.fsck import check
from regsweep.material import gather
from regsweep.paths import Workspace
from regsweep.predictor import LinearMember, Model, NumberColumn, SegmentsColumn
from regsweep.study import run_study
from regsweep.tracking.models import save_model
from tests.conftest import TINY, run_cli
from tests.helpers import Silent

# Makes regsweep, TensorFlow and Keras impossible to import, as if they were not installed.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("regsweep", "tensorflow", "keras"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def insurance(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A folder with a tiny study on the insurance data."""
    folder = tmp_path_factory.mktemp("insurance")
    asked = ("experiments=insurance", *TINY, "enqueue=[]", "baselines=closed_form")
    run_cli("run", *asked, cwd=folder, env={"REGSWEEP_DATA": str(data_folder)})
    return folder


def predict_elsewhere(folder: Path, frame: pd.DataFrame, name: str = "insurance") -> np.ndarray:
    """Load the champion `name` by its alias in a process without regsweep and TensorFlow, and predict."""
    frame.to_json(folder / "rows.json", orient="split", index=False)
    program = WITHOUT + (
        "import json, mlflow, pandas as pd\n"
        f"mlflow.set_tracking_uri('sqlite:///{folder}/mlruns/mlflow.db')\n"
        f"model = mlflow.pyfunc.load_model('models:/{name}@champion')\n"
        f"print(json.dumps(list(model.predict(pd.read_json(open('{folder}/rows.json'), orient='split')))))"
    )
    # As a user's Python does it, whatever that of the tests was told.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/", env=env)
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout.splitlines()[-1]))


def test_the_champion_gives_the_reports_numbers_without_regsweep(insurance: Path, data_folder: Path) -> None:
    from regsweep.config import compose
    from regsweep.data import load_dataset, make_split

    (place,) = (insurance / "mlruns" / "records").glob("*/champion")
    content, arrays = read_folder(place)
    config = compose(["experiments=insurance", f"dataset.folder={data_folder}"])[0]
    dataset = load_dataset(config.dataset)
    test = make_split(config.split, dataset).test
    found = predict_elsewhere(insurance, dataset.table.iloc[test])
    np.testing.assert_allclose(found, arrays["prediction"], rtol=1e-12)
    assert np.abs(found - dataset.y[test]).mean() == pytest.approx(content["test"]["mae"]["value"], rel=1e-9)
    # Python leaves bytecode beside the model's code, MLflow a note.
    assert list((insurance / "mlruns" / "artifacts").glob("*/*/artifacts/model/__pycache__/*.pyc"))
    assert check(Workspace(insurance / "mlruns"), RecordBook(place.parent)).findings == ()


@pytest.mark.parametrize("kind", ["bag", "refit"])
def test_a_champion_of_one_trial_gives_its_records_numbers_without_regsweep(
    tiny: Callable[..., StudyConfig], workspace: Path, kind: str
) -> None:
    study = gather(tiny(f"champion={kind}", "split=kfold", "split.folds=2", "n_trials=2", "baselines=none"))
    outcome = run_study(study, Workspace(workspace), Silent())
    content, arrays = read_folder(outcome.book.folder / "champion")
    best = min((record for record in outcome.book.trials()), key=lambda record: record.objective or np.inf)
    assert (content["champion"], content["members"]) == (kind, [[best.number, 1.0]])
    found = predict_elsewhere(workspace.parent, study.dataset.table.iloc[study.split.test], "diabetes")
    np.testing.assert_allclose(found, arrays["prediction"], rtol=1e-12)
    y = study.dataset.y[study.split.test]
    assert np.abs(found - y).mean() == pytest.approx(content["test"]["mae"]["value"], rel=1e-9)
    assert 1 - np.mean((found - y) ** 2) / np.var(y) == pytest.approx(content["test"]["r2"]["value"], rel=1e-9)
    assert outcome.judgement.content["test"] == content["test"]
    # A bag is the mean of the networks that the trial has on record, a refit is none of them.
    networks = study.prepared.encoding.model(best.result).predict(study.dataset.x.iloc[study.split.test])
    assert np.allclose(found, networks, rtol=1e-6) == (kind == "bag")
    assert check(Workspace(workspace), outcome.book).findings == ()


def test_the_champion_takes_strings_missing_values_and_unseen_categories(insurance: Path) -> None:
    frame = pd.DataFrame(
        {
            "age": [19, 50, 33], "sex": ["female", "male", "female"], "bmi": [27.9, None, 30.0], "children": [0, 2, 1],
            "smoker": ["yes", "no", "no"], "region": ["southwest", "southeast", "atlantis"],
        }
    )  # fmt: skip
    found = predict_elsewhere(insurance, frame)
    assert found.shape == (3,)
    assert np.isfinite(found).all()
    # Without a missing bmi in training, a missing one stands for the mean bmi of the training rows.
    assert predict_elsewhere(insurance, frame.assign(bmi=[27.9, 30.66, 30.0]))[1] == pytest.approx(found[1], rel=0.02)


def test_a_number_in_segments_is_one_column_of_the_signature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.0, 1.5, 4.0], "b": [1.0, 0.0, 2.0]})
    segments = SegmentsColumn("a", (0.0, 1.0, 4.0), (0.0, 0.0), 0.0, date=False)
    columns = (*(NumberColumn(name, 0.0, 1.0, 0.0, indicator=False, date=False) for name in "ab"), segments)
    model = Model("y", "points", (LinearMember(columns, 1.0, np.array([0.0, 2.0, 1.0, 3.0])),))
    save_model(model, tmp_path / "model", {})
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert loaded.metadata.get_input_schema().input_names() == ["a", "b"]
    # Of a, what lies below 1 and the part of 1 to 4 that lies below it.
    np.testing.assert_allclose(loaded.predict(frame), [3.0, 1 + 1 + 3 * 0.5 / 3, 1 + 4 + 1 + 3], rtol=1e-12)


def test_a_missing_column_is_named(insurance: Path) -> None:
    with pytest.raises(AssertionError, match="smoker"):
        predict_elsewhere(
            insurance, pd.DataFrame({"age": [19], "sex": ["male"], "bmi": [20.0], "children": [0], "region": ["x"]})
        )


@pytest.mark.slow
def test_the_champion_is_served_over_http(insurance: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # `mlflow models serve` looks for uvicorn on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{insurance}/mlruns/mlflow.db"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/insurance@champion", "--env-manager", "local",
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        row = {"age": 19, "sex": "female", "bmi": None, "children": 0, "smoker": "yes", "region": "southwest"}
        content = json.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", content, {"Content-Type": "application/json"}, method="POST"
        )
        answer = json.loads(_when_up(request))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    assert answer["predictions"][0] == pytest.approx(predict_elsewhere(insurance, pd.DataFrame([row]))[0])


def _when_up(request: urllib.request.Request) -> bytes:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(request) as reply:
                return bytes(reply.read())
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.mark.slow
def test_a_study_of_two_threads_has_networks_for_keras_users_at_its_first_run(run_own: Callable[..., str], own: Path) -> None:
    run_own("trainer.threads=2", "baselines=none")
    (place,) = (own / "mlruns" / "records").iterdir()
    assert list((place / "networks-1").glob("*.keras"))
