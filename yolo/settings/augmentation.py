"""How training pictures are varied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.settings.option import option


@dataclass(frozen=True)
class AugmentConfig:
    """How a training picture is varied; every number is a probability or a range.

    Args:
        mosaic: probability that four pictures are joined into one.
        mixup: probability that a second picture is blended in, half and half.
        special_aug_ratio: share of the epochs, from the first, with mosaic and mixup; the rest
            see whole pictures, as prediction will.
        flip: probability of a mirror image, left to right.
        vertical_flip: probability of a mirror image, top to bottom.
        scale: (smallest, largest) factor on the size that the resize mode would give.
        translate: shift at most this share of the network's picture, each way.
        aspect: the width-to-height ratio varies by at most this share, each way.
        hue: rotation of the hue by at most this share of a full turn, each way.
        saturation: factor in 1 / (1 + s) .. 1 + s.
        value: brightness factor in 1 / (1 + v) .. 1 + v.
        min_box_pixels: a box whose visible part is narrower or lower than this is dropped.
        min_box_visible: a box of whose area a smaller share is still visible is dropped.
    """

    mosaic: float = 0.5
    mixup: float = 0.0
    special_aug_ratio: float = 0.7
    flip: float = 0.5
    vertical_flip: float = 0.0
    scale: tuple[float, float] = (0.6, 1.5)
    translate: float = 0.1
    aspect: float = 0.1
    hue: float = 0.02
    saturation: float = 0.5
    value: float = 0.4
    min_box_pixels: float = 2.0
    min_box_visible: float = 0.2


augmentation_option = partial(option, "augmentation")


@dataclass(frozen=True)
class AugmentationSettings:
    """The fields of `AugmentConfig`, and the size of the network's picture."""

    mosaic: float = augmentation_option(
        AugmentConfig.mosaic, "probability of joining four pictures", within=(0, 1)
    )
    mixup: float = augmentation_option(
        AugmentConfig.mixup, "probability of blending in a second picture", within=(0, 1)
    )
    special_aug_ratio: float = augmentation_option(
        AugmentConfig.special_aug_ratio, "share of the epochs with mosaic and mixup", within=(0, 1)
    )
    flip: float = augmentation_option(
        AugmentConfig.flip, "probability of mirroring left to right", within=(0, 1)
    )
    vertical_flip: float = augmentation_option(
        AugmentConfig.vertical_flip, "probability of mirroring top to bottom", within=(0, 1)
    )
    scale: tuple[float, float] = augmentation_option(
        AugmentConfig.scale, "smallest and largest zoom: 0.6,1.5", metavar="LOW,HIGH"
    )
    translate: float = augmentation_option(
        AugmentConfig.translate, "shift by at most this share of the picture", within=(0, 1)
    )
    aspect: float = augmentation_option(
        AugmentConfig.aspect, "change the aspect ratio by at most this share", within=(0, 0.9)
    )
    hue: float = augmentation_option(
        AugmentConfig.hue, "turn the hue by at most this share of a circle", within=(0, 0.5)
    )
    saturation: float = augmentation_option(
        AugmentConfig.saturation, "vary the saturation by a factor up to 1 + this", within=(0, 10)
    )
    value: float = augmentation_option(
        AugmentConfig.value, "vary the brightness by a factor up to 1 + this", within=(0, 10)
    )
    min_box_pixels: float = augmentation_option(
        AugmentConfig.min_box_pixels,
        "drop boxes of which less than this is visible, in pixels each way",
        within=(0, 1e4),
    )
    min_box_visible: float = augmentation_option(
        AugmentConfig.min_box_visible,
        "drop boxes of whose area a smaller share is visible",
        within=(0, 1),
    )
    multi_scale: bool = augmentation_option(
        False, "change the network's picture size every 10 batches, 0.7 to 1.4 times"
    )
