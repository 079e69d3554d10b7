"""The families of detectors, and what each brings."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

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
