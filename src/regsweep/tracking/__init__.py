"""Tracking: feeds MLflow from records, and finds runs again. The only package that imports MLflow."""

from regsweep.tracking.recorder import Recorder
from regsweep.tracking.runs import Runs

__all__ = ["Recorder", "Runs"]
