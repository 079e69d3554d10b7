"""A weights file of any program, opened once: a detector of its own, or a start for another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from yolo import zoo
from yolo.detector import Detector
from yolo.errors import ConfigError, WeightsError
from yolo.models.backbones import applications
from yolo.weights import catalog, darknet, keras_file, torchvision, tutorial
from yolo.weights.darknet import DarknetFile
from yolo.weights.keras_file import KerasFile
from yolo.weights.torchvision import TorchvisionFile
from yolo.weights.tutorial import TutorialFile


def load(
    weights: str | Path,
    *,
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
) -> Detector:
    """Return a detector from a file of ours or of another program's.

    The others say how many classes they have, not which: 80 are COCO's, as Darknet orders them,
    91 COCO's category numbers, and 20 in the tutorial's files are VOC's.

    Args:
        weights: `.keras`, a whole Darknet `.weights`, torchvision's RetinaNet, the tutorial's
            `.h5`, or a name such as "yolov4-tiny-coco", which is downloaded once.
        classes: class names for a file of another program that is for other classes; not used
            for ours.
        image_size: (height, width) for a file of another program.

    Returns:
        A `Detector`, not compiled; a file of ours brings its classes, anchors and size.

    Raises:
        WeightsError: the file is missing or damaged, or cannot be used for prediction.
        ConfigError: `image_size` contradicts what a file of ours says itself.
    """
    file = open_file(weights)
    if isinstance(file, KerasFile):
        own = tuple(file.config["image_size"])
        if image_size and tuple(image_size) != own:
            sides = "x".join(str(side) for side in own)
            raise ConfigError(f"{file.path}: knows its own size, {sides}; leave out --image-size")
        return file.detector()
    found = file.describe()
    if found is None:
        raise WeightsError(
            f"{file.path}: holds the first layers only, as a start for training "
            "(train.py --weights); it cannot predict"
        )
    given = tuple(classes or ())
    names = next((n for n in (given, *found.class_lists) if len(n) == found.num_classes), None)
    if names is None:
        raise WeightsError(
            f"{file.path}: is for {found.num_classes} classes, {len(given)} names are known; "
            "give the class list with --classes FILE"
        )
    size = image_size or found.image_size
    model = zoo.build(found.model, classes=names, image_size=size, **found.options)
    file.fill(model)
    return model


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
    if str(weights) != "imagenet":
        open_file(weights).fill(model)
        return
    nested = [layer for layer in model.network.layers if isinstance(layer, keras.Model)]
    if not nested:
        raise WeightsError(
            "--weights imagenet is for backbones of keras.applications; for this one give a "
            "file (torchvision's ResNet .pth, or Darknet's)"
        )
    applications.load_imagenet(nested[0])


def open_file(weights: str | Path) -> KerasFile | DarknetFile | TorchvisionFile | TutorialFile:
    """Read a weights file with the reader of its kind.

    Args:
        weights: the file, or a name of the catalogue, which is downloaded once.

    Raises:
        WeightsError: the file cannot be read.
    """
    path = catalog.locate(weights)
    if path.suffix == ".keras":
        return keras_file.read(path)
    if path.suffix in torchvision.SUFFIXES:
        return torchvision.read(path)
    if path.suffix in tutorial.SUFFIXES:
        return tutorial.read(path)
    return darknet.read(path)
