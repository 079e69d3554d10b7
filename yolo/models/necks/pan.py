"""YOLOv4's neck: SPP, then a path aggregation network down and up again."""

from __future__ import annotations

import keras

from yolo.models.layers import Enlarge, spatial_pyramid_pooling


def pan(maps, conv, finish):
    """Join the backbone's maps top-down and bottom-up and hand each level to its head.

    The heads stand between the parts of the neck in Darknet's file, so the neck calls
    `finish(stride, features)` where a head's convolutions belong, and collects what that returns.
    The maker of convolutions is set to leaky ReLU.

    Returns:
        {8: finish(8, 128 channels), 16: finish(16, 256), 32: finish(32, 512)}, of maps with
        {8: 256, 16: 512, 32: 1024 channels}.

    Reference:
        Liu et al. (2018), PANet; darknet/cfg/yolov4.cfg, layers 105 to 161.
    """
    top = _three(maps[32], 512, conv)
    top = _three(spatial_pyramid_pooling(top), 512, conv)
    middle = _five(_from_above(top, maps[16], 256, conv), 256, conv)
    bottom = _five(_from_above(middle, maps[8], 128, conv), 128, conv)
    outputs = {8: finish(8, bottom)}
    middle = _five(_from_below(bottom, middle, 256, conv), 256, conv)
    outputs[16] = finish(16, middle)
    top = _five(_from_below(middle, top, 512, conv), 512, conv)
    outputs[32] = finish(32, top)
    return outputs


def _three(x, channels, conv):
    x = conv(x, channels, 1, part="neck")
    x = conv(x, channels * 2, 3, part="neck")
    return conv(x, channels, 1, part="neck")


def _five(x, channels, conv):
    x = _three(x, channels, conv)
    x = conv(x, channels * 2, 3, part="neck")
    return conv(x, channels, 1, part="neck")


def _from_above(coarse, lateral, channels, conv):
    """Stack a lateral map with the coarser level, enlarged to its size by nearest neighbour."""
    coarse = conv(coarse, channels, 1, part="neck")
    coarse = Enlarge()(coarse)
    lateral = conv(lateral, channels, 1, part="neck")
    return keras.layers.Concatenate()([lateral, coarse])


def _from_below(fine, lateral, channels, conv):
    fine = conv(fine, channels, 3, stride=2, part="neck")
    return keras.layers.Concatenate()([fine, lateral])
