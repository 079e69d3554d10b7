"""The families of detectors, what each brings, and its decoding as a layer."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import keras
from keras import ops

from yolo.models.retinanet import decode as retinanet_decode
from yolo.models.retinanet import loss as retinanet_loss
from yolo.models.retinanet import network as retinanet_network
from yolo.models.retinanet import targets as retinanet_targets
from yolo.models.retinanet.settings import RetinaNetConfig, RetinaNetLoss
from yolo.models.yolov4 import decode as yolov4_decode
from yolo.models.yolov4 import loss as yolov4_loss
from yolo.models.yolov4 import network as yolov4_network
from yolo.models.yolov4 import targets as yolov4_targets
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss


class Family(NamedTuple):
    """What a family of detectors brings.

    Attributes:
        network: the module that builds it.
        targets: that matches anchors and objects.
        loss: that computes its loss.
        decode: that turns its maps into boxes and scores.
        settings: the class of its networks' settings.
        loss_settings: the class of its loss's.
    """

    network: ModuleType
    targets: ModuleType
    loss: ModuleType
    decode: ModuleType
    settings: type
    loss_settings: type


# By the name that saved models carry.
FAMILIES = {
    YOLOv4Config.family: Family(
        yolov4_network, yolov4_targets, yolov4_loss, yolov4_decode, YOLOv4Config, YOLOv4Loss
    ),
    RetinaNetConfig.family: Family(
        retinanet_network,
        retinanet_targets,
        retinanet_loss,
        retinanet_decode,
        RetinaNetConfig,
        RetinaNetLoss,
    ),  # fmt: skip
}


class Decode(keras.layers.Layer):
    """Turns raw outputs into boxes and scores inside the compiled prediction graph."""

    def __init__(self, family, architecture, num_classes, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.num_classes = num_classes
        self._decode = lambda outputs, size: family.decode.decode(architecture, outputs, size)

    def call(self, outputs, images):
        """Map the network's outputs to {"boxes": (B, N, 4), "scores": (B, N, C)}.

        Of the images (B, H, W, 3) only the size is used.
        """
        return self._decode(outputs, tuple(ops.shape(images)[1:3]))

    def get_config(self):
        """Refuse to be saved: the detector is what a file holds."""
        raise ValueError(
            "a file of the decoding network could not be opened; write detector.save(path)"
        )

    def compute_output_spec(self, outputs, images):
        """Return the shapes; JAX cannot follow anchors of a picture of unknown size."""
        return {
            "boxes": keras.KerasTensor((None, None, 4)),
            "scores": keras.KerasTensor((None, None, self.num_classes)),
        }


def with_decoding(
    family: Family, architecture, network: keras.Model, num_classes: int
) -> keras.Model:
    """Return a network with its decoding: images to {"boxes": ..., "scores": ...}.

    Its weights are shared.
    """
    decode = Decode(family, architecture, num_classes, name="decode")
    # The functional graph keeps the outputs as they were given, keyed by stride.
    return keras.Model(network.input, decode(network(network.input), network.input))
