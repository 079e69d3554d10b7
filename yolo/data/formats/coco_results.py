"""COCO's results format, a JSON list of what was found: written, and read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.errors import DatasetError
from yolo.system.reading import printable, read_json, shortened

_WANTED = {"image_id", "category_id", "bbox", "score"}


def results(
    found: Detections, image_id: int | str, *, category_ids: Sequence[int] | None = None,
    file_name: str = "",
) -> list[dict]:  # fmt: skip
    """Return what was found in a picture as entries of a results file.

    Numbers have nine digits, from which a float32 comes back as it was: with fewer, what lies on
    the limit of an overlap falls to the other side.

    Args:
        found: the detections, in pixels of the picture.
        image_id: the picture's id in the ground truth.
        category_ids: the category of each class id; class id + 1 without it, with the class's name
            beside it as `category_name`.
        file_name: the picture's path, for ground truth whose ids are others.

    Example:
        >>> results(Detections([[1, 2, 4, 8]], [0.5], [0]), 7)
        [{'image_id': 7, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 6.0], 'score': 0.5}]
    """
    corners = found.boxes_xyxy.astype(np.float64)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    entries = []
    for box, score, i in zip(boxes, found.scores, found.class_ids, strict=True):
        entry = {
            "image_id": image_id,
            "category_id": int(category_ids[i] if category_ids is not None else i + 1),
            "bbox": [_nine_digits(value) for value in box],
            "score": _nine_digits(score),
        }
        if category_ids is None and found.class_names:
            entry["category_name"] = found.class_names[i]
        if file_name:
            entry["file_name"] = file_name
        entries.append(entry)
    return entries


def _nine_digits(value: float) -> float:
    return float(f"{value:.9g}")


def read_results(path: str | os.PathLike) -> list[dict]:
    """Read a results file, or one in the form of instances whose annotations have scores.

    Raises:
        DatasetError: it is no JSON list of entries with a picture, a category, a box and a score.
    """
    found, file = read_json(Path(path)), printable(path)
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        found = _named(found)
    if not isinstance(found, list):
        raise DatasetError(
            f"{file}: expected a JSON list of results, received an object; predict.py --save "
            "coco-results writes one"
        )
    for i, entry in enumerate(found):
        if wrong := _wrong(entry):
            raise DatasetError(f"{file}: result {i}{wrong}")
    return found


def _named(instances: dict) -> list:
    """Return the annotations of a file of instances, with the names that their ids have in it."""

    def names(key: str, name: str) -> dict[str, str]:
        entries = instances.get(key)
        entries = entries if isinstance(entries, list) else []
        known = (one for one in entries if isinstance(one, dict) and isinstance(one.get(name), str))
        return {key_of(one.get("id")): one[name] for one in known}

    files, categories = names("images", "file_name"), names("categories", "name")
    return [
        {
            "file_name": files.get(key_of(entry.get("image_id")), ""),
            "category_name": categories.get(key_of(entry.get("category_id")), ""),
            **entry,
        }
        if isinstance(entry, dict)
        else entry
        for entry in instances["annotations"]
    ]


def _wrong(entry: Any) -> str:
    """Return what is wrong with an entry of a results file, "" if nothing is."""
    if not isinstance(entry, dict) or not entry.keys() >= _WANTED:
        return f" lacks one of {', '.join(sorted(_WANTED))}. Received: {str(entry)[:80]}"
    box, score = entry["bbox"], entry["score"]
    if not are_numbers(box, 4) or not are_numbers([score], 1):
        return f": bbox {shortened(box)}, score {shortened(score)}; expected four numbers and one."
    if min(box[2:]) < 0:
        return f": bbox {shortened(box)}; expected x, y, width and height"
    for name in ("image_id", "category_id"):
        if not isinstance(entry[name], int | float | str):
            return f" has {name} {shortened(entry[name])}; expected a number."
    return ""


def are_numbers(values: object, count: int) -> bool:
    """Tell whether something is a list of so many numbers of a usual size."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(n, int | float) and abs(n) < 1e15 for n in values)
    )


def key_of(value: object) -> str:
    """Return an id as text; 5, 5.0 and "5" are one."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)
