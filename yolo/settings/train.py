"""Every setting of a training run: option of the command line, key in TOML, default."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

from yolo.errors import ConfigError
from yolo.models.loss_names import as_text, parameters_from, scaling_of
from yolo.models.names import kind_of, settings_of
from yolo.models.retinanet.settings import PROFILES, RetinaNetConfig, RetinaNetLoss
from yolo.models.yolov4.from_cfg import is_cfg
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss, scaled
from yolo.pictures.color import WHITE, parse_color
from yolo.pictures.sizes import checked_size
from yolo.settings.augmentation import AugmentationSettings, AugmentConfig
from yolo.settings.data import DataSettings
from yolo.settings.loss import LossOptions
from yolo.settings.model import ModelSettings, RetinaNetSettings
from yolo.settings.run import RunSettings
from yolo.settings.schedule import LEARNING_RATES, OptimizerSettings, ScheduleSettings
from yolo.system.reading import shortened


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

    A new setting is declared in the module of its group, or in the `settings.py` of the family that
    has it, and nowhere else. None means "found out at the start" or "by another setting"; the help
    says which.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss_options", as_text(self.loss_options))
        parameters_from(self.loss_options)  # or it is refused there
        if isinstance(self.image_size, Integral):
            object.__setattr__(self, "image_size", (self.image_size,) * 2)
        super().__post_init__()
        if self.loss is None:
            object.__setattr__(self, "loss", kind_of(self.model).usual_loss)
        parse_color(self.background)
        # What a cfg's network can take is checked where the cfg is read.
        try:
            size = checked_size(self.image_size, self.resize, any_side=is_cfg(self.model))
        except ValueError:
            sides = [side for side in self.image_size if isinstance(side, Integral)]
            near = "x".join(str(max(32, round(side / 32) * 32)) for side in (sides or [416])[:2])
            raise ConfigError(
                "image_size needs height and width in multiples of 32, not "
                f"{shortened(list(self.image_size))}; try {near}"
            ) from None
        object.__setattr__(self, "image_size", size)
        if not 0 <= self.init_epoch < self.epochs:
            raise ConfigError(f"init_epoch lies in 0 to {self.epochs - 1}, not {self.init_epoch}")
        for field_ in fields(self):  # TOML's 0 is a number too; Keras insists on 0.0
            value = getattr(self, field_.name)
            if field_.type.startswith("float") and value is not None:
                object.__setattr__(self, field_.name, float(value))

    @property
    def family(self) -> str:
        """The family that the model is of: "yolov4" or "retinanet"."""
        return kind_of(self.model).family


def shared(config: TrainConfig, kind: type) -> dict[str, Any]:
    """Return a run's settings, as far as they are decided, that a dataclass has, too."""
    values = {field_.name: getattr(config, field_.name, None) for field_ in fields(kind)}
    return {name: value for name, value in values.items() if value is not None}


def notes_of(config: TrainConfig) -> dict[str, Any]:
    """Return what a model keeps of its run's settings, because they say how to use it."""
    color = parse_color(config.background)
    notes: dict[str, Any] = {"split_seed": config.seed}
    return notes if color == WHITE else {**notes, "background": list(color)}


def augmentation(config: TrainConfig) -> AugmentConfig:
    """Return the part of a run's settings that varies pictures."""
    return AugmentConfig(**shared(config, AugmentConfig))


def loss_settings(
    config: TrainConfig, architecture: YOLOv4Config | RetinaNetConfig | None = None
) -> YOLOv4Loss | RetinaNetLoss:
    """Return the weights of the loss's parts: the named set, a cfg's own, what the user changed.

    Without the settings of its network, those that its model's name stands for.
    """
    if config.family == "retinanet":
        return RetinaNetLoss(
            **{
                **PROFILES[config.profile or RetinaNetConfig.profile].loss,
                **shared(config, RetinaNetLoss),
            }
        )
    network = architecture or settings_of(config.model)
    own = network.cfg_loss if isinstance(network, YOLOv4Config) else ()
    return YOLOv4Loss(**{**scaled(_scaling(config), own), **shared(config, YOLOv4Loss)})


def _scaling(config: TrainConfig) -> str:
    """Return the name of the loss's scaling."""
    if config.loss_scaling != "auto":
        return config.loss_scaling
    return scaling_of(str(config.loss), parameters_from(config.loss_options))


def resolved(config: TrainConfig) -> TrainConfig:
    """Return the settings with all that they leave open decided, but for the precision."""
    loss = loss_settings(config)
    if config.family == "yolov4":
        config = replace(config, loss_scaling=_scaling(config))
    return replace(
        config,
        learning_rate=config.learning_rate or LEARNING_RATES[config.optimizer],
        freeze_batch_size=config.freeze_batch_size or config.batch_size,
        **{name: value for name, value in vars(loss).items() if hasattr(config, name)},
    )
