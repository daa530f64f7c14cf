"""Keras model -> `.tflite`, in one of five formats.

`convert_keras` converts in a process of its own, see `apart`; `convert` is what that process runs.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .apart import ANSWERS, JOB, Converted, convert_apart

Quantisation = Literal["int8", "int16x8", "dynamic", "float16", "float32"]
QUANTISATIONS: tuple[Quantisation, ...] = get_args(Quantisation)
"""int8: weights, activations, input and output in 8 bit. int16x8: activations, input and output in 16 bit, weights
in 8. dynamic: weights in 8 bit, activations quantised as they come, float input and output. float16: weights in 16
bit, arithmetic in float32. float32: not quantised."""


def convert(model: Any, quantisation: Quantisation, calibration: NDArray[np.float32]) -> bytes:
    """Convert a Keras model; needs TensorFlow in this process.

    Args:
        model: keras.Model with one input and one answer a row.
        quantisation: the format.
        calibration: (n, *input_shape) inputs as in training, from which int8 and int16x8 take their ranges.

    Returns:
        The flatbuffer; it takes one row at a time.
    """
    import tensorflow as tf

    # A fixed batch of one: no shape is left to compute at run time. One function with constants in it: from a Keras
    # model the converter would write and read a saved model, which takes five times as long.
    row = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="features")
    answer = tf.function(lambda features: model(features, training=False), autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function(row)])
    if quantisation != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantisation == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantisation in ("int8", "int16x8"):

        def rows() -> Iterator[list[NDArray[np.float32]]]:
            for i in range(len(calibration)):
                yield [np.ascontiguousarray(calibration[i : i + 1], dtype=np.float32)]

        ops, dtype = {
            "int8": (tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8),
            "int16x8": (
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
                tf.int16,
            ),
        }[quantisation]
        converter.representative_dataset = rows
        converter.target_spec.supported_ops = [ops]
        converter.inference_input_type = converter.inference_output_type = dtype
    with warnings.catch_warnings():
        # It misses statistics that only quantised training has.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        return bytes(converter.convert())


def convert_keras(
    model_path: str | os.PathLike[str],
    quantisations: Sequence[str],
    calibration: NDArray[np.float32],
    features: NDArray[np.float32],
) -> Converted:
    """Convert a Keras file in a process of its own, and have the Keras model answer there too.

    Args:
        model_path: `.keras` file.
        quantisations: formats wanted, of `QUANTISATIONS`.
        calibration: see `convert`.
        features: (n, *input_shape) scaled features for the Keras model to answer.

    Raises:
        ConversionError: TensorFlow is not installed, or could not read or convert the model; the message is the
            last line it wrote.
    """
    path = os.fspath(model_path)
    job = {"calibration": calibration, "features": features}
    return convert_apart(__name__, (path,), quantisations, job, f"{path}:")


def _main(folder: str, model_path: str, *quantisations: Quantisation) -> None:
    import keras

    model = keras.models.load_model(model_path, compile=False)
    with np.load(Path(folder) / JOB) as job:
        calibration, features = job["calibration"], job["features"]
    answers = [np.asarray(model(features[i : i + 256], training=False))[:, 0] for i in range(0, len(features), 256)]
    np.save(Path(folder) / ANSWERS, np.concatenate([np.empty(0), *answers]).astype(np.float64))
    for name in quantisations:
        (Path(folder) / f"{name}.tflite").write_bytes(convert(model, name, calibration))


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type]
