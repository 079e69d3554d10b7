"""Anchor sizes, in pixels of the network's picture, and the files that hold them."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError


def read_anchors(path: str | Path) -> tuple[tuple[float, float], ...]:
    """Read `w,h, w,h, ...` from a text file, as in `model_data/yolo_anchors.txt`.

    Args:
        path: a UTF-8 file of numbers separated by commas or white space.

    Returns:
        Pairs (width, height) in pixels.

    Raises:
        ConfigError: the file cannot be read, or does not hold positive numbers in pairs.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the anchors ({error})") from error
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(f"{path}: anchors are numbers 'w,h, w,h, ...' ({error})") from error
    if not values or len(values) % 2 or not all(0 < value < 1e5 for value in values):
        raise ConfigError(
            f"{path}: anchors are pairs of positive numbers 'w,h, w,h, ...'; "
            f"found {len(values)} numbers"
        )
    return tuple(zip(values[::2], values[1::2], strict=True))
