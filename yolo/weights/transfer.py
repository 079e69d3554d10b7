"""From one detector to another: all weights of layers that fit."""

from __future__ import annotations

import logging
from pathlib import Path

from yolo.detector import Detector
from yolo.errors import WeightsError
from yolo.system.reading import printable
from yolo.weights.heads import (
    Meaning,
    fill_head,
    logits_by_name,
    meaning_of,
    shared_classes,
    tell_moved,
    tell_shared,
)

log = logging.getLogger("yolo")


def transfer(model: Detector, source: Detector, path: Path) -> int:
    """Give a detector the weights of another one's layers that fit, or none.

    Heads of other classes or anchors get what is theirs: see `heads.fill_head`. `path` names the
    other's file.

    Returns:
        The number of layers filled whole.

    Raises:
        WeightsError: no layer fits.
    """
    theirs = meaning_of(source.architecture, source.classes)
    if source.architecture != model.architecture and not theirs.shapes:
        log.warning("%s: was made with other anchors or another profile than this model", path)
    same = theirs == meaning_of(model.architecture, model.classes)
    fresh_logits = not shared_classes(model.classes, source.classes)
    by_name = {layer.name: layer for layer in source.network.layers if layer.weights}
    targets = [layer for layer in model.network.layers if layer.weights]
    fresh, whole, parts = [], [], []
    for layer in targets:
        other = by_name.get(layer.name)
        if other is not None and hasattr(layer, "outputs_per_anchor") and not same:
            if _same_but_classes(layer, other):
                parts.append((layer, other))
                fresh += [f"{layer.name} (class logits)"] if fresh_logits else []
            else:
                fresh.append(layer.name)
        elif layer.name == "class_logits" and source.classes != model.classes:
            parts += [(layer, other)] if other is not None else []
            fresh += [layer.name] if fresh_logits or other is None else []
        elif other is None or [w.shape for w in other.weights] != [w.shape for w in layer.weights]:
            fresh.append(layer.name)
        else:
            whole.append((layer, other))
    if not whole:
        raise WeightsError(f"{printable(path)}: no layer of it fits {model.network.name}")
    for layer, other in whole:  # only now, when nothing can fail any more
        layer.set_weights(other.get_weights())
    moved = [_give_part(model, layer, other, theirs) for layer, other in parts]
    if parts:
        tell_shared(path, model.classes, source.classes)
    if any(moved):
        tell_moved(path)
    log.info(
        "%s: loaded %d of %d layers; fresh: %s",
        path, len(whole), len(targets), ", ".join(fresh) or "none",
    )  # fmt: skip
    return len(whole)


def _give_part(model: Detector, layer, other, theirs: Meaning) -> bool:
    """Give a head, or class logits, what another one's has for it; return whether boxes moved."""
    if hasattr(layer, "outputs_per_anchor"):
        kernel, bias = other.get_weights()
        return fill_head(model, layer, kernel, bias, theirs)
    layer.set_weights(logits_by_name(layer, other.get_weights(), model.classes, theirs.classes))
    return False


def _same_but_classes(head, other) -> bool:
    """Tell whether two heads have the same inputs and as many anchors."""
    anchors = [h.filters // h.outputs_per_anchor for h in (head, other)]
    inputs = [h.weights[0].shape[:-1] for h in (head, other)]
    return anchors[0] == anchors[1] and inputs[0] == inputs[1]
