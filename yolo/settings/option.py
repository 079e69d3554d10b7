"""How a setting of a run is declared: once, with all that is said of it anywhere."""

from __future__ import annotations

import math
from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from yolo.errors import ConfigError


def option(group: str, default: Any, help: str, **about: Any) -> Any:
    """Return a dataclass field that also tells the command line how to offer it.

    Args:
        group: the heading that `--help all` lists it under.
        default: its value where the user does not say; None: found out at the start.
        help: what it does, in words that follow the option's name.
        about: what else is known of it: `choices`, a tuple of the words it may be; `within`, the
            (lowest, highest) number it may be; `metavar`, its value's name in `--help`;
            `default_text`, what None means; `only`, the family of detectors that has it, "yolov4"
            or "retinanet".
    """
    return field(default=default, metadata={"group": group, "help": help, **about})


def check(config: Any) -> None:
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
            close = get_close_matches(str(value), choices, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{field_.name} is one of {', '.join(choices)}, not {value!r}{hint}")
        low, high = field_.metadata.get("within", (None, None))
        if None not in (low, value) and not low <= value <= high:
            raise ConfigError(f"{field_.name} lies in {low} to {high}, not {value}")
    if not 0 <= config.init_epoch < config.epochs:
        raise ConfigError(f"init_epoch lies in 0 to {config.epochs - 1}, not {config.init_epoch}")
    if config.learning_rate is not None and not 0 < config.learning_rate <= 10:
        raise ConfigError(f"learning_rate lies above 0 and up to 10, not {config.learning_rate}")
    if not 0 < config.prior < 1:
        raise ConfigError(f"prior lies between 0 and 1, not {config.prior}")
    scale = config.scale
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] < math.inf:
        raise ConfigError(f"scale is LOW,HIGH with 0 < LOW <= HIGH, not {list(scale)}")
