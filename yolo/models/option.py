"""How a setting is declared: once, with all that is said of it anywhere, and checked by that."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import field, fields
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from yolo.errors import ConfigError
from yolo.system.reading import shortened

LARGEST_ANCHOR = 1e5  # pixels a side
# What a field's annotation lets a value be, and how it is said
_KINDS: dict[str, tuple[Any, str]] = {
    "str": ((str, os.PathLike), "text"),
    "int": (Integral, "a whole number"),
    "float": (Real, "a number"),
    "bool": (bool, "True or False"),
    "tuple": (Iterable, "several values, as (1, 2)"),
}


def option(default: Any, help: str, **about: Any) -> Any:
    """Return a dataclass field that knows its range, and how the command line offers it.

    Args:
        default: its value where the user does not say; None: found out by others.
        help: what it does, in words that follow its name.
        about: what else is known of it: `choices`, a tuple of the words it may be; `within`, the
            (lowest, highest) number it may be; `above` and `below`, numbers that it is not
            itself; `step`, of which it is a multiple. For a setting of a run also `group`, the
            heading that `--help all` lists it under; `metavar`, its value's name there;
            `default_text`, what None means; `only`, the family of detectors that has it.
    """
    return field(default=default, metadata={"help": help, **about})


def taken(kind: type, name: str, **about: Any) -> Any:
    """Return a field of a dataclass for another one that offers it, too.

    What `about` says, `default` among it, is as for `option`; the rest is as it is there.
    """
    (own,) = (field_ for field_ in fields(kind) if field_.name == name)
    return option(about.pop("default", own.default), **{**own.metadata, **about})


def check(settings: Any) -> None:
    """Refuse values that a dataclass's fields, made by `option`, do not allow; None is always one.

    A value of another kind than the field's annotation is none of those.

    Raises:
        ConfigError: one line that names the setting, its value and what it may be.
    """
    for field_ in fields(settings):
        name, about, value = field_.name, field_.metadata, getattr(settings, field_.name)
        if value is None:
            continue
        choices = about.get("choices")
        if choices and value not in choices:
            close = get_close_matches(str(value), choices, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{name} is one of {', '.join(choices)}, not {value!r}{hint}")
        kind, words = _KINDS.get(str(field_.type).split(" |")[0].split("[")[0], (object, ""))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (Integral, Real)):
            raise ConfigError(f"{name} is {words}, not {shortened(value)}: {about['help']}")
        if "within" in about and not about["within"][0] <= value <= about["within"][1]:
            raise ConfigError("{} lies in {} to {}, not {}".format(name, *about["within"], value))
        if "above" in about and not value > about["above"]:
            raise ConfigError(f"{name} lies above {about['above']}, not {value}")
        if "below" in about and not value < about["below"]:
            raise ConfigError(f"{name} lies below {about['below']}, not {value}")
        if "step" in about and value % about["step"]:
            raise ConfigError(f"{name} is a multiple of {about['step']}, not {value}")


def shapes(anchors: Any) -> tuple[tuple[float, float], ...]:
    """Return anchors as pairs of numbers, (width, height).

    Raises:
        ConfigError: they are none, or one is not above 0.

    Example:
        >>> shapes([[10, 14], (23, 27)])
        ((10.0, 14.0), (23.0, 27.0))
    """
    try:
        pairs = tuple((float(width), float(height)) for width, height in anchors)
    except (TypeError, ValueError):
        pairs = ((0.0, 0.0),)
    if not all(0 < side < LARGEST_ANCHOR for pair in pairs for side in pair):
        raise ConfigError(
            "anchors are pairs (width, height) above 0, in pixels, as [(10, 14), (23, 27)]; "
            f"received {shortened(anchors)}"
        )
    return pairs
