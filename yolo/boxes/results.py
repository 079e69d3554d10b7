"""What was found in several pictures, as a detector returns it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.draw import draw_detections
from yolo.pictures.color import Color
from yolo.pictures.files import cv2, encode_image, write_image
from yolo.pictures.given import as_picture
from yolo.system.optional import import_optional
from yolo.system.writing import numbered

_PAGE = 12  # pictures that a notebook shows, of at most so many pixels a side
_SIDE = 640


class Results(list[Detections]):
    """A list with the `Detections` of each picture, which knows the pictures.

    Args:
        found: the detections.
        pictures: a path or an array each, as they were given; read again where they are drawn.
        background: what shows through where they are transparent, as the detector saw them.

    Example:
        >>> cat = Detections([[2, 3, 9, 9]], [0.9], [0], ("cat",))
        >>> results = Results([cat], [np.zeros((12, 16))])
        >>> results
        Results(1 cat)
        >>> results.plot()[0].shape
        (12, 16, 3)
    """

    def __init__(
        self, found: Iterable[Detections], pictures: Iterable[Any], background: Color | None = None
    ) -> None:
        super().__init__(found)
        self.pictures, self.background = list(pictures), background

    def __repr__(self) -> str:
        return f"Results({'; '.join(one.summary() for one in self)})"

    def plot(self) -> list[np.ndarray]:
        """Return each picture with its boxes drawn, (H, W, 3) uint8 RGB."""
        return [self._drawn(number) for number in range(len(self))]

    def show(self) -> None:
        """Show the pictures with matplotlib: in a window each, or below a notebook's cell."""
        from matplotlib import pyplot

        for number in range(len(self)):
            figure, axes = pyplot.subplots(layout="constrained")
            axes.imshow(self._drawn(number))
            axes.set_axis_off()
            axes.set_title(f"{self._name(number)}: {self[number].summary()}", fontsize="small")
        pyplot.show()

    def save(self, folder: str | os.PathLike = "results") -> list[Path]:
        """Write the drawn pictures into a folder and return the files, JPEG.

        Raises:
            YoloError: a file cannot be written.
        """
        written = []
        for number in range(len(self)):
            stem = Path(self._name(number)).stem
            names = numbered(Path(folder) / f"{stem}.jpg")  # several folders may have one name
            path = next(name for name in names if name not in written)
            write_image(path, self._drawn(number))
            written.append(path)
        return written

    def to_supervision(self) -> list[Any]:
        """Return `supervision.Detections`, one a picture; see `Detections.to_supervision`."""
        return [one.to_supervision() for one in self]

    def to_pandas(self) -> Any:
        """Return one `pandas.DataFrame`: `picture`, and the columns of `Detections.to_csv`.

        Raises:
            YoloError: pandas is not installed.
        """
        pandas = import_optional("pandas", "pandas", "to_pandas")
        tables = [one.to_pandas() for one in self]
        for number, table in enumerate(tables):
            table.insert(0, "picture", self._name(number))
        return pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame()

    def _name(self, number: int) -> str:
        picture = self.pictures[number]
        return os.fspath(picture) if isinstance(picture, str | os.PathLike) else f"picture_{number}"

    def _drawn(self, number: int) -> np.ndarray:
        picture = as_picture(self.pictures[number], self.background)
        return draw_detections(picture, self[number])

    def _repr_html_(self) -> str:
        shown = []
        for number in range(min(len(self), _PAGE)):
            drawn = self._drawn(number)
            scale = min(1.0, _SIDE / max(drawn.shape[:2]))
            small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            content = base64.b64encode(encode_image(small, ".jpg")).decode()
            said = escape(f"{self._name(number)}: {self[number].summary()}")
            shown.append(
                f'<figure style="display:inline-block;margin:4px"><img alt="{said}" '
                f'src="data:image/jpeg;base64,{content}"><figcaption>{said}</figcaption></figure>'
            )
        rest = len(self) - len(shown)
        return "".join(shown) + (f"<p>and {rest} more</p>" if rest else "")
