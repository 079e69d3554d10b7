"""The four attention modules that the tutorial's YOLOv4-tiny offers as `phi` 1 to 4."""

from __future__ import annotations

import math

import keras
from keras import ops

from yolo.models.layers import ConvNorm


def squeeze_excitation(x, name):
    """Weigh the channels by a two-layer network on their means. Hu et al. (2018)."""
    channels = x.shape[-1]
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    weights = _dense(weights, channels // 16, "relu", f"{name}_squeeze")
    weights = _dense(weights, channels, "sigmoid", f"{name}_excite")
    return keras.layers.Multiply(name=name)([x, weights])


def cbam(x, name):
    """Weigh the channels, then the places, by means and maxima. Woo et al. (2018)."""
    channels = x.shape[-1]
    squeeze = keras.layers.Dense(channels // 8, activation="relu", name=f"{name}_squeeze")
    excite = keras.layers.Dense(channels, name=f"{name}_excite")
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    peak = keras.layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_peak")(x)
    both = keras.layers.Add(name=f"{name}_sum")([excite(squeeze(mean)), excite(squeeze(peak))])
    weights = keras.layers.Activation("sigmoid", name=f"{name}_channels")(both)
    x = keras.layers.Multiply(name=f"{name}_by_channel")([x, weights])
    places = ChannelMeanAndMax(name=f"{name}_mean_and_max")(x)
    weights = keras.layers.Conv2D(
        1, 7, padding="same", use_bias=False, activation="sigmoid", name=f"{name}_places"
    )(places)
    return keras.layers.Multiply(name=name)([x, weights])


def efficient_channel_attention(x, name):
    """Weigh each channel by its own and its neighbours' means. Wang et al. (2020), ECA-Net."""
    channels = x.shape[-1]
    size = int(abs((math.log2(channels) + 1) / 2))
    size += 1 - size % 2
    weights = keras.layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
    weights = keras.layers.Reshape((channels, 1), name=f"{name}_row")(weights)
    weights = keras.layers.Conv1D(
        1, size, padding="same", use_bias=False, activation="sigmoid", name=f"{name}_mix"
    )(weights)
    weights = keras.layers.Reshape((1, 1, channels), name=f"{name}_weights")(weights)
    return keras.layers.Multiply(name=name)([x, weights])


def coordinate_attention(x, name):
    """Weigh rows and columns by their means over the other axis. Hou et al. (2021)."""
    channels = x.shape[-1]
    rows = AxisMean(2, name=f"{name}_rows")(x)  # (batch, h, 1, channels)
    columns = AxisMean(1, name=f"{name}_columns")(x)  # (batch, 1, w, channels)
    squeeze = ConvNorm(channels // 16, 1, activation="relu", name=f"{name}_squeeze")
    # One shared squeeze over both, as in the paper; norm statistics are then those of either.
    rows, columns = squeeze(rows), squeeze(columns)
    rows = _dense(rows, channels, "sigmoid", f"{name}_row_weights")
    columns = _dense(columns, channels, "sigmoid", f"{name}_column_weights")
    return keras.layers.Multiply(name=name)([x, rows, columns])


class ChannelMeanAndMax(keras.layers.Layer):
    """Stack the mean and the maximum over the channels: (batch, h, w, 2)."""

    def call(self, inputs):
        """Map (batch, h, w, channels) to (batch, h, w, 2)."""
        mean = ops.mean(inputs, axis=-1, keepdims=True)
        return ops.concatenate([mean, ops.max(inputs, axis=-1, keepdims=True)], axis=-1)


class AxisMean(keras.layers.Layer):
    """Mean over one axis, which stays with length 1."""

    def __init__(self, axis, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        """Map (batch, h, w, channels) to the same with 1 at `axis`."""
        return ops.mean(inputs, axis=self.axis, keepdims=True)


def _dense(x, channels, activation, name):
    return keras.layers.Dense(channels, use_bias=False, activation=activation, name=name)(x)


ATTENTION = {
    "none": lambda x, name: x,
    "se": squeeze_excitation,
    "cbam": cbam,
    "eca": efficient_channel_attention,
    "ca": coordinate_attention,
}
