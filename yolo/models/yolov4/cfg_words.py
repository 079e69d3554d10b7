"""What the words of a cfg's [yolo] sections mean for the loss, and which ones mean nothing here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolo.errors import ConfigError

# Words that say which heads there are: fields of `YOLOv4Config`.
HEAD_WORDS = ("mask", "anchors", "num", "classes", "scale_x_y", "new_coords")
# Words that `loss_options` takes.
LOSS_WORDS = (
    "ignore_thresh", "iou_thresh", "iou_loss", "iou_normalizer", "obj_normalizer",
    "cls_normalizer", "label_smooth_eps", "counters_per_class", "max_delta", "focal_loss",
)  # fmt: skip
# Words that are left out, each with the reason; the reader names those that a cfg holds.
LEFT_OUT = {
    "truth_thresh": "no overlap reaches it in Darknet either",
    "iou_thresh_kind": "anchors are compared by plain IoU",
    "nms_kind": "boxes are suppressed by plain IoU, in every export alike",
    "beta_nms": "boxes are suppressed by plain IoU, in every export alike",
    "objectness_smooth": "a loss with soft targets (QualityFocalLoss) learns the overlap",
    "max_delta": "it limits counters_per_class alone; for gradients see clip_norm",
    "delta_normalizer": "the learning rate does the same",
    "max": "no object is cut off",
    "jitter": "see scale, aspect and translate",
    "random": "see multi_scale",
    "resize": "see scale",
    "track": "tracking is not there",
    "embedding_layer": "tracking is not there",
    "show_details": "messages are others",
}
# The normalisers of yolov4.cfg, and of the squared errors of yolov3.cfg, stand for the usual
# weights of `YOLOv4Loss`; another one changes them in proportion.
_USUAL_NORMALIZER = {"mse": 0.75}
_OTHER_NORMALIZER = 0.07
_KINDS = ("mse", "giou", "diou", "ciou")


def loss_options(words: Mapping[str, str], num_classes: int) -> dict[str, Any]:
    """Return what a [yolo] section says of the loss, with Darknet's defaults where it is silent.

    Args:
        words: the section's keys and values as they are written.
        num_classes: C.

    Returns:
        Fields of a `YOLOv4Loss`, of which the weights are factors on a scaling's: see
        `settings.scaled`.

    Raises:
        ConfigError: a value is no number, or outside its range; the message names the word.

    Reference:
        darknet/src/parser.c, parse_yolo; yolo_layer.c.

    Example:
        >>> found = loss_options({"iou_loss": "ciou", "iou_normalizer": "0.07"}, 2)
        >>> found["iou"], found["location_weight"], found["positive_iou"]
        ('ciou', 1.0, 1.0)
    """

    def number(name: str, default: float, lowest: float = 0.0, highest: float = 1e6) -> float:
        return _number(name, words.get(name, str(default)), lowest, highest)

    kind = words.get("iou_loss", "mse")
    kind = kind if kind in _KINDS else "iou"
    usual = _USUAL_NORMALIZER.get(kind, _OTHER_NORMALIZER)
    found = {
        "iou": kind,
        "ignore_iou": min(number("ignore_thresh", 0.5), 1.0),
        "positive_iou": min(number("iou_thresh", 1.0), 1.0),
        "label_smoothing": number("label_smooth_eps", 0.0, highest=1.0),
        "location_weight": round(number("iou_normalizer", 0.75) / usual, 6),
        "confidence_weight": number("obj_normalizer", 1.0),
        "class_focal": bool(number("focal_loss", 0.0)),
    }
    if "counters_per_class" in words:
        counts = [
            _number("counters_per_class", one, 0.0, 1e12)
            for one in words["counters_per_class"].split(",")
        ]
        if len(counts) != num_classes:
            raise ConfigError(
                f"counters_per_class has a number for each of the {num_classes} classes; "
                f"received {len(counts)}"
            )
        most = max(number("max_delta", 1e6, highest=1e38), 1.0)
        found["class_factors"] = tuple(
            min(max(counts) / max(count, 1.0), most, 1e6) for count in counts
        )
        found["class_weight"] = number("cls_normalizer", 1.0)
    return found


def _number(name: str, text: str, lowest: float, highest: float) -> float:
    """Return a number in a range; it may be followed by a remark."""
    head = text.split("#")[0].split(";")[0].strip()
    try:
        value = float(head)
    except ValueError:
        raise ConfigError(f"{name}={text[:40]!r} is no number") from None
    if not lowest <= value <= highest:
        raise ConfigError(f"{name} lies in {lowest:g} to {highest:g}, not {head[:40]}")
    return value
