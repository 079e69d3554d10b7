"""Look at a large picture tile by tile, so that its small objects stay large enough to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.nms import nms
from yolo.boxes.pairwise import covered_share
from yolo.errors import ConfigError
from yolo.models.postprocess import find_in_batches
from yolo.pictures.fit import fit_image

OVERLAP = 0.25
_EDGE = 0.01  # a box that ends nearer to a tile's inner edge may have been cut; share of the tile
_COVERED = 0.5  # of the area of a cut box: then it is a part of the whole one


def windows(
    size: tuple[int, int], tile: tuple[int, int], *, overlap: float = OVERLAP
) -> np.ndarray:
    """Lay tiles over a picture: evenly, each overlapping its neighbours, none reaching outside.

    Args:
        size: (height, width) of the picture.
        tile: (height, width) of a tile; where the picture is smaller, the picture's.
        overlap: the least share of a tile's side that a neighbour covers, too, in 0..0.9.

    Returns:
        (n, 4) int64 boxes xyxy, row by row.

    Raises:
        ConfigError: a tile without area or an overlap out of range.

    Example:
        >>> windows((10, 18), (10, 10), overlap=0.2).tolist()
        [[0, 0, 10, 10], [8, 0, 18, 10]]
        >>> windows((5, 5), (10, 10)).tolist()
        [[0, 0, 5, 5]]
    """
    if min(tile) < 1 or not 0 <= overlap <= 0.9:
        raise ConfigError(
            f"tiles need a height and width from 1 and an overlap in 0..0.9, not {tile} and "
            f"{overlap}"
        )
    height, width = (min(side, length) for side, length in zip(tile, size, strict=True))
    return np.array(
        [
            (left, top, left + width, top + height)
            for top in _starts(size[0], height, overlap)
            for left in _starts(size[1], width, overlap)
        ],
        np.int64,
    )


def _starts(length: int, side: int, overlap: float) -> list[int]:
    step = max(1, int(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    return np.linspace(0, length - side, count).round().astype(int).tolist()


def detect_tiled(
    model,
    image: np.ndarray,
    tile: tuple[int, int],
    *,
    batch_size: int = 8,
    overlap: float = OVERLAP,
    **asked,
) -> Detections:
    """Find objects in overlapping tiles and in the whole picture, and merge what was found.

    Objects up to the overlap are whole in at least one tile; larger ones are found in the whole
    picture, which the network sees last. The part of an object that a tile's edge cuts off is
    dropped where the object was found whole, see `merge`.

    Args:
        model: a `Detector`, or what `yolo.models.postprocess` takes for one.
        image: (H, W, 3) uint8 RGB.
        tile: (height, width) in pixels of the picture; each tile is resized to the network's
            size, so the network's own size keeps the pixels as they are.
        batch_size: tiles per call of the model.
        overlap: see `windows`.
        **asked: instead of the model's `Thresholds`; `max_detections` holds for the picture.

    Returns:
        The detections in pixels of the picture, best first.
    """
    size = image.shape[:2]
    boxes = windows(size, tile, overlap=overlap)
    if len(boxes) > 1:
        boxes = np.concatenate([boxes, [(0, 0, size[1], size[0])]])

    def fitted(window):
        x1, y1, x2, y2 = window
        return fit_image(image[y1:y2, x1:x2], tuple(model.image_size), resize=model.resize)

    views = ((window, *fitted(window)) for window in boxes)
    batch_size = min(batch_size, len(boxes))
    found, cut = [], []
    for window, answer in find_in_batches(model, views, batch_size=batch_size, **asked):
        places = answer.boxes_xyxy + np.tile(window[:2], 2).astype(np.float32)
        found.append(replace(answer, boxes_xyxy=places))
        cut.append(_is_cut(places, window, size))
    together = Detections(
        np.concatenate([one.boxes_xyxy for one in found]),
        np.concatenate([one.scores for one in found]),
        np.concatenate([one.class_ids for one in found]),
        found[0].class_names,
    )
    thresholds = model.thresholds.chosen(**asked)
    kept = merge(
        together, np.concatenate(cut), iou_threshold=thresholds.iou_threshold,
        one_label=thresholds.one_label, sure=model.thresholds.score_threshold,
    )  # fmt: skip
    return kept[: thresholds.max_detections]


def merge(
    found: Detections, cut: np.ndarray, *, iou_threshold: float, one_label: bool = False,
    sure: float = 0.0,
) -> Detections:  # fmt: skip
    """Keep one detection for each object that several tiles saw.

    Of two detections of a class that overlap by more than the threshold the better one stays.
    Before that, one that was cut by its tile's edge gives way to any whole one of its class that
    covers half of it: the part of a car may score more than the car. To one that is not sure only
    parts that score no more give way, so that what scores `sure` and more stays the same whatever
    else is looked at.

    Args:
        found: the detections of all tiles, in pixels of the picture.
        cut: (N,) bool, whether a tile's edge may have cut the detection.
        iou_threshold: in 0..1.
        one_label: take all classes for one.
        sure: the score from which on a whole detection is sure.

    Returns:
        The detections that stay, best first.
    """
    kept = []
    groups = np.zeros(len(found), int) if one_label else found.class_ids
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        boxes, parts, sureness = found.boxes_xyxy[mine], cut[mine], found.scores[mine].clip(0, sure)
        covered = np.zeros(len(mine), bool)
        if parts.any() and not parts.all():
            share = covered_share(boxes[parts], boxes[~parts])
            gives_way = sureness[parts, None] <= sureness[~parts]
            covered[parts] = ((share > _COVERED) & gives_way).any(axis=1)
        mine = mine[~covered]
        best = nms(found.boxes_xyxy[mine], found.scores[mine], iou_threshold=iou_threshold)
        kept.append(mine[best])
    every = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    return found[every[np.argsort(-found.scores[every], kind="stable")]]


def _is_cut(boxes: np.ndarray, window: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return which boxes end at an edge of their tile that is no edge of the picture, (N,) bool."""
    x1, y1, x2, y2 = window
    near = max(1.0, _EDGE * max(x2 - x1, y2 - y1))
    return (
        ((boxes[:, 0] < x1 + near) & (x1 > 0))
        | ((boxes[:, 1] < y1 + near) & (y1 > 0))
        | ((boxes[:, 2] > x2 - near) & (x2 < size[1]))
        | ((boxes[:, 3] > y2 - near) & (y2 < size[0]))
    )
