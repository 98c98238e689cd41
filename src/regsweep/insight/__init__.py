"""What a finished study teaches: which hyperparameters mattered, and the way from the space's middle to the champion."""

from regsweep.insight.record import kept_insight, look_into, read_insight

__all__ = ["kept_insight", "look_into", "read_insight"]
