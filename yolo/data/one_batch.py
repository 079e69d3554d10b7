"""What a batch for a detector must hold, and where it does not: received, expected, what to write.

The network's own arithmetic cannot say so: in a compiled step an id out of range is clamped, a box
that is none is left out, and the model learns something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from yolo.boxes.labels import LOWEST, PADDING
from yolo.pictures.fit import check_pixels

EXPECTED = (
    'expected (images, {"boxes": (B, M, 4) x1, y1, x2, y2 in pixels, "classes": (B, M) ids, -1 for '
    "padding})"
)
# No picture holds only objects that end before its second pixel, nor boxes one picture away.
SHARES_END = 1.5
_TURNED = "boxes[..., [1, 0, 3, 2]]"


def check_structure(element: Any) -> None:
    """Refuse batches that are built otherwise, such as those of other libraries.

    What was given may be arrays, tensors or their specs.

    Raises:
        ValueError: it is not (images, {"boxes": ..., "classes": ...}), or a shape does not fit.
    """
    if isinstance(element, Mapping):
        names = list(element)
        images = next((name for name in names if "image" in str(name)), "images")
        truth = next((name for name in names if name != images), "bounding_boxes")
        called = _names(element.get(truth))
        raise _other_form(
            f"a dictionary of {_listed(names)}",
            f'data.map(lambda d: (d["{images}"], {{"boxes": d["{truth}"]["{called[0]}"], '
            f'"classes": d["{truth}"]["{called[1]}"]}}))',
        )
    if not isinstance(element, tuple | list) or len(element) not in (2, 3):
        raise _other_form(_kind(element), "fit(images, truth) or a data set of such pairs")
    images, truth = element[:2]
    _check_truth_form(truth)
    image_shape = _shape(images, "images")
    if image_shape is None:
        raise _other_form(
            "images of unknown shape",
            "data.map(lambda x, y: (tf.ensure_shape(x, (None, None, None, 3)), y))",
        )
    if len(image_shape) == 3:
        raise _other_form(f"single pictures {image_shape}", "data.batch(8)")
    if len(image_shape) != 4 or image_shape[-1] not in (3, None):
        raise _other_form(f"images {image_shape}", "images (batch, height, width, 3)")
    boxes, classes = (_shape(truth[name], name) for name in ("boxes", "classes"))
    if boxes is not None and (len(boxes) != 3 or boxes[-1] not in (4, None)):
        raise _other_form(f"boxes {boxes}", "boxes (B, M, 4)")
    if classes is not None and len(classes) != 2:
        raise _other_form(
            f"classes {classes}",
            'class numbers: {"classes": np.argmax(classes, -1)} where they are one-hot',
        )
    shapes = [shape[:2] for shape in (boxes, classes) if shape is not None]
    if len(shapes) == 2 and any(a != b for a, b in zip(*shapes, strict=True) if None not in (a, b)):
        raise _other_form(f"boxes {boxes} and classes {classes}", "one class id for each box")


def check_alone(data: Any) -> None:
    """Refuse what came to `fit` without truth, and is no data set.

    Raises:
        ValueError: always; the message says what to write.
    """
    if isinstance(data, Mapping):
        check_structure(data)
    if isinstance(data, tuple | list) and data:
        one = len(data) == 2 and hasattr(data[0], "shape") and isinstance(data[1], Mapping)
        write = "fit(*data)" if one else "fit((batch for batch in data)) for a list of batches"
        raise _other_form(_kind(data), write)
    raise _other_form(f"{_kind(data)} alone", "fit(images, truth)")


def check_batch(images: Any, boxes: Any, classes: Any, num_classes: int, *, pixels: bool) -> None:
    """Refuse values that no picture, box or class id has.

    Args:
        images: (B, H, W, 3).
        boxes: (B, M, 4).
        classes: (B, M), each below `num_classes`.
        num_classes: of the model.
        pixels: whether to look at the pictures' values, too, which takes a walk over them.

    Raises:
        ValueError: what was received, what is expected and what to write.
    """
    check_structure((images, {"boxes": boxes, "classes": classes}))
    if pixels:
        check_pixels(images)
    _check_classes(classes, num_classes)
    boxes, real, size = np.asarray(boxes, np.float64), classes != PADDING, images.shape[1:3]
    _check_boxes(boxes, real, size)
    if pixels and real.any():
        _check_order(boxes[real], size)


def _check_classes(classes: np.ndarray, num_classes: int) -> None:
    if not classes.size:
        return
    wrong = ~((classes >= LOWEST) & (classes < num_classes) & (classes == np.floor(classes)))
    if wrong.any():
        count = f"{num_classes} class" + "es" * (num_classes != 1)
        raise ValueError(
            f"class id {classes[wrong].max()} in the data, but the model has {count}: ids 0 to "
            f"{num_classes - 1}, -1 for padding, -2 and -3 for what is ignored"
        )


def _check_boxes(boxes: np.ndarray, real: np.ndarray, size: tuple[int, int]) -> None:
    """Refuse boxes (B, M, 4) that are no corners in pictures of (height, width)."""
    finite = np.isfinite(boxes).all(-1)
    write = "boxes[np.isfinite(boxes).all(-1)] for each picture, and the same for its ids"
    _refuse(boxes, ~finite, "finite numbers", write)
    if not real.any():
        return
    height, width = size
    objects = boxes[real]
    if objects.min() > -SHARES_END and objects.max() <= SHARES_END:
        raise ValueError(
            f"boxes: expected pixels, received {objects.min():g} to {objects.max():g}, as of 0..1; "
            f"write boxes * [{width}, {height}, {width}, {height}]"
        )
    turned = real & (boxes[..., 2:] < boxes[..., :2]).any(-1)
    _refuse(boxes, turned, "corners x1 <= x2, y1 <= y2", _remedy(objects, size))
    ends = np.array([width, height])
    outside = (boxes[..., :2] >= ends) | (boxes[..., 2:] <= 0)
    far = (boxes[..., :2] < -ends) | (boxes[..., 2:] > 2 * ends)
    expected = f"boxes in pictures of {width}x{height}"
    _refuse(boxes, real & (outside | far).any(-1), expected, _remedy(objects, size))


def _check_order(objects: np.ndarray, size: tuple[int, int]) -> None:
    """Refuse boxes (n, 4) that reach over the picture's edge where y1, x1, y2, x2 would fit."""
    height, width = size
    over = (objects < -1) | (objects > np.array([width, height, width, height]) + 1)
    if over.any() and (write := _remedy(objects, size)).startswith(_TURNED):
        box = ", ".join(f"{side:g}" for side in objects[over.any(-1)][0])
        raise ValueError(
            f"boxes: expected x1, y1, x2, y2 in pictures of {width}x{height}, received ({box}); "
            f"write {write}, or cut them at the edge"
        )


def _remedy(objects: np.ndarray, size: tuple[int, int]) -> str:
    """Return what to write for boxes (n, 4) that are no corners, by what would make them some."""
    height, width = size
    limits = np.array([width, height, width, height]) + 1

    def fits(corners: np.ndarray) -> bool:
        inside = (corners >= -1).all() and (corners <= limits).all()
        return bool(inside and (corners[:, 2:] >= corners[:, :2]).all())

    first, last = objects[:, :2], objects[:, 2:]
    if fits(objects[:, [1, 0, 3, 2]]):
        return f"{_TURNED} if they are y1, x1, y2, x2"
    start, sides = "boxes[..., :2]", "boxes[..., 2:]"
    for low, high, written, form in (
        (first, first + last, f"{start}, {start} + {sides}", "x, y, width, height"),
        (first - last / 2, first + last / 2, f"{start} - {sides} / 2, {start} + {sides} / 2",
         "centre x, centre y, width, height"),
    ):  # fmt: skip
        if (last >= 0).all() and fits(np.concatenate([low, high], 1)):
            return f"np.concatenate([{written}], -1) if they are {form}"
    return "boxes as x1, y1, x2, y2 in pixels of the pictures as they are given"


def _refuse(boxes: np.ndarray, wrong: np.ndarray, expected: str, write: str) -> None:
    if wrong.any():
        picture, row = np.argwhere(wrong)[0]
        box = ", ".join(f"{side:g}" for side in boxes[picture, row])
        raise ValueError(
            f"boxes: expected {expected}, received ({box}) for object {row} of picture {picture}"
            f"; write {write}"
        )


def _check_truth_form(truth: Any) -> None:
    if isinstance(truth, tuple | list) and truth and isinstance(truth[0], Mapping):
        boxes, classes = _names(truth[0])
        raise _other_form(
            "a list of dictionaries for the objects",
            f'{{"boxes": np.stack([one["{boxes}"] for one in truth]), "classes": '
            f'np.stack([one["{classes}"] for one in truth])}}, padded to one length',
        )
    if isinstance(truth, tuple | list) and len(truth) == 2:
        raise _other_form(
            f"({_kind(truth[0])}, {_kind(truth[1])}) for the objects",
            '{"boxes": truth[0], "classes": truth[1]}',
        )
    if not isinstance(truth, Mapping):
        raise _other_form(
            f"{_kind(truth)} for the objects",
            '{"boxes": truth[..., :4], "classes": truth[..., 4]} where the class is the fifth '
            "column",
        )
    lacking = [name for name in ("boxes", "classes") if name not in truth]
    if lacking:
        boxes, classes = _names(truth)
        raise _other_form(
            f"a dictionary of {_listed(truth)} for the objects",
            f'{{"boxes": truth["{boxes}"], "classes": truth["{classes}"]}}',
        )


def _names(truth: Any) -> tuple[str, str]:
    """Return what a dictionary of objects calls boxes and classes, as far as one can guess."""
    if not isinstance(truth, Mapping):
        return "boxes", "classes"
    found = []
    for name, like in (("boxes", ("box",)), ("classes", ("label", "class", "categor", "id"))):
        others = [str(other) for other in truth if other not in ("boxes", "classes")]
        guess = [other for other in others if any(word in other.lower() for word in like)]
        found.append(name if name in truth else guess[0] if guess else "...")
    return found[0], found[1]


def _shape(value: Any, name: str) -> tuple | None:
    """Return a static shape with None where a length is not known; None where the rank is not."""
    fill = "-1" if name == "classes" else ""
    if "Ragged" in type(value).__name__:
        raise _other_form(f"a ragged tensor of {name}", f'truth["{name}"].to_tensor({fill})')
    if "Sparse" in type(value).__name__:
        write = f'tf.sparse.to_dense(truth["{name}"]{fill and ", -1"})'
        raise _other_form(f"a sparse tensor of {name}", write)
    shape = getattr(value, "shape", None)
    if shape is None:
        raise _other_form(f"{_kind(value)} of {name}", f"np.array({name})")
    kind = str(getattr(value, "dtype", "")).lower()
    if name != "images" and any(word in kind for word in ("object", "str", "<u", "complex")):
        write = "numbers: [detector.classes.index(name) ...]" if fill else "np.array(boxes, float)"
        raise _other_form(f"{name} of dtype {kind}", write)
    if getattr(shape, "rank", 0) is None:
        return None
    return tuple(shape)


def _kind(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"an array {tuple(value.shape)}" if value.shape != () else "a number"
    return "nothing" if value is None else f"a {type(value).__name__}"


def _listed(names: Any) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _other_form(received: str, write: str) -> ValueError:
    return ValueError(f"received {received}; {EXPECTED}; write {write}")
