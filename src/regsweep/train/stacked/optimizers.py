"""Keras's optimizers as one update with coefficients, so that a stack may mix them.

    m <- decay(t) m + gradient g        v <- second_decay v + square g²
    p <- shrink(t) p - rate(t) m / (sqrt(v + inside) + outside)

Formulas: Adam (Kingma & Ba 2015, section 2), AdamW (Loshchilov & Hutter 2019), RMSprop (Hinton's lecture 6e), SGD with
momentum (Sutskever et al. 2013), with Keras's constants and places of epsilon. Cosine schedule: Loshchilov & Hutter 2017,
without restarts, to zero at the last step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Array32 = npt.NDArray[np.float32]

EPSILON = 1e-7
ADAM_BETAS = (0.9, 0.999)
ADAMW_DECAY = 0.004


@dataclass(frozen=True)
class Coefficients:
    """One optimizer; `betas` are those of Adam's correction of the first steps, `decay` is AdamW's weight decay.

    `follows`: m holds gradients times the learning rates of their own steps, as Keras's momentum does; here it is kept divided by
    the present one. Where that is 0, as float32 has the last steps of a long cosine, m begins anew: what it held is as small.
    """

    first_decay: float
    gradient: float
    second_decay: float
    square: float
    inside: float
    outside: float
    betas: tuple[float, float] | None = None
    decay: float = 0.0
    follows: bool = False

    def paces(self, rates: Array32, start: int) -> Array32:
        """Rate, decay of m and shrinkage of the steps from `start` on, counted from 0, at these learning rates: shape (3, steps).

        `rates` begins with the learning rate of the step before them. All in float32, as Keras computes them.
        """
        before, now = rates[:-1], rates[1:]
        one = np.float32(1)
        steps = np.arange(start + 1, start + 1 + len(now), dtype=np.float32)
        left, right = (one - np.float32(beta) ** steps for beta in self.betas or (0.0, 0.0))
        decay = np.full_like(now, self.first_decay)
        if self.follows:
            decay *= np.divide(before, now, out=np.zeros_like(now), where=now > 0)
        return np.stack([now * np.sqrt(right) / left if self.betas else now, decay, one - np.float32(self.decay) * now])


def schedule(kind: str, first: float, start: int, stop: int, total: int) -> Array32:
    """The learning rates of steps start - 1 to stop - 1 of `total`, as Keras computes them; step -1 has that of step 0."""
    if kind == "constant":
        return np.full(stop - start + 1, first, np.float32)
    done = np.arange(start - 1, stop, dtype=np.float32).clip(0) / np.float32(total)
    half = np.float32(0.5) * (np.float32(1) + np.cos(np.float32(np.pi) * done))
    return np.asarray(np.float32(first) * half, dtype=np.float32)


_ADAM = Coefficients(ADAM_BETAS[0], 1 - ADAM_BETAS[0], ADAM_BETAS[1], 1 - ADAM_BETAS[1], 0.0, EPSILON, ADAM_BETAS)

OPTIMIZERS: Mapping[str, Coefficients] = MappingProxyType(
    {
        "adam": _ADAM,
        "adamw": Coefficients(**{**vars(_ADAM), "decay": ADAMW_DECAY}),
        "rmsprop": Coefficients(0.0, 1.0, 0.9, 0.1, EPSILON, 0.0),
        "sgd": Coefficients(0.0, 1.0, 0.0, 0.0, 1.0, 0.0),
        "sgd_momentum": Coefficients(0.9, 1.0, 0.0, 0.0, 1.0, 0.0, follows=True),
    }
)
