"""The network of RetinaNet: pictures in, class logits and box deltas of all anchors out."""

from __future__ import annotations

import keras
from keras import ops

from keras_focal import PriorProbability
from yolo.models.backbones import applications
from yolo.models.backbones.csp_darknet import NumberedConvolutions, csp_darknet_53, csp_darknet_tiny
from yolo.models.backbones.resnet import resnet
from yolo.models.necks.fpn import fpn
from yolo.models.retinanet.settings import DARKNETS, RESNETS, RetinaNetConfig

SUBNET_DEPTH = 4
_PROBE = 256  # pixels; any multiple of 32 shows at which stride a layer works
# Means and deviations of ImageNet's channels, RGB over 255, as torchvision's weights want them.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(keras.layers.Layer):
    """Subtracts `MEAN` from each channel, over 255, and divides it by `DEVIATION`."""

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **kwargs)

    def call(self, images):
        """Map (batch, h, w, 3), 0..255 RGB, to the same shape."""
        return (images / 255.0 - ops.array(MEAN)) / ops.array(DEVIATION)


class Output(keras.layers.Layer):
    """The last convolution of a subnet, 3x3, one cell's numbers put in a row for each anchor.

    It computes in the network's precision and adds its bias in float32, so that the logit of
    the prior, -4.595, keeps its digits.
    """

    def __init__(self, anchors, values, bias="zeros", **kwargs):
        super().__init__(**kwargs)
        self.anchors, self.values = anchors, values
        self.bias_initializer = keras.initializers.get(bias)

    def build(self, shape):
        """Create kernel and bias for (batch, h, w, channels)."""
        filters = self.anchors * self.values
        self.kernel = self.add_weight(
            shape=(3, 3, shape[-1], filters), name="kernel",
            initializer=keras.initializers.RandomNormal(stddev=0.01),
        )  # fmt: skip
        self.bias = self.add_weight(
            shape=(filters,), name="bias", dtype="float32", autocast=False,
            initializer=self.bias_initializer,
        )  # fmt: skip

    def compute_output_spec(self, x):
        """Return (batch, h * w * anchors, values) float32, whatever the layer's precision."""
        batch, *sides, _ = x.shape
        rows = None if None in sides else sides[0] * sides[1] * self.anchors
        return keras.KerasTensor((batch, rows, self.values), dtype="float32")

    def call(self, x):
        """Map (batch, h, w, channels) to (batch, h * w * anchors, values) float32."""
        x = ops.conv(x, self.kernel, padding="same")
        x = ops.cast(x, "float32") + self.bias
        return ops.reshape(x, (ops.shape(x)[0], -1, self.values))


def build_network(config: RetinaNetConfig, num_classes: int) -> keras.Model:
    """Build the network.

    Returns:
        A model from images (batch, h, w, 3), 0..255 RGB, to {"class_logits": (batch, A, K),
        "box_deltas": (batch, A, 4)} in float32, in the order of `decode.make_anchors`.

    Reference:
        Lin et al. (2017), Focal Loss for Dense Object Detection, section 4.
    """
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    levels = fpn(_backbone(config, images), p6_from=config.p6_from, channels=config.channels)
    anchors = config.anchors_per_cell
    outputs = {
        "class_logits": _subnet(
            config, levels, "class",
            Output(anchors, num_classes, PriorProbability(config.prior), name="class_logits"),
        ),
        "box_deltas": _subnet(config, levels, "box", Output(anchors, 4, name="box_deltas")),
    }  # fmt: skip
    network = keras.Model(images, outputs, name="retinanet")
    freeze(config, network)
    return network


def freeze(config: RetinaNetConfig, network: keras.Model) -> None:
    """Take out of training what the settings say never trains, after others were changed."""
    if config.backbone not in RESNETS + DARKNETS:
        nested = next(layer for layer in network.layers if layer.name.startswith("backbone_"))
        applications.freeze(nested, norm=config.frozen_norm, stages=config.frozen_stages)
    elif config.frozen_stages:
        images = keras.Input((_PROBE, _PROBE, 3))
        probe = keras.Model(images, list(_backbone(config, images).values()))
        for layer in probe.layers:
            if layer.weights and _PROBE // layer.output.shape[1] <= 2**config.frozen_stages:
                network.get_layer(layer.name).trainable = False


def _backbone(config: RetinaNetConfig, images) -> dict:
    if config.backbone in RESNETS:
        x = Normalize(name="preprocess")(images)
        return resnet(
            x, config.backbone, epsilon=config.norm_epsilon, frozen_norm=config.frozen_norm
        )
    if config.backbone in DARKNETS:
        x = keras.layers.Rescaling(1 / 255, name="preprocess", dtype="float32")(images)
        tiny = config.backbone == "csp-darknet-tiny"
        conv = NumberedConvolutions("leaky" if tiny else "mish", frozen_norm=config.frozen_norm)
        return (csp_darknet_tiny if tiny else csp_darknet_53)(x, conv)
    return applications.application(images, config.backbone, frozen_norm=config.frozen_norm)


def _subnet(config: RetinaNetConfig, levels: dict, part: str, output: Output):
    """Return one output for all levels: four convolutions and the last, shared between them."""
    layers = []
    for index in range(SUBNET_DEPTH):
        grouped = config.head_norm == "group"
        layers.append(
            keras.layers.Conv2D(
                config.channels, 3, padding="same", use_bias=not grouped,
                name=f"{part}_subnet_{index}",
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            )
        )  # fmt: skip
        if grouped:
            name = f"{part}_subnet_{index}_norm"
            layers.append(keras.layers.GroupNormalization(32, epsilon=1e-5, name=name))
        layers.append(keras.layers.ReLU(name=f"{part}_subnet_{index}_relu"))
    rows = []
    for stride in config.strides:
        x = levels[stride]
        for layer in [*layers, output]:
            x = layer(x)
        rows.append(x)
    return keras.layers.Concatenate(axis=1, name=f"{part}_rows", dtype="float32")(rows)
