"""The networks of YOLOv4 and YOLOv4-tiny: pictures in, raw maps out."""

from __future__ import annotations

import keras
import numpy as np

from keras_focal import PriorProbability
from yolo.errors import ConfigError
from yolo.models.backbones.csp_darknet import NumberedConvolutions, csp_darknet_53, csp_darknet_tiny
from yolo.models.darknet_cfg import network as darknet_network
from yolo.models.layers import Enlarge
from yolo.models.necks.pan import pan
from yolo.models.yolov4.attention import ATTENTION
from yolo.models.yolov4.settings import YOLOv4Config


class HeadBias(keras.initializers.Initializer):
    """Zeros, but for the objectness of each anchor's outputs, which starts at the logit of `prior`.

    A fresh head then calls one anchor in a hundred an object, and the first steps are not
    spent on unlearning fifty in a hundred.

    Reference:
        Lin et al. (2017), section 4.1, "Initialization".
    """

    def __init__(self, prior: float, outputs: int):
        self.prior, self.outputs = prior, outputs

    def __call__(self, shape, dtype=None):
        """Return the bias of shape (anchors * outputs,)."""
        bias = np.zeros((shape[0] // self.outputs, self.outputs))
        bias[:, 4] = keras.ops.convert_to_numpy(PriorProbability(self.prior)((1,)))
        return keras.ops.convert_to_tensor(bias.reshape(-1), dtype)

    def get_config(self):
        """Return the arguments."""
        return {"prior": self.prior, "outputs": self.outputs}


def build_network(config: YOLOv4Config, num_classes: int) -> keras.Model:
    """Build the network; its weights carry the order of Darknet's file in their layers' names.

    Returns:
        A model from images (batch, h, w, 3), 0..255 RGB, h and w multiples of 32, to raw maps
        {stride: (batch, h / stride, w / stride, anchors * (5 + C))} in float32, where an
        anchor's entries are x, y, w, h, objectness and the class logits.

    Reference:
        Bochkovskiy et al. (2020), YOLOv4; darknet/cfg/yolov4.cfg and yolov4-tiny.cfg.
    """
    if config.variant == "darknet":
        if config.darknet is None:
            raise ConfigError("a network of the variant darknet is built from a cfg")
        return darknet_network.build(
            config.darknet, config.masks, num_classes,
            head_bias=lambda outputs: HeadBias(config.prior, outputs),
        )  # fmt: skip
    outputs_per_anchor = 5 + num_classes
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    x = keras.layers.Rescaling(1 / 255, name="rescale", dtype="float32")(images)

    def finish(stride, features):
        """Return the raw map of a level from its (batch, h, w, channels) features."""
        channels = {8: 256, 16: 512, 32: 1024}[stride] // (1 if config.variant == "yolov4" else 2)
        features = conv(features, channels, 3, part="head")
        layer = keras.layers.Conv2D(
            len(config.mask(stride)) * outputs_per_anchor,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=HeadBias(config.prior, outputs_per_anchor),
            dtype="float32",  # logits keep their digits whatever the precision of the rest
            name=conv.name("head"),
        )
        layer.outputs_per_anchor = outputs_per_anchor  # the weights reader splits by it
        layer.map_stride = stride
        return layer(features)

    if config.variant == "yolov4":
        conv = NumberedConvolutions("mish")
        maps = csp_darknet_53(x, conv)
        conv.activation = "leaky"
        outputs = pan(maps, conv, finish)
    else:
        conv = NumberedConvolutions("leaky")
        outputs = _tiny_neck(csp_darknet_tiny(x, conv), conv, finish, ATTENTION[config.attention])
    return keras.Model(images, outputs, name=config.variant.replace("-", "_"))


def freeze(config: YOLOv4Config, network: keras.Model) -> None:
    """Take out of training what the settings say never trains: nothing."""


def _tiny_neck(maps, conv, finish, attend):
    """Return the two raw maps of YOLOv4-tiny, with attention where the tutorial puts it."""
    fine = attend(maps[16], "attention_16")
    coarse = conv(attend(maps[32], "attention_32"), 256, 1, part="neck")
    outputs = {32: finish(32, coarse)}
    enlarged = conv(coarse, 128, 1, part="neck")
    enlarged = Enlarge()(enlarged)
    enlarged = attend(enlarged, "attention_up")
    outputs[16] = finish(16, keras.layers.Concatenate()([enlarged, fine]))
    return {16: outputs[16], 32: outputs[32]}
