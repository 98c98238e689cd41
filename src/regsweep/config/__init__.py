"""Typed study configuration: `compose` composes and checks it, `StudyConfig` is what comes out."""

from regsweep.config.compose import compose, compose_plain, load_saved
from regsweep.config.schema import StudyConfig

__all__ = ["StudyConfig", "compose", "compose_plain", "load_saved"]
