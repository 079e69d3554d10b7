"""How training pictures are varied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from numbers import Real

from yolo.errors import ConfigError
from yolo.models.option import check, option

_option = partial(option, group="augmentation")


@dataclass(frozen=True)
class AugmentConfig:
    """How a training picture is varied; every number is a probability or a range.

    Raises:
        ConfigError: a number outside its range.
    """

    mosaic: float = _option(0.5, "probability of joining four pictures", within=(0, 1))
    mixup: float = _option(0.0, "probability of blending in a second picture", within=(0, 1))
    special_aug_ratio: float = _option(
        0.7, "share of the epochs with mosaic and mixup", within=(0, 1)
    )
    flip: float = _option(0.5, "probability of mirroring left to right", within=(0, 1))
    vertical_flip: float = _option(0.0, "probability of mirroring top to bottom", within=(0, 1))
    scale: tuple[float, float] = _option(
        (0.6, 1.5), "smallest and largest zoom: 0.6,1.5", metavar="LOW,HIGH"
    )
    translate: float = _option(0.1, "shift by at most this share of the picture", within=(0, 1))
    aspect: float = _option(0.1, "change the aspect ratio by at most this share", within=(0, 0.9))
    hue: float = _option(0.02, "turn the hue by at most this share of a circle", within=(0, 0.5))
    saturation: float = _option(
        0.5, "vary the saturation by a factor up to 1 + this", within=(0, 10)
    )
    value: float = _option(0.4, "vary the brightness by a factor up to 1 + this", within=(0, 10))
    min_box_pixels: float = _option(
        2.0, "drop boxes of which less than this is visible, in pixels each way", within=(0, 1e4)
    )
    min_box_visible: float = _option(
        0.2, "drop boxes of whose area a smaller share is visible", within=(0, 1)
    )

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "scale", tuple(self.scale))
        numbers = all(isinstance(factor, Real) for factor in self.scale)
        if len(self.scale) != 2 or not numbers or not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ConfigError(f"scale is LOW,HIGH with 0 < LOW <= HIGH, not {list(self.scale)}")


@dataclass(frozen=True)
class AugmentationSettings(AugmentConfig):
    """The variation of each picture, and that of the size of all."""

    multi_scale: bool = _option(
        False, "change the network's picture size every 10 batches, 0.7 to 1.4 times"
    )
