"""Anchor sizes, in pixels of the network's picture, and the files that hold them."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError

# darknet/cfg/yolov4.cfg and yolov4-tiny.cfg: (width, height), not rescaled with the picture.
YOLOV4_ANCHORS = (
    (12, 16), (19, 36), (40, 28),
    (36, 75), (76, 55), (72, 146),
    (142, 110), (192, 243), (459, 401),
)  # fmt: skip
YOLOV4_TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))

YOLOV4_MASKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))  # strides 8, 16, 32
# Strides 16, 32. Darknet's COCO weights belong to "coco", where anchor 0 is unused and anchor 3
# stands twice; for one's own data Darknet's author recommends "custom" (darknet pull 6144).
TINY_MASKS = {"custom": ((0, 1, 2), (3, 4, 5)), "coco": ((1, 2, 3), (3, 4, 5))}


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
