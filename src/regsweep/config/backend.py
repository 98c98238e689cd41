"""What Keras computes with: TensorFlow, PyTorch or JAX."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

Backend = Literal["tensorflow", "torch", "jax"]


def missing_backend(backend: Backend) -> str | None:
    """Say what has to be installed for a backend, if anything."""
    if backend == "tensorflow" or find_spec(backend) is not None:
        return None
    return (
        f"trainer.backend={backend}: needs {backend}, which is not installed; "
        f"pip install 'regsweep[{backend}]', or take trainer.backend=tensorflow"
    )
