"""Our own `.keras` files: load a detector, or take over what fits another one."""

from __future__ import annotations

import logging
from pathlib import Path

import keras

from yolo import zoo
from yolo.classes import COCO_CATEGORIES, COCO_CLASSES, VOC_CLASSES
from yolo.detector import Detector
from yolo.errors import ConfigError, WeightsError
from yolo.models.backbones import applications
from yolo.system.reading import printable
from yolo.weights import catalog, darknet, keras_file, torchvision, tutorial

log = logging.getLogger("yolo")


def load(path: str | Path) -> Detector:
    """Load a detector from a `.keras` file, or by its name in the catalogue.

    Args:
        path: the file, or a name such as "yolov4-tiny-coco", which is downloaded once.

    Returns:
        A `Detector`, not compiled; a file of ours brings its classes, anchors and size.

    Raises:
        WeightsError: the file is missing, damaged or no detector of ours.
    """
    located = catalog.locate(path)
    if located != Path(path):
        return open_weights(located)
    return keras_file.load_detector(located)


def transfer(model: Detector, path: str | Path) -> None:
    """Take over all weights of a saved detector that fit another one, layer by layer.

    Args:
        model: the detector to fill.
        path: a `.keras` file of ours, perhaps with other classes.

    Raises:
        WeightsError: the file cannot be loaded, or no layer fits.
    """
    source = load(path)
    same_classes = source.classes == model.classes
    if source.architecture != model.architecture:
        log.warning("%s: was made with other anchors, masks or attention than this model", path)
    by_name = {layer.name: layer for layer in source.network.layers if layer.weights}
    targets = [layer for layer in model.network.layers if layer.weights]
    fresh, changes = [], []
    for layer in targets:
        other = by_name.get(layer.name)
        if other is not None and hasattr(layer, "outputs_per_anchor") and not same_classes:
            if _same_but_classes(layer, other):
                fresh.append(f"{layer.name} (class logits)")
                changes.append(lambda a=layer, b=other: darknet.keep_classes_fresh(
                    a, *b.get_weights()))  # fmt: skip
            else:
                fresh.append(layer.name)
        elif layer.name == "class_logits" and not same_classes:
            fresh.append(layer.name)
        elif other is None or [w.shape for w in other.weights] != [w.shape for w in layer.weights]:
            fresh.append(layer.name)
        else:
            changes.append(lambda a=layer, b=other: a.set_weights(b.get_weights()))
    if len(fresh) == len(targets):
        raise WeightsError(f"{printable(path)}: no layer of it fits {model.network.name}")
    for change in changes:  # only now, when nothing can fail any more
        change()
    log.info(
        "%s: loaded %d of %d layers; fresh: %s",
        path, len(targets) - len(fresh), len(targets), ", ".join(fresh) or "none",
    )  # fmt: skip


def start_from(model: Detector, weights: str | Path) -> None:
    """Fill a fresh detector with all that a weights file has for it.

    Args:
        model: the detector.
        weights: a `.keras` of ours, a Darknet file, torchvision's `.pth`, `.safetensors` or
            `.npz`, a tutorial's `.h5`, or a name of the catalogue; or "imagenet", Keras's own
            weights of a `keras.applications` backbone.

    Raises:
        WeightsError: the file cannot be read or fits the detector nowhere.
    """
    if str(weights) == "imagenet":
        nested = [layer for layer in model.network.layers if isinstance(layer, keras.Model)]
        if not nested:
            raise WeightsError(
                "--weights imagenet is for backbones of keras.applications; for this one give a "
                "file (torchvision's ResNet .pth, or Darknet's)"
            )
        applications.load_imagenet(nested[0])
        return
    path = catalog.locate(weights)
    if path.suffix == ".keras":
        transfer(model, path)
    elif path.suffix in torchvision.SUFFIXES:
        torchvision.load(model, path)
    elif path.suffix in tutorial.SUFFIXES:
        tutorial.load(model, path)
    else:
        darknet.load(model, path)


def _same_but_classes(head, other) -> bool:
    """Tell whether two heads have the same inputs and as many anchors."""
    anchors = [h.filters // h.outputs_per_anchor for h in (head, other)]
    inputs = [h.weights[0].shape[:-1] for h in (head, other)]
    return anchors[0] == anchors[1] and inputs[0] == inputs[1]


def open_weights(path: str | Path, *, classes=None, image_size=None) -> Detector:
    """Return a detector for prediction from a file of ours or of another program's.

    The others say how many classes they have, not which: 80 are COCO's, as Darknet orders them,
    91 COCO's category numbers, and 20 in the tutorial's files are VOC's.

    Args:
        path: `.keras`, a whole Darknet `.weights`, torchvision's RetinaNet, the tutorial's `.h5`,
            or a name of the catalogue.
        classes: class names for a file of another program that is for other classes; not used
            for ours.
        image_size: (height, width) for a file of another program.

    Raises:
        WeightsError: the file cannot be used for prediction.
        ConfigError: `image_size` contradicts what a file of ours says itself.
    """
    path = catalog.locate(path)
    if path.suffix == ".keras":
        model = load(path)
        if image_size and tuple(image_size) != model.image_size:
            size = "x".join(str(side) for side in model.image_size)
            raise ConfigError(f"{path}: knows its own size, {size}; leave out --image-size")
        return model
    if path.suffix in torchvision.SUFFIXES:
        return _open_torchvision(path, classes, image_size)
    if path.suffix in tutorial.SUFFIXES:
        return _open_tutorial(path, classes, image_size)
    return _open_darknet(path, classes, image_size)


def _open_darknet(path, classes, image_size) -> Detector:
    """Open a Darknet file with Darknet's own preprocessing: stretched, not letterboxed."""
    name, count = _whole(darknet.count_classes(path), path)
    names = _class_names(path, classes, count, COCO_CLASSES)
    options = {}
    if name == "yolov4-tiny":
        # Darknet's COCO file was trained with yolov4-tiny.cfg; its author's advice for one's
        # own data is yolov4-tiny-custom.cfg.
        options["masks"] = "coco" if count == len(COCO_CLASSES) else "custom"
    model = zoo.build(
        name, classes=names, image_size=image_size or (416, 416), resize="stretch", **options
    )
    darknet.load(model, path)
    return model


def _open_tutorial(path, classes, image_size) -> Detector:
    """Open a tutorial's file with the tutorial's preprocessing, masks and attention."""
    name, count = _whole(tutorial.count_classes(path), path)
    names = _class_names(path, classes, count, COCO_CLASSES, VOC_CLASSES)
    options = {}
    if name == "yolov4-tiny":
        options = {"masks": "coco", "attention": tutorial.attention_of(path)}
    model = zoo.build(name, classes=names, image_size=image_size or (416, 416), **options)
    tutorial.load(model, path)
    return model


def _open_torchvision(path, classes, image_size) -> Detector:
    name, profile, count = _whole(torchvision.describe(path), path)
    names = _class_names(path, classes, count, COCO_CATEGORIES)
    model = zoo.build(name, classes=names, image_size=image_size or (640, 640), profile=profile)
    torchvision.load(model, path)
    return model


def _whole(found, path):
    """Refuse a file of which its reader says None: it holds no heads."""
    if found is None:
        raise WeightsError(
            f"{path}: holds the first layers only, as a start for training "
            "(train.py --weights); it cannot predict"
        )
    return found


def _class_names(path, given, count: int, *known) -> tuple[str, ...]:
    """Return the names that are given, or the published list of as many classes."""
    for names in (tuple(given or ()), *known):
        if len(names) == count:
            return names
    raise WeightsError(
        f"{path}: is for {count} classes, {len(given or ())} names are known; "
        "give the class list with --classes FILE"
    )
