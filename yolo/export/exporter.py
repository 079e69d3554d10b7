"""Export a detector: write, reload, compare, and only then put the file in its place."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from yolo.boxes import nms
from yolo.errors import ConfigError, YoloError
from yolo.export.compare import (
    Difference,
    check_difference,
    check_suppression,
    compare,
    rounding,
)
from yolo.export.formats import REFUSALS, WRITERS
from yolo.export.graph import Graph, float32_twin
from yolo.export.info import RUNTIMES, ExportInfo, info_path, target_name, write_info
from yolo.export.runtimes import ExportedDetector
from yolo.pictures.fit import fit_image
from yolo.system.reading import reason

log = logging.getLogger("yolo")

FORMATS = RUNTIMES
QUANTIZE = {
    "saved_model": ("none",),
    "onnx": ("none",),
    "openvino": ("none", "float16"),
    "litert": ("none", "dynamic", "float16", "int8"),
}
SUPPRESSES = ("saved_model", "onnx")


def describe(model, format: str, **options) -> ExportInfo:
    """Return what an export of `model` will say about itself.

    Args:
        model: the `Detector`.
        format: one of `FORMATS`.
        **options: fields of `ExportInfo`; None stands for the model's own. `nms=None` suppresses
            inside the file where the format can.

    Raises:
        ConfigError: the format does not exist or cannot do what is asked.
    """
    if format not in FORMATS:
        raise ConfigError(f"no format is called {format!r}; there are {', '.join(FORMATS)}")
    options = {name: value for name, value in options.items() if value is not None}
    options.setdefault("nms", format in SUPPRESSES)
    if options["nms"] and format not in SUPPRESSES:
        raise ConfigError(
            f"{format} has no suppression inside the file; the _nms.py beside it suppresses"
        )
    quantize = options.get("quantize", "none")
    if quantize not in QUANTIZE[format]:
        raise ConfigError(
            f"{format} is not written with --quantize {quantize}; it can be "
            f"{', '.join(QUANTIZE[format])}"
        )
    free_sizes = options.get("dynamic") or model.resize == "shorter"
    if free_sizes and format == "litert" and model.architecture.family == "retinanet":
        instead = "" if model.resize == "shorter" else "leave out --dynamic, or "
        raise ConfigError(
            "litert has no operation by which a RetinaNet with free sizes chooses its candidates; "
            f"{instead}take onnx, openvino or saved_model"
        )
    if model.resize == "shorter" and not options.get("dynamic"):
        raise ConfigError(
            "this model resizes by the shorter side, so its pictures have many sizes; export it "
            "with --dynamic"
        )
    cfg = getattr(model.architecture, "darknet", None)
    if cfg is not None:
        options["stride"] = cfg.size_multiple
    options = {"image_size": model.image_size, **model.thresholds._asdict(), **options}
    return ExportInfo(
        format=format,
        model=model.network.name,
        classes=model.classes,
        resize=model.resize,
        notes=model.notes,
        **options,
    )


def export(
    model,
    folder: str | Path,
    info: ExportInfo,
    *,
    stem: str = "best",
    picture: np.ndarray,
    calibration: Callable | None = None,
) -> tuple[Path, Difference]:
    """Write a detector for another runtime, and keep the file only if it computes the same.

    Args:
        model: the `Detector`, trained in any precision; the file computes in float32.
        folder: where the file goes.
        info: what `describe` returned.
        stem: the file's name without its suffix.
        picture: (H, W, 3) uint8 RGB, a real one: on it the file is compared with Keras.
        calibration: for int8, returns an iterator of pictures (H, W, 3) uint8.

    Returns:
        The file, or a SavedModel's folder, and how far it is from Keras.

    Raises:
        YoloError: a package is missing, or the file differs too much from Keras.
        ConfigError: int8 without calibration pictures.
    """
    if info.quantize == "int8" and calibration is None:
        raise ConfigError("int8 needs pictures to measure ranges on: give the training set, --data")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as temporary:
            path = Path(temporary) / target_name(stem, info.format, info.quantize)
            difference = _write(model, path, info, picture, calibration)
            target = folder / path.name
            put_in_place(Path(temporary), folder)
    except OSError as error:
        raise YoloError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return target, difference


def _write(model, path: Path, info: ExportInfo, picture, calibration) -> Difference:
    """Write the file and all that lies beside it into a folder of its own, and compare."""
    twin = float32_twin(model, info.image_size)
    graph = Graph(twin, dynamic=info.dynamic, thresholds=info.thresholds)

    def pictures():
        for image in calibration():
            fitted, _ = fit_image(image, info.image_size, resize=info.resize)
            yield fitted[None].astype(np.float32)

    with tf.device("CPU:0"):
        try:
            WRITERS[info.format](graph, path, info, pictures)
        except REFUSALS as error:
            raise YoloError(
                f"{info.format}: its converter refuses {info.model} ({reason(error)})"
            ) from error
        write_info(path, info)
        exported = ExportedDetector(path)
        difference = compare(twin, exported, picture)
        check_difference(difference, info.quantize, lambda: rounding(twin, exported, picture))
        if info.nms:
            found = check_suppression(exported, picture)
            log.debug("suppression inside the file: the same %d objects as ours", found)
    write_info(path, dataclasses.replace(info, difference=difference._asdict()))
    if not info.nms:
        shutil.copyfile(nms.__file__, path.with_name(f"{path.stem}_nms.py"))
    return difference


def put_in_place(source: Path, folder: Path) -> None:
    """Move everything in `source` into `folder`, in the place of an older export of that name.

    Raises:
        YoloError: a folder stands in the way that is no export.
    """
    for new in source.iterdir():
        old = folder / new.name
        if old.is_dir():
            if not info_path(old).is_file():
                raise YoloError(f"{old}: is a folder that is no export; move it, or use --out")
            shutil.rmtree(old)
        new.replace(old)
