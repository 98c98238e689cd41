"""Tracking: copies records into MLflow, and finds runs again. The only package that imports MLflow, and only where it is used."""

from regsweep.tracking.drain import Drain, NoDrain

__all__ = ["Drain", "NoDrain"]
