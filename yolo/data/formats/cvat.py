"""CVAT's own XML, "CVAT for images 1.1": written to be corrected there, and read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from yolo.boxes.detections import Detections

END = "</annotations>\n"


# --------------------------------------------------------------------------------- to write


def beginning(classes: Sequence[str]) -> str:
    """Return what stands before the pictures: the version, and the labels of the task.

    Args:
        classes: class names.
    """
    labels = "".join(f"<label><name>{escape(name)}</name></label>" for name in classes)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"<meta><task><labels>{labels}</labels></task></meta>\n"
    )


def image(number: int, name: str, size: tuple[int, int], found: Detections) -> str:
    """Return what was found in a picture.

    Args:
        number: of the picture, from 0.
        name: its file, as the task in CVAT names it.
        size: (height, width).
        found: in pixels of the picture.
    """
    height, width = size
    inside = found.clipped(size)
    lines = [f'<image id="{number}" name={quoteattr(name)} width="{width}" height="{height}">\n']
    for label, box in zip(inside.labels, inside.boxes_xyxy.tolist(), strict=True):
        corners = zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)
        numbers = " ".join(f'{corner}="{value:.2f}"' for corner, value in corners)
        lines.append(
            f'<box label={quoteattr(label)} source="auto" occluded="0" {numbers} z_order="0"/>\n'
        )
    return "".join([*lines, "</image>\n"])
