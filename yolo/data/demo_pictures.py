"""Drawing: shapes and line patterns over textured backgrounds, with the boxes around them."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from yolo.boxes.pairwise import covered_share, pairwise_iou
from yolo.data.formats.voc import LabelledObject
from yolo.pictures.files import cv2

SHAPES_CLASSES = ("circle", "cross", "grid", "square", "star", "triangle", "zigzag")
SIZE = (240, 320)
FINE = 3  # shapes are drawn this much larger and then reduced, for smooth edges
MOST_IOU = 0.3
MOST_COVERED, DIFFICULT_COVERED = 0.35, 0.25  # shares of a box that later shapes may cover
MOST_OVER = 0.6  # share of a new box that may lie over an earlier one
LEAST_INSIDE = 0.6  # share of a shape that must lie inside the picture


@dataclass(frozen=True)
class Drawing:
    """How full the pictures are; fewer and smaller objects make detection more imbalanced.

    Args:
        radius: (smallest, largest) in pixels; small ones are as frequent as large ones, by
            their logarithm.
        objects: (fewest, most) in a picture that has any.
        empty: share of the pictures that have none, 0..1.
    """

    radius: tuple[float, float] = (16.0, 52.0)
    objects: tuple[int, int] = (2, 7)
    empty: float = 0.03


FULL = Drawing()
# Of a run without data: plain to see at half the size, at which a network trains in minutes.
LARGE = Drawing(radius=(21.0, 60.0), objects=(2, 6))
# About one anchor in two thousand meets an object, and most pictures have none.
IMBALANCED = Drawing(radius=(9.0, 18.0), objects=(1, 2), empty=0.5)


def draw_picture(
    rng: np.random.Generator, size: tuple[int, int] = SIZE, drawing: Drawing = FULL
) -> tuple[np.ndarray, list[LabelledObject]]:
    """Draw one picture: a textured background and up to seven shapes, in a few none.

    Returns:
        The picture, (*size, 3) uint8 RGB, and its objects.
    """
    image = _background(rng, size)
    fewest, most = drawing.objects
    wanted = 0 if rng.random() < drawing.empty else int(rng.integers(fewest, most + 1))
    names: list[str] = []
    patches: list[_Patch] = []
    covered: list[float] = []
    for _ in range(12 * wanted):  # some places are refused
        if len(names) == wanted:
            break
        name = SHAPES_CLASSES[rng.integers(len(SHAPES_CLASSES))]
        patch = _shape(rng, name, size, drawing.radius)
        if patch is None:
            continue
        mine, others = np.array([patch.box]), np.array([p.box for p in patches]).reshape(-1, 4)
        if (pairwise_iou(mine, others) > MOST_IOU).any():
            continue
        hidden = np.add(covered, covered_share(others, mine)[:, 0]).tolist()
        over = covered_share(mine, others)[0].tolist()
        if max(hidden, default=0) > MOST_COVERED or max(over, default=0) > MOST_OVER:
            continue
        _paint(rng, image, patch)
        names.append(name)
        patches.append(patch)
        covered = [*hidden, 0.0]
    objects = [
        LabelledObject(n, p.box, truncated=p.inside < 0.98, difficult=c > DIFFICULT_COVERED)
        for n, p, c in zip(names, patches, covered, strict=True)
    ]
    grain = rng.standard_normal((*size, 1), np.float32) * rng.uniform(1, 4)
    return np.clip(image * 255 + grain, 0, 255).astype(np.uint8), objects


def _ring(count: int, radii: tuple[float, ...], start: float) -> np.ndarray:
    """Return `count` points (x, y) around the origin, at these radii in turn."""
    angles = start + 2 * math.pi * np.arange(count) / count
    radius = np.resize(radii, count)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _cross() -> np.ndarray:
    a = 0.36
    quarter = [(a, 1), (a, a), (1, a)]
    points = []
    for _ in range(4):
        points += quarter
        quarter = [(y, -x) for x, y in quarter]
    return np.array(points)


# Filled outlines and open strokes, in a square of -1 to 1
OUTLINES: dict[str, Callable[[], np.ndarray]] = {
    "circle": lambda: _ring(72, (1.0,), 0.0),
    "cross": _cross,
    "square": lambda: np.array([(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]),
    "star": lambda: _ring(10, (1.1, 0.46), -math.pi / 2),
    "triangle": lambda: _ring(3, (1.15,), -math.pi / 2),
}
STROKES: dict[str, Callable[[], list[np.ndarray]]] = {
    "grid": lambda: [
        np.array(line)
        for t in (-0.84, -0.28, 0.28, 0.84)
        for line in ([(-1, t), (1, t)], [(t, -1), (t, 1)])
    ],
    "zigzag": lambda: [
        np.array(
            [(-1.05, 0.7), (-0.63, -0.7), (-0.21, 0.7), (0.21, -0.7), (0.63, 0.7), (1.05, -0.7)]
        )
    ],
}
FREE_TURN = ("circle", "star", "triangle")


@dataclass(frozen=True)
class _Patch:
    """A shape's opacity around its place in the picture, cut at the picture's edge."""

    body: np.ndarray
    edge: np.ndarray
    region: tuple[slice, slice]
    box: tuple[int, int, int, int]
    inside: float


def _shape(
    rng: np.random.Generator, name: str, size: tuple[int, int], radii: tuple[float, float]
) -> _Patch | None:
    """Place and draw a shape's opacity; None if less than `LEAST_INSIDE` of it is inside."""
    height, width = size
    low, high = radii
    radius = low * (high / low) ** rng.random()
    turn = rng.uniform(-math.pi, math.pi) if name in FREE_TURN else rng.uniform(-0.45, 0.45)
    stretch = rng.uniform(0.85, 1.18)
    centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    if rng.random() < 0.85:  # most shapes stay inside
        centre = np.clip(centre, 1.2 * radius, np.array([width, height]) - 1.2 * radius)
    cos, sin = math.cos(turn), math.sin(turn)
    move = radius * np.array([[cos, -sin], [sin, cos]]) @ np.diag([stretch, 1 / stretch])
    reach = math.ceil(1.6 * radius) + 12  # with room for the shadow
    left, top = (int(n) - reach for n in centre)
    body = np.zeros((2 * reach * FINE, 2 * reach * FINE), np.uint8)
    edge = np.zeros_like(body)

    def fine(points: np.ndarray) -> np.ndarray:
        return np.round((points @ move.T + centre - (left, top)) * FINE * 16).astype(np.int32)

    if name in OUTLINES:
        points = [fine(OUTLINES[name]())]
        cv2.fillPoly(body, points, 255, cv2.LINE_AA, 4)
        thick = max(2, round(0.09 * radius * FINE))
        cv2.polylines(edge, points, True, 255, thick, cv2.LINE_AA, 4)
    else:
        points = [fine(line) for line in STROKES[name]()]
        thick = max(2.6, (0.13 if name == "grid" else 0.24) * radius)
        cv2.polylines(body, points, False, 255, round(thick * FINE), cv2.LINE_AA, 4)
    side = (2 * reach, 2 * reach)
    body, edge = (
        cv2.resize(mask, side, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        for mask in (body, edge)
    )
    whole = np.maximum(body, edge)
    region = (
        slice(max(top, 0), min(top + 2 * reach, height)),
        slice(max(left, 0), min(left + 2 * reach, width)),
    )
    part = (
        slice(region[0].start - top, region[0].stop - top),
        slice(region[1].start - left, region[1].stop - left),
    )
    inside = float(whole[part].sum() / whole.sum())
    if inside < LEAST_INSIDE:
        return None
    seen = whole[part] > 0.5
    ys, xs = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    x, y = region[1].start, region[0].start
    box = (int(xs[0]) + x, int(ys[0]) + y, int(xs[-1]) + x + 1, int(ys[-1]) + y + 1)
    return _Patch(body[part], edge[part], region, box, inside)


def _paint(rng: np.random.Generator, image: np.ndarray, patch: _Patch) -> None:
    """Lay a shape over the picture: soft shadow, body lit from above, darker edge."""
    height, width = patch.body.shape
    hsv = rng.random(), rng.uniform(0.65, 1), rng.uniform(0.7, 1)
    colour = np.array(colorsys.hsv_to_rgb(*hsv), np.float32)
    whole = np.maximum(patch.body, patch.edge)
    move = np.array([[1, 0, 2.5], [0, 1, 3.5]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(whole, move, (width, height)), (0, 0), 2.5)
    rows = np.flatnonzero(whole.any(1))
    light = np.interp(np.arange(height), [rows[0], rows[-1] + 1], [1.12, 0.82])
    lit = np.clip(colour * light.astype(np.float32)[:, None, None], 0, 1)
    view = image[patch.region]
    view *= 1 - 0.4 * shadow[..., None]
    view += patch.body[..., None] * (lit - view)
    view += patch.edge[..., None] * (colour * 0.45 - view)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return a muted background in 0..1: a gradient with clouds, soft stripes, checks or dots."""
    height, width = size
    hue = rng.random()
    value = rng.uniform(0.25, 0.9)
    ends = []
    for shift in rng.uniform(-0.15, 0.15, 2):
        tint, pale = (hue + rng.uniform(-0.1, 0.1)) % 1, rng.uniform(0.05, 0.3)
        ends.append(np.array(colorsys.hsv_to_rgb(tint, pale, np.clip(value + shift, 0.15, 0.95))))
    ys, xs = np.mgrid[:height, :width].astype(np.float32) / width
    angle = rng.uniform(0, math.pi)
    along = xs * math.cos(angle) + ys * math.sin(angle)
    across = ys * math.cos(angle) - xs * math.sin(angle)
    share = (along - along.min()) / np.ptp(along)
    image = ends[0] + share[..., None] * (ends[1] - ends[0])
    waves = 2 * math.pi * rng.uniform(6, 16)
    pattern = {
        0: lambda: 0.0 * along,
        1: lambda: np.tanh(3 * np.sin(waves * along)),
        2: lambda: np.tanh(3 * np.sin(waves * along) * np.sin(waves * across)),
        3: lambda: np.tanh(6 * (np.cos(waves * along) + np.cos(waves * across) - 1.2)),
    }[int(rng.integers(4))]()
    image += rng.uniform(0.02, 0.05) * pattern[..., None]
    for cells, strength in ((4, 0.05), (16, 0.03), (64, 0.02)):
        coarse = rng.normal(0, 1, (cells * height // width + 2, cells + 2)).astype(np.float32)
        cloud = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        image += strength * rng.random() * cloud[..., None]
    return np.clip(image, 0, 1).astype(np.float32)
