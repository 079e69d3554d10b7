"""Options that several commands have: of a run's settings, of the model to open, of its input."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from yolo.cli import option_values
from yolo.cli.option_values import (
    any_size,
    batch_size,
    image_size,
    megapixels,
    number_pair,
    tile_size,
)
from yolo.export.info import RUNTIMES
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.pictures.header import MAX_MEGAPIXELS
from yolo.settings.train import TrainConfig

# What --classes and --image-size are for in every command that opens a model.
OTHERS = "weights of another program"
SIZES = "416, torchvision's 640"
NAMES = "names with commas between them, or a file with one name a line"


def data_options(
    parser, names=("model", "image_size", "resize", "anchors", "masks", "seed")
) -> None:
    """Add the settings that say what a data set holds, and how pictures become batches."""
    parser.add_argument("--config", metavar="FILE", help="TOML file of settings")
    settings_options(parser, groups=("data",), names=names)


def data_kind_options(parser) -> None:
    """Add the options that say what kind of data set --data is, with a run's words and defaults."""
    for field in dataclasses.fields(TrainConfig):
        if field.name in ("format", "images", "unlabelled"):
            parser.add_argument(
                f"--{field.name}", default=field.default, help=field.metadata["help"],
                choices=field.metadata.get("choices"), metavar=field.metadata.get("metavar"),
            )  # fmt: skip


def settings_options(parser, *, groups=None, names=()) -> None:
    """Add an option for every field of `TrainConfig`, or those of some groups and names."""
    kinds = {"int": int, "float": float, "str": str}
    sections: dict[str, argparse._ArgumentGroup] = {}
    for field in dataclasses.fields(TrainConfig):
        about = field.metadata
        if groups is not None and about["group"] not in groups and field.name not in names:
            continue
        group = sections.get(about["group"])
        if group is None:
            group = sections[about["group"]] = parser.add_argument_group(about["group"])
        default = about.get("default_text") or _shown(field.default)
        text = about["help"].replace("%", "%%")
        if default:
            text += f" (default: {default})"
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
        base = field.type.split(" |")[0].split("[")[0]
        if base == "bool":
            options["action"] = argparse.BooleanOptionalAction
        else:
            parse = {
                "image_size": any_size, "scale": number_pair, "batch_size": batch_size,
            }.get(field.name)  # fmt: skip
            options |= {
                "type": parse or kinds[base],
                "choices": about.get("choices"),
                "metavar": about.get("metavar") or (None if about.get("choices") else "N"),
            }
            if field.name == "loss_options":
                options["nargs"] = "+"
        group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def models_own(name: str) -> str:
    """Return the default of an option that takes a field of the model's `Thresholds`, in words."""
    values = [getattr(one.thresholds, name) for one in (YOLOv4Config, RetinaNetConfig)]
    if name == "score_threshold":
        return f"default: the model's, the best F1 on its validation split, else {values[0]:g}"
    if values[0] == values[1]:
        return f"default: the model's, {values[0]:g}"
    return f"default: the model's, YOLOv4 {values[0]:g}, RetinaNet {values[1]:g}"


def model_options(parser, verb: str) -> None:
    """Add the options about the model of a command that runs it and `verb`s classes."""
    weights_option(parser, "a .keras of a run, an exported file")
    parser.add_argument("--runtime", choices=RUNTIMES,
        help="run the exported file --weights, or the export that lies beside it")  # fmt: skip
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32",
        help="what an OpenVINO file computes in; bfloat16 takes about half as long on processors "
        "that multiply it (default: %(default)s)")  # fmt: skip
    parser.add_argument("--classes", metavar="NAMES",
        help=f"{verb} these classes only: {NAMES}; for {OTHERS} that are not for COCO's or VOC's "
        "classes, all their names")  # fmt: skip
    parser.add_argument("--image-size", type=image_size, metavar="SIZE",
        help="size of the network's picture; larger ones show smaller objects (default: the "
        f"model's, a cfg's, {SIZES}; an export needs free sizes)")  # fmt: skip
    heads_options(parser)


def heads_options(parser) -> None:
    """Add the options that say what a Darknet or tutorial file's network was made with."""
    parser.add_argument("--cfg", metavar="FILE",
        help="cfg of Darknet weights (default: the one beside them, of the same name or "
        "alone)")  # fmt: skip
    parser.add_argument("--anchors", metavar="FILE",
        help="anchors of Darknet's or the tutorial's weights, where no cfg says them: a file 'w,h, "
        "w,h, ...'")  # fmt: skip
    parser.add_argument("--masks", metavar="MASKS",
        help="their masks, finest stride first: 0,1,2/3,4,5, custom or coco")  # fmt: skip


def one_label_option(parser) -> None:
    """Add `--one-label` and `--no-one-label`."""
    parser.add_argument("--one-label", action=argparse.BooleanOptionalAction, default=None,
        help="give each object one class, its best: of boxes that overlap, keep one whatever their "
        "classes (default: the model's, on where no two marked objects of different classes lay on "
        "each other in training)")  # fmt: skip


def tile_option(parser) -> None:
    """Add `--tile`; alone it says "auto"."""
    parser.add_argument("--tile", type=tile_size, metavar="SIZE",
        help="also look at overlapping tiles of SIZE pixels (640 or 480x640, height x width; "
        "alone, the network's size): for small objects in large pictures")  # fmt: skip


def weights_option(parser, ours: str) -> None:
    """Add `--weights`, with words for the files of ours that the command takes."""
    parser.add_argument("--weights", metavar="FILE",
        help=f"{ours}, weights of Darknet, torchvision or the tutorial, or published ones by name, "
        "such as yolov4-tiny-coco (default: best.keras of the newest run in logs/)")  # fmt: skip


def engine_options(parser, workers: str, *, storage: bool = False) -> None:
    """Add the options that carry the work to a Ray cluster; `workers` says what they do there."""
    group = parser.add_argument_group("beyond one machine")
    group.add_argument("--engine", choices=("ray",), help="work on a Ray cluster")
    group.add_argument("--workers", type=option_values.workers, metavar="N",
        help=f"Ray's processes that {workers}")  # fmt: skip
    group.add_argument("--ray-address", metavar="ADDRESS",
        help="auto, host:port or ray://host:port (default: RAY_ADDRESS, else a cluster of this "
        "machine, for this command)")  # fmt: skip
    if storage:
        group.add_argument("--storage", metavar="URL",
            help="where Ray keeps a copy of the run after every epoch: a folder that all nodes "
            "see, or s3://bucket/runs (default: none; all nodes see --save-dir)")  # fmt: skip
    group.add_argument("--wait", action="store_true",
        help="wait until the cluster has room for the workers")  # fmt: skip


def limit_option(parser) -> None:
    """Add the limit on the size of pictures."""
    parser.add_argument("--max-megapixels", type=megapixels, default=MAX_MEGAPIXELS, metavar="N",
        help="refuse larger pictures, in millions of pixels, before decoding (default: "
        "%(default)g)")  # fmt: skip


def _shown(value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
