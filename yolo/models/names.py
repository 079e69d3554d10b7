"""The models by name, and their settings."""

from __future__ import annotations

import dataclasses
from difflib import get_close_matches
from typing import Any

from yolo.errors import ConfigError
from yolo.models.retinanet import settings as profiles
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.settings import (
    TINY_MASKS,
    YOLOV4_ANCHORS,
    YOLOV4_MASKS,
    YOLOV4_TINY_ANCHORS,
    YOLOv4Config,
)

# What each name builds: a whole YOLOv4, or a RetinaNet's settings beside those of its profile.
# Darknet's backbones are fine-tuned norm and all, as in YOLOv4.
ZOO: dict[str, YOLOv4Config | dict[str, Any]] = {
    "yolov4": YOLOv4Config("yolov4", YOLOV4_ANCHORS, YOLOV4_MASKS),
    "yolov4-tiny": YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"]),
    "retinanet": {},
    "retinanet-r18": {"backbone": "resnet-18"},
    "retinanet-r34": {"backbone": "resnet-34"},
    "retinanet-r50": {"backbone": "resnet-50"},
    "retinanet-r101": {"backbone": "resnet-101"},
    "retinanet-r152": {"backbone": "resnet-152"},
    "retinanet-csp-53": {"backbone": "csp-darknet-53", "frozen_norm": False},
    "retinanet-csp-tiny": {"backbone": "csp-darknet-tiny", "frozen_norm": False},
}


def settings_of(name: str, **options: Any) -> YOLOv4Config | RetinaNetConfig:
    """Return the settings of a model without building it.

    Args:
        name: a key of `ZOO`.
        **options: as for `build`.

    Raises:
        ConfigError: no such model or option.
    """
    if name not in ZOO:
        near = get_close_matches(name, ZOO, 1)
        raise ConfigError(
            f"no model is called {name!r}; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"there are {', '.join(ZOO)}"
        )
    settings = ZOO[name]
    kind = RetinaNetConfig if isinstance(settings, dict) else YOLOv4Config
    known = {field.name for field in dataclasses.fields(kind)} - {"variant"}
    unknown = set(options) - known
    if unknown:
        raise ConfigError(
            f"{name} has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    if isinstance(settings, dict):
        profile = options.pop("profile", "paper")
        return profiles.from_profile(profile, **{**settings, **options})
    return dataclasses.replace(settings, **_named_masks(name, options))


def _named_masks(name: str, options: dict) -> dict:
    """Return the options with masks given by name looked up."""
    masks = options.get("masks")
    if not isinstance(masks, str):
        return options
    if name != "yolov4-tiny" or masks not in TINY_MASKS:
        raise ConfigError(
            f"masks by name are {', '.join(sorted(TINY_MASKS))}, for yolov4-tiny; "
            f"received {masks!r} for {name}"
        )
    return {**options, "masks": TINY_MASKS[masks]}
