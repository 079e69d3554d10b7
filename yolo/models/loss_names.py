"""The losses that a run can name, and what weighs the parts of a YOLOv4 beside each.

Nothing here needs Keras; `yolo.models.anchor_loss` has the classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yolo.errors import ConfigError

# By its name the scaling (`LOSS_SCALINGS`) that suits it: those that turn easy anchors down count
# by their positives.
SCALING_OF = {
    "cross-entropy": "cross-entropy",
    "balanced": "cross-entropy",
    "focal": "focal",
    "focal-star": "focal",
    "quality-focal": "focal",
    "varifocal": "focal",
    "ohem": "mining",
    # Keras's, by their own names
    "binary_crossentropy": "cross-entropy",
    "binary_focal_crossentropy": "focal",
    "mean_squared_error": "cross-entropy",
    "mean_absolute_error": "cross-entropy",
    "huber": "cross-entropy",
    "log_cosh": "cross-entropy",
    "poisson": "cross-entropy",
    "hinge": "cross-entropy",
    "squared_hinge": "cross-entropy",
}
# Those whose targets are no 0 and 1, and count by their positives whatever their exponent
_SOFT = ("quality-focal", "varifocal")
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None}


def scaling_of(loss: str, parameters: Mapping[str, Any]) -> str:
    """Return the scaling that suits a named loss with some parameters; gamma 0 does not focus.

    Example:
        >>> scaling_of("focal", {"alpha": 0.5}), scaling_of("focal", {"gamma": 0})
        ('focal', 'cross-entropy')
    """
    unfocused = parameters.get("gamma", 1) == 0 and loss not in _SOFT
    return "cross-entropy" if unfocused else SCALING_OF[loss]


def parameters_from(text: str | None) -> dict[str, Any]:
    """Return a loss's parameters from "gamma=1.5 alpha=0.25".

    Raises:
        ConfigError: a word is no name=value, or a name stands twice.

    Example:
        >>> parameters_from("gamma=2 alpha=none")
        {'gamma': 2, 'alpha': None}
    """
    found: dict[str, Any] = {}
    for word in (text or "").split():
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier() or not value or name in found:
            raise ConfigError(
                f"loss_options are different names with values, gamma=1.5 alpha=0.25; not {word!r}"
            )
        found[name] = _value(value)
    return found


def as_text(parameters: Any) -> str | None:
    """Return parameters of a loss as one text: of a mapping, of words, or as they are."""
    if isinstance(parameters, Mapping):
        parameters = [f"{name}={_shown(value)}" for name, value in parameters.items()]
    if isinstance(parameters, list | tuple):
        parameters = " ".join(map(str, parameters))
    return parameters or None


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _value(text: str) -> Any:
    """Return what a parameter's text means: a number, several, true, false, none, or itself."""
    if "," in text:
        return [_value(part) for part in text.split(",")]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
