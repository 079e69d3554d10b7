"""Every setting and its default, in one place, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from yolo.errors import ConfigError
from yolo.models.thresholds import Thresholds

# darknet/cfg/yolov4.cfg and yolov4-tiny.cfg: (width, height), not rescaled with the picture.
YOLOV4_ANCHORS = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip


YOLOV4_TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))


YOLOV4_MASKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))  # strides 8, 16, 32


# Strides 16, 32. Darknet's COCO weights belong to "coco", where anchor 0 is unused and anchor 3
# stands twice; for one's own data Darknet's author recommends "custom" (darknet pull 6144).
TINY_MASKS = {"custom": ((0, 1, 2), (3, 4, 5)), "coco": ((1, 2, 3), (3, 4, 5))}


@dataclass(frozen=True)
class YOLOv4Config:
    """What defines a YOLOv4 network besides its classes; saved inside every model.

    Args:
        variant: "yolov4" or "yolov4-tiny".
        anchors: (width, height) in pixels of the network's picture.
        masks: for each stride, finest first, the indices of the anchors that it predicts.
        attention: tiny only: "none", "se", "cbam", "eca" or "ca" (the tutorial's phi 0 to 4).
        prior: objectness that a fresh head starts from, in 0..1.

    Raises:
        ConfigError: a value that no network can be built from.
    """

    # Those of darknet's `detector test`, and of its `map`.
    thresholds: ClassVar[Thresholds] = Thresholds(score_threshold=0.25, iou_threshold=0.45)

    variant: str = "yolov4"
    anchors: tuple[tuple[float, float], ...] = YOLOV4_ANCHORS
    masks: tuple[tuple[int, ...], ...] = YOLOV4_MASKS
    attention: str = "none"
    prior: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchors", tuple((float(w), float(h)) for w, h in self.anchors))
        object.__setattr__(self, "masks", tuple(tuple(int(i) for i in m) for m in self.masks))
        if self.variant not in _STRIDES:
            raise ConfigError(f"variant is one of {sorted(_STRIDES)}, not {self.variant!r}")
        if self.attention not in ATTENTIONS:
            raise ConfigError(f"attention is one of {ATTENTIONS}, not {self.attention!r}")
        if self.attention != "none" and self.variant != "yolov4-tiny":
            raise ConfigError("attention belongs to yolov4-tiny; leave it at 'none' for yolov4")
        if not 0 < self.prior < 1:
            raise ConfigError(f"prior is a probability between 0 and 1, not {self.prior}")
        if len(self.masks) != len(self.strides):
            raise ConfigError(
                f"{self.variant} has the strides {self.strides} and needs a mask for each; "
                f"received {self.masks}"
            )
        used = [index for mask in self.masks for index in mask]
        if any(not mask for mask in self.masks) or not 0 <= min(used) <= max(used) < len(
            self.anchors
        ):
            raise ConfigError(
                f"masks name anchors by index 0..{len(self.anchors) - 1}, at least one a stride; "
                f"received {self.masks}"
            )

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the cells of each map, finest first."""
        return _STRIDES[self.variant]

    @property
    def scales_xy(self) -> tuple[float, ...]:
        """Darknet's scale_x_y of each map: how far a centre may leave its cell."""
        return {"yolov4": (1.2, 1.1, 1.05), "yolov4-tiny": (1.05, 1.05)}[self.variant]

    def mask(self, stride: int) -> tuple[int, ...]:
        """Return the indices of the anchors that the map of `stride` predicts."""
        return self.masks[self.strides.index(stride)]


_STRIDES = {"yolov4": (8, 16, 32), "yolov4-tiny": (16, 32)}
ATTENTIONS = ("none", "se", "cbam", "eca", "ca")


@dataclass(frozen=True)
class LossSettings:
    """How the parts of a YOLOv4 loss are weighed.

    `confidence_weight`, `confidence_normalizer` and `balance` default to what suits the
    confidence loss at hand; see `LOSS_SCALINGS`.

    Args:
        iou: similarity behind the location loss: "ciou", "iou", "giou", "diou" or "siou".
        positive_iou: besides the best anchor, every anchor whose shape IoU with the object is
            above this is a positive; 1 leaves the best one only.
        ignore_iou: a negative whose decoded box overlaps any ground truth more is left out.
        label_smoothing: class targets become y * (1 - e) + e / 2.
        location_weight: factor on the location loss.
        confidence_weight: factor on the confidence loss.
        class_weight: factor on the class loss.
        confidence_normalizer: the confidence sum is divided by the number of "positives", or
            of "all" positives and not-ignored negatives.
        balance: factor on each level's confidence loss, finest stride first.
        per_level: every level is divided by its own counts instead of by those of the whole
            batch.
        by_area: the confidence weight grows with the picture's area, 1 at 416 x 416.
    """

    iou: str = "ciou"
    positive_iou: float = 0.213
    ignore_iou: float = 0.5
    label_smoothing: float = 0.0
    location_weight: float = 1.0
    confidence_weight: float = 20.0
    class_weight: float = 0.5
    confidence_normalizer: str = "all"
    balance: tuple[float, ...] = (1.0, 1.0, 1.0)
    per_level: bool = False
    by_area: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "balance", tuple(float(value) for value in self.balance))
        if self.confidence_normalizer not in ("positives", "all"):
            raise ConfigError(
                f"confidence_normalizer is 'positives' or 'all', not {self.confidence_normalizer!r}"
            )


# Named sets of weights. "cross-entropy" divides by all anchors, so that the many easy ones do
# not drown the rest; with focal loss they weigh nothing, and dividing by the positives is right
# (Lin et al. 2017, section 4). "mining" divides by the anchors that were kept. The last two are
# those of bubbliiiing's yolov4-tf2 without and with its focal option.
_TUTORIAL: dict[str, Any] = {
    "positive_iou": 1.0,
    "location_weight": 0.05,
    "confidence_weight": 5.0,
    "class_weight": 1 / 80,
    "balance": (4.0, 1.0, 0.4),
    "per_level": True,
    "by_area": True,
}
LOSS_SCALINGS: dict[str, dict[str, Any]] = {
    "cross-entropy": {},
    "focal": {
        "confidence_weight": 4.0,
        "confidence_normalizer": "positives",
    },
    "mining": {"confidence_weight": 1.0},
    "tutorial": _TUTORIAL,
    "tutorial-focal": {**_TUTORIAL, "confidence_weight": 50.0},
}
