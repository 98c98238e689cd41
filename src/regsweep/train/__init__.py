"""Trainers: `make_trainer` gives the configured one. TensorFlow is imported by the first call, not before."""

from __future__ import annotations

from pathlib import Path

from regsweep.config.schema import TrainerConfig
from regsweep.data.features import Prepared
from regsweep.train.contract import Trainer
from regsweep.train.runtime import start_tensorflow
from regsweep.trial import TrialResult

__all__ = ["Trainer", "make_trainer", "save_networks"]


def make_trainer(config: TrainerConfig) -> Trainer:
    """Import TensorFlow, bound its threads and return the trainer."""
    start_tensorflow(config.threads)
    if config.kind == "keras_fit":
        from regsweep.train.keras_fit import KerasFit

        return KerasFit(config)
    from regsweep.train.stacked import Stacked

    return Stacked(config)


def save_networks(result: TrialResult, data: Prepared, folder: Path) -> dict[str, Path]:
    """Write each fold's trained network as a `.keras` file, for Keras users; its input is the encoded table."""
    start_tensorflow(threads=1)
    from regsweep.train.keras_fit import build

    places = {}
    for index, (trained, fold) in enumerate(zip(result.folds, data.folds, strict=True)):
        name = "network" if len(result.folds) == 1 else f"network_{index}"
        model = build(result.spec, fold.encoded(result.spec.encoding).inputs, index)
        pairs = zip(trained.network.kernels, trained.network.biases, strict=True)
        model.set_weights([array for pair in pairs for array in pair])
        places[name] = folder / f"{name}.keras"
        model.save(places[name])
    return places
