from __future__ import annotations

import io
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from soil_like import NM, soil_like
from stibium.converters.models.errors import ConversionError
from stibium.converters.models.rbf_network import RBF_QUANTISATIONS, convert_rbf_network
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle, read_bundle, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.target import Transform, inverse
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.baselines import Variant
from stibium.train.methods.gate import Gate
from stibium.train.methods.radial_network import GatedNetwork
from stibium.train.methods.stack import Config, Stack, StackModel, with_dry
from stibium.train.samples import Samples

TRAINING = 60


def skewed() -> Samples:
    """Soils whose target spans more than a decade, so that several transforms are in the answer."""
    data = soil_like(120, seed=8, noise=0.1)
    return soil_like(120, reflectance=data.reflectance, target=10 ** (data.measured / 40))


@pytest.fixture(scope="module")
def data() -> Samples:
    return skewed()


@pytest.fixture(scope="module")
def trained(data: Samples) -> StackModel:
    variants = Variant(1, 31, False), Variant(0, 15, True, True)
    config = Config(variants=variants, settings=tuple(product((0.1, 0.4), (20.0, 200.0))), softness=5.0)
    return Stack(config=config).fit(TrainingRows(data.reflectance[:TRAINING], NM, data.measured[:TRAINING]))


@pytest.fixture(scope="module")
def models(trained: StackModel) -> dict[str, bytes]:
    assert [back.transform for back in trained.network.backs] == ["none", "sqrt", "log10"]
    arrays = trained.network.to_arrays()
    return dict(convert_rbf_network(arrays, trained.scaling, "log10", RBF_QUANTISATIONS))


IN_A_CHILD = """
import io, sys
import numpy as np
from stibium.edge.model.runtime import Runtime
with np.load(io.BytesIO(sys.stdin.buffer.read())) as given:
    runtime = Runtime(given["model"].tobytes())
    assert runtime.input_shape == tuple(given["shape"]), runtime.input_shape
    np.save(sys.stdout.buffer, runtime.run(given["features"]))
"""


def answers(model: bytes, trained: StackModel, reflectance: np.ndarray, transform: Transform) -> np.ndarray:
    """As a device, which has no TensorFlow: other tests may have loaded it here, and its allocator failed once."""
    given = io.BytesIO()
    features = trained.scaling.apply(trained.features(reflectance))
    np.savez(given, model=np.frombuffer(model, np.uint8), features=features, shape=trained.recipe.feature_shape)
    done = subprocess.run([sys.executable, "-c", IN_A_CHILD], input=given.getvalue(), capture_output=True, check=True)
    return inverse(np.load(io.BytesIO(done.stdout)), transform)


def test_the_device_answers_as_the_trained_network(
    models: dict[str, bytes], trained: StackModel, data: Samples
) -> None:
    expected = trained.predict(data.reflectance)
    assert np.ptp(expected) > 0.5 * np.ptp(data.measured)
    np.testing.assert_allclose(answers(models["float32"], trained, data.reflectance, "log10"), expected, rtol=1e-4)


@pytest.fixture(scope="module")
def bears_water(data: Samples) -> tuple[StackModel, np.ndarray]:
    """A stack of dry soils and of as many wet ones, and spectra of dry, damp and wet ones."""
    nm = np.asarray(NM)
    water = 0.4 * np.exp(-0.5 * ((nm - 1930) / 80) ** 2) + 0.2 * np.exp(-0.5 * ((nm - 1450) / 60) ** 2)
    states = [data.reflectance * 10 ** -(share * water) for share in (0.0, 0.05, 0.1, 1.0)]
    variants = Variant(1, 31, False), Variant(0, 15, True, True)
    config = Config(variants=variants, settings=((0.1, 20.0), (0.4, 20.0)), averaged=1, softness=5.0)
    rows = TrainingRows(
        np.concatenate([states[0][:TRAINING], states[-1][:TRAINING]]),
        NM,
        np.tile(data.measured[:TRAINING], 2),
        groups=data.names[:TRAINING] * 2,
        conditions=["dry"] * TRAINING + ["wet"] * TRAINING,
    )
    # Which of two models is better on dry soils is not what is shown here.
    stack = Stack(config=config)
    dry, whole = stack.fit_whole(rows.take(np.arange(TRAINING), seed=0)), stack.fit_whole(rows)
    gate = Gate.learn(dry.features(states[0]), dry.features(states[-1]), dry.recipe.sizes)
    seen = np.concatenate(states)
    return with_dry(whole, dry, gate, whole.out_of_fold, seen), seen


@pytest.mark.parametrize(("quantisation", "most"), [("float32", 1e-4), ("float16", 0.1)])
def test_the_device_answers_with_both_networks(
    bears_water: tuple[StackModel, np.ndarray], quantisation: str, most: float
) -> None:
    model, seen = bears_water
    network = model.network
    assert isinstance(network, GatedNetwork)
    share = network.gate.share(model.features(seen)[:, : network.gate.weights.size])
    assert (share == 0).any()
    assert (share == 1).any()
    assert ((share > 0.1) & (share < 0.9)).any()
    found = answers(
        convert_rbf_network(network.to_arrays(), model.scaling, "log10", [quantisation])[quantisation],
        model,
        seen,
        "log10",
    )
    expected = model.predict(seen)
    np.testing.assert_allclose(found, expected, rtol=most)
    # Neither of the two alone says that.
    first, second = (part[share == end] for part, end in ((expected, 0), (expected, 1)))
    assert first.std() > 0
    assert second.std() > 0


def test_half_the_bytes_lose_little_of_it(models: dict[str, bytes], trained: StackModel, data: Samples) -> None:
    left_out = slice(TRAINING, None)
    expected = trained.predict(data.reflectance[left_out])
    found = answers(models["float16"], trained, data.reflectance[left_out], "log10")
    measured = data.measured[left_out]
    trained_rmse, exported_rmse = (np.sqrt(np.mean((said - measured) ** 2)) for said in (expected, found))
    assert exported_rmse < 1.01 * trained_rmse
    assert 0 < np.sqrt(np.mean((found - expected) ** 2)) < 0.05 * trained_rmse
    assert len(models["float16"]) < 0.75 * len(models["float32"])


def test_a_units_size_does_not_matter_to_float16(trained: StackModel, data: Samples) -> None:
    # In ppb a kernel's weights exceed the largest float16.
    ppb = Stack(config=Config(variants=(Variant(1, 31, False),), settings=((0.1, 2000.0),))).fit(
        TrainingRows(data.reflectance[:TRAINING], NM, 1e6 * np.log(data.measured[:TRAINING]))
    )
    assert max(np.abs(branch.kernel_weights).max() for branch in ppb.network.branches) > 65504
    model = convert_rbf_network(ppb.network.to_arrays(), ppb.scaling, "none", ["float16"])["float16"]
    low, high = ppb.network.backs[0].low, ppb.network.backs[0].high
    # The file goes beyond the calibrated range; the device keeps what it shows within.
    found = np.clip(answers(model, ppb, data.reflectance, "none"), low, high)
    np.testing.assert_allclose(found, ppb.predict(data.reflectance), rtol=0.02)


def test_what_cannot_be_further_is_marked_as_a_bound(trained: StackModel, data: Samples) -> None:
    arrays = trained.network.to_arrays()
    arrays["bias"] = np.full_like(arrays["bias"], 1e4)
    models = convert_rbf_network(arrays, trained.scaling, "none", RBF_QUANTISATIONS)
    low, high = (float(end) for end in arrays["range"])
    for name, model in models.items():
        bundle = Bundle(model, "clay", "%", trained.recipe, trained.scaling, "none", (low, high), name, True)
        (found,) = Estimator(bundle).estimate([Spectrum(NM, data.reflectance[0], "reflectance", "S")])
        assert isinstance(found, Estimate)
        assert (found.bound, found.value) == (">", high)


def test_a_bundle_with_blocks_answers_spectra(
    models: dict[str, bytes], trained: StackModel, data: Samples, tmp_path: Path
) -> None:
    low, high = trained.network.backs[0].low, trained.network.backs[0].high
    bundle = Bundle(
        model=models["float32"],
        element="clay",
        unit="%",
        recipe=trained.recipe,
        scaling=trained.scaling,
        transform="log10",
        calibrated_range=(low, high),
        quantisation="float32",
        simulated=True,
    )
    path = tmp_path / "clay.tflite"
    write_bundle(path, bundle)
    read = read_bundle(path)
    assert read.recipe == trained.recipe
    spectra = [Spectrum(NM, row, "reflectance", f"S{i}") for i, row in enumerate(data.reflectance[TRAINING:])]
    found = Estimator(read).estimate(spectra)
    assert all(isinstance(one, Estimate) for one in found)
    values = [one.value for one in found if isinstance(one, Estimate)]
    np.testing.assert_allclose(values, trained.predict(data.reflectance[TRAINING:]), rtol=1e-4)


def test_what_cannot_be_converted_is_said_in_one_line(trained: StackModel) -> None:
    arrays = trained.network.to_arrays()
    arrays["centres_0"] = arrays["centres_0"][:, :-1]
    with pytest.raises(ConversionError, match="the network of radial units cannot be converted: ") as raised:
        convert_rbf_network(arrays, trained.scaling, "none", ["float32"])
    assert "\n" not in str(raised.value)
