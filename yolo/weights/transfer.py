"""From one detector to another: all weights of layers that fit."""

from __future__ import annotations

import logging
from pathlib import Path

from yolo.detector import Detector
from yolo.errors import WeightsError
from yolo.system.reading import printable
from yolo.weights.convolutions import keep_classes_fresh

log = logging.getLogger("yolo")


def transfer(model: Detector, source: Detector, path: Path) -> int:
    """Give a detector the weights of another one's layers that fit, or none.

    A head of other classes gets its box and objectness outputs where those are its own.

    Args:
        model: the detector to fill.
        source: where the weights come from.
        path: names its file in messages.

    Returns:
        The number of layers filled whole.

    Raises:
        WeightsError: no layer fits.
    """
    if source.architecture != model.architecture:
        log.warning("%s: was made with other anchors, masks or attention than this model", path)
    same_classes = source.classes == model.classes
    by_name = {layer.name: layer for layer in source.network.layers if layer.weights}
    targets = [layer for layer in model.network.layers if layer.weights]
    fresh, whole, heads = [], [], []
    for layer in targets:
        other = by_name.get(layer.name)
        if other is not None and hasattr(layer, "outputs_per_anchor") and not same_classes:
            if _same_but_classes(layer, other):
                fresh.append(f"{layer.name} (class logits)")
                heads.append((layer, other))
            else:
                fresh.append(layer.name)
        elif layer.name == "class_logits" and not same_classes:
            fresh.append(layer.name)
        elif other is None or [w.shape for w in other.weights] != [w.shape for w in layer.weights]:
            fresh.append(layer.name)
        else:
            whole.append((layer, other))
    if not whole:
        raise WeightsError(f"{printable(path)}: no layer of it fits {model.network.name}")
    for layer, other in whole:  # only now, when nothing can fail any more
        layer.set_weights(other.get_weights())
    for layer, other in heads:
        keep_classes_fresh(layer, *other.get_weights())
    log.info(
        "%s: loaded %d of %d layers; fresh: %s",
        path, len(whole), len(targets), ", ".join(fresh) or "none",
    )  # fmt: skip
    return len(whole)


def _same_but_classes(head, other) -> bool:
    """Tell whether two heads have the same inputs and as many anchors."""
    anchors = [h.filters // h.outputs_per_anchor for h in (head, other)]
    inputs = [h.weights[0].shape[:-1] for h in (head, other)]
    return anchors[0] == anchors[1] and inputs[0] == inputs[1]
