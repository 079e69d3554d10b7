"""Where in a picture the network is how sure of an object, as colours laid over it."""

from __future__ import annotations

import numpy as np

from yolo.pictures.files import cv2
from yolo.pictures.fit import fit_image

_STEP = 4  # network pixels for one cell of the map: finer than any stride
_LEAST = 0.01
_MOST_BOXES = 2000


def confidence_map(
    model, image: np.ndarray, *, windows: np.ndarray | None = None, class_ids=None
) -> np.ndarray:
    """Return (H, W) how sure the network is, in 0..1, that at a place of a picture an object is.

    Every box before suppression spreads its best score as a bell over its inside: one at the
    centre, fallen to a tenth at the edges. Where bells meet, the highest counts. Only
    `predict_raw` is asked, so that any detector will do.

    Args:
        model: with `predict_raw`, `image_size` and `resize`, as a `Detector` has them.
        image: (H, W, 3) uint8 RGB.
        windows: (n, 4) parts of the picture to look at, xyxy, as `tiles.windows` lays them; the
            whole picture if None.
        class_ids: the classes that count; all if None.
    """
    height, width = image.shape[:2]
    heat = np.zeros((height, width), np.float32)
    if windows is None:
        windows = np.array([[0, 0, width, height]])
    for x1, y1, x2, y2 in np.asarray(windows):
        view = image[y1:y2, x1:x2]
        picture, fit = fit_image(view, tuple(model.image_size), resize=model.resize)
        raw = model.predict_raw(picture[None])
        scores = np.asarray(raw["scores"])[0]
        if class_ids is not None:
            scores = scores[:, class_ids]
        part = _spread(np.asarray(raw["boxes"])[0], scores.max(axis=1), picture.shape[:2])
        # Cut the picture's own part out of the network's: bars of a letterbox are no picture.
        corners = fit.to_network(np.array([[0, 0, x2 - x1, y2 - y1]]))[0] / _STEP
        left, top = np.floor(corners[:2]).astype(int)
        right, bottom = np.maximum(np.ceil(corners[2:]).astype(int), (left + 1, top + 1))
        part = cv2.resize(part[top:bottom, left:right], (int(x2 - x1), int(y2 - y1)))
        np.maximum(heat[y1:y2, x1:x2], part, out=heat[y1:y2, x1:x2])
    return np.clip(heat, 0, 1)


def lay_over(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a picture under its confidence map: blue for little, red for sure, else nothing."""
    colors = cv2.applyColorMap((heat * 255).round().astype(np.uint8), cv2.COLORMAP_TURBO)
    colors = cv2.cvtColor(colors, cv2.COLOR_BGR2RGB).astype(np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    # A faded picture, so that only the map has colours.
    ground = 0.35 * image + 0.65 * grey
    weight = 0.65 * np.sqrt(heat)[..., None]
    return (ground * (1 - weight) + colors * weight).round().astype(np.uint8)


def _spread(boxes: np.ndarray, scores: np.ndarray, image_size) -> np.ndarray:
    """Return the map (height / 4, width / 4) of boxes in pixels of the network's picture."""
    height, width = (-(-side // _STEP) for side in image_size)
    heat = np.zeros((height, width), np.float32)
    best = np.argsort(-scores, kind="stable")[:_MOST_BOXES]
    best = best[(scores[best] >= _LEAST) & np.isfinite(boxes[best]).all(axis=1)]
    for (x1, y1, x2, y2), score in zip(boxes[best] / _STEP, scores[best], strict=True):
        left, right = max(0, int(x1)), min(width, int(np.ceil(x2)))
        top, bottom = max(0, int(y1)), min(height, int(np.ceil(y2)))
        if left >= right or top >= bottom:
            continue
        across = _bell(np.arange(left, right) + 0.5, (x1 + x2) / 2, x2 - x1)
        down = _bell(np.arange(top, bottom) + 0.5, (y1 + y2) / 2, y2 - y1)
        part = heat[top:bottom, left:right]
        np.maximum(part, score * down[:, None] * across[None], out=part)
    return heat


def _bell(places, centre, side):
    """Return 1 at the place nearest to the centre, and about 0.1 half a side away."""
    values = np.exp(np.log(0.1) * ((places - centre) / max(side / 2, 1.0)) ** 2)
    return (values / max(values.max(), 1e-9)).astype(np.float32)
