"""The network is the paper's, and training does what it says. TensorFlow runs in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stibium.train.errors import TrainingDataError
from stibium.train.methods.fit import Epoch, TrainingProtocol, fit, predict
from stibium.train.methods.network import OUTPUT, Block, NetworkConfig, build_network, fold_target_scale

SHAPE = (14, 129, 1)
SMALL = NetworkConfig(filters=4, blocks=(Block(4, 2, 2), Block(4, 2, 2), Block(4, 2, 1)), dropout=0.0)


@pytest.fixture(scope="module")
def keras() -> Any:
    from stibium.train.methods.tensorflow_setup import import_tensorflow

    import_tensorflow()
    import keras

    return keras


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_it_is_one_convolution_and_three_inverted_residual_blocks(keras: Any) -> None:
    model = build_network(NetworkConfig(), SHAPE)
    assert (model.input_shape, model.output_shape) == ((None, *SHAPE), (None, 1))
    block = ["Conv2D", "BatchNormalization", "ReLU", "DepthwiseConv2D", "BatchNormalization", "ReLU"]
    block += ["Conv2D", "BatchNormalization"]
    first, last = ["InputLayer", "Conv2D", "BatchNormalization", "ReLU"], ["Dropout", "Conv2D", "Flatten"]
    assert kinds(model) == first + 3 * block + last
    assert all(layer.max_value == 6.0 for layer in model.layers if type(layer).__name__ == "ReLU")
    assert 15_000 < model.count_params() < 25_000


def test_the_papers_sentence_to_the_letter(keras: Any) -> None:
    """Every convolution but the regression followed by batch normalisation and ReLU6."""
    names = kinds(build_network(NetworkConfig(linear_projection=False), SHAPE))
    for i, name in enumerate(names[:-3]):
        if name.endswith("Conv2D"):
            assert names[i + 1 : i + 3] == ["BatchNormalization", "ReLU"]


def test_shortcut_where_shapes_allow(keras: Any) -> None:
    blocks = (Block(8, 2, 1), Block(8, 2, 1), Block(16, 2, 1))
    model = build_network(NetworkConfig(filters=8, blocks=blocks), SHAPE)
    assert kinds(model).count("Add") == 2
    assert kinds(build_network(NetworkConfig(head="average"), SHAPE)).count("GlobalAveragePooling2D") == 1


def test_an_untrained_network_answers_the_mean(keras: Any) -> None:
    model = build_network(NetworkConfig(), SHAPE)
    features = np.random.default_rng(1).normal(size=(5, *SHAPE)).astype(np.float32)
    assert predict(model, features) == pytest.approx(np.zeros(5))
    fold_target_scale(model, mean=2.5, scale=3.0)
    assert predict(model, features) == pytest.approx(np.full(5, 2.5))


def test_folding_the_targets_scale_changes_nothing_else(keras: Any) -> None:
    model = build_network(SMALL, SHAPE)
    layer = model.get_layer(OUTPUT)
    layer.set_weights([np.random.default_rng(3).normal(size=w.shape) for w in layer.get_weights()])
    features = np.random.default_rng(1).normal(size=(9, *SHAPE)).astype(np.float32)
    before = predict(model, features)
    fold_target_scale(model, mean=-1.5, scale=0.25)
    assert predict(model, features) == pytest.approx(0.25 * before - 1.5, rel=1e-5, abs=1e-6)


def test_features_that_are_no_spectrogram_are_refused(keras: Any) -> None:
    with pytest.raises(TrainingDataError, match="takes a spectrogram"):
        build_network(NetworkConfig(), (2001,))


def learnable(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, *SHAPE)).astype(np.float32)
    amount = rng.uniform(-1, 1, size=n)
    features[:, 3:6, :20] += 8 * amount[:, None, None, None].astype(np.float32)
    return features, 100.0 + 20.0 * amount


def test_it_learns_and_keeps_its_best_weights(keras: Any) -> None:
    x, y = learnable(64, 1)
    held_x, held_y = learnable(40, 2)
    seen: list[Epoch] = []
    protocol = TrainingProtocol(epochs=60, patience=15, batch_size=16, learning_rate=5e-3)
    fitted = fit(x, y, held_x, held_y, SMALL, protocol, seen.append)
    assert tuple(seen) == fitted.history
    losses = [epoch.validation_loss for epoch in fitted.history]
    answers = predict(fitted.model, held_x)
    # The model answers in the target's own unit, with the weights of the best epoch and not of the last.
    standardised = (answers - held_y) / y.std()
    assert np.mean(standardised**2) == pytest.approx(min(losses), rel=1e-4)
    assert min(losses) < 0.5 * losses[0]
    # It stopped fifteen epochs after the best, or ran to the end.
    assert len(losses) == min(60, fitted.best_epoch + 15)
    assert [e.number for e in fitted.history if e.best][-1] == fitted.best_epoch


def test_training_on_nonsense_is_one_line(keras: Any) -> None:
    x, y = learnable(8, 1)
    x[0] = np.nan
    with pytest.raises(TrainingDataError, match="the loss is no number any more in epoch 1"):
        fit(x, y, x, y, SMALL, TrainingProtocol(epochs=2))


def test_a_last_batch_of_one_row_is_left_out(keras: Any) -> None:
    """Seventeen rows in batches of sixteen: one row has no variance to normalise by."""
    x, y = learnable(17, 1)
    fitted = fit(x, y, x, y, SMALL, TrainingProtocol(epochs=2, batch_size=16))
    assert all(np.isfinite(epoch.training_loss) for epoch in fitted.history)
