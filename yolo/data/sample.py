"""One labelled picture, as every reader returns it and every consumer takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from yolo.boxes.draw import draw_boxes
from yolo.boxes.labels import CROWD, DIFFICULT
from yolo.system.reading import FilePart, printable


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture's path and the objects that people marked in it.

    Args:
        path: the picture file, or its part of a shard.
        boxes_xyxy: (n, 4) float32 pixels, half-open, origin top-left, inside the picture.
        class_ids: (n,) int32 indices into the data set's class list.
        difficult: (n,) bool, objects that training and evaluation ignore: neither right nor wrong.
        truncated: (n,) bool, objects cut by the picture's edge.
        size: (height, width) of the picture as displayed, EXIF orientation applied.
        image_id: what names the picture in results: the stem for VOC, the id for COCO.
        origin: the annotation that it was read from, as messages name it.
        lines: (n,) where each object stands in that file, 0 where lines mean nothing.
        plain_jpeg: what the file's `pictures.header.Header` says, where it was looked at.
        crowd: (n,) bool, of the difficult ones those that mark a region of many; empty for none.
        areas: (n,) float64 square pixels, of the masks where there are such; empty for the boxes'.
    """

    path: Path | FilePart
    boxes_xyxy: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    truncated: np.ndarray
    size: tuple[int, int]
    image_id: str
    origin: str = ""
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32), repr=False)
    plain_jpeg: bool | None = None
    crowd: np.ndarray = field(default_factory=lambda: np.zeros(0, bool), repr=False)
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    def __post_init__(self) -> None:
        if not len(self.crowd):
            object.__setattr__(self, "crowd", np.zeros(len(self.class_ids), bool))
        if not len(self.areas):
            boxes = np.asarray(self.boxes_xyxy, np.float64).reshape(-1, 4)
            object.__setattr__(self, "areas", np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def with_class_ids(self, class_ids: np.ndarray) -> Sample:
        """Return the same picture with other class ids (n,) int32."""
        return replace(self, class_ids=class_ids)

    def select(self, kept: np.ndarray) -> Sample:
        """Return the same picture with some of its objects, kept (n,) bool."""
        return replace(
            self, boxes_xyxy=self.boxes_xyxy[kept], class_ids=self.class_ids[kept],
            difficult=self.difficult[kept], truncated=self.truncated[kept],
            lines=self.lines[kept] if len(self.lines) else self.lines,
            crowd=self.crowd[kept], areas=self.areas[kept],
        )  # fmt: skip

    def learned(self) -> Sample:
        """Return the same picture with the objects alone that are to be learned."""
        return self.select(~self.difficult) if self.difficult.any() else self

    def with_difficult_learned(self) -> Sample:
        """Return the same picture with difficult objects that are objects; crowds stay ignored."""
        return replace(self, difficult=self.crowd)

    def labels(self) -> np.ndarray:
        """Return (n,) int32, what stands in a batch for each object: see `yolo.boxes.labels`."""
        found = np.where(self.difficult, DIFFICULT, self.class_ids)
        return np.where(self.crowd, CROWD, found).astype(np.int32)

    def place(self, index: int) -> str:
        """Name one object for a message: its file and line, or its number."""
        if len(self.lines) > index and self.lines[index]:
            return f"{self.origin}:{self.lines[index]}"
        return f"{self.origin or printable(self.path)}: object {index + 1}"


# The samples of each split, each with the name of its picture in a data set to be written.
Named = Mapping[str, Sequence[tuple[str, Sample]]]


def draw_ground_truth(image: np.ndarray, sample: Sample, classes: Sequence[str]) -> np.ndarray:
    """Draw what people marked, difficult objects with a question mark behind the name.

    Args:
        image: (H, W, 3) uint8 RGB, the sample's picture, left as it is.
        sample: the objects.
        classes: the class names.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    labels = [
        classes[class_id] + ("?" if difficult else "")
        for class_id, difficult in zip(sample.class_ids, sample.difficult, strict=True)
    ]
    return draw_boxes(image, sample.boxes_xyxy, sample.class_ids, labels)
