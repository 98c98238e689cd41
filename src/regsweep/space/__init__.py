"""The search space at work: draws assignments from anything that can suggest values, or has a user's function draw them."""

from __future__ import annotations

from regsweep.config.space import greatest
from regsweep.space.assignment import (
    always,
    as_seen,
    calling_for,
    central,
    choices,
    draw,
    every_key,
    middle_of,
    parameter_of,
)
from regsweep.space.check import function_problems, given_problems
from regsweep.space.function import again, call, explored, found_in, values_of
from regsweep.space.suggesters import Given, Middle, Random, Suggester

__all__ = [
    "Given",
    "Middle",
    "Random",
    "Suggester",
    "again",
    "always",
    "as_seen",
    "call",
    "calling_for",
    "central",
    "choices",
    "draw",
    "every_key",
    "explored",
    "found_in",
    "function_problems",
    "given_problems",
    "greatest",
    "middle_of",
    "parameter_of",
    "values_of",
]
