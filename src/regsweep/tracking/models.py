"""Writes models as MLflow pyfunc models from code: raw table in, target units out, without regsweep and without a pickle."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types.schema import AnyType, ColSpec, Schema

from regsweep import predictor

_ENTRY = '''

import mlflow  # noqa: E402


class TableModel(mlflow.pyfunc.PythonModel):
    """Hands the model above to MLflow."""

    def load_context(self, context):
        self.model = Model.load(Path(context.artifacts["model"]), Path(context.artifacts["weights"]))

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return self.model.predict(model_input)


mlflow.models.set_model(TableModel())
'''


class ModelWriter:
    """Writes the models of one study: MLflow writes the first one, of which the others differ in weights and ids alone."""

    def __init__(self) -> None:
        self._first: dict[str, bytes] | None = None

    def write(self, model: predictor.Model, folder: Path, *, run: str, made: int, networks: Mapping[str, Path]) -> None:
        """Write the model of a run, made at that time in milliseconds, into a new folder.

        `networks` are `.keras` files to put beside it for Keras users.
        """
        if networks or model.packages:
            save_model(model, folder, networks)
        else:
            if self._first is None:
                self._first = _static_files(model)
            (folder / "artifacts").mkdir(parents=True)
            for name, content in self._first.items():
                (folder / name).write_bytes(content)
            model.save(folder / "artifacts")
        description = folder / "MLmodel"
        size = sum(place.stat().st_size for place in folder.rglob("*") if place.is_file() and place != description)
        description.write_text(_identified(description.read_text(encoding="utf-8"), run, made, size), encoding="utf-8")


def _static_files(model: predictor.Model) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save_model(model, folder, {})
        return {place.name: place.read_bytes() for place in folder.iterdir() if place.is_file()}


def _identified(description: str, run: str, made: int, size: int) -> str:
    # The same record gives the same bytes, also when it is recorded again; MLflow would draw an id and ask the clock.
    time = datetime.fromtimestamp(made / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    values = {
        "model_uuid": hashlib.sha256(f"model of {run}".encode()).hexdigest()[:32],
        "utc_time_created": f"'{time}'",
        "model_size_bytes": str(size),
    }
    for key, value in values.items():
        description, found = re.subn(rf"^{key}: .*$", f"{key}: {value}", description, flags=re.MULTILINE)
        assert found == 1, key
    # Where the files lay before MLflow copied them is nobody's business.
    description = re.sub(r"^(\s+uri: ).*/", r"\1", description, flags=re.MULTILINE)
    return re.sub(r"^(\s+model_code_path: ).*/", r"\1", description, flags=re.MULTILINE)


def save_model(model: predictor.Model, folder: Path, networks: Mapping[str, Path]) -> None:
    """Have MLflow write the model into a folder."""
    # MLflow advises type hints and an input example at every call, and reports that uv environments have no pip.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        draft = Path(temporary)
        model.save(draft)
        code = draft / "predictor.py"
        code.write_text(Path(predictor.__file__).read_text(encoding="utf-8") + _ENTRY, encoding="utf-8")
        artifacts = {"model": str(draft / "model.json"), "weights": str(draft / "weights.npz")}
        shutil.rmtree(folder, ignore_errors=True)
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code),
            artifacts=artifacts | {name: str(place) for name, place in networks.items()},
            signature=_signature(model),
            pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "numpy", "pandas", *model.packages)],
            metadata={"target": model.target, "unit": model.unit},
        )


def _signature(model: predictor.Model) -> ModelSignature:
    # Typed columns refuse what the model can read: MLflow takes no whole numbers for `double`, no missing ones for `long`.
    # A number in segments is a column twice.
    names = dict.fromkeys(column.name for column in model.members[0].columns)
    return ModelSignature(Schema([ColSpec(AnyType(), name) for name in names]), Schema([ColSpec("double", model.target)]))
