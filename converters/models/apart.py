"""Conversion in a process of its own.

TensorFlow and a device's TFLite runtime do not live well in one process: with tflite-runtime 2.14 an interpreter built
after `import tensorflow` fails. It also keeps TensorFlow's chatter off the terminal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spectra.spectrum import Floats
from .errors import ConversionError

JOB, ANSWERS = "job.npz", "answers.npy"


@dataclass(frozen=True, eq=False)
class Converted:
    """What a conversion gives.

    Attributes:
        models: format -> `.tflite` flatbuffer, which takes one row at a time.
        answers: (n,) of the trained network to the features it was asked about, in the transform's space.
    """

    models: dict[str, bytes]
    answers: Floats


def convert_apart(
    module: str, arguments: Sequence[str], formats: Sequence[str], job: Mapping[str, NDArray[Any]], what: str
) -> Converted:
    """Run a module that converts a network, in a process of its own.

    Args:
        module: run with the folder, the arguments and the formats; in the folder it finds `JOB`, and writes
            `FORMAT.tflite` for each format and, if it was asked about features, `ANSWERS`.
        arguments: of the network.
        formats: wanted.
        job: arrays for `JOB`.
        what: the network, for messages.

    Raises:
        ConversionError: TensorFlow is not installed, or could not convert; the message is the last line it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="stibium-") as folder:
        np.savez(Path(folder) / JOB, **job)
        run_apart(module, (folder, *arguments, *formats), f"{what} cannot be converted")
        answers = Path(folder) / ANSWERS
        return Converted(
            {name: (Path(folder) / f"{name}.tflite").read_bytes() for name in formats},
            np.load(answers) if answers.exists() else np.empty(0),
        )


def run_apart(module: str, arguments: Sequence[str], failed: str) -> str:
    """Run a module in a process of its own, and give what it printed.

    Raises:
        ConversionError: it failed; the message is `failed` and the last line it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"},
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ConversionError(f"{failed}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout
