"""Imported once, by the fork server: all that a worker needs.

No operation is run and no device is listed, so nothing of TensorFlow has been started that would not survive a fork.
"""

from __future__ import annotations

import gc

from regsweep.train.runtime import choose_backend, import_tensorflow

choose_backend("tensorflow")
import_tensorflow()

import regsweep.runner.work  # noqa: E402
import regsweep.train.keras_fit  # noqa: E402
import regsweep.train.stacked  # noqa: E402, F401

# Workers' collections then leave these objects alone, and with them the pages that all workers share.
gc.collect()
gc.freeze()
