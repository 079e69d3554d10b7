"""The network of a cfg: pictures in, raw maps out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.darknet_cfg.layers import PICTURE, Layer
from yolo.models.layers import ACTIVATIONS, ChannelSplit, ConvBias, ConvNorm, Enlarge

if TYPE_CHECKING:
    from collections.abc import Callable


class DarknetPool(keras.layers.Layer):
    """A max pool with Darknet's padding: `padding` cells in all, the smaller half before.

    None of these cells ever wins.
    """

    def __init__(self, size, stride, padding, **kwargs):
        super().__init__(**kwargs)
        self.size, self.stride, self.padding = size, stride, padding

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, channels)."""
        batch, *sides, channels = input_shape
        more = self.padding - self.size
        return (batch, *(s and (s + more) // self.stride + 1 for s in sides), channels)

    def call(self, inputs):
        """Map (batch, h, w, channels) to the greatest of each window."""
        # Where Keras's "same" is the same, it is what converters know best.
        usual = self.padding == self.size - 1
        if usual and (self.stride == 1 or self.size == self.stride == 2):
            return ops.max_pool(inputs, self.size, strides=self.stride, padding="same")
        before = self.padding // 2
        pads = (before, self.padding - before)
        inputs = ops.pad(inputs, ((0, 0), pads, pads, (0, 0)), constant_values=-1e30)
        return ops.max_pool(inputs, self.size, strides=self.stride, padding="valid")


class Shortcut(keras.layers.Layer):
    """Add maps to the first one; of a wider one the first channels, of a narrower one all.

    Reference:
        darknet/src/blas.c, `shortcut_multilayer_cpu`.
    """

    def __init__(self, activation="linear", **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def compute_output_shape(self, input_shape):
        """Return the first map's shape."""
        return input_shape[0]

    def call(self, inputs):
        """Map some (batch, h, w, channels of its own) to the shape of the first."""
        total, *others = inputs
        channels = total.shape[-1]
        for other in others:
            missing = channels - other.shape[-1]
            if missing > 0:
                other = ops.pad(other, ((0, 0), (0, 0), (0, 0), (0, missing)))
            total = total + other[..., :channels]
        return ACTIVATIONS[self.activation](total)


def build(
    cfg: Cfg, masks: tuple[tuple[int, ...], ...], num_classes: int, *, head_bias: Callable
) -> keras.Model:
    """Build the network of a cfg; its convolutions carry Darknet's order in their names.

    Args:
        cfg: the file.
        masks: for each head, finest stride first, the indices of its anchors.
        num_classes: C; the convolutions before the heads are made for it, whatever the file says.
        head_bias: called with 5 + C, returns the initializer of such a convolution's bias.

    Returns:
        A model from images (batch, h, w, 3), 0..255 RGB, to raw maps {stride: (batch, h / stride,
        w / stride, anchors * (5 + C))} in float32, logits all: a logistic before [yolo] is left to
        the decoding.
    """
    outputs_per_anchor = 5 + num_classes
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    values = {PICTURE: keras.layers.Rescaling(1 / 255, name="rescale", dtype="float32")(images)}
    feeds = cfg.feeds()
    anchors = {number: len(mask) for number, mask in zip(cfg.finest_first, masks, strict=True)}
    parts, count, maps = parts_of(cfg), 0, {}
    for number, layer in enumerate(cfg.layers):
        inputs = [values[source] for source in layer.sources]
        if layer.kind == "yolo":
            continue
        if layer.kind != "convolutional":
            values[number] = _BUILDERS[layer.kind](layer, inputs)
            continue
        name = f"{parts[number]}_conv_{count:03d}"
        count += 1
        if number not in feeds:
            values[number] = _convolution(layer, name)(inputs[0])
            continue
        # Logits keep their digits whatever the precision of the rest.
        head = ConvBias(
            anchors[feeds[number]] * outputs_per_anchor, layer.settings["size"],
            stride=layer.settings["stride"], groups=layer.settings["groups"],
            padding=layer.settings["padding"], activation="linear", dtype="float32", name=name,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=head_bias(outputs_per_anchor),
        )  # fmt: skip
        head.outputs_per_anchor = outputs_per_anchor  # the weights reader splits by it
        head.map_stride = int(layer.stride)
        logits = head(inputs[0])
        maps[int(layer.stride)] = logits
        squash = layer.settings["activation"] == "logistic"
        values[number] = keras.layers.Activation("sigmoid")(logits) if squash else logits
    return keras.Model(images, {s: maps[s] for s in cfg.strides}, name="darknet")


def parts_of(cfg: Cfg) -> dict[int, str]:
    """Return for each convolution's number whether it is of the backbone, the neck or a head.

    A head is the convolution before a [yolo], with the one before it if nothing else takes that.
    """
    users: dict[int, int] = {}
    for layer in cfg.layers:
        for source in layer.sources:
            users[source] = users.get(source, 0) + 1
    feeds = cfg.feeds()
    heads = set(feeds)
    for number in feeds:
        (before,) = cfg.layers[number].sources
        if before >= 0 and cfg.layers[before].kind == "convolutional" and users[before] == 1:
            heads.add(before)
    end = backbone_end(cfg)
    return {
        number: "head" if number in heads else "backbone" if number < end else "neck"
        for number, layer in enumerate(cfg.layers)
        if layer.kind == "convolutional"
    }


def backbone_end(cfg: Cfg) -> int:
    """Return the number of the first layer behind the backbone.

    The backbone ends with the layer of its coarsest stride that is the last way from the picture
    to the heads: all that follows goes through it, and only convolutions that narrow it take it.
    The layers that finer heads take from the backbone lie before that.
    """
    upsamples = [n for n, layer in enumerate(cfg.layers) if layer.kind == "upsample"]
    last = min([*upsamples, cfg.heads[0]])
    coarsest = max(layer.stride for layer in cfg.layers[:last])
    users, first, ends = _users(cfg, last), last, []
    for number in reversed(range(last)):
        layer = cfg.layers[number]
        strides = {cfg.layers[n].stride if n >= 0 else 1 for n in layer.sources}
        only_way = first >= number and layer.kind != "route" and strides == {coarsest}
        if only_way and users[number] and all(map(_narrows, users[number])):
            ends.append(number + 1)
        first = min(first, *layer.sources)  # of the layers that this one and later ones take
    return ends[-1] if ends else last


def _users(cfg: Cfg, last: int) -> list[list[Layer]]:
    """Return for each of the first layers those that take it, also by a route of it alone."""
    users: list[list[Layer]] = [[] for _ in range(last)]
    taken = list(range(last))
    for number, layer in enumerate(cfg.layers[:last]):
        sources = [taken[source] for source in layer.sources if source >= 0]
        if layer.kind == "route" and len(sources) == 1 and layer.settings["groups"] == 1:
            taken[number] = sources[0]
            continue
        for source in sources:
            users[source].append(layer)
    return users


def _narrows(layer: Layer) -> bool:
    """Tell whether it is a convolution of 1x1 with fewer outputs than inputs."""
    own = layer.settings
    return layer.kind == "convolutional" and own["size"] == 1 and own["filters"] < own["inputs"]


def _convolution(layer: Layer, name: str) -> keras.layers.Layer:
    own = layer.settings
    kind = ConvNorm if own["norm"] else ConvBias
    return kind(
        own["filters"], own["size"], stride=own["stride"], groups=own["groups"],
        padding=own["padding"], activation=own["activation"], name=name,
    )  # fmt: skip


def _route(layer: Layer, inputs: list):
    if layer.settings["groups"] > 1:
        inputs = [
            ChannelSplit(layer.settings["groups"], layer.settings["group"])(x) for x in inputs
        ]
    return keras.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]


_BUILDERS: dict[str, Callable] = {
    "route": _route,
    "shortcut": lambda layer, inputs: Shortcut(layer.settings["activation"])(inputs),
    "maxpool": lambda layer, inputs: DarknetPool(**layer.settings)(inputs[0]),
    "upsample": lambda layer, inputs: Enlarge(layer.settings["times"])(inputs[0]),
}
