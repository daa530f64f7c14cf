"""The only module that knows a TFLite interpreter."""

from __future__ import annotations

import faulthandler
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import BundleError
from .flatbuffer import require_whole

TRIAL_S, TRIAL_BYTES = 20, 1 << 30
"""What one run of a model may take that nobody has tried on this device before."""
REASON_BYTES = 4096
"""Of an error of the child's, kept; a pipe takes as much whether or not anybody reads."""


def _interpreter_class() -> Any:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError:
        # Python 3.12 and later: the same interpreter under its new name.
        from ai_edge_litert.interpreter import Interpreter
    return Interpreter


def runtime_name() -> str:
    """Name and version of the TFLite runtime in use, such as `tflite-runtime 2.14.0`."""
    from importlib.metadata import PackageNotFoundError, version

    for name in ("tflite-runtime", "ai-edge-litert"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "unknown TFLite runtime"


class Runtime:
    """A `.tflite` model with one input and one scalar output per row.

    Args:
        model: the flatbuffer.
        threads: for one call.
        known_good: no need to try it in a process of its own first.

    Raises:
        BundleError: the bytes are no model this runtime can run.
    """

    def __init__(self, model: bytes, threads: int = 1, known_good: bool = False) -> None:
        if not known_good:
            require_whole(model)
            _require_survived(model, threads)
        try:
            with _quiet_stderr():
                self._interpreter = _interpreter_class()(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError, SystemError) as error:
            if _is_of_the_runtime(error):
                raise
            raise BundleError(_why_not(str(error))) from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise BundleError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs; one of each is needed")
        self._input, self._output = inputs[0], outputs[0]
        if int(np.prod(self._output["shape"])) != 1:
            raise BundleError(f"the model answers {tuple(self._output['shape'])} numbers for a spectrum; one is needed")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row's features, without the batch axis."""
        return tuple(int(n) for n in self._input["shape"][1:])

    @property
    def output_step(self) -> float:
        """Distance between two neighbouring answers of a quantised output; 0.0 for a float output."""
        return float(self._output["quantization"][0]) if self._output["dtype"] != np.float32 else 0.0

    def run(self, features: NDArray[Any]) -> Floats:
        """Run the model on each row.

        Args:
            features: (n, *input_shape), scaled as in training.

        Returns:
            (n,) in the space of the target's transform.

        Raises:
            BundleError: the features are of another shape than the model's input.
        """
        if features.shape[1:] != self.input_shape:
            raise BundleError(f"features of shape {features.shape[1:]} for a model that takes {self.input_shape}")
        rows = _quantise(features, self._input)
        out = np.empty(len(rows))
        # One row a call: a resized batch is no faster in either runtime, and every row gets the same arithmetic.
        for i in range(len(rows)):
            self._interpreter.set_tensor(self._input["index"], rows[i : i + 1])
            self._interpreter.invoke()
            out[i] = self._interpreter.get_tensor(self._output["index"]).reshape(-1)[0]
        scale, zero_point = self._output["quantization"]
        return (out - zero_point) * scale if self._output["dtype"] != np.float32 else out


def _require_survived(model: bytes, threads: int) -> None:
    """Run a model once in a child: a layer that is whole and senseless may still end the process that runs it.

    A model that the child could not run is never loaded here: what it reads amiss may do more harm in this process.

    Raises:
        BundleError: the child was ended, or could not run it.
    """
    if not hasattr(os, "fork"):
        return
    interpreter = _interpreter_class()
    reading, writing = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _try_and_exit(interpreter, model, threads, writing)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise BundleError(
                "its network is damaged: the TFLite runtime breaks down on it "
                f"({signal.Signals(os.WTERMSIG(status)).name}); export it again"
            )
        if os.WEXITSTATUS(status):
            raise BundleError(_why_not(os.read(reading, REASON_BYTES).decode(errors="replace")))
    finally:
        os.close(reading)
        os.close(writing)


def _try_and_exit(interpreter: Any, model: bytes, threads: int, writing: int) -> NoReturn:
    status = 0
    try:
        # Whatever the parent does when it is ended is not for a child to do.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.disable()
        signal.alarm(TRIAL_S)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (TRIAL_BYTES, TRIAL_BYTES))
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        tried = interpreter(model_content=model, num_threads=threads)
        tried.allocate_tensors()
        for details in tried.get_input_details():
            tried.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
        tried.invoke()
        for details in tried.get_output_details():
            tried.get_tensor(details["index"])
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must not try what this could not
        # That one is raised again in the parent.
        if not _is_of_the_runtime(error):
            os.write(writing, (str(error) or type(error).__name__).encode(errors="replace")[:REASON_BYTES])
            status = 1
    finally:
        os._exit(status)


def _is_of_the_runtime(error: BaseException) -> bool:
    """Say whether a runtime and a NumPy that do not go together are the reason, and not the model."""
    return isinstance(error, SystemError) and not isinstance(error.__cause__, UnicodeError)


def _why_not(error: str) -> str:
    """Say in one line what the runtime writes over several."""
    if missing := re.search(r"Didn't find op for builtin opcode '(\w+)'", error):
        return f"the TFLite runtime here has no {missing[1]} in this format; export the model in another one"
    # Seen with tflite-runtime 2.14: the two share symbols, and the one loaded first wins.
    if "tensorflow" in sys.modules:
        return f"the TFLite runtime cannot load the model in a process that has TensorFlow loaded already: {error}"
    return f"the TFLite runtime cannot load the model: {' '.join(error.split())}"


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    # The runtime writes an INFO line about its delegate from C++; what goes wrong it raises as well.
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _quantise(features: NDArray[Any], tensor: dict[str, Any]) -> NDArray[Any]:
    dtype = tensor["dtype"]
    if dtype == np.float32:
        return np.ascontiguousarray(features, dtype=np.float32)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    # In float32, as the TFLite quantise kernel does it; clipped, because a cast would wrap around.
    steps = np.rint(np.asarray(features, dtype=np.float32) / np.float32(scale)) + zero_point
    return np.ascontiguousarray(np.clip(steps, limits.min, limits.max).astype(dtype))
