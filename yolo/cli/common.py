"""What the commands share: the model to open, names of files, text for people."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from yolo.classes import read_classes
from yolo.errors import ConfigError
from yolo.export import info
from yolo.pictures.color import WHITE
from yolo.pictures.header import allow_megapixels
from yolo.settings import toml
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.reading import printable
from yolo.system.writing import numbered
from yolo.weights import catalog

EXAMPLES_SHOWN = 8
HEADS = ("--cfg", "--anchors", "--masks")  # what `heads_given` takes
_LONGEST_STEM = 240  # bytes of a name; 255 is what file systems take, with a number and .jpg


def cluster(args):
    """Return the `Cluster` that a command shall work on, None for this machine alone."""
    if args.engine is None:
        refuse_idle(
            args, ("--workers", "--ray-address", "--storage", "--wait"), "is for --engine ray"
        )
        return None
    from yolo.ray.cluster import Cluster

    if args.workers is None:
        raise ConfigError("--engine ray needs --workers N, the number of its processes")
    return Cluster(args.workers, args.ray_address, getattr(args, "storage", None), args.wait)


def predict_on_cluster(args, weights, *, pixels: bool, kept: Path | None = None):
    """Return what does as `predictor.predict` on a cluster, None where none is asked for."""
    there = cluster(args)
    if there is None:
        return None
    from yolo.ray import prediction

    file = Path(weights)  # another one of this name finds something else
    of = repr((vars(args), file.stat().st_mtime_ns if file.exists() else None))
    return functools.partial(
        prediction.predict, cluster=there, pixels=pixels, kept=(kept, of) if kept else None,
        open_model=functools.partial(open_model, args, os.fspath(weights)),
    )  # fmt: skip


def runs_in_keras(args, weights) -> bool:
    """Tell whether a command needs Keras, or an exported file and its own runtime."""
    runtime = args.runtime or info.runtime_of(weights)
    return runtime in (None, "saved_model")


def open_model(args, weights):
    """Return the detector of a weights file, with the command's class names and size.

    Transparent pictures are read and drawn from then on as it was trained on them.
    """
    from yolo.pictures import background

    allow_megapixels(args.max_megapixels)
    if runs_in_keras(args, weights):
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    model = _opened(args, weights)
    background.show_on(background.background_of(model.notes) or WHITE)
    return model


def introduced(model, weights) -> str:
    """Return which model works: its file, how far it was trained and what it scored, and when."""
    said, notes = [printable(weights)], model.notes
    if "epoch" in notes:
        said.append(f"epoch {notes['epoch']}")
    if "val_map50" in notes:
        said.append(f"mAP50 {notes['val_map50']:.3f} on its validation pictures")
    with contextlib.suppress(OSError):  # of a published name
        written = time.localtime(Path(weights).stat().st_mtime)
        said.append(f"written {time.strftime('%Y-%m-%d %H:%M', written)}")
    return f"model: {', '.join(said)}; {terminal.counted(len(model.classes), 'class')}"


def _opened(args, weights):
    if args.runtime or info.runtime_of(weights):
        refuse_idle(args, HEADS, "is for Darknet's and the tutorial's weights, not for exports")
        from yolo.export import runtimes

        return runtimes.open_exported(
            weights, args.runtime, image_size=args.image_size, precision=args.precision
        )
    if args.precision != "float32":
        raise ConfigError(
            "--precision bfloat16 is for OpenVINO files; other weights compute in their own"
        )
    from yolo.weights import loading

    return loading.load(
        weights, classes=class_names(args.classes), image_size=args.image_size, **heads_given(args)
    )


def heads_given(args) -> dict:
    """Return what `--cfg`, `--anchors` and `--masks` say of a Darknet or tutorial file."""
    from yolo.settings.detector import read_anchors, read_masks

    given = {
        "cfg": args.cfg,
        "anchors": args.anchors and read_anchors(args.anchors),
        "masks": args.masks and read_masks(args.masks),
    }
    return {name: value for name, value in given.items() if value is not None}


def weights_of(args) -> str:
    """Return --weights, of a run's folder its best model, or without any that of the newest run."""
    if args.weights:
        return os.fspath(catalog.of_run(Path(args.weights)))
    found = sorted(Path("logs").glob("*/best.keras"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigError("no --weights given and no logs/*/best.keras here; train first")
    return str(found[-1])


def settings_given(args) -> dict:
    """Return the settings of a run that a command's options and its `--config` file give."""
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    given = {name: value for name, value in vars(args).items() if name in names}
    return {**toml.read_toml(args.config), **given} if args.config else given


def data_settings(args, screen: terminal.Screen) -> TrainConfig:
    """Return the settings of a command that looks at a data set, one at hand if none is named."""
    from yolo.training.start import begin

    return begin(settings_given(args)).with_data(screen.write, "looking at")


def run_settings(weights) -> dict:
    """Return the settings of the run in whose folder a file lies, {} where it lies elsewhere."""
    folder = Path(weights).parent
    try:
        return toml.read_toml(folder / "config.toml") if (folder / "results.csv").exists() else {}
    except ConfigError:  # another program's, which has nothing to do with us
        return {}


def split_seed(model, weights) -> int | None:
    """Return the seed by which a model's run divided pictures without lists, None if unknown."""
    return model.notes.get("split_seed", run_settings(weights).get("seed"))


def split_meant(args, opened) -> str:
    """Return the split to measure on, of a list to train on a part that a seed draws.

    Where no list is for testing and none was named, it is val's, as in training.
    """
    from yolo.data.split_names import find_split

    if opened.named(args.split) is None and find_split("train", opened.lists):
        opened.divide()  # if it is the only one
    if "--split" in args.typed or opened.named(args.split) is not None:
        return args.split
    return find_split("val", opened.names) or args.split


def refuse_idle(args, options: Iterable[str], why: str) -> None:
    """Refuse those of some options that were typed and would change nothing; `why` says so."""
    idle = sorted(args.typed.intersection(options))
    if idle:
        raise ConfigError(f"{idle[0]} {why}")


def class_names(text: str | None) -> tuple[str, ...] | None:
    """Return the class names of `--classes`: of a file, or typed with commas between them."""
    if text is None:
        return None
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a file's name, or a NUL in it
        is_file = False
    if is_file:
        return read_classes(text)
    return tuple(name.strip() for name in text.split(",") if name.strip())


def open_data(args, root, classes: tuple[str, ...] | None, *, pictures: bool = True):
    """Return the data set that the options of `options.data_kind_options` and a path name."""
    from yolo.data import folder

    return folder.open_folder(
        root, format=args.format, images=args.images, classes=classes, unlabelled=args.unlabelled,
        pictures=pictures,
    )  # fmt: skip


def of_classes(one, classes: tuple[str, ...], chosen: tuple[str, ...]):
    """Return a `Sample` or `Detections` with the objects of some classes, numbered as chosen."""
    import numpy as np

    from yolo.boxes.detections import Detections

    numbers = {name: number for number, name in enumerate(chosen)}
    ids = np.array([numbers.get(name, -1) for name in classes], np.int32)[one.class_ids]
    kept = ids >= 0
    if isinstance(one, Detections):
        return dataclasses.replace(one[kept], class_ids=ids[kept], class_names=chosen)
    return one.select(kept).with_class_ids(ids[kept])


def free_name(
    path: Path, taken: set[str], suffix: str = ".jpg", *, of_others: Callable[[str], bool]
) -> str:
    """Return a name for what is drawn of a path, and take it: it is added, in small letters.

    It is not among those taken, nor the name of a file of the user's, which `of_others` tells.
    """
    stem = path.stem
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    names = (path.name for path in numbered(Path(f"{stem}{suffix}")))
    name = next(name for name in names if name.lower() not in taken and not of_others(name))
    taken.add(name.lower())
    return name


def sibling(prog: str, word: str) -> str:
    """Return how another command is typed by whoever typed this one, as `prog`.

    Example:
        >>> sibling("train.py", "predict"), sibling("python -m yolo export", "predict")
        ('python predict.py', 'python -m yolo predict')
    """
    return f"python {word}.py" if prog.endswith(".py") else f"{prog.rpartition(' ')[0]} {word}"


def show_scores(of_voc, of_coco: dict, samples, screen: terminal.Screen, json: str | None) -> None:
    """Show what `evaluate_voc` and `evaluate_coco` returned, and write it where a file is named."""
    from yolo.evaluation import coco, voc
    from yolo.system.writing import write_json

    screen.write(voc.table(of_voc))
    screen.write(coco.table(of_coco))
    if dense := coco.dense(samples):
        screen.write(
            "COCO looks at the best 100 of a class in a picture: its figures are less than they "
            f"could be where there are more, as in {terminal.counted(dense, 'picture')}"
        )
    if json:
        write_json(json, {"voc": voc.to_json(of_voc), "coco": of_coco})
        screen.write(f"written: {json}")
