"""What a detector found in one picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes found in one picture, best first as `Detector.detect` returns them.

    Arrays are checked and converted once, at birth, so that every later reader can rely on
    their shapes and types.

    Args:
        boxes_xyxy: (N, 4) corners in pixels of the picture, origin top-left.
        scores: (N,) in 0..1.
        class_ids: (N,) indices into `class_names`.
        class_names: the names of all classes the detector knows.

    Raises:
        ValueError: lengths differ, or a class id has no name.

    Example:
        >>> found = Detections([[0, 0, 10, 20]], [0.9], [1], ("cat", "dog"))
        >>> len(found), found.labels
        (1, ['dog'])
        >>> found[found.scores > 0.95].to_json()
        []
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    class_names: tuple[str, ...] = field(default=())

    def __post_init__(self):
        boxes = np.asarray(self.boxes_xyxy, np.float32).reshape(-1, 4)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        class_ids = np.asarray(self.class_ids, np.int32).reshape(-1)
        if not len(boxes) == len(scores) == len(class_ids):
            raise ValueError(
                "Detections needs as many boxes as scores and class ids. "
                f"Received: {len(boxes)} boxes, {len(scores)} scores, {len(class_ids)} class ids."
            )
        names = tuple(self.class_names)
        if names and len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < len(names):
            raise ValueError(
                f"class_ids must lie in 0..{len(names) - 1}, one per class name. "
                f"Received: {class_ids.min()}..{class_ids.max()}."
            )
        for name, value in [
            ("boxes_xyxy", boxes),
            ("scores", scores),
            ("class_ids", class_ids),
            ("class_names", names),
        ]:
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, class_names: tuple[str, ...] = ()) -> Detections:
        """Return the result of a picture in which nothing was found."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros(0), class_names)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index) -> Detections:
        """Return the detections that a slice, mask or index array selects."""
        if isinstance(index, int | np.integer):
            index = [index]
        return Detections(
            self.boxes_xyxy[index], self.scores[index], self.class_ids[index], self.class_names
        )

    def clipped(self, size: tuple[int, int]) -> Detections:
        """Return the detections cut at the edge of a picture, without those outside it.

        Args:
            size: (height, width) of the picture.

        Example:
            >>> Detections([[-5, 2, 8, 9]], [0.9], [0]).clipped((10, 10)).boxes_xyxy.tolist()
            [[0.0, 2.0, 8.0, 9.0]]
        """
        height, width = size
        boxes = np.clip(self.boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Detections(
            boxes[inside], self.scores[inside], self.class_ids[inside], self.class_names
        )

    @property
    def labels(self) -> list[str]:
        """The class name of each detection; its number where no names are known."""
        return [self.class_names[i] if self.class_names else str(i) for i in self.class_ids]

    def to_json(self) -> list[dict]:
        """Return plain Python values: `box` (x1, y1, x2, y2) in pixels, `score`, `class`."""
        return [
            {
                "class": label,
                "class_id": int(class_id),
                "score": round(float(score), 6),
                "box": [round(float(value), 2) for value in box],
            }
            for label, class_id, score, box in zip(
                self.labels, self.class_ids, self.scores, self.boxes_xyxy, strict=True
            )
        ]
