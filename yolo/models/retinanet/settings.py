"""RetinaNet's settings, and the profiles: the choices on which implementations differ."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from yolo.errors import ConfigError
from yolo.models.thresholds import Thresholds

RESNETS = ("resnet-18", "resnet-34", "resnet-50", "resnet-101", "resnet-152")
DARKNETS = ("csp-darknet-53", "csp-darknet-tiny")
HEAD_NORMS = ("none", "group")
BOX_LOSSES = ("smooth_l1", "l1", "giou")
MATCHERS = ("iou", "atss")
# log(1000 / 16): a box at most 62.5 times as wide as its anchor (Detectron's BBOX_XFORM_CLIP).
MAX_LOG_SCALE = 4.135166556742356


@dataclass(frozen=True)
class RetinaNetConfig:
    """What defines a RetinaNet besides its classes; saved inside every model.

    Args:
        backbone: one of `RESNETS` or `DARKNETS`, or the name of a `keras.applications` model.
        profile: key of `PROFILES` that the other settings and the loss were taken from.
        anchor_sizes: sides in pixels of a square anchor on P3 to P7, before scaling.
        anchor_scales: factors on these sizes.
        anchor_ratios: height over width.
        anchor_offset: place of an anchor's centre between one cell corner and the next, 0..1.
        rounded_anchors: sizes cut to whole pixels, corners rounded, and the stride taken as
            picture side // cells, as torchvision does.
        anchor_order: in a cell, "ratio-major" (all scales of a ratio together) or "scale-major".
        anchors: (width, height) in pixels, the same number for each of P3 to P7, finest first:
            instead of those that follow from sizes, scales and ratios; empty for these.
        p6_from: "c5" or "p5", the map that P6 is made from.
        channels: of the feature pyramid and of the subnets; fewer than the paper's 256 for small
            machines, a multiple of 32.
        head_norm: "none" or "group", group norm with 32 groups in the subnets.
        box_coding: "centre" (offsets of the centre over the anchor's size and logarithms of the
            size's ratio) or "corner" (offsets of the corners over the anchor's size).
        box_std: the coded numbers are divided by this.
        max_log_scale: limit on the decoded logarithm, for "centre".
        preprocessing: of the pictures of a ResNet: "torch" (RGB / 255, less mean, by deviation),
            "caffe" (BGR less mean) or "detectron2" (the same with its means). Other backbones
            have their own.
        stride_in_1x1: whether a ResNet's bottleneck steps in its first 1x1 convolution, as in
            the original model, or in its 3x3, as torchvision does.
        norm_epsilon: added to the variance in a ResNet's batch norm.
        frozen_norm: whether the backbone's batch norm stays as loaded.
        frozen_stages: backbone layers at strides up to 2 to this power never train; 0 for none.
        prior: probability that a fresh class head gives every anchor and class.
        normalizer: what the losses' sums over anchors are divided by: "batch" (positives of the
            batch, at least 1), "picture" (each picture by its own positives, then the mean over
            pictures) or "average" (running mean of the batch's positives, 0.9 of the old, from
            100; the model keeps it).
        candidates: most anchors per level that decoding looks at.

    Raises:
        ConfigError: a value that no network can be built from.
    """

    # Lin et al. (2017), section 4.1, "Inference", but for the score to show.
    thresholds: ClassVar[Thresholds] = Thresholds(score_threshold=0.25, iou_threshold=0.5)

    backbone: str = "resnet-50"
    profile: str = "paper"
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    anchor_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_offset: float = 0.5
    rounded_anchors: bool = False
    anchor_order: str = "ratio-major"
    anchors: tuple[tuple[float, float], ...] = ()
    p6_from: str = "c5"
    channels: int = 256
    head_norm: str = "none"
    box_coding: str = "centre"
    box_std: float = 1.0
    max_log_scale: float = MAX_LOG_SCALE
    preprocessing: str = "torch"
    stride_in_1x1: bool = True
    norm_epsilon: float = 1e-5
    frozen_norm: bool = True
    frozen_stages: int = 0
    prior: float = 0.01
    normalizer: str = "batch"
    candidates: int = 1000

    def __post_init__(self) -> None:
        for name in ("anchor_sizes", "anchor_scales", "anchor_ratios"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)
            if not values or min(values) <= 0:
                raise ConfigError(f"{name} holds numbers above 0; received {values}")
        if len(self.anchor_sizes) != len(self.strides):
            raise ConfigError(
                f"anchor_sizes has one side for each of P3 to P7; received {self.anchor_sizes}"
            )
        object.__setattr__(self, "anchors", tuple((float(w), float(h)) for w, h in self.anchors))
        uneven = len(self.anchors) % len(self.strides)
        if uneven or not all(min(pair) > 0 for pair in self.anchors):
            raise ConfigError(
                "anchors of a RetinaNet are pairs above 0, equally many for each of P3 to P7; "
                f"received {len(self.anchors)}"
            )
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}"
                )
        if not (self.channels > 0 and self.channels % 32 == 0):
            raise ConfigError(f"channels is a multiple of 32, not {self.channels}")
        if not 0 < self.prior < 1:
            raise ConfigError(f"prior is a probability between 0 and 1, not {self.prior}")
        if not 0 <= self.frozen_stages <= 5:
            raise ConfigError(f"frozen_stages lies in 0 to 5, not {self.frozen_stages}")

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


@dataclass(frozen=True)
class RetinaNetLoss:
    """How RetinaNet's anchors are matched and its two losses weighed.

    Args:
        box_loss: "smooth_l1", "l1" or "giou".
        beta: where smooth L1 turns from square to line, in coded units.
        location_weight: factor on the location loss.
        class_weight: factor on the class loss.
        matcher: "iou", or "atss" (a threshold for each object, from its nearest anchors).
        foreground_iou: an anchor that overlaps an object this much is a positive.
        background_iou: one that overlaps every object less than this is a negative; those
            between are ignored.
        force_match: give every object its best anchors however little they overlap it.

    Raises:
        ConfigError: an unknown name, or thresholds in the wrong order.
    """

    box_loss: str = "smooth_l1"
    beta: float = 1 / 9
    location_weight: float = 1.0
    class_weight: float = 1.0
    matcher: str = "iou"
    foreground_iou: float = 0.5
    background_iou: float = 0.4
    force_match: bool = False

    def __post_init__(self) -> None:
        for name, known in _LOSS_CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}"
                )
        if not 0 <= self.background_iou <= self.foreground_iou <= 1:
            raise ConfigError(
                "0 <= background_iou <= foreground_iou <= 1 must hold; received "
                f"{self.background_iou} and {self.foreground_iou}"
            )
        if self.box_loss == "smooth_l1" and not self.beta > 0:
            raise ConfigError(f"beta lies above 0, not {self.beta}; box_loss 'l1' is its limit")


_CHOICES = {
    "anchor_order": ("ratio-major", "scale-major"),
    "p6_from": ("c5", "p5"),
    "head_norm": HEAD_NORMS,
    "box_coding": ("centre", "corner"),
    "preprocessing": ("torch", "caffe", "detectron2"),
    "normalizer": ("batch", "picture", "average"),
}
_LOSS_CHOICES = {"box_loss": BOX_LOSSES, "matcher": MATCHERS}


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
    "stride_in_1x1": False,
    "normalizer": "picture",
}
# torchvision 0.28 (models/detection/retinanet.py, anchor_utils.py, _utils.py), detectron2 0.6
# (modeling/meta_arch/retinanet.py, config/defaults.py, configs/Base-RetinaNet.yaml) and fizyr's
# keras-retinanet 1.0.0 (utils/anchors.py, losses.py, layers/_misc.py). The paper leaves centres
# and order open; they are fizyr's.
PROFILES = {
    "paper": Profile({}, {}),
    "torchvision-v1": Profile(
        _TORCHVISION | {"p6_from": "p5"},
        {"box_loss": "l1", "force_match": True},
    ),
    "torchvision-v2": Profile(
        _TORCHVISION | {"head_norm": "group", "frozen_norm": False},
        {"box_loss": "giou", "force_match": True},
    ),
    "detectron2": Profile(
        {
            "anchor_offset": 0.0,
            "anchor_order": "scale-major",
            "preprocessing": "detectron2",
            "normalizer": "average",
        },
        {"box_loss": "l1", "force_match": True},
    ),
    "fizyr": Profile(
        {"box_coding": "corner", "box_std": 0.2, "preprocessing": "caffe"},
        {},
    ),
}


def from_profile(name: str, **options: Any) -> RetinaNetConfig:
    """Return the network's settings of a profile.

    Args:
        name: key of `PROFILES`.
        **options: fields of `RetinaNetConfig` to change.

    Raises:
        ConfigError: no such profile or field.

    Example:
        >>> from_profile("torchvision-v1").p6_from
        'p5'
    """
    if name not in PROFILES:
        raise ConfigError(f"profile is one of {', '.join(PROFILES)}, not {name!r}")
    unknown = set(options) - {field.name for field in fields(RetinaNetConfig)}
    if unknown:
        raise ConfigError(f"RetinaNet has no setting {', '.join(sorted(unknown))}")
    return RetinaNetConfig(**{**PROFILES[name].network, **options, "profile": name})
