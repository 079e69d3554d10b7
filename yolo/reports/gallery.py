"""Pictures with what is marked and what was found side by side, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.draw import draw_detections, outline
from yolo.data.sample import Sample, draw_ground_truth
from yolo.evaluation.matching import PictureResult
from yolo.pictures.files import read_image
from yolo.pictures.header import printable
from yolo.pictures.sheet import grid, shrunk
from yolo.pictures.text import put_text, text_width

WORST, BEST = 8, 4
CELL, GAP, TEXT = 360, 6, 15
INK, PAPER, RED = (20, 20, 20), (255, 255, 255), (220, 30, 30)


def worst_and_best(
    results: Sequence[PictureResult],
) -> tuple[list[PictureResult], list[PictureResult]]:
    """Choose the pictures to show from those of `picture_results`, none twice.

    Returns:
        The `WORST` ones, if they have mistakes, and the `BEST` of the others, those with the most
        objects.
    """
    wrong = [result for result in results if result.f1 < 1][:WORST]
    rest = [result for result in results if result not in wrong]
    good = sorted(rest, key=lambda result: (-result.f1, -result.hits))
    return wrong, good[:BEST]


def side_by_side(result: PictureResult, sample: Sample, classes) -> np.ndarray:
    """Draw one picture twice, as marked and as found, under a line that counts the mistakes.

    Missed objects and false detections have a thick red outline. The width is at most
    2 * CELL + GAP.
    """
    image, scale = shrunk(read_image(sample.path), CELL)
    marked = replace(sample, boxes_xyxy=np.asarray(sample.boxes_xyxy) * scale)
    boxes = result.found.boxes_xyxy * scale
    found = Detections(boxes, result.found.scores, result.found.class_ids, tuple(classes))
    left = draw_ground_truth(image, marked, classes)
    outline(left, marked.boxes_xyxy[result.missed], RED)
    right = draw_detections(image, found)
    outline(right, boxes[result.false], RED)
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    pair = np.concatenate([left, gap, right], axis=1)
    caption = (
        f"{printable(sample.path.name)}: {result.hits} found, {len(result.missed)} missed, "
        f"{len(result.false)} false"
    )
    return np.concatenate([_line(caption, pair.shape[1]), pair])


def sheet(pairs: Sequence[np.ndarray]) -> np.ndarray:
    """Lay pairs of `side_by_side` below each other, two in a row; none give an empty sheet."""
    return grid(list(pairs), 2 if len(pairs) > 1 else 1, cell=2 * CELL + GAP)


def _line(text: str, width: int) -> np.ndarray:
    """Return a strip of paper with a line of text, cut where it does not fit."""
    strip = np.full((2 * TEXT, width, 3), PAPER, np.uint8)
    while text and text_width(text, TEXT) > width - 2 * GAP:
        text = text[1:]  # the counts at the end matter more than the name's beginning
    put_text(strip, text, (GAP, TEXT + TEXT // 3), TEXT, INK)
    return strip
