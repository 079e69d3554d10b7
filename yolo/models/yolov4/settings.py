"""YOLOv4's settings, and those of its loss: each field with its default, range and help."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from yolo.errors import ConfigError
from yolo.models.darknet_cfg.cfg import Cfg, from_text
from yolo.models.option import check, option, shapes
from yolo.models.thresholds import Thresholds
from yolo.system.reading import shortened

# darknet/cfg/yolov4.cfg and yolov4-tiny.cfg: (width, height), not rescaled with the picture.
YOLOV4_ANCHORS = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip

YOLOV4_TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))

LARGEST_STRIDE = 256

YOLOV4_MASKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))  # strides 8, 16, 32

# Strides 16, 32. Darknet's COCO weights belong to "coco", where anchor 0 is unused and anchor 3
# stands twice; for one's own data Darknet's author recommends "custom" (darknet pull 6144).
TINY_MASKS = {"custom": ((0, 1, 2), (3, 4, 5)), "coco": ((1, 2, 3), (3, 4, 5))}

# Strides and Darknet's scale_x_y of the networks that are written by hand.
HEADS = {
    "yolov4": ((8, 16, 32), (1.2, 1.1, 1.05)),
    "yolov4-tiny": ((16, 32), (1.05, 1.05)),
}


@dataclass(frozen=True)
class YOLOv4Config:
    """What defines a YOLOv4 network besides its classes; saved inside every model.

    Raises:
        ConfigError: a value that no network can be built from.
    """

    family: ClassVar[str] = "yolov4"
    usual_loss: ClassVar[str] = "cross-entropy"
    # Those of darknet's `detector test`, and of its `map`.
    thresholds: ClassVar[Thresholds] = Thresholds(score_threshold=0.25, iou_threshold=0.45)

    variant: str = option(
        "yolov4",
        "which network; darknet: the one that a cfg file describes",
        choices=(*HEADS, "darknet"),
    )
    anchors: tuple[tuple[float, float], ...] = option(
        YOLOV4_ANCHORS, "(width, height) in pixels of the network's picture"
    )
    masks: tuple[tuple[int, ...], ...] = option(
        YOLOV4_MASKS,
        "for each stride, finest first, the indices of the anchors that it predicts; for "
        "yolov4-tiny also custom or coco",
    )
    attention: str = option(
        "none",
        "attention in yolov4-tiny (the tutorial's phi 0 to 4)",
        choices=("none", "se", "cbam", "eca", "ca"),
    )
    prior: float = option(0.01, "objectness that a fresh head starts from", above=0, below=1)
    strides: tuple[int, ...] = option(
        (), "pixels between the cells of each map; those of the variant if empty"
    )
    scales_xy: tuple[float, ...] = option(
        (),
        "Darknet's scale_x_y of each map, how far a centre may leave its cell; those of the "
        "variant if empty",
    )
    new_coords: bool = option(
        False, "sizes are (2 sigmoid(t))^2 times the anchor instead of exp(t) times"
    )
    cfg_loss: tuple[tuple[str, Any], ...] = option(
        (), "what a cfg says of the loss, pairs of a name and its value: see `scaled`"
    )
    cfg: str = option("", "text of the cfg file that a darknet is built from")

    def __post_init__(self) -> None:
        check(self)
        masks = self._named_masks() if isinstance(self.masks, str) else self.masks
        object.__setattr__(self, "anchors", shapes(self.anchors))
        try:
            self._set_heads(tuple(tuple(int(i) for i in mask) for mask in masks))
        except (TypeError, ValueError):
            raise ConfigError(
                "masks are the indices of each stride's anchors, as [[0, 1, 2], [3, 4, 5]]; "
                f"received {shortened(masks)}"
            ) from None
        if self.attention != "none" and self.variant != "yolov4-tiny":
            raise ConfigError(
                f"attention belongs to yolov4-tiny; leave it at 'none' for {self.variant}"
            )
        given = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in dict(self.cfg_loss).items()
        }
        YOLOv4Loss(**scaled("cross-entropy", given))  # or it is refused there
        object.__setattr__(self, "cfg_loss", tuple(given.items()))
        used = [index for mask in self.masks for index in mask]
        if any(not mask for mask in self.masks) or not 0 <= min(used) <= max(used) < len(
            self.anchors
        ):
            raise ConfigError(
                f"masks name anchors by index 0..{len(self.anchors) - 1}, at least one a stride; "
                f"received {self.masks}"
            )

        if self.cfg and self.variant != "darknet":
            raise ConfigError("a cfg's text belongs to the variant darknet")
        if self.darknet and (self.strides, self.new_coords) != (
            self.darknet.strides,
            self.darknet.of_heads("new_coords")[0],
        ):
            raise ConfigError("strides and new_coords are those of the cfg")

    @functools.cached_property
    def darknet(self) -> Cfg | None:
        """The cfg that the network is built from, None for those that are written by hand."""
        return from_text(self.cfg, "its cfg") if self.cfg else None

    def _named_masks(self) -> tuple[tuple[int, ...], ...]:
        name: Any = self.masks
        if self.variant != "yolov4-tiny" or name not in TINY_MASKS:
            raise ConfigError(
                f"masks by name are {', '.join(sorted(TINY_MASKS))}, for yolov4-tiny; "
                f"received {name!r} for {self.variant}"
            )
        return TINY_MASKS[name]

    def _set_heads(self, masks: tuple[tuple[int, ...], ...]) -> None:
        """Bring strides, masks and scales into one order, finest stride first."""
        usual, usual_scales = HEADS.get(self.variant, ((), ()))
        strides = tuple(int(stride) for stride in self.strides) or usual
        scales = tuple(float(scale) for scale in self.scales_xy)
        scales = scales or usual_scales or (1.0,) * len(strides)
        if usual and sorted(strides) != sorted(usual):
            raise ConfigError(f"{self.variant} has the strides {usual}; received {strides}")
        if not strides or len(set(strides)) < len(strides) or not 0 < min(strides) <= max(
            strides
        ) <= LARGEST_STRIDE:  # fmt: skip
            raise ConfigError(
                f"strides are different numbers from 1 to {LARGEST_STRIDE}; received {strides}"
            )
        if not len(masks) == len(scales) == len(strides):
            raise ConfigError(
                f"{self.variant} has the strides {strides} and needs a mask for each, and a scale; "
                f"received {masks} and {scales}"
            )
        if not all(1 <= scale <= 4 for scale in scales):
            raise ConfigError(f"scales_xy lie in 1 to 4; received {scales}")
        heads = sorted(zip(strides, masks, scales, strict=True))
        for name, values in zip(("strides", "masks", "scales_xy"), zip(*heads, strict=True),
                                strict=True):  # fmt: skip
            object.__setattr__(self, name, values)

    def mask(self, stride: int) -> tuple[int, ...]:
        """Return the indices of the anchors that the map of `stride` predicts."""
        return self.masks[self.strides.index(stride)]

    def anchor_shapes(self) -> tuple[Sequence[tuple[float, float]], tuple[tuple[int, ...], ...]]:
        """Return all (width, height), and for each stride the indices of its own."""
        return self.anchors, self.masks

    def least_parameters(self, num_classes: int) -> int:
        """Return how many the network has at least.

        What a cfg describes is counted; else each output of the last convolutions has 128 channels.
        """
        if self.darknet:
            return sum(self.darknet.floats(self.masks, num_classes))
        return 128 * num_classes * sum(len(mask) for mask in self.masks)


@dataclass(frozen=True)
class YOLOv4Loss:
    """How the parts of a YOLOv4 loss are weighed.

    `confidence_weight`, `confidence_normalizer` and `balance` default to what suits
    cross-entropy; see `LOSS_SCALINGS`.

    Raises:
        ConfigError: a value that no loss can have.
    """

    iou: str = option(
        "ciou",
        "location loss: 1 - this similarity; mse: squared errors of centre and size, as in YOLOv3",
        choices=("ciou", "siou", "diou", "giou", "iou", "mse"),
    )
    positive_iou: float = option(
        0.213,
        "anchors whose shape IoU exceeds this are positive besides the best; 1: the best only",
        within=(0, 1),
    )
    ignore_iou: float = option(
        0.5, "background anchors overlapping an object more than this are left out", within=(0, 1)
    )
    label_smoothing: float = option(
        0.0, "class targets y become y * (1 - this) + this / 2", within=(0, 1)
    )
    location_weight: float = option(1.0, "factor on the location loss", within=(0, 1e6))
    confidence_weight: float = option(20.0, "factor on the confidence loss", within=(0, 1e6))
    class_weight: float = option(0.5, "factor on the class loss", within=(0, 1e6))
    confidence_normalizer: str = option(
        "all",
        "what the confidence loss is divided by: the positives, or all anchors that count",
        choices=("positives", "all"),
    )
    balance: tuple[float, ...] = option(
        (1.0, 1.0, 1.0), "factor on each level's confidence loss, finest stride first"
    )
    per_level: bool = option(
        False, "divide each level by its own counts instead of by those of the whole batch"
    )
    by_area: bool = option(
        False, "let the confidence weight grow with the picture's area, 1 at 416 x 416"
    )

    class_focal: bool = option(
        False, "turn easy objects down in the class loss, as Darknet's focal_loss=1 does"
    )
    class_factors: tuple[float, ...] = option(
        (), "factor on the losses of each class's objects, where rare ones shall count more"
    )

    def __post_init__(self) -> None:
        for name in ("balance", "class_factors"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)
        check(self)


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
    "focal": {"confidence_weight": 4.0, "confidence_normalizer": "positives"},
    "mining": {"confidence_weight": 1.0},
    "tutorial": _TUTORIAL,
    "tutorial-focal": {**_TUTORIAL, "confidence_weight": 50.0},
}

# Weights of a cfg are factors on those of the scaling; all else that it says replaces them.
_FACTORS = ("location_weight", "confidence_weight", "class_weight")


def scaled(
    scaling: str, given: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()
) -> dict[str, Any]:
    """Return the fields of a `YOLOv4Loss` that a key of `LOSS_SCALINGS` and a cfg decide.

    What the cfg says is that of `cfg_words.loss_options`; its weights are factors.

    Raises:
        ConfigError: it names what no `YOLOv4Loss` has.

    Example:
        >>> scaled("focal", {"confidence_weight": 0.5, "iou": "giou"})
        {'confidence_weight': 2.0, 'confidence_normalizer': 'positives', 'iou': 'giou'}
    """
    found = dict(LOSS_SCALINGS[scaling])
    known = {field_.name for field_ in fields(YOLOv4Loss)}
    for name, value in dict(given).items():
        if name not in known:
            raise ConfigError(f"cfg_loss: the loss has no {name}")
        if name in _FACTORS:
            value = value * found.get(name, getattr(YOLOv4Loss, name))
        found[name] = value
    return found
