"""Keras's optimizers as one update with coefficients, so that a stack may mix them.

    m <- first_decay m + gradient g        v <- second_decay v + square g²
    p <- shrink p - rate(t) m / (sqrt(v + inside) + outside)

Formulas: Adam (Kingma & Ba 2015, section 2), AdamW (Loshchilov & Hutter 2019), RMSprop (Hinton's lecture 6e), SGD with
momentum (Sutskever et al. 2013), with Keras's constants and places of epsilon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

EPSILON = 1e-7
ADAM_BETAS = (0.9, 0.999)
ADAMW_DECAY = 0.004


@dataclass(frozen=True)
class Coefficients:
    """One optimizer; `betas` are those of Adam's correction of the first steps, `decay` is AdamW's weight decay."""

    first_decay: float
    gradient: float
    second_decay: float
    square: float
    inside: float
    outside: float
    betas: tuple[float, float] | None = None
    decay: float = 0.0

    def shrink(self, learning_rate: float) -> float:
        return 1.0 - self.decay * learning_rate

    def rates(self, learning_rate: float, start: int, stop: int) -> npt.NDArray[np.float32]:
        """The rates of steps start to stop - 1, counted from 0, in float32 as Keras computes them."""
        if self.betas is None:
            return np.full(stop - start, learning_rate, np.float32)
        step, one = np.arange(start + 1, stop + 1, dtype=np.float32), np.float32(1)
        left, right = (one - np.float32(beta) ** step for beta in self.betas)
        return np.asarray(np.float32(learning_rate) * np.sqrt(right) / left, dtype=np.float32)


_ADAM = Coefficients(ADAM_BETAS[0], 1 - ADAM_BETAS[0], ADAM_BETAS[1], 1 - ADAM_BETAS[1], 0.0, EPSILON, ADAM_BETAS)

OPTIMIZERS: Mapping[str, Coefficients] = MappingProxyType(
    {
        "adam": _ADAM,
        "adamw": Coefficients(**{**vars(_ADAM), "decay": ADAMW_DECAY}),
        "rmsprop": Coefficients(0.0, 1.0, 0.9, 0.1, EPSILON, 0.0),
        "sgd": Coefficients(0.0, 1.0, 0.0, 0.0, 1.0, 0.0),
        "sgd_momentum": Coefficients(0.9, 1.0, 0.0, 0.0, 1.0, 0.0),
    }
)
