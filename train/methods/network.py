"""The network: a light MobileNetV2 on a spectrogram, whole in this file.

Carvalho et al. 2024 (Remote Sensing 16(11):1964): one convolution, three inverted residual blocks, batch
normalisation and ReLU6, a regression output. Inverted residual blocks: Sandler et al. 2018, MobileNetV2
(arXiv:1801.04381).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import TrainingDataError


@dataclass(frozen=True)
class Block:
    """One inverted residual block: expand, filter each channel, project."""

    filters: int
    expansion: int
    stride: int


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that makes the network what it is.

    Attributes:
        filters, kernel, strides: of the first convolution; strides as (frames, frequency bins). Large early strides
            keep the arithmetic small enough for the reference kernels a device may fall back on.
        blocks: the inverted residual blocks. Where stride is 1 and the number of channels stays, the block's input
            is added to its output.
        linear_projection: MobileNetV2 leaves ReLU6 out after a block's projection, which keeps what a narrow layer
            carries; False puts it there as well, as the paper's sentence on its layers reads.
        head: "map" weighs every place of the last feature map by itself, so the network knows at which wavelengths
            it sees something; "average" averages over the places first, as MobileNetV2 does for photographs.
        dropout: share of the last feature map left out in each step of training.
        l2: penalty on the weights of the convolutions.
        batch_norm_momentum: Keras' 0.99 needs hundreds of steps to learn the statistics; with a hundred soils, two
            batches an epoch, early stopping would judge a network that answers nonsense.
    """

    filters: int = 8
    kernel: int = 5
    strides: tuple[int, int] = (2, 4)
    blocks: tuple[Block, ...] = (Block(16, 4, 2), Block(32, 4, 2), Block(48, 4, 1))
    linear_projection: bool = True
    head: Literal["map", "average"] = "map"
    dropout: float = 0.3
    l2: float = 0.0
    batch_norm_momentum: float = 0.9

    def to_dict(self) -> dict[str, Any]:
        """Give the configuration as JSON values."""
        return asdict(self)


def build_network(config: NetworkConfig, input_shape: tuple[int, ...]) -> Any:
    """Build the network with fresh weights from Keras' random generator.

    Args:
        config: what to build.
        input_shape: (frames, bins, 1) of the spectrogram.

    Returns:
        A keras.Model from (n, frames, bins, 1) to (n, 1).

    Raises:
        TrainingDataError: the input is no spectrogram.
    """
    import keras
    from keras import layers

    if len(input_shape) != 3:
        raise TrainingDataError(
            f"the network takes a spectrogram; a recipe that ends in features of shape {input_shape} has none"
        )
    penalty = keras.regularizers.L2(config.l2) if config.l2 else None

    spectrogram = keras.Input(input_shape)
    momentum, linear = config.batch_norm_momentum, config.linear_projection
    x = layers.Conv2D(
        config.filters, config.kernel, config.strides, padding="same", use_bias=False, kernel_regularizer=penalty
    )(spectrogram)
    x = normalised(x, momentum)
    for block in config.blocks:
        x = inverted_residual(x, block, (3, 3), momentum, linear, penalty)
    if config.head == "average":
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    if config.dropout:
        x = layers.Dropout(config.dropout)(x)
    # A dense layer over the whole map, written as the convolution it is: TensorFlow converts a dynamic-range
    # FULLY_CONNECTED of a version that tflite-runtime 2.14 does not know.
    # It starts at zero, the mean of the standardised target.
    x = layers.Conv2D(1, x.shape[1:3], kernel_initializer="zeros", kernel_regularizer=penalty, name=OUTPUT)(x)
    return keras.Model(spectrogram, layers.Flatten()(x))


def normalised(x: Any, momentum: float, relu6: bool = True) -> Any:
    """Normalise a batch, and cut it off at 0 and 6."""
    from keras import layers

    x = layers.BatchNormalization(momentum=momentum)(x)
    return layers.ReLU(6.0)(x) if relu6 else x


def inverted_residual(
    x: Any, block: Block, kernel: tuple[int, int], momentum: float, linear: bool = True, penalty: Any = None
) -> Any:
    """Add an inverted residual block.

    Args:
        x: (n, height, width, channels).
        block: filters, expansion and stride.
        kernel: height and width over which each channel is filtered.
        momentum: of the batch statistics.
        linear: whether ReLU6 is left out after the projection.
        penalty: on the weights of the pointwise convolutions.
    """
    from keras import layers

    def pointwise(y: Any, filters: int) -> Any:
        return layers.Conv2D(filters, 1, use_bias=False, kernel_regularizer=penalty)(y)

    channels = x.shape[-1]
    y = normalised(pointwise(x, channels * block.expansion), momentum) if block.expansion > 1 else x
    y = layers.DepthwiseConv2D(kernel, block.stride, padding="same", use_bias=False)(y)
    y = normalised(pointwise(normalised(y, momentum), block.filters), momentum, relu6=not linear)
    return layers.Add()([x, y]) if block.stride == 1 and block.filters == channels else y


OUTPUT = "output"
"""Name of the layer that holds the regression's weights and bias."""


def fold_target_scale(model: Any, mean: float, scale: float) -> None:
    """Rewrite the last layer so that it answers `scale * answer + mean`.

    Training is easiest on a target of mean 0 and standard deviation 1; the device is to get the transform's space.
    """
    weights, bias = model.get_layer(OUTPUT).get_weights()
    model.get_layer(OUTPUT).set_weights([weights * scale, bias * scale + mean])
