"""Our own `.keras` files: load a detector, or take over what fits another one."""

from __future__ import annotations

import logging
import zipfile
import zlib
from pathlib import Path

import keras

from yolo.backbones import applications
from yolo.detector import Detector
from yolo.errors import ConfigError, WeightsError
from yolo.weights import darknet, torchvision

log = logging.getLogger("yolo")

# What Keras, HDF5 and zipfile raise on damaged archives, depending on the damaged part.
_DAMAGE = (
    ValueError, TypeError, LookupError, AttributeError, OSError, EOFError, RuntimeError,
    ImportError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def load(path: str | Path, *, expected_classes=None) -> Detector:
    """Load a detector from a `.keras` file.

    Args:
        path: the file.
        expected_classes: names that the model must have, or None.

    Raises:
        WeightsError: the file is missing, damaged, no detector of ours, or for other classes.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise WeightsError(
            f"{path}: not a complete model saved by this program ({path.stat().st_size} bytes "
            "that are no .keras archive or a part of one)"
        )
    try:
        model = keras.models.load_model(path, compile=False)
    except _DAMAGE as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
        raise WeightsError(
            f"{path}: not a complete model saved by this program ({reason})"
        ) from error
    if not isinstance(model, Detector):
        raise WeightsError(f"{path}: holds a {type(model).__name__}, not a detector")
    if expected_classes is not None and tuple(expected_classes) != model.classes:
        raise WeightsError(
            f"{path}: was trained for the classes {', '.join(model.classes)}; the data has "
            f"{', '.join(expected_classes)}"
        )
    return model


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
    fresh = []
    for layer in targets:
        other = by_name.get(layer.name)
        if other is not None and hasattr(layer, "outputs_per_anchor") and not same_classes:
            fresh.append(f"{layer.name} (class logits)")
            if _anchors_of(layer) == _anchors_of(other):
                darknet.keep_classes_fresh(layer, *other.get_weights())
                continue
            fresh[-1] = layer.name
            continue
        if layer.name == "class_logits" and not same_classes:
            fresh.append(layer.name)
            continue
        if other is None or [w.shape for w in other.weights] != [w.shape for w in layer.weights]:
            fresh.append(layer.name)
            continue
        layer.set_weights(other.get_weights())
    if len(fresh) == len(targets):
        raise WeightsError(f"{path}: no layer of it fits {model.network.name}")
    log.info(
        "%s: loaded %d of %d layers; fresh: %s",
        path, len(targets) - len(fresh), len(targets), ", ".join(fresh) or "none",
    )  # fmt: skip


def start_from(model: Detector, path: str | Path) -> None:
    """Fill a fresh detector with all that a weights file has for it.

    Args:
        model: the detector.
        path: a `.keras` of ours, a Darknet file, torchvision's `.pth`, `.safetensors` or
            `.npz`; or "imagenet", Keras's own weights of a `keras.applications` backbone.

    Raises:
        WeightsError: the file cannot be read or fits the detector nowhere.
    """
    suffix = Path(path).suffix
    if str(path) == "imagenet":
        nested = [layer for layer in model.network.layers if isinstance(layer, keras.Model)]
        if not nested:
            raise WeightsError(
                "--weights imagenet is for backbones of keras.applications; for this one give a "
                "file (torchvision's ResNet .pth, or Darknet's)"
            )
        applications.load_imagenet(nested[0])
    elif suffix == ".keras":
        transfer(model, path)
    elif suffix in torchvision.SUFFIXES:
        torchvision.load(model, path)
    else:
        darknet.load(model, path)


def _anchors_of(head) -> int:
    return head.filters // head.outputs_per_anchor


def open_weights(path: str | Path, *, classes=None, image_size=None) -> Detector:
    """Return a detector for prediction from a file of ours or of Darknet's.

    A Darknet file says how many classes it has, not which; 80 are COCO's, as Darknet orders
    them. It gets Darknet's own preprocessing: stretched, not letterboxed.

    Args:
        path: `.keras`, or a whole Darknet `.weights`.
        classes: class names for a Darknet file that is not COCO's; not used for others.
        image_size: (height, width) for a Darknet file, 416 x 416 by default.

    Raises:
        WeightsError: the file cannot be used for prediction.
        ConfigError: `image_size` contradicts what a file of ours says itself.
    """
    from yolo.classes import COCO_CLASSES
    from yolo.zoo import build

    if Path(path).suffix in torchvision.SUFFIXES:
        return _open_torchvision(path, classes, image_size)

    if Path(path).suffix == ".keras":
        model = load(path)
        if image_size and tuple(image_size) != model.image_size:
            size = "x".join(str(side) for side in model.image_size)
            raise ConfigError(f"{path}: knows its own size, {size}; leave out --image-size")
        return model
    found = darknet.count_classes(path)
    if found is None:
        raise WeightsError(
            f"{path}: holds the first layers only, as a start for training "
            "(train.py --weights); it cannot predict"
        )
    name, count = found
    names = tuple(classes or ())
    if len(names) != count and count == len(COCO_CLASSES):
        names = COCO_CLASSES
    if len(names) != count:
        raise WeightsError(
            f"{path}: is for {count} classes, {len(names)} names are known; "
            "give the class list with --classes FILE"
        )
    options = {}
    if name == "yolov4-tiny":
        # Darknet's COCO file was trained with yolov4-tiny.cfg; its author's advice for one's
        # own data is yolov4-tiny-custom.cfg.
        options["masks"] = "coco" if count == len(COCO_CLASSES) else "custom"
    model = build(
        name, classes=names, image_size=image_size or (416, 416), resize="stretch", **options
    )
    darknet.load(model, path)
    return model


def _open_torchvision(path, classes, image_size) -> Detector:
    from yolo.classes import COCO_CATEGORIES
    from yolo.zoo import build

    found = torchvision.describe(path)
    if found is None:
        raise WeightsError(
            f"{path}: holds a backbone only, as a start for training (train.py --weights); it "
            "cannot predict"
        )
    name, profile, count = found
    names = tuple(classes or ())
    if len(names) != count and count == len(COCO_CATEGORIES):
        names = COCO_CATEGORIES
    if len(names) != count:
        raise WeightsError(
            f"{path}: is for {count} classes, {len(names)} names are known; "
            "give the class list with --classes FILE"
        )
    model = build(name, classes=names, image_size=image_size or (640, 640), profile=profile)
    torchvision.load(model, path)
    return model
