"""Class lists: those of PASCAL VOC and COCO, and the files that hold a user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo.errors import ConfigError
from yolo.system.reading import read_lines_of

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip

COCO_CLASSES = (
    "person", "bicycle", "car", "motorbike", "aeroplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "sofa",
    "pottedplant", "bed", "diningtable", "toilet", "tvmonitor", "laptop", "mouse", "remote",
    "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

# COCO numbers its categories 1 to 90 with gaps; torchvision's models have an output for each
# number and for 0, the background.
COCO_CATEGORY_IDS = tuple(
    n for n in range(1, 91) if n not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
)
_BY_ID = dict(zip(COCO_CATEGORY_IDS, COCO_CLASSES, strict=True))
COCO_CATEGORIES = tuple(_BY_ID.get(n, f"unused {n}") for n in range(91))
UNUSED_NAMES = frozenset(COCO_CATEGORIES) - frozenset(COCO_CLASSES)

# Six COCO classes have other names in VOC and in Darknet's list than in COCO's own files.
_ALSO_CALLED = {
    "airplane": "aeroplane",
    "couch": "sofa",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "tv": "tvmonitor",
}


def common_name(name: str) -> str:
    """Return the one name for a class that VOC, Darknet and COCO call differently.

    Example:
        >>> common_name("couch"), common_name("sofa"), common_name("cat")
        ('sofa', 'sofa', 'cat')
    """
    return _ALSO_CALLED.get(name, name)


def as_names(classes: Iterable[str]) -> tuple[str, ...]:
    """Return class names as a tuple.

    Args:
        classes: any iterable of names but a string, whose letters would be taken for names.

    Raises:
        ValueError: it is none, has no name, or has one twice.
    """
    if isinstance(classes, str | bytes) or not isinstance(classes, Iterable):
        raise ValueError(
            f"classes must be a list of names, such as ['cat', 'dog']. Received: {classes!r}."
        )
    names = tuple(str(name) for name in classes)
    if not names:
        raise ValueError("classes must name at least one class. Received: none.")
    if twice := _twice(names):
        raise ValueError(f"classes must not hold a name twice. Received twice: {twice}.")
    return names


def _twice(names: Sequence[str]) -> str:
    return ", ".join(sorted(name for name, count in Counter(names).items() if count > 1))


def read_classes(path: str | Path) -> tuple[str, ...]:
    """Read a class list, one name a line, as in `model_data/voc_classes.txt`.

    Empty lines are skipped and a byte-order mark is understood.

    Args:
        path: a UTF-8 text file.

    Returns:
        The names in the order of the file: line 1 is class 0.

    Raises:
        ConfigError: the file cannot be read, holds no name, or holds one twice.
    """
    lines = read_lines_of(path, max_bytes=1 << 24, error=ConfigError)
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ConfigError(f"{path}: no class name in the file; write one name a line")
    if twice := _twice(names):
        raise ConfigError(f"{path}: a class name stands twice: {twice}")
    return names
