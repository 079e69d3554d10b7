"""What an exported file says about itself, in a JSON file that travels with it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from yolo.errors import WeightsError
from yolo.models.thresholds import Thresholds
from yolo.pictures.color import WHITE, is_color
from yolo.pictures.sizes import SIZE_MULTIPLE, checked_size
from yolo.system.writing import write_json

# Names of the graph's tensors, the same in every format.
IMAGES = "images"
RAW_OUTPUTS = ("boxes", "scores")
_NMS_TEXTS = {
    "detection_boxes": "(batch, K, 4) x1, y1, x2, y2 in pixels of the input, best first, then 0",
    "detection_scores": "(batch, K)",
    "detection_classes": "(batch, K) int32, index into classes",
    "num_detections": "(batch,) int32, how many of the K rows are objects",
}
NMS_OUTPUTS = tuple(_NMS_TEXTS)
RUNTIMES = ("saved_model", "onnx", "openvino", "litert")
_SUFFIXES = {".onnx": "onnx", ".xml": "openvino", ".tflite": "litert"}
_VERSION = 1


@dataclass(frozen=True)
class ExportInfo:
    """All that whoever runs an exported file must know.

    Args:
        format: one of `RUNTIMES`.
        model: the family's name for the network, such as "yolov4_tiny".
        classes: names, in the order of the scores.
        image_size: (height, width) the picture is fitted into.
        resize: how, bilinearly: "letterbox" (shape kept, centred between bars of grey 128),
            "stretch", or "shorter" (the shorter side gets the lesser length, the longer at most
            the greater one; grey 128 at the right and below up to multiples of 32).
        score_threshold: with which suppression runs, inside the file or after it, unless told
            otherwise.
        iou_threshold: the same for the overlap.
        max_detections: the same for the most objects a picture.
        one_label: whether suppression gives an object one class only, its best.
        dynamic: whether batch, height and width are free; height and width must then be
            multiples of `stride`. Else the batch is 1 and the size is `image_size`.
        stride: pixels between the cells of the network's coarsest map.
        quantize: "none", "dynamic", "float16" or "int8": how weights (and for int8 the maps) are
            stored.
        nms: whether the file also gives the outputs of suppression, `NMS_OUTPUTS`.
        difference: how far the file was from Keras on the picture it was compared on.
        notes: what the weights noted of their training, see `Detector`.
    """

    format: str
    model: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    resize: str
    score_threshold: float
    iou_threshold: float
    max_detections: int
    one_label: bool = False
    dynamic: bool = False
    stride: int = SIZE_MULTIPLE
    quantize: str = "none"
    nms: bool = False
    difference: dict = dataclasses.field(default_factory=dict)
    notes: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        size = checked_size(self.image_size, self.resize, any_side=True)
        object.__setattr__(self, "image_size", size)
        self.thresholds.checked()
        seed = dict(self.notes).get("split_seed", 0)
        if type(seed) is not int:
            raise ValueError(f"split_seed {seed!r} is no whole number")
        if type(self.stride) is not int or self.stride < 1:
            raise ValueError(f"stride {self.stride!r} is no whole number from 1 on")
        color = dict(self.notes).get("background", list(WHITE))
        if not is_color(color):
            raise ValueError(f"background {color!r} is no colour")

    @property
    def thresholds(self) -> Thresholds:
        """What counts as a detection where nobody says."""
        return Thresholds(
            self.score_threshold, self.iou_threshold, self.max_detections, self.one_label
        )

    def to_json(self) -> dict:
        """Return plain values, with the input and the outputs described for other programs."""
        return {
            "version": _VERSION,
            **dataclasses.asdict(self),
            "input": {
                "name": IMAGES,
                "layout": "batch, height, width, channel",
                "dtype": "float32",
                "colour": "RGB",
                "range": [0, 255],
                "padding": None if self.resize == "stretch" else 128,
                "interpolation": "bilinear",
            },
            "outputs": {
                "boxes": "(batch, N, 4) x1, y1, x2, y2 in pixels of the input, before suppression",
                "scores": "(batch, N, classes), before suppression",
                **(_NMS_TEXTS if self.nms else {}),
            },
        }


def info_path(path: str | Path) -> Path:
    """Return where the description of an exported file lies: beside it, or in its folder."""
    path = Path(path)
    return path / "metadata.json" if path.suffix not in _SUFFIXES else Path(f"{path}.json")


def write_info(path: str | Path, info: ExportInfo) -> None:
    """Write the description of the exported file `path`."""
    write_json(info_path(path), info.to_json())


def read_info(path: str | Path) -> ExportInfo:
    """Read the description that belongs to an exported file.

    Raises:
        WeightsError: it is missing or not one of ours.
    """
    source = info_path(path)
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
        names = {field.name for field in dataclasses.fields(ExportInfo)}
        info = ExportInfo(**{name: found[name] for name in names & set(found)})
    except OSError as error:
        raise WeightsError(
            f"{source}: cannot be read ({error.strerror}); it is written with every export and "
            "holds the class names: copy it together with the file, or export again"
        ) from error
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"{source}: not the description of an exported model ({error}); export again"
        ) from error
    if info.format not in RUNTIMES:
        raise WeightsError(
            f"{source}: says format {info.format!r}; expected one of {', '.join(RUNTIMES)}"
        )
    return info


def runtime_of(path: str | Path) -> str | None:
    """Return which runtime a file is for, None for weights that Keras opens.

    Example:
        >>> runtime_of("a/best.onnx"), runtime_of("best.keras")
        ('onnx', None)
    """
    path = Path(path)
    if path.suffix in _SUFFIXES:
        return _SUFFIXES[path.suffix]
    return "saved_model" if (path / "saved_model.pb").is_file() else None


def target_name(stem: str, format: str, quantize: str = "none") -> str:
    """Return the name of the export of a weights file called `stem`.

    Example:
        >>> target_name("best", "litert", "int8"), target_name("best", "saved_model")
        ('best_int8.tflite', 'best_saved_model')
    """
    stem += "" if quantize == "none" else f"_{quantize}"
    suffix = {name: suffix for suffix, name in _SUFFIXES.items()}.get(format, "_saved_model")
    return stem + suffix
