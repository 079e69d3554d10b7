"""Label Studio's tasks with predictions, written to be corrected there.

What is corrected comes back through Label Studio's export as COCO or YOLO with pictures, see `coco`
and `yolo_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from yolo.boxes.detections import Detections
from yolo.data.source import LOCAL_FILE

# What ties the regions of a task to the controls of the labelling interface.
_FROM, _TO = "label", "image"


def interface(classes: Sequence[str]) -> str:
    """Return the labelling interface of a project, which its settings take as code.

    Example:
        >>> print(interface(["cat"]))
        <View>
          <Image name="image" value="$image"/>
          <RectangleLabels name="label" toName="image">
            <Label value="cat"/>
          </RectangleLabels>
        </View>
        <BLANKLINE>
    """
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in classes)
    return (
        f'<View>\n  <Image name="{_TO}" value="$image"/>\n'
        f'  <RectangleLabels name="{_FROM}" toName="{_TO}">\n{labels}'
        "  </RectangleLabels>\n</View>\n"
    )


def task(picture: str, size: tuple[int, int], found: Detections) -> dict:
    """Return a task: a picture, and what was found in it as a prediction.

    The picture is its path below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, with "/"; boxes become
    percent of its sides.
    """
    height, width = size
    inside = found.clipped(size)
    regions = []
    for number, (name, score, box) in enumerate(
        zip(inside.labels, inside.scores.tolist(), inside.boxes_xyxy.tolist(), strict=True), 1
    ):
        x1, y1, x2, y2 = box
        regions.append({
            "id": f"{number}", "type": "rectanglelabels", "from_name": _FROM, "to_name": _TO,
            "original_width": width, "original_height": height, "image_rotation": 0,
            "score": round(score, 6),
            "value": {
                "x": 100 * x1 / width, "y": 100 * y1 / height, "rotation": 0,
                "width": 100 * (x2 - x1) / width, "height": 100 * (y2 - y1) / height,
                "rectanglelabels": [name],
            },
        })  # fmt: skip
    prediction = {"model_version": "keras-focal", "result": regions}
    if regions:
        prediction["score"] = min(region["score"] for region in regions)
    return {
        "data": {"image": f"{LOCAL_FILE}{quote(picture)}"},
        "predictions": [prediction],
    }
