"""What a detector found in one picture."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from yolo.errors import ConfigError
from yolo.system.optional import import_optional

CSV_COLUMNS = ("class", "class_id", "score", "x1", "y1", "x2", "y2")
_BLANK_SIDE = 2048  # the largest sheet that boxes without a picture are drawn on


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes found in one picture, best first as `Detector.detect` returns them.

    Arrays are checked and converted once, at birth, so that every later reader can rely on
    their shapes and types. A slice, a mask or an index array selects some of them, `where`
    selects by class, score and size; each gives a new `Detections`. A notebook shows one as a
    picture: what `on` was given, or a grey sheet.

    Args:
        boxes_xyxy: (N, 4) float32 corners in pixels of the picture, origin top-left, half-open:
            x2 and y2 are the first pixel outside.
        scores: (N,) float32 in 0..1.
        class_ids: (N,) int32 indices into `class_names`.
        class_names: the names of all classes the detector knows; () where none are known.
        image: the picture (H, W, 3) uint8 RGB, for notebooks; None keeps memory free.

    Raises:
        ValueError: shapes or lengths differ, a corner is not finite, a score is not in 0..1, or
            a class id has no name.

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
    image: np.ndarray | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes_xyxy, np.float32)
        scores = np.asarray(self.scores, np.float32)
        class_ids = np.asarray(self.class_ids, np.int32)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        names = tuple(self.class_names)
        _check(boxes, scores, class_ids, names)
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

    def __repr__(self) -> str:
        return f"Detections({self.summary()})"

    def __getitem__(self, index: Any) -> Detections:
        """Return the detections that a number, a slice, a mask or an index array selects."""
        if isinstance(index, int | np.integer):
            index = [index]
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy[index],
            scores=self.scores[index],
            class_ids=self.class_ids[index],
        )

    def where(
        self, *, classes: Iterable[str] | str | None = None, score: float = 0.0, area: float = 0.0
    ) -> Detections:
        """Return the detections that meet all conditions.

        Args:
            classes: name or names of classes.
            score: the least score, 0..1.
            area: the least area of the box in square pixels.

        Raises:
            ConfigError: a class that the detector does not know.

        Example:
            >>> found = Detections([[0, 0, 9, 9]] * 2, [0.9, 0.4], [1, 0], ("cat", "dog"))
            >>> found.where(classes="cat").scores.tolist(), len(found.where(score=0.5))
            ([0.4000000059604645], 1)
        """
        kept = (self.scores >= np.float32(score)) & (self.areas >= area)
        if classes is not None:
            wanted = [classes] if isinstance(classes, str) else list(classes)
            for name in wanted:
                if name not in self.class_names:
                    raise ConfigError(
                        f"there is no class {name!r} here; there are {', '.join(self.class_names)}"
                    )
            kept &= np.isin(self.class_ids, [self.class_names.index(name) for name in wanted])
        return self[kept]

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
        return replace(self, boxes_xyxy=boxes)[inside]

    def on(self, image: np.ndarray) -> Detections:
        """Return the same detections with their picture, for a notebook to show.

        Args:
            image: (H, W, 3) uint8 RGB; kept, not copied.
        """
        return replace(self, image=image)

    # ----------------------------------------------------------------- to read

    @property
    def labels(self) -> list[str]:
        """The class name of each detection; its number where no names are known."""
        return [self.class_names[i] if self.class_names else str(i) for i in self.class_ids]

    @property
    def areas(self) -> np.ndarray:
        """The area of each box, (N,) float32 square pixels."""
        return np.prod(self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2], axis=1)

    @property
    def counts(self) -> dict[str, int]:
        """How many detections each class has, classes without any left out."""
        labels = self.labels
        return {name: labels.count(name) for name in dict.fromkeys(labels)}

    def summary(self) -> str:
        """Return "2 cat, 1 dog", or "nothing found"."""
        return ", ".join(f"{n} {name}" for name, n in self.counts.items()) or "nothing found"

    # ------------------------------------------------------- other programs' forms

    def to_json(self) -> list[dict]:
        """Return plain Python values: `box` (x1, y1, x2, y2) in pixels, `score`, `class`."""
        return [
            {
                "class": label,
                "class_id": int(class_id),
                "score": round(float(score), 6),
                "box": [round(float(value), 2) for value in box],
            }
            for label, class_id, score, box in self._rows()
        ]

    def to_csv(self) -> str:
        """Return a table as text: a line with `CSV_COLUMNS`, then one for each detection."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(CSV_COLUMNS)
        table.writerows(self._table())
        return text.getvalue()

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with `CSV_COLUMNS`, a row for each detection.

        Raises:
            YoloError: pandas is not installed.
        """
        pandas = import_optional("pandas", "pandas", "to_pandas")
        return pandas.DataFrame(self._table(), columns=list(CSV_COLUMNS))

    def to_yolo_text(self, size: tuple[int, int], digits: int = 6) -> str:
        r"""Return a YOLO label file: class id, centre x and y, width and height, a line each.

        Args:
            size: (height, width) of the picture; the four numbers are shares of it.
            digits: behind the point; nine keep a thousandth of a pixel of any picture.

        Example:
            >>> Detections([[0, 0, 5, 10]], [0.5], [3]).to_yolo_text((20, 10))
            '3 0.250000 0.250000 0.500000 0.500000\n'
        """
        height, width = size
        lines = []
        for _, class_id, _, box in self.clipped(size)._rows():
            x1, y1, x2, y2 = box.tolist()
            shares = (
                (x1 + x2) / 2 / width,
                (y1 + y2) / 2 / height,
                (x2 - x1) / width,
                (y2 - y1) / height,
            )
            lines.append(
                f"{class_id} " + " ".join(f"{share:.{digits}f}" for share in shares) + "\n"
            )
        return "".join(lines)

    def to_supervision(self) -> Any:
        """Return `supervision.Detections`, class names under `data["class_name"]`.

        Raises:
            YoloError: the package is not installed.
        """
        supervision = import_optional("supervision", "supervision", "to_supervision")
        return supervision.Detections(
            xyxy=self.boxes_xyxy,
            confidence=self.scores,
            class_id=self.class_ids.astype(int),
            data={"class_name": np.array(self.labels, dtype=str)},
        )

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows: boxes on `image`, or on a grey sheet."""
        from yolo.boxes.draw import draw_detections
        from yolo.pictures.files import encode_image

        image = self.image
        if image is None:
            corner = self.boxes_xyxy[:, 2:].max(axis=0, initial=32)
            width, height = (min(math.ceil(side) + 8, _BLANK_SIDE) for side in corner)
            image = np.full((height, width, 3), 128, np.uint8)
        return encode_image(draw_detections(image, self), ".png")

    def _table(self) -> list[list]:
        """Return a row with `CSV_COLUMNS` for each detection."""
        return [[e["class"], e["class_id"], e["score"], *e["box"]] for e in self.to_json()]

    def _rows(self) -> Iterator[tuple]:
        """Return (label, class id, score, box) of each detection."""
        return zip(self.labels, self.class_ids, self.scores, self.boxes_xyxy, strict=True)


def _check(
    boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, names: Sequence[str]
) -> None:
    if boxes.shape[1:] != (4,) or scores.ndim != 1 or class_ids.ndim != 1:
        raise ValueError(
            "Detections needs boxes (N, 4), scores (N,) and class ids (N,). "
            f"Received: shapes {boxes.shape}, {scores.shape} and {class_ids.shape}."
        )
    if not len(boxes) == len(scores) == len(class_ids):
        raise ValueError(
            "Detections needs as many boxes as scores and class ids. "
            f"Received: {len(boxes)} boxes, {len(scores)} scores, {len(class_ids)} class ids."
        )
    finite = np.isfinite(boxes).all(axis=1)
    if not finite.all():
        raise ValueError(f"boxes_xyxy must be finite. Received: {boxes[~finite][0].tolist()}.")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(
            f"scores must lie in 0..1. Received: {scores[~((scores >= 0) & (scores <= 1))][0]}."
        )
    if names and len(class_ids) and not 0 <= class_ids.min() <= class_ids.max() < len(names):
        raise ValueError(
            f"class_ids must lie in 0..{len(names) - 1}, one per class name. "
            f"Received: {class_ids.min()}..{class_ids.max()}."
        )
