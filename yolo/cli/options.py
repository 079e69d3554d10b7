"""The options of each command."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from yolo.cli.option_values import (  # fmt: skip
    SAVE_KINDS,
    any_size,
    batch_size,
    count,
    image_size,
    kinds,
    make_parser,
    megapixels,
    number_pair,
    share,
    tile_size,
)
from yolo.export.info import RUNTIMES
from yolo.pictures.header import MAX_MEGAPIXELS
from yolo.settings.train import TrainConfig


def train_parser() -> argparse.ArgumentParser:
    """Return the parser of `train.py`: an option for every field of `TrainConfig`."""
    parser = make_parser(
        "train.py",
        "Train a detector on pictures labelled in VOC format. Without --data it trains on "
        "VOCdevkit/ in the current folder, or on a data set that it draws itself.",
    )
    parser.add_argument("--config", metavar="FILE",
                        help="TOML file of settings, named as the options with _ for -; options "
                        "win")  # fmt: skip
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    parser.add_argument("--continue", action="store_true", dest="go_on",
                        help="go on with the run of this --name, or start it")  # fmt: skip
    look = parser.add_argument_group("a look before training (nothing is trained for long)")
    look = look.add_mutually_exclusive_group()
    look.add_argument("--check", action="store_true",
                      help="read and decode all the data, report on them, and end")  # fmt: skip
    look.add_argument("--show-batches", type=count, metavar="N",
                      help="write N augmented batches as pictures, with boxes and the anchors "
                      "that learn them, and end")  # fmt: skip
    look.add_argument("--overfit", type=count, metavar="N",
                      help="train on N pictures until they are learned, say whether they were, "
                      "and end; 8 is a good number")  # fmt: skip
    _settings_options(parser)
    return parser


def check_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m yolo check`."""
    parser = make_parser(
        "python -m yolo check",
        "Read and decode a data set, and report what it holds and what is wrong with it.",
    )
    _data_options(parser)
    parser.add_argument("--out", default="check", metavar="DIR",
                        help="folder for check.txt, check.json and check.html "
                        "(default: %(default)s)")  # fmt: skip
    return parser


def anchors_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m yolo anchors`."""
    parser = make_parser(
        "python -m yolo anchors",
        "Fit anchors to the training pictures, show what they reach, and write the better ones "
        "into a file for train.py --anchors FILE.",
    )
    _data_options(parser)
    parser.add_argument("--out", default="anchors.txt", metavar="FILE",
                        help="the file to write (default: %(default)s)")  # fmt: skip
    return parser


def shards_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m yolo shards`."""
    parser = make_parser(
        "python -m yolo shards",
        "Copy a data set into TFRecord shards with an index, for train.py --data. Batches are the "
        "same as from the files.",
    )
    _data_options(parser, names=("seed",))
    parser.add_argument("--out", required=True, metavar="DIR",
                        help="the folder to make; what is there already is never "
                        "replaced")  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--shard-size", type=count, default=256, metavar="MB",
                     help="fill each shard up to this size (default: %(default)s)")  # fmt: skip
    how.add_argument("--num-shards", type=count, metavar="N",
                     help="divide each split into N shards instead")  # fmt: skip
    return parser


def _data_options(
    parser, names=("model", "image_size", "resize", "anchors", "masks", "seed")
) -> None:
    parser.add_argument("--config", metavar="FILE", help="TOML file of settings")
    _settings_options(parser, groups=("data",), names=names)


def _settings_options(parser, *, groups=None, names=()) -> None:
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
        group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def predict_parser() -> argparse.ArgumentParser:
    """Return the parser of `predict.py`."""
    parser = make_parser(
        "predict.py", "Detect objects in pictures and videos; draw them and write JSON."
    )
    parser.bare_options = {"--tile": "auto"}
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="pictures, videos, folders, globs, .txt lists of pictures, file:// addresses, or the "
        "number of a camera; without any, the embedded data set's test pictures",
    )
    _model_options(parser, "report")
    search = parser.add_argument_group("what is found")
    search.add_argument("--score", type=share, default=0.25, metavar="S",
                        help="report objects that score at least this "
                        "(default: %(default)s)")  # fmt: skip
    search.add_argument("--iou", type=share, metavar="I",
                        help="of boxes that overlap more, keep the best (default: 0.45 for "
                        "YOLOv4, 0.5 for RetinaNet)")  # fmt: skip
    search.add_argument("--max-detections", type=count, metavar="N",
                        help="objects a picture at most (default: 100; with --tile, "
                        "1000)")  # fmt: skip
    search.add_argument("--tile", type=tile_size, metavar="SIZE",
                        help="also look at overlapping tiles of SIZE pixels (640 or 480x640, "
                        "height x width; alone, the network's size): for small objects in large "
                        "pictures")  # fmt: skip
    search.add_argument("--batch-size", type=count, default=8, metavar="N",
                        help="pictures or tiles at once (default: %(default)s)")  # fmt: skip
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", default="predictions", metavar="DIR",
                        help="folder for drawn pictures and predictions.json "
                        "(default: %(default)s)")  # fmt: skip
    output.add_argument("--save", type=kinds, default=(), metavar="KINDS",
                        help="write these, too, with commas between them: "
                        f"{', '.join(SAVE_KINDS[1:])}")  # fmt: skip
    output.add_argument("--no-draw", action="store_true", help="draw nothing")
    output.add_argument("--heatmap", action="store_true",
                        help="lay over drawn pictures how sure the network is where")  # fmt: skip
    output.add_argument("--show", action="store_true",
                        help="show each picture in a window; any key goes on, q ends")  # fmt: skip
    output.add_argument("--benchmark", action="store_true",
                        help="write nothing; time every stage on these pictures")  # fmt: skip
    _limit_option(parser)
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Return the parser of `evaluate.py`."""
    parser = make_parser("evaluate.py", "Measure average precision, after VOC and COCO.")
    parser.add_argument("--data", metavar="DIR",
                        help="VOC folder, COCO folder, folder of shards or COCO instances .json "
                        "file; without it VOCdevkit/ in the current folder, else the embedded "
                        "data set")  # fmt: skip
    parser.add_argument("--images", metavar="DIR", help="picture folder of a COCO file")
    parser.add_argument("--split", default="test", metavar="NAME",
                        help="list in ImageSets/Main (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N",
                        help="divides pictures without lists, as train.py's does (default: the "
                        "one that the weights note)")  # fmt: skip
    _model_options(parser, "score")
    parser.add_argument("--score", type=share, default=0.001, metavar="S",
                        help="least score that counts (default: %(default)s)")  # fmt: skip
    parser.add_argument("--iou", type=share, default=0.45, metavar="I",
                        help="of non-maximum suppression (default: %(default)s)")  # fmt: skip
    parser.add_argument("--match-iou", type=share, default=0.5, metavar="I",
                        help="overlap that is a hit, for VOC (default: %(default)s)")  # fmt: skip
    parser.add_argument("--inclusive-pixels", action="store_true",
                        help="add 1 to widths and heights, for boxes whose x2, y2 are the last "
                        "pixel inside")  # fmt: skip
    parser.add_argument("--batch-size", type=count, default=8, metavar="N",
                        help="pictures at once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--first-pixel", choices=("auto", "0", "1"), default="auto",
                        help="number of the first pixel in VOC annotations; auto: 0 if any box "
                        "starts there, else 1 (default: %(default)s)")  # fmt: skip
    parser.add_argument("--only-classes", action="store_true",
                        help="leave out objects of classes that are not the model's (COCO's are "
                        "left out always)")  # fmt: skip
    _limit_option(parser)
    parser.add_argument("--json", metavar="FILE", help="also write the results here")
    parser.add_argument("--results", metavar="FILE",
                        help="score this COCO results file against the --data file instead of "
                        "running a model")  # fmt: skip
    return parser


def export_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m yolo export`."""
    parser = make_parser(
        "python -m yolo export",
        "Write a detector for another runtime. The file is opened by that runtime and compared "
        "with Keras on a picture before it is kept.",
    )
    _weights_option(parser, "a .keras of a run")
    parser.add_argument("--classes", metavar="NAMES",
                        help=f"all names for {_OTHERS} that are not for COCO's or VOC's classes: "
                        f"{_NAMES}")  # fmt: skip
    parser.add_argument("--image-size", type=image_size, metavar="SIZE",
                        help=f"network size (default: the model's; for {_OTHERS} "
                        f"{_SIZES})")  # fmt: skip
    parser.add_argument("--format", choices=RUNTIMES, required=True, help="what to write")
    parser.add_argument("--dynamic", action="store_true",
                        help="leave batch, height and width free (default: one picture of the "
                        "model's size)")  # fmt: skip
    parser.add_argument("--quantize", choices=("none", "dynamic", "float16", "int8"),
                        default="none",
                        help="smaller numbers; litert: all, openvino: float16 "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--data", metavar="DIR",
                        help="training set, or a folder of pictures, from which int8 takes its "
                        "ranges; its first picture is the one to compare on")  # fmt: skip
    parser.add_argument("--picture", metavar="FILE", help="picture to compare with Keras on")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: beside the weights)")
    parser.add_argument("--no-nms", action="store_true",
                        help="leave suppression out of saved_model and onnx")  # fmt: skip
    parser.add_argument("--score", type=share, metavar="S",
                        help="least score that suppression reports, inside the file or after its "
                        "description (default: the model's, 0.25)")  # fmt: skip
    parser.add_argument("--iou", type=share, metavar="I",
                        help="overlap above which it keeps the best box only (default: the "
                        "model's: YOLOv4 0.45, RetinaNet 0.5)")  # fmt: skip
    parser.add_argument("--max-detections", type=count, default=100, metavar="N",
                        help="objects a picture that suppression inside the file reports at most "
                        "(default: %(default)s)")  # fmt: skip
    return parser


def models_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m yolo models`."""
    parser = make_parser(
        "python -m yolo models", "List the models: parameters, arithmetic, strides, weights."
    )
    parser.add_argument("--image-size", type=image_size, default=(416, 416), metavar="SIZE",
                        help="pictures that the arithmetic is counted for "
                        "(default: 416)")  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="MODEL", help="which; all without any")
    parser.add_argument("--num-classes", type=count, default=80, metavar="N",
                        help="how many classes they tell apart (default: %(default)s)")  # fmt: skip
    return parser


# What --classes and --image-size are for in every command that opens a model.
_OTHERS = "weights of another program"
_SIZES = "416, torchvision's 640"
_NAMES = "names with commas between them, or a file with one name a line"


def _model_options(parser, verb: str) -> None:
    """Add the options about the model of a command that runs it.

    Args:
        parser: the command's.
        verb: what it does with classes.
    """
    _weights_option(parser, "a .keras of a run, an exported file")
    parser.add_argument("--runtime", choices=RUNTIMES,
                        help="run the exported file --weights, or the export that lies beside "
                        "it")  # fmt: skip
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32",
                        help="what an OpenVINO file computes in; bfloat16 takes about half as long "
                        "on processors that multiply it (default: %(default)s)")  # fmt: skip
    parser.add_argument("--classes", metavar="NAMES",
                        help=f"{verb} these classes only: {_NAMES}; for {_OTHERS} that are not for "
                        "COCO's or VOC's classes, all their names")  # fmt: skip
    parser.add_argument("--image-size", type=image_size, metavar="SIZE",
                        help=f"network size for {_OTHERS} (default: {_SIZES}), or for an export "
                        "with free sizes")  # fmt: skip


def _weights_option(parser, ours: str) -> None:
    parser.add_argument("--weights", metavar="FILE",
                        help=f"{ours}, weights of Darknet, torchvision or the tutorial, or "
                        "published ones by name, such as yolov4-tiny-coco "
                        "(default: best.keras of the newest run in logs/)")  # fmt: skip


def _limit_option(parser) -> None:
    parser.add_argument("--max-megapixels", type=megapixels, default=MAX_MEGAPIXELS, metavar="N",
                        help="refuse larger pictures, in millions of pixels, before decoding "
                        "(default: %(default)g)")  # fmt: skip


def _shown(value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
