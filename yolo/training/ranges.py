"""The values that the settings of a run may have."""

from __future__ import annotations

import math
from dataclasses import fields
from difflib import get_close_matches

from yolo.errors import ConfigError
from yolo.headers import LARGEST_MEGAPIXELS


def check(config) -> None:
    """Refuse values that no run can have.

    Args:
        config: a `TrainConfig`.

    Raises:
        ConfigError: one line that names the setting, its value and what it may be.
    """
    size = config.image_size
    step = 1 if config.resize == "shorter" else 32
    if len(size) != 2 or any(side < 32 or side % step for side in size):
        near = "x".join(str(max(32, round(side / 32) * 32)) for side in (size or (416,))[:2])
        raise ConfigError(
            f"image_size needs height and width in multiples of 32, not {list(size)}; try {near}"
        )
    for field_ in fields(config):
        choices = field_.metadata.get("choices")
        value = getattr(config, field_.name)
        if choices and value is not None and value not in choices:
            near = get_close_matches(str(value), choices, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{field_.name} is one of {', '.join(choices)}, not {value!r}{hint}")
    ranges = {
        "mosaic": (0, 1), "mixup": (0, 1), "special_aug_ratio": (0, 1), "flip": (0, 1),
        "vertical_flip": (0, 1), "translate": (0, 1), "aspect": (0, 0.9), "hue": (0, 0.5),
        "saturation": (0, 10), "value": (0, 10), "focal_gamma": (0, 20), "focal_alpha": (0, 1),
        "label_smoothing": (0, 1), "ignore_iou": (0, 1), "epochs": (1, 10**6),
        "batch_size": (0, 10**5), "freeze_epochs": (0, 10**6), "accumulate": (1, 10**4),
        "ema": (0, 1), "min_learning_rate_ratio": (0, 1), "momentum": (0, 0.9999),
        "weight_decay": (0, 1), "clip_norm": (0, 1e9), "init_epoch": (0, config.epochs - 1),
        "epochs_between_evaluations": (0, 10**6), "patience": (0, 10**6), "seed": (0, 2**31 - 1),
        "loader_threads": (0, 1024), "nominal_batch": (0, 10**5), "warmup_steps": (0, 10**7),
        "save_period": (0, 10**6), "positive_iou": (0, 1), "freeze_batch_size": (1, 10**5),
        "min_box_pixels": (0, 1e4), "min_box_visible": (0, 1), "location_weight": (0, 1e6),
        "confidence_weight": (0, 1e6), "class_weight": (0, 1e6), "frozen_stages": (0, 5),
        "max_megapixels": (0.001, LARGEST_MEGAPIXELS),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{name} lies in {low} to {high}, not {value}")
    if config.learning_rate is not None and not 0 < config.learning_rate <= 10:
        raise ConfigError(f"learning_rate lies above 0 and up to 10, not {config.learning_rate}")
    if not 0 < config.prior < 1:
        raise ConfigError(f"prior lies between 0 and 1, not {config.prior}")
    scale = config.scale
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] < math.inf:
        raise ConfigError(f"scale is LOW,HIGH with 0 < LOW <= HIGH, not {list(scale)}")
