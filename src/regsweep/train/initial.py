"""Initial kernels that are the same numbers in every backend.

TensorFlow's own initialiser (`GlorotUniform` on `tf.random.stateless_uniform`) worked out in NumPy, for the backends whose
generators give other numbers for the same seed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from regsweep.trial import Array32

Words = npt.NDArray[np.uint32]

# Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011: Philox4x32-10.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
# TensorFlow scrambles a seed into a key and the upper half of the counter by one block under this key.
SCRAMBLE = (0x3EC8F720, 0x02461E29)
# Keras folds seeds into 31 bits before TensorFlow sees them.
SEEDS = 2**31 - 2


def glorot_uniform(seed: int, fan_in: int, fan_out: int) -> Array32:
    """A kernel of shape (fan_in, fan_out), uniform in ±√(6 / (fan_in + fan_out)); Glorot & Bengio 2010."""
    limit = np.float32(math.sqrt(3.0 / max(1.0, (fan_in + fan_out) / 2.0)))
    drawn: Array32 = _uniform(seed % SEEDS, fan_in * fan_out) * (limit - -limit) + -limit
    return drawn.reshape(fan_in, fan_out)


def _uniform(seed: int, count: int) -> Array32:
    """So many numbers from [0, 1), shape (count,)."""
    mixed = _philox(np.array([[seed, 0, 0, 0]], np.uint32), SCRAMBLE)[0].tolist()
    blocks = np.zeros((-(-count // 4), 4), np.uint32)
    blocks[:, 0] = np.arange(len(blocks))
    blocks[:, 2:] = mixed[2:]
    words = _philox(blocks, (mixed[0], mixed[1])).ravel()[:count]
    # 23 random bits behind the exponent of 1 are a number from [1, 2).
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def _philox(counters: Words, key: tuple[int, int]) -> Words:
    """The random words of counters of shape (blocks, 4), in the same shape."""
    a, b, c, d = counters.T.astype(np.uint64)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for step in range(ROUNDS):
        keys = [np.uint64((word + step * weyl) & 0xFFFFFFFF) for word, weyl in zip(key, WEYL, strict=True)]
        left, right = a * np.uint64(MULTIPLIERS[0]), c * np.uint64(MULTIPLIERS[1])
        a, b, c, d = (right >> shift) ^ b ^ keys[0], right & low, (left >> shift) ^ d ^ keys[1], left & low
    return np.stack([a, b, c, d], axis=1).astype(np.uint32)
