"""`python -m yolo export`: write a detector for another runtime, and prove the file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from yolo.cli import common, options
from yolo.cli.option_values import Parser, count, image_size, make_parser, share
from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.export.info import RUNTIMES, runtime_of
from yolo.pictures.color import WHITE
from yolo.settings.train import TrainConfig
from yolo.system import signals, terminal
from yolo.system.optional import require
from yolo.system.reading import printable

_MOST_CALIBRATION_PICTURES = 100
# What writes each format, and what then holds it against Keras
_PACKAGES = {
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert",),
}


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Write a detector for another runtime. The file is opened by that runtime and compared "
        "with Keras on a picture before it is kept.",
    )
    options.weights_option(parser, "a .keras of a run")
    parser.add_argument("--classes", metavar="NAMES",
        help=f"all names for {options.OTHERS} that are not for COCO's or VOC's classes: "
        f"{options.NAMES}")  # fmt: skip
    parser.add_argument("--image-size", type=image_size, metavar="SIZE",
        help=f"network size (default: the model's; for {options.OTHERS} "
        f"{options.SIZES})")  # fmt: skip
    options.heads_options(parser)
    parser.add_argument("--format", choices=(*RUNTIMES, "darknet"), required=True,
        help="what to write")  # fmt: skip
    parser.add_argument("--dynamic", action="store_true",
        help="leave batch, height and width free (default: one picture of the model's "
        "size)")  # fmt: skip
    parser.add_argument("--quantize", choices=("none", "dynamic", "float16", "int8"),
        default="none",
        help="smaller numbers; litert: all, openvino: float16 (default: %(default)s)")  # fmt: skip
    parser.add_argument("--data", metavar="DIR",
        help="training set, or a folder of pictures, from which int8 takes its ranges; its first "
        "picture is the one to compare on")  # fmt: skip
    parser.add_argument("--picture", metavar="FILE", help="picture to compare with Keras on")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: beside the weights)")
    parser.add_argument("--no-nms", action="store_true",
        help="leave suppression out of saved_model and onnx")  # fmt: skip
    parser.add_argument("--score", type=share, metavar="S",
        help="least score that suppression reports, inside the file or after its description "
        f"({options.models_own('score_threshold')})")  # fmt: skip
    parser.add_argument("--iou", type=share, metavar="I",
        help="overlap above which it keeps the best box only "
        f"({options.models_own('iou_threshold')})")  # fmt: skip
    parser.add_argument("--max-detections", type=count, metavar="N",
        help="objects a picture that it reports at most "
        f"({options.models_own('max_detections')})")  # fmt: skip
    options.one_label_option(parser)
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    weights = common.weights_of(args)
    if runtime_of(weights):
        raise ConfigError(f"{weights} is an export already; name the weights it was made from")
    if args.picture and args.quantize != "int8":
        common.refuse_idle(args, ["--data"], "is for int8 beside --picture")
    if args.quantize == "int8" and args.format == "litert" and not args.data:
        raise ConfigError(
            "--quantize int8 measures ranges on pictures: give the training set, --data DIR"
        )
    require(_PACKAGES.get(args.format, ()), f"--format {args.format}", "export")
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.export import exporter
    from yolo.weights import catalog

    source = catalog.locate(weights)
    if args.format == "darknet":
        return _write_darknet(args, source, screen)
    model = _opened(args, source)
    seed = common.split_seed(model, source)
    if seed is not None:
        model.notes = {**model.notes, "split_seed": seed}
    info = exporter.describe(
        model, args.format, image_size=args.image_size, dynamic=args.dynamic,
        quantize=args.quantize, nms=False if args.no_nms else None, score_threshold=args.score,
        iou_threshold=args.iou, max_detections=args.max_detections, one_label=args.one_label,
    )  # fmt: skip
    settings = common.run_settings(source)
    chosen = {
        "split": settings.get("train_split", TrainConfig.train_split),
        "seed": info.notes.get("split_seed", TrainConfig.seed),
    }
    paths = data_pictures(args.data, **chosen) if args.data else []
    picture, name = _picture(args, paths, settings, chosen)
    folder = Path(args.out) if args.out else source.parent
    step = max(1, len(paths) // _MOST_CALIBRATION_PICTURES)
    paths = paths[::step][:_MOST_CALIBRATION_PICTURES]
    if info.quantize == "int8":
        pictures = terminal.counted(len(paths), "picture")
        screen.write(f"ranges for int8 from {pictures} of {args.data}")
    with terminal.quiet_errors(verbose=args.verbose):
        target, difference = exporter.export(
            model, folder, info, stem=source.stem, picture=picture,
            calibration=lambda: _read_all(paths),
        )  # fmt: skip
    screen.write(f"compared with Keras on {name}: {difference}")
    screen.write(f"written: {printable(target)} ({_megabytes(target):.1f} MB)")
    predict = common.sibling(args.prog, "predict")
    screen.write(f"use it: {predict} PICTURE --weights {terminal.quoted(printable(target))}")
    return 0


def _opened(args, source: Path):
    """Return the detector to export, with all the classes that it has."""
    from yolo.pictures import background
    from yolo.weights import loading

    names = common.class_names(args.classes)
    model = loading.load(
        source, classes=names, image_size=args.image_size, **common.heads_given(args)
    )
    if names not in (None, model.classes):
        raise ConfigError(
            f"{printable(source)} is for {len(model.classes)} classes, of which an export has all: "
            f"{', '.join(model.classes)}; leave out --classes"
        )
    # Pictures to compare on and to measure ranges on look as it was trained on them.
    background.show_on(background.background_of(model.notes) or WHITE)
    return model


def _write_darknet(args, source: Path, screen: terminal.Screen) -> int:
    """Write Darknet's own files and return the exit code."""
    from yolo.export import darknet

    idle = {"--dynamic", "--quantize", "--data", "--picture", "--no-nms", "--score", "--iou",
            "--max-detections", "--one-label"}  # fmt: skip
    common.refuse_idle(args, idle, "is for other runtimes; Darknet's files hold the network alone")
    folder = Path(args.out) if args.out else source.parent
    for path in darknet.write(_opened(args, source), folder, source.stem):
        screen.write(f"written: {printable(path)}")
    return 0


def data_pictures(
    data: str, *, split: str = "train", seed: int = TrainConfig.seed
) -> list[os.PathLike]:
    """Return the pictures of a data set's training split, or of any folder.

    Where no split has the name, the first "train..." is it.

    Raises:
        DatasetError: the folder holds no picture, or something is wrong with it.
    """
    from yolo.data import folder, recognition
    from yolo.data.split_names import find_split
    from yolo.inference import sources

    if recognition.find_format(folder.source_of(data)) is None:
        found = sources.find_sources([data])
        return [*sources.pictures_among(found)]
    opened = folder.open_folder(data)
    if find_split(split, (*opened.lists, *opened.names)) is None:
        split = next((name for name in opened.names if name.startswith("train")), opened.names[0])
    samples = opened.read(split, seed=seed)
    if not samples:
        raise DatasetError(f"{printable(data)}: no picture in the list {split!r}")
    return [sample.path for sample in samples]


def _picture(args, paths: list[os.PathLike], settings: dict, chosen: dict):
    """Return the picture to compare on and its name: as near to the user's own as is known.

    That is one of --data's `paths`, or else of those that the run learned from which the `settings`
    are of and `chosen` are, as `data_pictures` takes them.
    """
    import numpy as np

    from yolo.data import demo_pictures
    from yolo.pictures.files import read_image

    if args.picture or paths:
        path = args.picture or paths[0]
        return read_image(path), printable(path)
    data = settings.get("data")
    # Nobody asked for the run's data: where it is gone or has changed, another picture will do.
    with contextlib.suppress(YoloError):
        if data and Path(data).exists() and (paths := data_pictures(data, **chosen)):
            return read_image(paths[0]), printable(paths[0])
    drawn, _ = demo_pictures.draw_picture(np.random.default_rng(0))
    return drawn, "a drawn picture (--picture FILE takes one of yours)"


def _read_all(paths: list[os.PathLike]):
    from yolo.pictures.files import read_image

    return (read_image(path) for path in paths)


def _megabytes(path: Path) -> float:
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    else:
        files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    return sum(file.stat().st_size for file in files) / 1e6
