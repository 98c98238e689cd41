"""The stacked trainer: many MLPs trained side by side in one graph, each as `keras.Model.fit` would train it."""

from __future__ import annotations

from regsweep.train.stacked.trainer import Stacked

__all__ = ["Stacked"]
