"""A detector as Darknet's own files: cfg, weights and names, which Darknet and OpenCV read."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError
from yolo.models.darknet_cfg import cfg as darknet_cfg
from yolo.models.darknet_cfg.edit import edited
from yolo.models.yolov4.as_cfg import text_of
from yolo.system.reading import printable
from yolo.system.writing import write_bytes
from yolo.weights import darknet

FORMAT = "darknet"


def write(model, folder: str | Path, stem: str) -> list[Path]:
    """Write a YOLOv4's cfg, weights and class names into a folder; return the files, weights first.

    What was read from such files and has not changed is written byte for byte as it came.

    Raises:
        WeightsError: Darknet's format has no place for the model.
        ConfigError: another file of the name lies there, or a class name has more than one line.
        YoloError: a file cannot be written.
    """
    folder = Path(folder)
    weights = folder / f"{stem}.weights"
    contents = {
        weights: darknet.to_bytes(model, weights),
        weights.with_suffix(".cfg"): cfg_text(model).encode("utf-8", "surrogateescape"),
        weights.with_suffix(".names"): "".join(f"{name}\n" for name in model.classes).encode(),
    }
    for name in model.classes:
        if name != name.strip() or len(name.splitlines()) != 1:
            raise ConfigError(f"the class {name!r} is no line of a file of names")
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise ConfigError(
                f"{printable(path)}: is there and differs; move it, or name another folder, --out"
            )
    for path, content in contents.items():
        write_bytes(path, content)
    return list(contents)


def cfg_text(model) -> str:
    """Return a YOLOv4's cfg: its own, with what has changed since, or one made for it."""
    settings, classes = model.architecture, len(model.classes)
    if model.resize == "shorter":
        raise ConfigError(
            "Darknet has one size for all pictures; this model resizes by the shorter side"
        )
    text = settings.cfg or text_of(settings, classes, model.image_size)
    cfg = settings.darknet or darknet_cfg.from_text(text, "its cfg")
    return edited(
        cfg, classes=classes, anchors=settings.anchors, masks=settings.masks,
        image_size=model.image_size, letterbox=model.resize == "letterbox",
    )  # fmt: skip
