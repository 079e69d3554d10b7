"""How a setting is declared: once, with all that is said of it anywhere, and checked by that."""

from __future__ import annotations

from dataclasses import field, fields
from difflib import get_close_matches
from typing import Any

from yolo.errors import ConfigError


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
        if "within" in about and not about["within"][0] <= value <= about["within"][1]:
            raise ConfigError("{} lies in {} to {}, not {}".format(name, *about["within"], value))
        if "above" in about and not value > about["above"]:
            raise ConfigError(f"{name} lies above {about['above']}, not {value}")
        if "below" in about and not value < about["below"]:
            raise ConfigError(f"{name} lies below {about['below']}, not {value}")
        if "step" in about and value % about["step"]:
            raise ConfigError(f"{name} is a multiple of {about['step']}, not {value}")
