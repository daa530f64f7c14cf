"""A network of radial units, given as arrays -> `.tflite`, in float32, float16 or int8.

Eight bits hardly suffice for it: the weights of radial units are large and cancel, and a distance in 8 bits tells near
from far only. The float16 file holds these weights as the sum of two halves, so that they keep 22 bits.

TensorFlow runs in a process of its own, see `apart`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.model.scaling import Scaling
from ...edge.model.target import Transform, forward
from ..spectra.spectrum import Floats
from .apart import JOB, convert_apart

Arrays = Mapping[str, NDArray[Any]]

RBF_QUANTISATIONS = ("int8", "float16", "float32")

GATE, WET = "gate", "wet_"
"""Name of the gate's weights, its offset behind them, and what the names of the second network's arrays begin with."""
LARGEST_WEIGHT = 1024.0
"""Weights are scaled to at most this by a power of two: float16 ends at 65504, and a unit may be any."""
BEYOND = 1e-5
"""Of the calibrated range's ends, what the file goes beyond them: a device tells by that an answer that is at the end
because it could not be further, and marks it."""
HALF_BITS = 12
"""Two numbers of so many binary digits have a product that a float32 holds as it is."""
EXP_STEPS = 8
EXP_END = 40
"""exp(-x) is looked up at so many steps a unit, up to this x, beyond which a unit adds nothing."""
LOW_HALF = 2048.0
"""What a float16 leaves of a number is smaller by this factor; multiplied by it, it is a float16 in full again."""


def convert_rbf_network(
    arrays: Arrays,
    scaling: Scaling,
    transform: Transform,
    quantisations: Sequence[str],
    calibration: NDArray[np.float32] | None = None,
) -> dict[str, bytes]:
    """Convert in a process of its own.

    Args:
        arrays: the network. For all of it `gammas` (g,), `bias`, `shares` and `transforms` (t,), `corrections` (t, 2)
            and `range` (2,); for the block with number i, from 0, `projection_i` (bands, components) or (bands,) where
            each band is a component, `offset_i` (components,), `factors_i` (powers, components), `centres_i`
            (m, components), `kernel_weights_i` (powers, g, m, t) and `linear_weights_i` (bands, t). With `gate`, the
            weights (features of this network,) and offset of a share, `wet_` begins the names of a second network,
            whose features come behind and whose answer has that share.
        scaling: of the features of all blocks, side by side; the file takes scaled features.
        transform: the space that the file is to answer in, see `edge.estimate.inverse`.
        quantisations: formats wanted, of `RBF_QUANTISATIONS`.
        calibration: (n, features) scaled features as in training, from which int8 takes its ranges.

    Returns:
        Format -> flatbuffer, which takes one row at a time.

    Raises:
        ConversionError: TensorFlow is not installed, or could not convert; the message is the last line it wrote.
    """
    bands = sum(len(value) for name, value in arrays.items() if name.removeprefix(WET).startswith("linear_weights_"))
    job: dict[str, NDArray[Any]] = {"scaling_offset": scaling.offset, "scaling_scale": scaling.scale}
    job = {name: np.broadcast_to(value, (bands,)) for name, value in job.items()}
    if calibration is not None:
        job["calibration"] = calibration
    what = "the network of radial units"
    return convert_apart(__name__, (transform,), quantisations, {**arrays, **job}, what).models


def convert_radial(
    arrays: Arrays,
    scaling: Scaling,
    transform: Transform,
    quantisation: str,
    calibration: NDArray[np.float32] | None = None,
) -> bytes:
    """Convert in this process, which needs TensorFlow; see `convert_rbf_network`."""
    import tensorflow as tf

    network = _graph(arrays, scaling, transform, quantisation)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
    if quantisation == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if quantisation == "int8":
        rows = np.empty((0, 0), np.float32) if calibration is None else calibration
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([rows[i : i + 1]] for i in range(len(rows)))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _graph(arrays: Arrays, scaling: Scaling, transform: Transform, quantisation: str) -> Any:
    """Write the network down for TensorFlow: (1, features) -> (1, 1)."""
    import tensorflow as tf

    # A power of four, so that its root is exact as well; float16 has no numbers above 65504.
    size = 4.0 ** np.ceil(np.log2(float(np.abs(arrays["range"]).max())) / 2)
    own = {name: array for name, array in arrays.items() if name != GATE and not name.startswith(WET)}
    of_wet = {name.removeprefix(WET): array for name, array in arrays.items() if name.startswith(WET)}
    # What two networks say is mixed, as what a network of several transforms says.
    limits = _limits(_in_units_of(size, own), {*own["transforms"], *of_wet.get("transforms", ())})
    first = sum(len(array) for name, array in own.items() if name.startswith("linear_weights_"))
    parts = [(own, slice(0, first)), *([(of_wet, slice(first, None))] if of_wet else [])]
    networks = [
        (_mixed(_in_units_of(size, part), limits, Scaling(scaling.offset[at], scaling.scale[at]), quantisation), at)
        for part, at in parts
    ]
    bands = scaling.scale.size

    @tf.function(input_signature=[tf.TensorSpec((1, bands), tf.float32, name="features")])  # type: ignore[untyped-decorator,unused-ignore]
    def network(features: Any) -> Any:
        # Always 1, but the converter cannot know, and so leaves the halves of constants apart.
        one = tf.exp(-tf.nn.relu(-tf.reduce_sum(tf.square(features), axis=1, keepdims=True)))
        said = [of_part(features[:, at], one) for of_part, at in networks]
        mixed = said[0]
        if of_wet:
            *weights, offset = arrays[GATE]
            at, scaled = slice(0, first), np.array(weights) * scaling.scale[:first]
            level = float(offset + scaling.offset[:first] @ np.array(weights))
            share = tf.matmul(features[:, at], tf.constant(scaled[:, None].astype(np.float32))) + level * one
            share = tf.minimum(tf.nn.relu(share), one)
            mixed = (one - share) * said[0] + share * said[1]
        return _into_space(mixed, one, transform, size, quantisation)

    return network


def _weigh(units: Any, weights: Floats, halves: bool) -> Any:
    import tensorflow as tf

    def constant(values: Any) -> Any:
        return tf.constant(np.asarray(values, dtype=np.float32))

    if not halves:
        return tf.matmul(units, constant(weights))
    high = weights.astype(np.float16).astype(np.float64)
    low = (weights - high) * LOW_HALF
    return tf.matmul(units, constant(high)) + tf.matmul(units, constant(low)) * (1.0 / LOW_HALF)


def _exact(one: Any, values: Sequence[float], quantisation: str) -> list[Any]:
    """Give constants: a plain one would be rounded to a float16, however few of them there are."""
    found = _weigh(one, np.array([values]), quantisation == "float16")
    return [found[:, i : i + 1] for i in range(len(values))]


def _into_space(mixed: Any, one: Any, transform: Transform, size: float, quantisation: str) -> Any:
    """Take an answer in units of `size` to the transform's space."""
    import tensorflow as tf

    if transform == "log10":
        # TFLite has a natural logarithm only.
        to_natural, shift = _exact(one, (float(np.log(10.0)), float(np.log10(size))), quantisation)
        return tf.math.log(mixed) / to_natural + shift
    # The size itself may be above what a float16 holds, its root hardly.
    (root,) = _exact(one, (float(np.sqrt(size)),), quantisation)
    return tf.sqrt(tf.nn.relu(mixed)) * root if transform == "sqrt" else mixed * root * root


def _mixed(arrays: Arrays, calibrated: Floats, scaling: Scaling, quantisation: str) -> Any:
    """Write one network down: from scaled features (1, bands) and 1 to its answer (1, 1) in the unit of `arrays`."""
    import tensorflow as tf

    halves = quantisation == "float16"
    blocks = sum(name.startswith("projection_") for name in arrays)
    # A network without radial units is as large as its shortcut.
    kinds = "kernel_weights", "linear_weights"
    kernel, linear = (max(float(np.abs(arrays[f"{kind}_{i}"]).max()) for i in range(blocks)) for kind in kinds)
    largest = kernel or linear
    unit = 2.0 ** np.ceil(np.log2(max(largest, 1e-30) / LARGEST_WEIGHT))
    starts = np.cumsum([0, *(len(arrays[f"linear_weights_{i}"]) for i in range(blocks))])

    def constant(values: Any) -> Any:
        return tf.constant(np.asarray(values, dtype=np.float32))

    def weigh(units: Any, weights: Floats) -> Any:
        return _weigh(units, weights, halves)

    def weigh_bands(bands: Any, weights: Floats) -> Any:
        """Weigh bands, whose products are large and cancel: where each number has 24 bits, so has their sum."""
        if quantisation != "float32":
            return weigh(bands, weights)
        return tf.concat([sum(_exact_sum(bands * constant(of_one[None]))) for of_one in weights.T], axis=1)

    def add_block(i: int, features: Any) -> Any:
        projection, offset, factors, centres, kernel_weights, linear_weights = (
            arrays[f"{name}_{i}"]
            for name in ("projection", "offset", "factors", "centres", "kernel_weights", "linear_weights")
        )
        band = slice(int(starts[i]), int(starts[i + 1]))
        shift, scale = scaling.offset[band], scaling.scale[band, None]
        x = features[:, band]
        if projection.ndim == 1:
            scores = x * constant((projection * scale[:, 0])[None]) + constant((shift * projection + offset)[None])
        else:
            scores = tf.matmul(x, constant(projection * scale)) + constant((shift @ projection + offset)[None])
        added = weigh_bands(x, linear_weights * scale / unit)
        for factor, of_power in zip(factors, kernel_weights, strict=True):
            if not np.any(of_power):
                continue
            # One of the widths is within the distances, so that it costs them no digit.
            within = np.sqrt(arrays["gammas"][0]) if quantisation == "float32" else 1.0
            weighed, at = scores * constant(within * factor[None]), centres * factor * within
            lost = None
            if quantisation == "float32":
                total, lost = _exact_sum(tf.square(weighed[:, None, :] - constant(at[None])))
                distances, lost = (tf.reshape(part, (1, len(at))) for part in (total, lost))
            else:
                squares = tf.reduce_sum(tf.square(weighed), axis=1, keepdims=True)
                products = tf.matmul(weighed, constant(at.T))
                distances = tf.nn.relu(squares + constant(np.sum(at**2, axis=1)[None]) - 2.0 * products)
            for gamma, weights in zip(arrays["gammas"] / within**2, of_power, strict=True):
                if not np.any(weights):
                    continue
                if lost is None:
                    added = added + weigh(tf.exp(distances * np.float32(-gamma)), weights / unit)
                    continue
                first, second, rest = _exp_in_parts(
                    *((distances, lost) if gamma == 1 else (distances * gamma, lost * gamma))
                )
                terms = tf.concat([first, first, second, rest], axis=1)
                high = _rounded(weights / unit, HALF_BITS)
                low = weights / unit - high
                added = added + weigh_bands(terms, np.concatenate([high, low, *2 * [weights / unit]]))
        return added

    def answer(added: Any, one: Any) -> Any:
        shifts = [scaling.offset[starts[i] : starts[i + 1]] @ arrays[f"linear_weights_{i}"] for i in range(blocks)]
        bias = arrays["bias"] + np.sum(shifts, axis=0)
        low, high, to_natural = _exact(one, (*calibrated, float(np.log(10.0))), quantisation)
        mixed = 0.0
        for t, (name, share) in enumerate(zip(arrays["transforms"], arrays["shares"], strict=True)):
            ends = forward(calibrated, name)
            first, second = arrays["corrections"][t]
            held = (*ends, bias[t], first, second, share)
            lowest, highest, middle, first, second, share = _exact(one, held, quantisation)
            # To units and back by a power of two that a float16 holds.
            z = added[:, t : t + 1] * np.float32(unit) + middle
            z = tf.minimum(tf.maximum(z, lowest), highest)
            if name == "sqrt":
                z = tf.square(z) + 2.0 * first * z + second
            elif name == "log10":
                z = tf.exp(z * to_natural) * first
            elif np.any(arrays["corrections"][t]):
                z = z + first
            mixed = mixed + share * tf.minimum(tf.maximum(z, low), high)
        return mixed

    def network(features: Any, one: Any) -> Any:
        added = add_block(0, features)
        for i in range(1, blocks):
            added = added + add_block(i, features)
        return answer(added, one)

    return network


def _rounded(values: Floats, bits: int) -> Floats:
    """Round values to so many binary digits."""
    mantissas, powers = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissas * 2.0**bits) / 2.0**bits, powers))


def _exp_in_parts(distances: Any, lost: Any) -> tuple[Any, Any, Any]:
    """Give exp(-distances - lost) as three float32 that add up to it, the first two of few digits, for exact products.

    Weights of support vectors are large and add up to nothing: what one float32 rounds away of a unit is seen. So the
    nearest step of the exponent is looked up, and only what is left of it, at most a sixteenth, is computed.
    """
    import tensorflow as tf

    table = np.exp(-np.arange(EXP_END * EXP_STEPS + 1) / EXP_STEPS)
    first = _rounded(table, HALF_BITS)
    second = _rounded(table - first, HALF_BITS)
    distances = tf.minimum(distances, np.float32(EXP_END))
    at = tf.round(distances * np.float32(EXP_STEPS))
    left = at * np.float32(1 / EXP_STEPS) - distances - lost
    number = tf.cast(at, tf.int32)
    a, b, c = (tf.gather(tf.constant(part, tf.float32), number) for part in (first, second, table - first - second))
    series = left * (1 + left * (1 / 2 + left * (1 / 6 + left * (1 / 24 + left * (1 / 120)))))
    return a, b, c + (a + b) * series


def _exact_sum(terms: Any) -> tuple[Any, Any]:
    """Add (..., count) terms up to (..., 1) in float32, and give beside it what the additions rounded away.

    Two by two, and the remainders beside them: the error-free sum of Knuth, The Art of Computer Programming 2, 4.2.2.
    """
    import tensorflow as tf

    count = int(terms.shape[-1])
    size = 1 << max(0, count - 1).bit_length()
    total = tf.pad(terms, (*((0, 0),) * (len(terms.shape) - 1), (0, size - count)))
    lost = tf.zeros_like(total)
    while size > 1:
        size //= 2
        a, b = total[..., :size], total[..., size:]
        total = a + b
        of_b = total - a
        rounded = (a - (total - of_b)) + (b - of_b)
        lost = lost[..., :size] + lost[..., size:] + rounded
    return total, lost


def _limits(arrays: Arrays, transforms: set[str]) -> Floats:
    """Give the ends that answers are kept within, in the unit, where these transforms are mixed.

    Where a single transform answers, the device keeps answers within the calibrated range, and a network that goes on
    beyond can be shifted to another instrument. A mean over transforms is of answers that each were kept within.
    """
    ends = arrays["range"]
    if transforms == {"none"}:
        return np.asarray(ends + np.array([-1.0, 1.0]) * (ends[1] - ends[0]))
    if transforms == {"log10"}:
        half = np.sqrt(ends[1] / ends[0])
        return np.asarray(ends * np.array([1 / half, half]))
    return np.asarray(ends + BEYOND * np.array([-1.0, 1.0]) * np.abs(ends))


def _in_units_of(size: float, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Give the network that answers in units that are larger by `size`."""
    scaled = dict(arrays)
    scales = {"none": size, "sqrt": np.sqrt(size), "log10": 1.0}
    per_transform = np.array([scales[name] for name in arrays["transforms"]])
    shifts = np.array([np.log10(size) if name == "log10" else 0.0 for name in arrays["transforms"]])
    for name in arrays:
        if name.startswith(("kernel_weights_", "linear_weights_")):
            scaled[name] = arrays[name] / per_transform
    scaled["bias"] = arrays["bias"] / per_transform - shifts
    scaled["corrections"] = arrays["corrections"] / np.stack([per_transform, per_transform**2], axis=1)
    scaled["range"] = arrays["range"] / size
    return scaled


def _main(folder: str, transform: Transform, *quantisations: str) -> None:
    with np.load(Path(folder) / JOB, allow_pickle=False) as job:
        arrays = dict(job)
    scaling = Scaling(arrays.pop("scaling_offset"), arrays.pop("scaling_scale"))
    calibration = arrays.pop("calibration", None)
    for name in quantisations:
        (Path(folder) / f"{name}.tflite").write_bytes(convert_radial(arrays, scaling, transform, name, calibration))


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type]
