"""Which published weights a training starts from where the user names none."""

from __future__ import annotations

import itertools

from yolo.models.darknet_cfg.known import name_of
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.weights.catalog import CATALOG

_HEADER = 20  # bytes of a Darknet file before its numbers
# RetinaNets of the catalogue, best first, with the profile that each belongs to
_RETINANETS = {"retinanet-r50-v2-coco": "torchvision-v2", "retinanet-r50-coco": "torchvision-v1"}
_DARKNETS = {"csp-darknet-53": "yolov4", "csp-darknet-tiny": "yolov4-tiny"}


def published(
    settings: YOLOv4Config | RetinaNetConfig, profile: str | None = None
) -> dict[str, str | None]:
    """Return what of the catalogue can start a network, best first, with the profile it belongs to.

    Detectors of COCO come before backbones: more of them is of use. The profile is None where any
    fits; one that was chosen for a RetinaNet leaves out the weights of others.

    Example:
        >>> from yolo.models.names import settings_of
        >>> published(settings_of("yolov4-tiny"))
        {'yolov4-tiny-coco': None, 'yolov4-tiny-backbone': None}
        >>> published(settings_of("retinanet-r50"), "paper")
        {'resnet-50-imagenet': None, 'resnet-50-v2-imagenet': None}
    """
    if isinstance(settings, RetinaNetConfig):
        return _of_retinanet(settings, profile)
    if settings.darknet is None:
        names = [f"{settings.variant}-coco", f"{settings.variant}-backbone"]
        return {name: None for name in names if name in CATALOG}
    single, double = (sum(settings.darknet.floats(classes=n)) for n in (1, 2))
    known = name_of(2 * single - double, double - single)
    names = [f"{known}-coco", f"{known}-backbone"] if known else []
    # A file that was cut off behind one of its convolutions, as Darknet's own takes it
    ends = list(itertools.accumulate(settings.darknet.floats()))[:-1]
    names += [
        name
        for name, entry in CATALOG.items()
        if name.endswith("-backbone") and entry.size and (entry.size - _HEADER) / 4 in ends
    ]
    return {name: None for name in dict.fromkeys(names) if name in CATALOG}


def _of_retinanet(settings: RetinaNetConfig, profile: str | None) -> dict[str, str | None]:
    if settings.backbone in _DARKNETS:
        network = _DARKNETS[settings.backbone]
        return {f"{network}-coco": None, f"{network}-backbone": None}
    found: dict[str, str | None] = {}
    whole = settings.backbone == "resnet-50" and settings.channels == RetinaNetConfig.channels
    if whole and settings.anchors_per_cell == 9:  # as these have
        for name, own in _RETINANETS.items():
            if profile in (None, own):
                found[name] = own
    for name in (f"{settings.backbone}-imagenet", f"{settings.backbone}-v2-imagenet"):
        if name in CATALOG:
            found[name] = None
    return found
