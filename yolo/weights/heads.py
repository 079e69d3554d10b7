"""A detector's heads from those of another: classes by their names, boxes by their anchors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolo.data.anchor_fit import shape_overlap
from yolo.models.yolov4.settings import YOLOv4Config

log = logging.getLogger("yolo")

Shapes = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Meaning:
    """What the outputs of a detector's heads mean.

    Args:
        classes: names in the order of the class logits; none where they are not known.
        shapes: for each stride the (width, height) of its anchors; none where they are not known.
    """

    classes: tuple[str, ...] = ()
    shapes: Mapping[int, Shapes] = field(default_factory=dict)


def meaning_of(settings, classes: Sequence[str]) -> Meaning:
    """Return what the heads of a detector with such settings and classes mean."""
    shapes = {}
    if isinstance(settings, YOLOv4Config):
        shapes = {
            stride: tuple(settings.anchors[i] for i in mask)
            for stride, mask in zip(settings.strides, settings.masks, strict=True)
        }
    return Meaning(tuple(classes), shapes)


def shared_classes(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Return (index here, index there) of the names that both lists have, small letters or not."""
    if tuple(ours) == tuple(theirs):
        return [(index, index) for index in range(len(ours))]
    there = {name.casefold(): index for index, name in enumerate(theirs)}
    return [
        (index, there[name.casefold()])
        for index, name in enumerate(ours)
        if name.casefold() in there
    ]


def tell_shared(path: Path, ours: Sequence[str], theirs: Sequence[str]) -> None:
    """Say of how many classes the logits are kept, where the lists differ and both are known."""
    if not ours or not theirs or tuple(ours) == tuple(theirs):
        return
    kept = [ours[here] for here, _ in shared_classes(ours, theirs)]
    named = f" ({', '.join(kept[:5])}{', ...' if len(kept) > 5 else ''})" if kept else ""
    log.info(
        "%s: class logits of %d of %d classes kept by name%s, %d fresh",
        path.name, len(kept), len(ours), named, len(ours) - len(kept),
    )  # fmt: skip


def tell_moved(path: Path) -> None:
    """Say that the boxes of a file's heads were moved to other anchors."""
    log.info("%s: its boxes were moved to this model's anchors; they lie as before", path.name)


def fill_head(model, head, kernel: np.ndarray, bias: np.ndarray, theirs: Meaning) -> bool:
    """Give a head the outputs of another one of the same stride and as many anchors a cell.

    An anchor takes the outputs of the other head's anchor that is most like it, with the biases
    of width and height moved by what their shapes differ: it predicts the same boxes as before.
    Class logits are taken by name; without names all of them where their number is the same, else
    none.

    Args:
        model: the head's `Detector`, or its network, of which nothing is known.
        head: the layer.
        kernel: (1, 1, inputs, anchors * (5 + their classes)).
        bias: (anchors * (5 + their classes),).
        theirs: what the other head's outputs mean.

    Returns:
        Whether the anchors are others, so that boxes were moved.
    """
    anchors = head.filters // head.outputs_per_anchor
    settings, classes = getattr(model, "architecture", None), getattr(model, "classes", ())
    sources, shifts = _nearest(settings, head, theirs)
    count = kernel.shape[-1] // anchors - 5
    if theirs.classes and classes:
        pairs = shared_classes(classes, theirs.classes)
    else:
        same = count == head.outputs_per_anchor - 5
        pairs = [(index, index) for index in range(count)] if same else []
    weights = head.get_weights()
    for new, old in zip(weights, (kernel, bias), strict=True):
        new_parts = new.reshape(*new.shape[:-1], anchors, -1)
        old_parts = old.reshape(*old.shape[:-1], anchors, -1)
        if sources is not None:
            old_parts = old_parts[..., sources, :]
        new_parts[..., :5] = old_parts[..., :5]
        for here, there in pairs:
            new_parts[..., 5 + here] = old_parts[..., 5 + there]
    if sources is not None:
        weights[1].reshape(anchors, -1)[:, 2:4] += shifts
    head.set_weights(weights)
    return sources is not None


def logits_by_name(layer, theirs: Sequence[np.ndarray], ours: Sequence[str], names) -> list:
    """Return kernel and bias of a layer of class logits, with those of names that others know.

    Its last axis holds the classes of each anchor, and so does that of the others' two arrays; our
    own stay where theirs are of another shape.
    """
    found = []
    for own, other in zip(layer.get_weights(), theirs, strict=True):
        anchors = own.shape[-1] // max(len(ours), 1)
        if other.shape == (*own.shape[:-1], anchors * len(names)):
            for here, there in shared_classes(ours, names):
                own[..., here :: len(ours)] = other[..., there :: len(names)]
        found.append(own)
    return found


def _nearest(settings, head, theirs: Meaning):
    """Return whose outputs each anchor takes, and how far its sizes move; (None, None) if alike.

    Returns:
        (anchors,) indices, and (anchors, 2) to add to the biases of width and height.
    """
    stride = getattr(head, "map_stride", 0)
    if not isinstance(settings, YOLOv4Config) or stride not in theirs.shapes:
        return None, None
    ours = np.array([settings.anchors[i] for i in settings.mask(stride)])
    before = np.array(theirs.shapes[stride], "float64")
    if ours.shape != before.shape or np.array_equal(ours, before):
        return None, None
    sources = shape_overlap(ours, before).argmax(axis=1)
    ratio = before[sources] / ours
    if not settings.new_coords:  # sizes are exp(t) times the anchor
        return sources, np.log(ratio)
    # (2 sigmoid(t))^2 times: the same where t is 0, and near it
    half = 0.5 * np.sqrt(np.clip(ratio, 0.01, 3.9))
    return sources, np.log(half / (1 - half))
