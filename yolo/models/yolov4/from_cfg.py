"""The settings of the detector that a Darknet cfg describes, and what of it is left out."""

from __future__ import annotations

import os
from typing import Any

from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.yolov4.cfg_words import HEAD_WORDS, LEFT_OUT, LOSS_WORDS, loss_options
from yolo.models.yolov4.settings import YOLOv4Config

# Words of [yolo] that change what is detected
_OF_PREDICTION = {"nms_kind", "beta_nms", "track", "embedding_layer"}
# Words of other layers that concern training alone, each with the reason why it is left out
_OF_TRAINING = {
    "stopbackward": "see freeze_epochs",
    "onlyforward": "see freeze_epochs",
    "dropout": "there is none in a detector",
    "learning_rate": "all layers learn at one rate",
}


def is_cfg(name: str | os.PathLike) -> bool:
    """Tell whether a model's name is that of a cfg file."""
    return os.fspath(name).endswith(darknet_cfg.SUFFIX)


def config_of(cfg: Cfg, *, num_classes: int | None = None, **options: Any) -> YOLOv4Config:
    """Return the settings of a cfg's detector.

    Args:
        cfg: the file.
        num_classes: how many classes there will be; the file's own if None.
        **options: fields to change, as `anchors`, `masks` and `prior`.

    Raises:
        ConfigError: a [yolo] has a setting outside of its range, or the heads differ in one that
            all must have in common.
    """
    if len(set(cfg.of_heads("new_coords"))) > 1:
        raise ConfigError(f"{cfg.place}: some [yolo] have new_coords=1 and some have not")
    found = {
        "variant": "darknet",
        "anchors": cfg.anchors,
        "masks": cfg.masks,
        "strides": cfg.strides,
        "scales_xy": cfg.of_heads("scale_x_y"),
        "new_coords": cfg.of_heads("new_coords")[0],
        "cfg_loss": _loss_options(cfg, num_classes or cfg.classes),
        "cfg": cfg.text,
    }
    return YOLOv4Config(**{**found, **options})


def _loss_options(cfg: Cfg, num_classes: int) -> dict[str, Any]:
    """Return what the last [yolo] says of the loss, from which Darknet, too, takes it."""
    section = cfg.layers[cfg.heads[-1]].section
    words = {word: section.word(word) for word in LOSS_WORDS if word in section.words}
    if num_classes != cfg.classes:  # they count the objects of the file's own classes
        words.pop("counters_per_class", None)
    try:
        return loss_options(words, num_classes)
    except ConfigError as error:
        raise section.fault(str(error)) from None


def left_out(cfg: Cfg, *, training: bool) -> list[str]:
    """Return a line for the words of [yolo] that mean nothing here, and one for unknown words.

    `training`: words that concern training alone are asked for, too.
    """
    words = dict.fromkeys(word for head in cfg.heads for word in cfg.layers[head].section.words)
    if not training:
        words = {word: None for word in words if word in _OF_PREDICTION}
    told_of = {**LEFT_OUT, **_OF_TRAINING} if training else LEFT_OUT
    if training:
        words |= {word: None for layer in cfg.layers for word in layer.section.words
                  if word in _OF_TRAINING}  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for word in words:
        if word in told_of:
            reasons.setdefault(told_of[word], []).append(word)
    lines = []
    if reasons:
        told = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        lines.append(f"{cfg.place}: not taken over: {told}")
    known = {*HEAD_WORDS, *LOSS_WORDS, *LEFT_OUT, *_OF_TRAINING}
    odd = [f"{s.kind}: {word} (line {line})" for s, word, line in cfg.unused() if word not in known]
    if odd:
        more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
        lines.append(f"{cfg.place}: not known here: {', '.join(odd[:5])}{more}")
    return lines
