"""A weights file of any program, opened once: a detector of its own, or a start for another."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import keras

from yolo import zoo
from yolo.detector import Detector
from yolo.errors import ConfigError, WeightsError
from yolo.models.backbones import applications
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.cfg import Cfg
from yolo.models.darknet_cfg.known import name_of
from yolo.models.names import settings_of
from yolo.models.yolov4.from_cfg import config_of, left_out
from yolo.system.terminal import counted
from yolo.weights import beside, catalog, darknet, keras_file, torchvision, tutorial
from yolo.weights.darknet import DarknetFile
from yolo.weights.description import Description
from yolo.weights.heads import Meaning, meaning_of
from yolo.weights.keras_file import KerasFile
from yolo.weights.torchvision import TorchvisionFile
from yolo.weights.tutorial import TutorialFile

log = logging.getLogger("yolo")
_START = "as a start for training (train.py --weights); it cannot predict"


def load(
    weights: str | Path,
    *,
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    cfg: str | Path | None = None,
    anchors: Sequence[tuple[float, float]] | None = None,
    masks: str | Sequence[Sequence[int]] | None = None,
) -> Detector:
    """Return a detector from a file of ours or of another program's.

    The others say how many classes they have, not which: 80 are COCO's, as Darknet orders them,
    91 COCO's category numbers, and 20 in the tutorial's files are VOC's. Of a Darknet file the cfg
    beside it counts: of the same name, or the only one there; and so do the names, in a `.names` or
    `.data` file. The log says what was taken.

    Args:
        weights: `.keras`, a whole Darknet `.weights`, torchvision's RetinaNet, the tutorial's
            `.h5`, or a name such as "yolov4-tiny-coco", which is downloaded once.
        classes: class names for a file of another program that is for other classes; not used
            for ours.
        image_size: (height, width) of the network's picture, in the place of the file's own.
        cfg: of a Darknet file, in the place of the one beside it.
        anchors: (width, height) in pixels, for a Darknet or tutorial file made with others.
        masks: for each stride, finest first, the indices of its anchors, likewise.

    Returns:
        A `Detector`, not compiled; a file of ours brings its classes, anchors and size.

    Raises:
        WeightsError: the file is missing or damaged, or cannot be used for prediction.
        ConfigError: the network cannot take pictures of `image_size`, the cfg cannot be built, or
            an option is for files of another kind.
    """
    file = open_file(weights)
    heads = {"anchors": anchors, "masks": masks}
    heads = {name: value for name, value in heads.items() if value is not None}
    _refuse_idle(file, cfg, heads)
    if isinstance(file, KerasFile):
        model = file.detector()
        if image_size:
            model.set_image_size(image_size)
        return model
    if isinstance(file, DarknetFile):
        return _from_darknet(file, cfg, classes, image_size, heads)
    return _built(file, file.describe(), classes, image_size, heads)


def _refuse_idle(file, cfg: str | Path | None, heads: dict) -> None:
    """Refuse what a file of its kind has no use for."""
    if cfg is not None and not isinstance(file, DarknetFile):
        raise ConfigError(f"{file.path}: --cfg is for Darknet's weights; leave it out")
    if heads and not isinstance(file, DarknetFile | TutorialFile):
        word = next(iter(heads))
        raise ConfigError(
            f"{file.path}: knows its own anchors; --{word} is for files of Darknet and of the "
            "tutorial"
        )


def _from_darknet(
    file: DarknetFile, cfg: str | Path | None, classes, image_size, heads: dict
) -> Detector:
    """Return the detector of a Darknet file, with what lies beside it, and say what was taken."""
    found_cfg = darknet_cfg.read(cfg) if cfg is not None else beside.find_cfg(file.path)
    if found_cfg is not None and cfg is None and not file.is_of(found_cfg):
        log.warning("%s lies beside the weights, but is for other ones", found_cfg.place)
        found_cfg = None
    found = file.describe(found_cfg)
    if found is None and found_cfg is not None:
        raise WeightsError(
            f"{file.path}: holds no more than the first layers of {found_cfg.place}, {_START}; if "
            "it is a whole network, give the cfg that it was trained with, --cfg FILE"
        )
    names = None
    if found is not None and len(classes or ()) != found.num_classes:  # fewer are a choice of them
        names = beside.find_names(file.path, found_cfg, found.num_classes)
    model = _built(file, found, names[0] if names else classes, image_size, heads)
    model.notes = {**model.notes, darknet.HEADER_NOTE: file.header.hex()}
    source = f"names from {names[1]}" if names else ""
    for line in taken(model, found_cfg, source, assumed=not heads):
        log.info("%s", line)
    return model


def taken(model: Detector, cfg: Cfg | None, names: str, *, assumed: bool) -> list[str]:
    """Return the lines that say what a Darknet file was taken for, with the cfg of one or without.

    `names` says where the class names are from, "" where they were given or are COCO's; `assumed`
    that nobody gave anchors or masks.
    """
    settings = model.architecture
    masks = dict(zip(settings.strides, settings.masks, strict=True))
    strides = settings.strides
    if cfg is not None:
        strides = tuple(int(cfg.layers[number].stride) for number in cfg.heads)
    told = [",".join(map(str, masks[stride])) for stride in strides]
    what = model.network.name.replace("_", "-")
    if cfg is not None:
        single = sum(cfg.floats(classes=1))
        step = sum(cfg.floats(classes=2)) - single
        stem = Path(cfg.place).stem
        what = f"{name_of(single - step, step, stem) or stem} from {cfg.place}"
    parts = [
        f"{what}: {counted(len(model.classes), 'class')}",
        "x".join(map(str, model.image_size)),
        f"{len(told)} head{'s' * (len(told) > 1)}",
        f"masks {' and '.join(told)}",
        *([names] if names else []),
    ]
    lines = [", ".join(parts)]
    if cfg is not None:
        return [*lines, *left_out(cfg, training=False)]
    if assumed:
        lines.append(
            f"no cfg given: the anchors and masks are assumed to be those of {what}; if boxes are "
            "off, give the cfg with --cfg FILE, or --anchors FILE and --masks"
        )
    return lines


def _built(file, found: Description | None, classes, image_size, heads: dict) -> Detector:
    """Return the detector of another program's file."""
    if found is None:
        raise WeightsError(f"{file.path}: holds the first layers only, {_START}")
    given = tuple(classes or ())
    names = next((n for n in (given, *found.class_lists) if len(n) == found.num_classes), None)
    if names is None:
        raise WeightsError(
            f"{file.path}: is for {found.num_classes} classes, {len(given)} names are known; "
            "give the class list with --classes FILE"
        )
    size = image_size or found.image_size
    model = zoo.build(found.model, classes=names, image_size=size, **{**found.options, **heads})
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
        file = open_file(weights)
        if isinstance(file, KerasFile):  # which says itself what its heads mean
            file.fill(model)
        else:
            file.fill(model, _meaning(file))
        return
    nested = [layer for layer in model.network.layers if isinstance(layer, keras.Model)]
    if not nested:
        raise WeightsError(
            "--weights imagenet is for backbones of keras.applications; for this one give a "
            "file (torchvision's ResNet .pth, or Darknet's)"
        )
    applications.load_imagenet(nested[0])


def _meaning(file: DarknetFile | TorchvisionFile | TutorialFile) -> Meaning:
    """Return what the heads of another program's file mean, as far as it is known."""
    cfg, names = None, None
    try:
        if isinstance(file, DarknetFile):
            cfg = beside.find_cfg(file.path)
            cfg = cfg if cfg is not None and file.is_of(cfg) else None
            found = file.describe(cfg)
        else:
            found = file.describe()
    except (ConfigError, WeightsError):  # of a size that two networks have, without its cfg
        return Meaning()
    if found is None:
        return Meaning()
    if isinstance(file, DarknetFile):
        names = beside.find_names(file.path, cfg, found.num_classes)
    usual = [names for names in found.class_lists if len(names) == found.num_classes]
    options = {name: value for name, value in found.options.items() if name != "resize"}
    settings = (
        config_of(found.model, **options)
        if isinstance(found.model, Cfg)
        else settings_of(found.model, **options)
    )
    return meaning_of(settings, names[0] if names else usual[0] if usual else ())


def open_file(weights: str | Path) -> KerasFile | DarknetFile | TorchvisionFile | TutorialFile:
    """Read a weights file, or a name of the catalogue, with the reader of its kind.

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
