"""RetinaNet's settings, and those of its loss: each field with its default, range and help.

And the profiles: the choices on which implementations differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from yolo.errors import ConfigError
from yolo.models.option import check, option, shapes
from yolo.models.thresholds import Thresholds

RESNETS = ("resnet-18", "resnet-34", "resnet-50", "resnet-101", "resnet-152")
DARKNETS = ("csp-darknet-53", "csp-darknet-tiny")
# log(1000 / 16): a box at most 62.5 times as wide as its anchor (Detectron's BBOX_XFORM_CLIP).
MAX_LOG_SCALE = 4.135166556742356


class Profile(NamedTuple):
    """One implementation's choices, as far as they differ from the paper's.

    Attributes:
        network: fields of `RetinaNetConfig`.
        loss: fields of `RetinaNetLoss`.
    """

    network: dict
    loss: dict


_TORCHVISION = {
    "anchor_offset": 0.0,
    "rounded_anchors": True,
    "normalizer": "picture",
}
# torchvision 0.28 (models/detection/retinanet.py, anchor_utils.py, _utils.py). The paper leaves
# centres and order of anchors open; they are keras-retinanet's. All have torchvision's ResNet: of
# no other program are its weights read.
PROFILES = {
    "paper": Profile({}, {}),
    "torchvision-v1": Profile(
        _TORCHVISION | {"p6_from": "p5"}, {"box_loss": "l1", "force_match": True}
    ),
    "torchvision-v2": Profile(
        _TORCHVISION | {"head_norm": "group", "frozen_norm": False},
        {"box_loss": "giou", "force_match": True},
    ),
}


@dataclass(frozen=True)
class RetinaNetConfig:
    """What defines a RetinaNet besides its classes; saved inside every model.

    Raises:
        ConfigError: a value that no network can be built from.
    """

    family: ClassVar[str] = "retinanet"
    usual_loss: ClassVar[str] = "focal"
    # Lin et al. (2017), section 4.1, "Inference", but for the score to show.
    thresholds: ClassVar[Thresholds] = Thresholds(score_threshold=0.25, iou_threshold=0.5)

    backbone: str = option(
        "resnet-50",
        "a ResNet (resnet-18 to resnet-152), csp-darknet-53, csp-darknet-tiny or any network "
        "of keras.applications, e.g. mobilenet_v2",
        metavar="NAME",
    )
    profile: str = option(
        "paper", "whose choices to follow where implementations differ", choices=tuple(PROFILES)
    )
    anchor_sizes: tuple[float, ...] = option(
        (32.0, 64.0, 128.0, 256.0, 512.0),
        "sides in pixels of a square anchor on P3 to P7, before scaling",
    )
    anchor_scales: tuple[float, ...] = option(
        (1.0, 2 ** (1 / 3), 2 ** (2 / 3)), "factors on these sizes"
    )
    anchor_ratios: tuple[float, ...] = option((0.5, 1.0, 2.0), "height over width")
    anchor_offset: float = option(
        0.5, "place of an anchor's centre between one cell corner and the next, 0 to 1"
    )
    rounded_anchors: bool = option(
        False,
        "cut sizes to whole pixels, round corners, and take the stride as picture side // cells, "
        "as torchvision does",
    )
    anchors: tuple[tuple[float, float], ...] = option(
        (),
        "(width, height) in pixels, as many for each of P3 to P7, finest first, instead of those "
        "that follow from sizes, scales and ratios; empty for these",
    )
    p6_from: str = option("c5", "the map that P6 is made from", choices=("c5", "p5"))
    channels: int = option(
        256,
        "of the feature pyramid and the subnets, a multiple of 32; 64 trains several times as "
        "fast on a small machine",
        within=(32, 1024),
        step=32,
    )
    head_norm: str = option(
        "none",
        "group: group norm in the subnets, which learn sooner with it",
        choices=("none", "group"),
    )
    max_log_scale: float = option(MAX_LOG_SCALE, "limit on the decoded logarithm")
    norm_epsilon: float = option(1e-5, "added to the variance in a ResNet's batch norm")
    frozen_norm: bool = option(True, "keep the backbone's batch norm as loaded")
    frozen_stages: int = option(
        0, "backbone layers at strides up to 2 to this power never train; 2 is usual", within=(0, 5)
    )
    prior: float = option(
        0.01, "probability that a fresh head gives every anchor and class", above=0, below=1
    )
    normalizer: str = option(
        "batch",
        "what the losses' sums over anchors are divided by: the positives of the batch, at least "
        "1; each picture's by its own, then the mean over pictures; or a running mean of the "
        "batch's, 0.9 of the old, from 100, which the model keeps",
        choices=("batch", "picture", "average"),
    )
    candidates: int = option(1000, "most anchors per level that decoding looks at")

    def __post_init__(self) -> None:
        check(self)
        for name in ("anchor_sizes", "anchor_scales", "anchor_ratios"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)
            if not values or min(values) <= 0:
                raise ConfigError(f"{name} holds numbers above 0; received {values}")
        if len(self.anchor_sizes) != len(self.strides):
            raise ConfigError(
                f"anchor_sizes has one side for each of P3 to P7; received {self.anchor_sizes}"
            )
        object.__setattr__(self, "anchors", shapes(self.anchors))
        if len(self.anchors) % len(self.strides):
            raise ConfigError(
                "anchors of a RetinaNet are equally many for each of P3 to P7; "
                f"received {len(self.anchors)}"
            )

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the cells of P3 to P7."""
        return (8, 16, 32, 64, 128)

    @property
    def anchors_per_cell(self) -> int:
        """Anchors that stand in one cell of a level."""
        if self.anchors:
            return len(self.anchors) // len(self.strides)
        return len(self.anchor_scales) * len(self.anchor_ratios)

    def anchor_shapes(self) -> tuple[Sequence[tuple[float, float]], tuple[tuple[int, ...], ...]]:
        """Return all (width, height), and for each stride the indices of its own."""
        shapes = self.anchors or [
            (math.sqrt((size * scale) ** 2 / ratio), math.sqrt((size * scale) ** 2 * ratio))
            for size in self.anchor_sizes
            for scale in self.anchor_scales
            for ratio in self.anchor_ratios
        ]
        count = self.anchors_per_cell
        return shapes, tuple(
            tuple(range(first, first + count)) for first in range(0, len(shapes), count)
        )

    def least_parameters(self, num_classes: int) -> int:
        """Return how many the heads have at least; subnets grow with their channels' square."""
        return 128 * num_classes * self.anchors_per_cell + 9 * self.channels**2


@dataclass(frozen=True)
class RetinaNetLoss:
    """How RetinaNet's anchors are matched and its two losses weighed.

    Raises:
        ConfigError: a value that no loss can have, or thresholds in the wrong order.
    """

    box_loss: str = option("smooth_l1", "location loss", choices=("smooth_l1", "l1", "giou"))
    beta: float = option(1 / 9, "where smooth L1 turns from square to line, in coded units")
    location_weight: float = option(1.0, "factor on the location loss", within=(0, 1e6))
    class_weight: float = option(1.0, "factor on the class loss", within=(0, 1e6))
    matcher: str = option(
        "iou", "anchors become positive by a fixed overlap or by ATSS", choices=("iou", "atss")
    )
    foreground_iou: float = option(0.5, "an anchor that overlaps an object this much is positive")
    background_iou: float = option(
        0.4, "one that overlaps every object less is negative; those between are ignored"
    )
    force_match: bool = option(
        False, "give every object its best anchors however little they overlap it"
    )

    def __post_init__(self) -> None:
        check(self)
        if not 0 <= self.background_iou <= self.foreground_iou <= 1:
            raise ConfigError(
                "0 <= background_iou <= foreground_iou <= 1 must hold; received "
                f"{self.background_iou} and {self.foreground_iou}"
            )
        if self.box_loss == "smooth_l1" and not self.beta > 0:
            raise ConfigError(f"beta lies above 0, not {self.beta}; box_loss 'l1' is its limit")


def from_profile(profile: str = "paper", **options: Any) -> RetinaNetConfig:
    """Return the network's settings of a profile, with other fields of `RetinaNetConfig` changed.

    Raises:
        ConfigError: no such profile, or a value that no network can be built from.

    Example:
        >>> from_profile("torchvision-v1").p6_from
        'p5'
    """
    usual = PROFILES[profile].network if profile in PROFILES else {}
    return RetinaNetConfig(**{**usual, **options, "profile": profile})
