"""A colour as people type it and as files keep it; known without NumPy."""

from __future__ import annotations

import re

from yolo.errors import ConfigError

WHITE = (255, 255, 255)

Color = tuple[int, int, int]


def parse_color(text: str) -> Color:
    """Return the colour that "R,G,B" means.

    Raises:
        ConfigError: it means none.

    Example:
        >>> parse_color("0, 128,255")
        (0, 128, 255)
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(re.fullmatch(r"\s*[0-9]{1,3}\s*", part) for part in parts):
        raise ConfigError(f"background is R,G,B, three numbers of 0 to 255, not {text!r}")
    red, green, blue = (int(part) for part in parts)
    if not is_color([red, green, blue]):
        raise ConfigError(f"background is R,G,B, three numbers of 0 to 255, not {text!r}")
    return red, green, blue


def is_color(value: object) -> bool:
    """Tell whether a value, as JSON gives it, is a colour: three whole numbers of 0 to 255."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    )
