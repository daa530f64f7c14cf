"""TensorFlow, brought in quietly and made to repeat itself."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to standard output and error; it is shown after all if the block fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 1)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stdout.flush()
            for descriptor, copy in ((1, saved_out), (2, saved)):
                os.dup2(copy, descriptor)
                os.close(copy)


def _import_tflite_runtime() -> None:
    # Once TensorFlow is in a process, tflite-runtime 2.14 builds no interpreter; the other way round both work.
    for name in ("tflite_runtime", "ai_edge_litert"):
        if find_spec(name) is not None:
            import_module(f"{name}.interpreter")
            return


def import_tensorflow() -> None:
    """Import TensorFlow for a process of its own: quiet, one thread, deterministic kernels.

    One thread, so that sums are formed in one order whatever the number of processors; at this network's size it
    is as fast as several. A process that has TensorFlow running already keeps its threads.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # oneDNN chooses kernels by processor, and says so on every start.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    _import_tflite_runtime()
    running = "tensorflow" in sys.modules
    with quiet():
        import tensorflow as tf

        if not running:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
