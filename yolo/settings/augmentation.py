"""How training pictures are varied."""

from __future__ import annotations

from dataclasses import dataclass


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
