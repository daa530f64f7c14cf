from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.models.apart import Converted
from stibium.converters.models.errors import ConversionError
from stibium.converters.models.quantise import QUANTISATIONS, convert_keras
from stibium.edge.model.runtime import Runtime

SHAPE = (14, 129, 1)
# Weights as after training: batch statistics that fit the data, which is what quantisation lives on.
MAKE = """
import sys, numpy as np, keras
from stibium.train.methods.network import OUTPUT, NetworkConfig, build_network
keras.utils.set_random_seed(1)
model = build_network(NetworkConfig(batch_norm_momentum=0.5), (14, 129, 1))
x = np.random.default_rng(1).normal(size=(64, 14, 129, 1)).astype("float32")
# Fresh, the last layer is zero and every answer the same.
last = model.get_layer(OUTPUT)
last.set_weights([np.random.default_rng(2).normal(size=w.shape) * 0.05 for w in last.get_weights()])
for _ in range(12):
    model(x, training=True)
model.save(sys.argv[1])
"""


def features(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    subprocess.run([sys.executable, "-c", MAKE, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def converted(keras_file: Path) -> Converted:
    return convert_keras(keras_file, QUANTISATIONS, features(24, 1), features(20, 2))


def test_every_format_answers_as_keras_does(converted: Converted) -> None:
    """On the device's own runtime; the tolerances are shares of the answers' spread."""
    keras = converted.answers
    assert keras.shape == (20,)
    assert keras.std() > 0.01
    for name, share in (("float32", 1e-4), ("float16", 0.02), ("int16x8", 0.15), ("dynamic", 0.3), ("int8", 0.5)):
        answers = Runtime(converted.models[name]).run(features(20, 2))  # type: ignore[index]
        assert np.sqrt(np.mean((answers - keras) ** 2)) < share * keras.std(), name
        assert np.corrcoef(answers, keras)[0, 1] > 0.85, name


@pytest.mark.parametrize(
    ("name", "dtype"), [("int8", np.int8), ("int16x8", np.int16), ("dynamic", np.float32), ("float16", np.float32)]
)
def test_input_and_output_are_of_the_format(converted: Converted, name: str, dtype: type) -> None:
    runtime = Runtime(converted.models[name])  # type: ignore[index]
    assert runtime.input_shape == SHAPE
    interpreter = runtime._interpreter
    for details in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert details["dtype"] == dtype
    if name.startswith("int"):
        assert all(d["dtype"] != np.float32 for d in interpreter.get_tensor_details()), "no float is left inside"
        assert runtime.output_step > 0


def test_sizes_are_in_order(converted: Converted) -> None:
    size = {name: len(model) for name, model in converted.models.items()}
    assert size["int8"] < size["float16"] < size["float32"]
    assert size["dynamic"] < size["float16"]


def test_converting_again_gives_the_same_bytes(keras_file: Path, converted: Converted) -> None:
    again = convert_keras(keras_file, ("int8",), features(24, 1), features(1, 2))
    assert again.models["int8"] == converted.models["int8"]
    assert again.answers == pytest.approx(converted.answers[:1], rel=1e-5)


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"no model")
    with pytest.raises(ConversionError, match="model.keras: cannot be converted: ") as caught:
        convert_keras(path, ("int8",), features(2, 1), features(2, 1))
    assert len(str(caught.value).splitlines()) == 1
