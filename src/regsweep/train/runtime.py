"""Starts TensorFlow once per process: quiet, with bounded threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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
            # TensorFlow is at work already, in a process that is not ours alone: its own bound stays.
            return
    for gpu in tf.config.list_physical_devices("GPU"):
        # Several processes may share a GPU.
        with suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)


def gpu_memory() -> float:
    """Bytes that TensorFlow may use of the first GPU."""
    from tensorflow.python.client import device_lib

    return float(next(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"))


@contextmanager
def _muted_stderr() -> Iterator[None]:
    # TensorFlow's C++ side greets on file descriptor 2 before it reads any log level.
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
