"""How a setting of a run is declared: once, with all that is said of it anywhere."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def option(group: str, default: Any, help: str, **about: Any) -> Any:
    """Return a dataclass field that also tells the command line how to offer it.

    Args:
        group: the heading that `--help` lists it under.
        default: its value where the user does not say; None: found out at the start.
        help: what it does, in words that follow the option's name.
        about: what else is known of it: `choices`, a tuple of the words it may be; `within`, the
            (lowest, highest) number it may be; `metavar`, its value's name in `--help`;
            `default_text`, what None means; `only`, the family of detectors that has it, "yolov4"
            or "retinanet".
    """
    return field(default=default, metadata={"group": group, "help": help, **about})
