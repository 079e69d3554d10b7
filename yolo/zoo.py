"""The models by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from yolo import profiles
from yolo.anchors import TINY_MASKS, YOLOV4_ANCHORS, YOLOV4_MASKS, YOLOV4_TINY_ANCHORS
from yolo.config import YOLOv4Config
from yolo.errors import ConfigError
from yolo.profiles import RetinaNetConfig

if TYPE_CHECKING:
    from yolo.detector import Detector

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


def build(
    name: str,
    *,
    classes: Sequence[str],
    image_size: tuple[int, int] | int = (416, 416),
    resize: str = "letterbox",
    **options: Any,
) -> Detector:
    """Build a detector with fresh weights.

    Args:
        name: a key of `ZOO`.
        classes: names, in the order of their ids.
        image_size: (height, width) of the network's picture, multiples of 32, or both in one
            number; for "shorter" the shorter side and the most that the longer one may have, e.g.
            (800, 1333).
        resize: "letterbox", "stretch" or "shorter".
        **options: fields of the model's settings to change. YOLOv4: e.g. `anchors`, `masks` (for
            yolov4-tiny also "custom" or "coco"), `attention`, `prior`. RetinaNet: `profile`
            ("paper", "torchvision-v1", "torchvision-v2", "detectron2", "fizyr") and the fields
            of `RetinaNetConfig`, e.g. `backbone`, `frozen_norm`, `frozen_stages`.

    Returns:
        A `Detector`, not compiled.

    Raises:
        ConfigError: no such model or option.
        ValueError: `classes` are no names, or no such size or resize mode.

    Example:
        >>> model = build("yolov4-tiny", classes=["RBC", "WBC"], image_size=(64, 64))
        >>> model.count_params()
        5882634
    """
    settings = settings_of(name, **options)
    # Here and not above: looking up settings, as the check of a data set does, needs no Keras.
    from yolo.detector import Detector

    return Detector(settings, classes=classes, image_size=image_size, resize=resize)


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
