"""`python -m yolo export`: write a detector for another runtime, and prove the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yolo import terminal
from yolo.cli import common
from yolo.errors import ConfigError
from yolo.exported import runtime_of
from yolo.reading import FilePart, printable

_MOST_CALIBRATION_PICTURES = 100


def export(args, screen: terminal.Screen) -> int:
    """Run the command and return its exit code."""
    weights = args.weights or common.latest_run()
    if runtime_of(weights):
        raise ConfigError(f"{weights} is an export already; name the weights it was made from")
    if args.quantize == "int8" and args.format == "litert" and not args.data:
        raise ConfigError(
            "--quantize int8 measures ranges on pictures: give the training set, --data DIR"
        )
    terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo import saved
    from yolo.export import exporter
    from yolo.weights import catalog

    source = catalog.locate(weights)
    keras_file = source.suffix == ".keras"
    model = saved.open_weights(
        source,
        classes=common.class_names(args.classes),
        image_size=None if keras_file else args.image_size,
    )
    info = exporter.describe(
        model, args.format, image_size=args.image_size, dynamic=args.dynamic,
        quantize=args.quantize, nms=False if args.no_nms else None, score_threshold=args.score,
        iou_threshold=args.iou, max_detections=args.max_detections,
    )  # fmt: skip
    paths = data_pictures(args.data) if args.data else []
    picture, name = _picture(args, source, paths)
    folder = Path(args.out) if args.out else source.parent
    step = max(1, len(paths) // _MOST_CALIBRATION_PICTURES)
    paths = paths[::step][:_MOST_CALIBRATION_PICTURES]
    if info.quantize == "int8":
        screen.write(f"ranges for int8 from {common.count_pictures(len(paths))} of {args.data}")
    with terminal.quiet_errors(verbose=args.verbose):
        target, difference = exporter.export(
            model, folder, info, stem=source.stem, picture=picture,
            calibration=lambda: _read_all(paths),
        )  # fmt: skip
    screen.write(f"compared with Keras on {name}: {difference}")
    screen.write(f"written: {printable(target)} ({_megabytes(target):.1f} MB)")
    predict = common.sibling(args.prog, "predict")
    screen.write(f"use it: {predict} PICTURE --weights {common.quoted(printable(target))}")
    return 0


def data_pictures(data: str) -> list[Path | FilePart]:
    """Return the pictures of a data set's training split, or of any folder."""
    from yolo.data import coco, shards, voc
    from yolo.inference import sources
    from yolo.training import dataset

    root = Path(data)
    coco_files = dataset.find_coco(root)
    if shards.is_shards(root):
        packed = shards.Shards(root)
        first = next((name for name in packed.splits if name.startswith("train")), packed.splits[0])
        samples = packed.read_split(first)
    elif coco_files:
        split = next((name for name in coco_files if name.startswith("train")), None)
        file, pictures = coco_files[split or next(iter(coco_files))]
        samples = coco.read_coco(file, pictures, classes=coco.read_categories(file)[0])
    elif any((root / part).is_dir() for part in ("Annotations", "VOC2007", "VOC2012", "VOCdevkit")):
        samples = voc.read_split(root, "train", classes=voc.find_classes(root))
    else:
        found = sources.find_sources([data])
        return [one for one in found if not isinstance(one, int) and not sources.is_video(one)]
    return [sample.path for sample in samples]


def _picture(args, source: Path, paths: list[Path | FilePart]) -> tuple[np.ndarray, str]:
    """Return the picture to compare on and its name: as near to the user's own as is known."""
    from yolo.data import shapes
    from yolo.images import read_image
    from yolo.training import toml

    if args.picture:
        paths = [Path(args.picture)]
    settings = source.parent / "config.toml"
    if not paths and settings.is_file():
        data = toml.read_toml(settings).get("data")
        paths = data_pictures(data) if data and Path(data).is_dir() else []
    if paths:
        return read_image(paths[0]), printable(paths[0])
    drawn, _ = shapes.draw_picture(np.random.default_rng(0))
    return drawn, "a drawn picture (--picture FILE takes one of yours)"


def _read_all(paths: list[Path | FilePart]):
    from yolo.images import read_image

    return (read_image(path) for path in paths)


def _megabytes(path: Path) -> float:
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    else:
        files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    return sum(file.stat().st_size for file in files) / 1e6
