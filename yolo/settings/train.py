"""Every setting of a training run: option of the command line, key in TOML, default."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from yolo.models.retinanet.settings import PROFILES, RetinaNetLoss
from yolo.models.yolov4.settings import LOSS_SCALINGS, LossSettings
from yolo.settings.augmentation import AugmentationSettings, AugmentConfig
from yolo.settings.data import DataSettings
from yolo.settings.loss import BY_SCALING, LossOptions
from yolo.settings.model import RETINANETS, ModelSettings, RetinaNetSettings
from yolo.settings.option import check
from yolo.settings.run import RunSettings
from yolo.settings.schedule import LEARNING_RATES, OptimizerSettings, ScheduleSettings


@dataclass(frozen=True)
class TrainConfig(
    # Dataclasses take over the fields of their last base first.
    RunSettings,
    OptimizerSettings,
    ScheduleSettings,
    LossOptions,
    AugmentationSettings,
    RetinaNetSettings,
    ModelSettings,
    DataSettings,
):
    """Every setting of a training run; a field is an option of `train.py` and a key in TOML.

    A new setting is declared in the module of its group, and nowhere else. None means "found out
    at the start" or "by another setting"; the help says which.
    """

    def __post_init__(self) -> None:
        for name in ("image_size", "scale"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.loss is None:
            usual = "focal" if self.model in RETINANETS else "cross-entropy"
            object.__setattr__(self, "loss", usual)
        check(self)
        object.__setattr__(self, "image_size", tuple(int(side) for side in self.image_size))
        for field_ in fields(self):  # TOML's 0 is a number too; Keras insists on 0.0
            value = getattr(self, field_.name)
            if field_.type.startswith("float") and value is not None:
                object.__setattr__(self, field_.name, float(value))


def augmentation(config: TrainConfig) -> AugmentConfig:
    """Return the part of a run's settings that varies pictures."""
    shared = {field_.name for field_ in fields(AugmentConfig)} & set(vars(config))
    return AugmentConfig(**{name: getattr(config, name) for name in shared})


def loss_settings(config: TrainConfig) -> LossSettings | RetinaNetLoss:
    """Return the weights of the loss's parts: the named set, then what the user changed."""
    if config.model in RETINANETS:
        names = ("matcher", "box_loss", "force_match", "location_weight", "class_weight")
        given = {name: getattr(config, name) for name in names}
        given = {name: value for name, value in given.items() if value is not None}
        return RetinaNetLoss(**{**PROFILES[config.profile].loss, **given})
    settings: dict[str, Any] = {
        **LOSS_SCALINGS[_scaling(config)],
        "iou": config.iou,
        "ignore_iou": config.ignore_iou,
        "label_smoothing": config.label_smoothing,
    }
    for name in BY_SCALING:
        if getattr(config, name) is not None:
            settings[name] = getattr(config, name)
    return LossSettings(**settings)


def _scaling(config: TrainConfig) -> str:
    """Return the name of the loss's scaling; focal loss without focusing is cross-entropy."""
    if config.loss_scaling != "auto":
        return config.loss_scaling
    return "focal" if config.loss == "focal" and config.focal_gamma > 0 else "cross-entropy"


def resolved(config: TrainConfig) -> TrainConfig:
    """Return the settings with all that they leave open decided, but for the precision."""
    loss = loss_settings(config)
    decided: tuple[str, ...]
    if config.model in RETINANETS:
        decided = ("box_loss", "force_match", "location_weight", "class_weight")
    else:
        config = replace(config, loss_scaling=_scaling(config))
        decided = BY_SCALING
    return replace(
        config,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        freeze_batch_size=config.freeze_batch_size or config.batch_size,
        **{name: getattr(loss, name) for name in decided},
    )
