"""Writes a model as an MLflow pyfunc model from code: raw table in, target units out, without regsweep and without a pickle."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
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


def write_model(model: predictor.Model, folder: Path, *, networks: Mapping[str, Path]) -> None:
    """Write the model into a new folder; `networks` are `.keras` files to put beside it for Keras users."""
    # MLflow advises type hints and an input example at every call, and reports that uv environments have no pip.
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        draft = Path(temporary)
        model.save(draft)
        code = draft / "predictor.py"
        code.write_text(Path(predictor.__file__).read_text(encoding="utf-8") + _ENTRY, encoding="utf-8")
        artifacts = {"model": str(draft / "model.json"), "weights": str(draft / "weights.npz")}
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(code),
            artifacts=artifacts | {name: str(place) for name, place in networks.items()},
            signature=_signature(model),
            pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "numpy", "pandas")],
            metadata={"target": model.target, "unit": model.unit},
        )


def _signature(model: predictor.Model) -> ModelSignature:
    # Typed columns refuse what the model can read: MLflow takes no whole numbers for `double`, no missing ones for `long`.
    names = [column.name for column in model.members[0].columns]
    return ModelSignature(Schema([ColSpec(AnyType(), name) for name in names]), Schema([ColSpec("double", model.target)]))
