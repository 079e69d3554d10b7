"""The models by name: of which family each is, and what it sets."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.retinanet.settings import RetinaNetConfig, from_profile
from yolo.models.yolov4.from_cfg import config_of, is_cfg
from yolo.models.yolov4.settings import YOLOV4_TINY_ANCHORS, YOLOv4Config

# What each name builds: the settings of its family, and those that are its own. A RetinaNet's
# stand beside those of its profile; Darknet's backbones are fine-tuned norm and all, as in YOLOv4.
# Behind the smallest one, pyramid and subnets of 256 channels would be four fifths of the work.
ZOO: dict[str, tuple[type[YOLOv4Config | RetinaNetConfig], dict[str, Any]]] = {
    "yolov4": (YOLOv4Config, {}),
    "yolov4-tiny": (
        YOLOv4Config,
        {"variant": "yolov4-tiny", "anchors": YOLOV4_TINY_ANCHORS, "masks": "custom"},
    ),
    "retinanet": (RetinaNetConfig, {}),
    "retinanet-r18": (RetinaNetConfig, {"backbone": "resnet-18"}),
    "retinanet-r34": (RetinaNetConfig, {"backbone": "resnet-34"}),
    "retinanet-r50": (RetinaNetConfig, {"backbone": "resnet-50"}),
    "retinanet-r101": (RetinaNetConfig, {"backbone": "resnet-101"}),
    "retinanet-r152": (RetinaNetConfig, {"backbone": "resnet-152"}),
    "retinanet-csp-53": (RetinaNetConfig, {"backbone": "csp-darknet-53", "frozen_norm": False}),
    "retinanet-csp-tiny": (
        RetinaNetConfig,
        {
            "backbone": "csp-darknet-tiny",
            "frozen_norm": False,
            "channels": 64,
            "head_norm": "group",
        },
    ),
}

# Fields that a network's builder or its cfg sets, and no user.
_OF_A_CFG = {"variant", "strides", "scales_xy", "new_coords", "cfg_loss", "cfg"}


def kind_of(name: str) -> type[YOLOv4Config | RetinaNetConfig]:
    """Return the settings of a model's family, which tell its `family` and its `usual_loss`.

    A model's name is a key of `ZOO`, or a Darknet cfg file.

    Raises:
        ConfigError: no such model.

    Example:
        >>> kind_of("retinanet-r18").family
        'retinanet'
    """
    if is_cfg(name):
        return YOLOv4Config
    if name not in ZOO:
        near = get_close_matches(name, ZOO, 1)
        raise ConfigError(
            f"no model is called {name!r}; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"there are {', '.join(ZOO)}, and Darknet's .cfg files"
        )
    return ZOO[name][0]


def settings_of(name: str, **options: Any) -> YOLOv4Config | RetinaNetConfig:
    """Return the settings of a model, with options as for `build`, without building it.

    Raises:
        ConfigError: no such model or option.
    """
    kind = kind_of(name)
    known = {field.name for field in fields(kind)} - _OF_A_CFG
    if is_cfg(name):
        known = {"anchors", "masks", "prior"}
    unknown = set(options) - known
    if unknown:
        raise ConfigError(
            f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    if is_cfg(name):
        return config_of(darknet_cfg.read(Path(name)), **options)
    make = from_profile if kind is RetinaNetConfig else kind
    return make(**{**ZOO[name][1], **options})
