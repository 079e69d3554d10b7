"""Hold an exported file against Keras before anyone relies on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from yolo.boxes.nms import class_wise_nms
from yolo.boxes.overlap import map_sizes
from yolo.errors import YoloError
from yolo.pictures.fit import fit_image

# The boxes that matter: of thousands of anchors, those that could become an object.
_BEST = 100
_WIDER = 4  # times what a last digit of the picture does, where that is more than the limit
# The greatest difference in a score, and in a side of the best boxes as a share of the network's
# picture, that still counts as the same model. Whole numbers cannot be exact: their limits find
# broken files only, and what they cost is for `evaluate.py` to measure.
LIMITS = {
    "none": (1e-3, 1e-3),
    "float16": (0.02, 0.02),
    "dynamic": (0.3, 0.3),
    "int8": (0.5, 0.5),
}


class Difference(NamedTuple):
    """How far an exported file is from Keras.

    Args:
        score: greatest difference of a score, 0..1.
        score_mean: mean difference of the best boxes' scores.
        box_pixels: greatest difference of a side of the best boxes.
        box_share: the same as a share of the network's picture's longer side, or of the box's own
            where that is longer: an untrained network dreams of boxes of any size.
    """

    score: float
    score_mean: float
    box_pixels: float
    box_share: float

    def __str__(self):
        return (
            f"scores differ by at most {self.score:.2g} (the {_BEST} best boxes' by "
            f"{self.score_mean:.2g} on average), the best boxes by at most "
            f"{self.box_pixels:.2g} pixels"
        )

    @classmethod
    def of(cls, scores, best_scores, best_pixels, best_shares) -> Difference:
        """Sum up the differences of all scores, and those of the best boxes."""
        means = float(best_scores.mean())
        return cls(float(scores.max()), means, float(best_pixels.max()), float(best_shares.max()))


def compare(keras_model, exported, image) -> Difference:
    """Return how far an exported file, opened by its runtime, is from Keras on a picture.

    The detector computes in float32. A file with free sizes is also run on a batch of two in
    another size. A RetinaNet's rows are candidates, sorted by scores that may lie closer together
    than the runtimes compute: each of the best is held against the row of its level that is most
    like it, and the other way round.
    """
    sizes = [(exported.image_size, 1)]
    if exported.info.dynamic:
        height, width = exported.image_size
        sizes.append(((height + 32, width + 64), 2))
    found = []
    for size, count in sizes:
        picture, _ = fit_image(image, size, resize=exported.resize)
        batch = np.stack([picture, picture[:, ::-1]][:count])
        wanted, received = keras_model.predict_raw(batch), exported.predict_raw(batch)
        _check_arrays(wanted, received)
        levels = _candidates(keras_model, size)
        if levels is None:
            found.append(_difference(wanted, received, max(size)))
        else:
            found += _of_candidates(wanted, received, levels, max(size))
    return Difference(*np.max(found, axis=0).tolist())


def _check_arrays(expected, received) -> None:
    """Refuse outputs of another shape, and numbers that are none."""
    for name in ("boxes", "scores"):
        if expected[name].shape != received[name].shape:
            raise YoloError(
                f"the exported file gives {name} of shape {received[name].shape}, Keras "
                f"{expected[name].shape}"
            )
        if not np.isfinite(received[name]).all():
            raise YoloError(f"the exported file gives {name} that are not finite")


def _difference(expected, received, side) -> Difference:
    """Return how far outputs are apart whose rows are the same anchors."""
    best = np.argsort(-expected["scores"].max(axis=-1), axis=-1)[:, :_BEST]  # (batch, 100)
    rows = np.arange(len(best))[:, None]
    scores = np.abs(expected["scores"] - received["scores"])
    boxes = expected["boxes"][rows, best]  # (batch, 100, 4)
    pixels = np.abs(boxes - received["boxes"][rows, best]).max(axis=-1)
    own_side = (boxes[..., 2:] - boxes[..., :2]).max(axis=-1)
    return Difference.of(scores, scores[rows, best], pixels, pixels / np.maximum(own_side, side))


def _candidates(keras_model, size) -> list[slice] | None:
    """Return the rows that each level gives; None where rows are the anchors themselves."""
    settings = getattr(keras_model, "architecture", None)
    if settings is None or settings.family != "retinanet":
        return None
    cells = [rows * columns for rows, columns in map_sizes(settings.strides, size)]
    counts = [min(count * settings.anchors_per_cell, settings.candidates) for count in cells]
    ends = np.cumsum(counts).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _of_candidates(expected, received, levels: list[slice], side) -> list[Difference]:
    """Return how far candidates are apart, for each picture and seen from either side."""
    found = []
    for picture in range(len(expected["boxes"])):
        sides = []
        for raw in (expected, received):
            scores = raw["scores"][picture].copy()
            for level in levels:
                part = scores[level]
                # Of a score that was cut no more is known than that it is below the others.
                kept = part[part > 0]
                if len(kept):
                    part[part == 0] = kept.min()
            sides.append((raw["boxes"][picture], scores))
        found += [_nearest(one, other, levels, side) for one, other in (sides, sides[::-1])]
    return found


def _nearest(one, other, levels: list[slice], side) -> Difference:
    """Hold the best rows of one output against those of the other that are most like them."""
    boxes, scores = one
    best = np.argsort(-scores.max(axis=-1))[:_BEST]
    found = []
    for level in levels:
        for row in best[(best >= level.start) & (best < level.stop)]:
            pixels = np.abs(other[0][level] - boxes[row]).max(axis=-1)
            own_side = (boxes[row, 2:] - boxes[row, :2]).max()
            share = pixels / max(own_side, side)
            apart = np.abs(other[1][level] - scores[row])  # (candidates, classes)
            like = np.maximum(share, apart.max(axis=-1)).argmin()
            found.append((apart[like].max(), apart[like].mean(), pixels[like], share[like]))
    return Difference.of(*np.array(found).T)


class _Nudged:
    """A detector whose pictures differ in their last digit."""

    def __init__(self, model, exported):
        self.model, self.info = model, exported.info
        self.image_size, self.resize = exported.image_size, exported.resize

    def predict_raw(self, images):
        return self.model.predict_raw(images.astype(np.float32) * np.float32(1 - 1e-7))


def rounding(keras_model, exported, image) -> Difference:
    """Return how far a network is from itself where the last digit of its picture changes.

    One that was not trained may widen roundings a thousandfold, and no two runtimes round alike.
    """
    return compare(keras_model, _Nudged(keras_model, exported), image)


def check_difference(
    difference: Difference, quantize: str, own: Callable[[], Difference] | None = None
) -> None:
    """Refuse a file that is too far from Keras.

    Args:
        difference: what `compare` found.
        quantize: the file's way of storing numbers, a key of `LIMITS`.
        own: gives what `rounding` does of the network, for numbers that are stored as they are.

    Raises:
        YoloError: a number is above the limit for its way of storing numbers.
    """
    score, box = LIMITS[quantize]

    def near(found: Difference) -> bool:
        return found.score <= score and found.box_share <= box

    if not near(difference) and own is not None and quantize == "none":
        widened = own()
        score, box = max(score, _WIDER * widened.score), max(box, _WIDER * widened.box_share)
    if not near(difference):
        raise YoloError(
            f"the exported file is not the model: {difference}; at most {score:g} and "
            f"{box:.1%} of the picture's side are allowed, so nothing was written"
        )


def check_suppression(exported, image) -> int:
    """Hold the suppression inside a file against ours, on the file's own boxes and scores.

    Returns:
        The number of objects that both found.

    Raises:
        YoloError: they found different objects.
    """
    picture, _ = fit_image(image, exported.image_size, resize=exported.resize)
    raw = exported.predict_raw(picture[None])
    # A model that is sure of nothing here shall still have something to suppress.
    ranked = np.sort(raw["scores"][0], axis=None)[::-1]
    threshold = min(exported.thresholds.score_threshold, float(ranked[: 2 * _BEST][-1]))
    just_above = np.nextafter(np.float32(threshold), np.float32(1))  # TensorFlow's is >
    boxes, scores, class_ids = class_wise_nms(
        raw["boxes"][0], raw["scores"][0],
        **exported.thresholds.chosen(score_threshold=just_above)._asdict(),
    )  # fmt: skip
    (inside,) = exported.detect_inside(picture[None], score_threshold=threshold)
    candidates = ranked[ranked > threshold]
    if len(np.unique(candidates)) < len(candidates):
        # Of equal scores either may be kept, and what it then suppresses differs, too.
        same = inside.scores[:1].tolist() == scores[:1].tolist()
    else:
        same = len(inside) == len(scores) and np.allclose(inside.scores, scores, atol=1e-5)
        same = same and _as_set(inside.class_ids, inside.boxes_xyxy) == _as_set(class_ids, boxes)
    if not same:
        raise YoloError(
            f"suppression inside the file found {len(inside)} objects where ours finds "
            f"{len(scores)}, or others; nothing was written"
        )
    return len(scores)


def _as_set(class_ids, boxes) -> set:
    return {(int(c), *np.round(box, 1).tolist()) for c, box in zip(class_ids, boxes, strict=True)}
