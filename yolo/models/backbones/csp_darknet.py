"""CSPDarknet53 and the backbone of YOLOv4-tiny, in the order of Darknet's files."""

from __future__ import annotations

import keras

from yolo.models.layers import ChannelSplit, ConvNorm

# Stages of CSPDarknet53: output channels and residual blocks (yolov4.cfg, layers 1 to 104).
CSP_DARKNET_53_STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))


class NumberedConvolutions:
    """Makes `ConvNorm` layers named by part and by their number in the Darknet file.

    The number is what the weights reader sorts by; the part (backbone, neck, head) is what
    freezing selects by. The activation of those to come may be changed.
    """

    def __init__(self, activation: str, *, frozen_norm: bool = False):
        self.activation = activation
        self.frozen_norm = frozen_norm
        self.count = 0

    def name(self, part: str) -> str:
        """Return the next layer's name and count it."""
        name = f"{part}_conv_{self.count:03d}"
        self.count += 1
        return name

    def __call__(self, x, filters: int, size: int, *, part: str, stride: int = 1):
        """Apply the next convolution to (batch, h, w, channels)."""
        layer = ConvNorm(
            filters, size, stride=stride, activation=self.activation,
            norm={"frozen": self.frozen_norm}, name=self.name(part),
        )  # fmt: skip
        return layer(x)


def csp_darknet_53(images, conv: NumberedConvolutions):
    """Return {8: 256, 16: 512, 32: 1024 channels}, the maps of CSPDarknet53 by stride.

    Pictures are scaled to 0..1; `conv` makes its 72 convolutions.

    Reference:
        Wang et al. (2020), CSPNet; Bochkovskiy et al. (2020), YOLOv4, section 3.4.
    """
    x = conv(images, 32, 3, part="backbone")
    maps = {}
    for stage, (channels, blocks) in enumerate(CSP_DARKNET_53_STAGES):
        x = _csp_stage(x, channels, blocks, conv, first=stage == 0)
        maps[2 ** (stage + 1)] = x
    return {stride: maps[stride] for stride in (8, 16, 32)}


def _csp_stage(x, channels, blocks, conv, *, first):
    """Halve the map, send half of the channels through residual blocks, join both halves."""
    # The first stage keeps all channels on both paths and narrows inside its block instead.
    half = channels if first else channels // 2
    inner = channels // 2
    x = conv(x, channels, 3, stride=2, part="backbone")
    short = conv(x, half, 1, part="backbone")
    x = conv(x, half, 1, part="backbone")
    for _ in range(blocks):
        narrow = conv(x, inner, 1, part="backbone")
        x = keras.layers.Add()([x, conv(narrow, half, 3, part="backbone")])
    x = conv(x, half, 1, part="backbone")
    x = keras.layers.Concatenate()([x, short])
    return conv(x, channels, 1, part="backbone")


def csp_darknet_tiny(images, conv: NumberedConvolutions):
    """Return {8: 128, 16: 256, 32: 512 channels}, the maps of YOLOv4-tiny's backbone by stride.

    Pictures are scaled to 0..1; `conv` makes its 15 convolutions.

    Reference:
        darknet/cfg/yolov4-tiny.cfg, layers 0 to 26.
    """
    x = conv(images, 32, 3, stride=2, part="backbone")
    x = conv(x, 64, 3, stride=2, part="backbone")
    maps = {}
    for channels, stride in ((64, 4), (128, 8), (256, 16)):
        route = conv(x, channels, 3, part="backbone")
        a = conv(ChannelSplit()(route), channels // 2, 3, part="backbone")
        b = conv(a, channels // 2, 3, part="backbone")
        joined = keras.layers.Concatenate()([b, a])
        maps[stride] = conv(joined, channels, 1, part="backbone")
        x = keras.layers.Concatenate()([route, maps[stride]])
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    maps[32] = conv(x, 512, 3, part="backbone")
    return {stride: maps[stride] for stride in (8, 16, 32)}
