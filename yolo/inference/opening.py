"""Whatever detects, from whatever file: `yolo.load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.errors import ConfigError
from yolo.export.info import runtime_of
from yolo.weights import catalog

if TYPE_CHECKING:
    from yolo.detector import Detector
    from yolo.export.runtimes import ExportedDetector


def load(
    weights: str | Path, *, image_size: tuple[int, int] | None = None, **of_file: Any
) -> Detector | ExportedDetector:
    """Return a detector from a file of ours or of another program's, a run or an export.

    Args:
        weights: `.keras`; a run's folder, of which the best model counts; an exported file
            (`.onnx`, `.tflite`, OpenVINO's `.xml`, a SavedModel's folder), which needs no Keras; a
            whole Darknet `.weights`, with the cfg and names beside it; torchvision's RetinaNet; the
            tutorial's `.h5`; or a name such as "yolov4-tiny-coco", which is downloaded once.
        image_size: (height, width) of the network's picture, in the place of the file's own.
        **of_file: `classes`, `cfg`, `anchors`, `masks` for files of other programs, see
            `yolo.weights.loading.load`.

    Returns:
        A `Detector`, not compiled, or of an exported file an `ExportedDetector`, which detects
        alike and cannot be trained.

    Raises:
        WeightsError: the file is missing or damaged, or cannot be used for prediction.
        ConfigError: the network cannot take pictures of `image_size`, the cfg cannot be built, or
            an option is for files of another kind.
        YoloError: the runtime of an exported file is not installed.

    Example:
        >>> detector = load("logs/blood")  # doctest: +SKIP
        >>> detector.detect("street.jpg").show()  # doctest: +SKIP
    """
    weights = catalog.of_run(Path(weights))
    if runtime_of(weights):
        if given := [name for name, value in of_file.items() if value is not None]:
            raise ConfigError(
                f"{weights}: {given[0]} is for files of other programs, not for exports"
            )
        from yolo.export import runtimes

        return runtimes.open_exported(weights, image_size=image_size)
    from yolo.weights import loading

    return loading.load(weights, image_size=image_size, **of_file)
