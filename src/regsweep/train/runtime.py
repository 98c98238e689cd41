"""Starts Keras's backend once per process: quiet, with bounded threads. Which one has to be said before Keras is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from regsweep.config import StudyConfig
from regsweep.config.backend import Backend
from regsweep.config.function import locate
from regsweep.errors import ConfigError

# What Keras is imported with; whatever KERAS_BACKEND says outside does not count.
_chosen: Backend = "tensorflow"
# The bounds that were set here on TensorFlow's threads.
_bounds: list[int] = []


def choose_backend(backend: Backend) -> None:
    """Have Keras run on a backend from its import on. Raises ConfigError where it runs on another one already."""
    global _chosen
    loaded = sys.modules.get("keras")
    if loaded is None:
        os.environ["KERAS_BACKEND"] = _chosen = backend
    elif (there := loaded.backend.backend()) != backend:
        raise ConfigError(
            f"trainer.backend={backend}: Keras runs on {there} in this process already, and can't change; "
            "set executor=processes, or run the command for each backend by itself"
        )


def start_backend(backend: Backend, threads: int) -> None:
    """Import a backend and bound the threads inside one operation. Raises ConfigError where Keras runs on another one."""
    choose_backend(backend)
    if backend == "tensorflow":
        start_tensorflow(threads)
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        # JAX knows all cores or one, and would take most of a GPU's memory at once, which several processes may share.
        flags = os.environ.get("XLA_FLAGS", "")
        if threads == 1 and "multi_thread_eigen" not in flags:
            os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def start_for_function(config: StudyConfig) -> None:
    """Start the backend where the space's function builds models, which it does in this process."""
    if b"keras" in locate(str(config.space.function)).read_bytes():
        start_backend(config.trainer.backend, config.trainer.threads)


def import_keras() -> None:
    """Make Keras ready to be imported for what needs no trainer, on whatever backend it runs here."""
    os.environ["KERAS_BACKEND"] = _chosen
    if _chosen == "tensorflow":
        import_tensorflow()


def import_tensorflow() -> None:
    """Import TensorFlow; nothing of it is started, so the process may still be forked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _muted_stderr():
        import tensorflow as tf

    tf.get_logger().setLevel("ERROR")


def start_tensorflow(threads: int) -> None:
    """Import TensorFlow and bound the threads inside one operation; after its first operation a process keeps its bound."""
    import_tensorflow()
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            if _bounds:
                raise ConfigError(
                    f"trainer.threads={threads}: TensorFlow is at work here with {_bounds[-1]} already, and can't change; "
                    "set executor=processes, or run the command for each number by itself"
                ) from None
            # TensorFlow is at work already, in a process that is not ours alone: its own bound stays.
            return
        _bounds.append(threads)
    # A GPU would round factors of matrix products to 10 bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in tf.config.list_physical_devices("GPU"):
        # Several processes may share a GPU.
        with suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)


def gpu_memory() -> float:
    """Bytes that TensorFlow may use of the first GPU."""
    import tensorflow as tf
    from tensorflow.python.client import device_lib

    # Whoever asks first for a GPU says how its memory is taken: this does so as set above, the list below would take all.
    tf.config.list_logical_devices("GPU")
    return float(next(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"))


@contextmanager
def _muted_stderr() -> Iterator[None]:
    # TensorFlow's C++ side greets on file descriptor 2 before it reads any log level.
    try:
        saved = os.dup(2)
    except OSError:
        # It was closed by who started this process.
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
