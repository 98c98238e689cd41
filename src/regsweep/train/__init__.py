"""Trainers: `make_trainer` gives the configured one. Keras and its backend are imported by the first call, not before."""

from __future__ import annotations

from pathlib import Path

from regsweep.config.schema import TrainerConfig
from regsweep.predictor import Model
from regsweep.train.contract import Trainer
from regsweep.train.runtime import start_backend

__all__ = ["Trainer", "make_trainer", "save_networks"]


def make_trainer(config: TrainerConfig) -> Trainer:
    """Import Keras's backend, bound its threads and return the trainer. Raises ConfigError where Keras runs on another one."""
    start_backend(config.backend, config.threads)
    if config.kind == "keras_fit":
        from regsweep.train.keras_fit import KerasFit

        return KerasFit(config)
    from regsweep.train.stacked import Stacked

    return Stacked(config)


def save_networks(model: Model, folder: Path, config: TrainerConfig) -> dict[str, Path]:
    """Write each network of a model as a `.keras` file, for Keras users; its input is the encoded table."""
    start_backend(config.backend, config.threads)
    from regsweep.train.keras_model import rebuild

    places = {}
    for index, member in enumerate(model.networks):
        name = "network" if len(model.networks) == 1 else f"network_{index}"
        places[name] = folder / f"{name}.keras"
        rebuild(member).save(places[name])
    return places
