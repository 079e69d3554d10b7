"""How a run varies its pictures; what the words mean stands at `AugmentConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from yolo.settings.augmentation import AugmentConfig
from yolo.training.settings.option import option

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
