"""The model that a run's settings ask for, known before it is built."""

from __future__ import annotations

from pathlib import Path

from yolo.errors import ConfigError
from yolo.models.names import kind_of, settings_of
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.from_cfg import is_cfg
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.pictures.sizes import SIZE_MULTIPLE
from yolo.settings.model import AUTO, KEEP, NONE
from yolo.settings.train import TrainConfig, shared


def weights_file(config: TrainConfig) -> str | None:
    """Return the file or name that a run starts from, None for random numbers.

    "auto" is none until a run has found out what it stands for.
    """
    return None if config.weights in (AUTO, NONE) else config.weights


def model_options(config: TrainConfig) -> dict:
    """Return the options of `zoo.build` that a run's settings change.

    Raises:
        ConfigError: masks or the anchors' file cannot be read.
    """
    options = shared(config, kind_of(config.model))
    anchors, masks = options.pop("anchors", None), options.pop("masks", None)
    if is_cfg(config.model) and options.get("attention") == "none":
        del options["attention"]  # which is for yolov4-tiny alone
    if anchors not in (None, AUTO, KEEP):
        options["anchors"] = read_anchors(anchors)
    if masks:
        options["masks"] = read_masks(masks)
    if config.family == "retinanet" and not weights_file(config):
        options.setdefault("frozen_norm", False)  # fresh statistics are none to keep
    return options


def canvas(config: TrainConfig) -> tuple[int, int]:
    """Return the size of a picture on which every object of the data set has its place."""
    if config.resize != "shorter":
        return config.image_size
    side = -(-max(config.image_size) // SIZE_MULTIPLE) * SIZE_MULTIPLE
    return side, side


def model_settings(config: TrainConfig) -> YOLOv4Config | RetinaNetConfig:
    """Return the settings of the model's family without building it."""
    return settings_of(config.model, **model_options(config))


def read_masks(text: str) -> str | tuple[tuple[int, ...], ...]:
    """Return masks from "0,1,2/3,4,5"; a name is passed on.

    Raises:
        ConfigError: it is neither.
    """
    if text.isalpha():
        return text
    try:
        return tuple(tuple(int(i) for i in level.split(",")) for level in text.split("/"))
    except ValueError as error:
        raise ConfigError(f"masks are like 0,1,2/3,4,5 or a name, not {text!r}") from error


def read_anchors(path: str | Path) -> tuple[tuple[float, float], ...]:
    """Read `w,h, w,h, ...` from a text file, as in `model_data/yolo_anchors.txt`.

    It is UTF-8, with numbers in pixels between commas or white space.

    Raises:
        ConfigError: the file cannot be read, or does not hold positive numbers in pairs.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot read the anchors ({error})") from error
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(f"{path}: anchors are numbers 'w,h, w,h, ...' ({error})") from error
    if not values or len(values) % 2 or not all(0 < value < 1e5 for value in values):
        raise ConfigError(
            f"{path}: anchors are pairs of positive numbers 'w,h, w,h, ...'; "
            f"found {len(values)} numbers"
        )
    return tuple(zip(values[::2], values[1::2], strict=True))
