"""`python -m yolo convert`: write a data set in another format."""

from __future__ import annotations

from yolo.cli import common, options
from yolo.cli.option_values import CONVERT_FORMATS, Parser, make_parser
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import signals, terminal
from yolo.system.writing import free_folder

# Settings of the data that change nothing of what is written
_OF_TRAINING = ("--difficult", "--train-split", "--val-split", "--strict", "--background")


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Write a data set in another format. Pictures are linked, or copied where the disk has no "
        "links; splits and the order of classes are kept.",
    )
    options.data_options(parser, names=("seed",))
    parser.add_argument("--to", required=True, choices=CONVERT_FORMATS, help="the format to write")
    parser.add_argument("out", metavar="DIR",
        help="the folder to make; what is there already is never replaced")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    common.refuse_idle(args, _OF_TRAINING, "is for training; what is marked is written as it is")
    config = TrainConfig(**common.settings_given(args))
    if not (config.data or config.train_list or config.val_list):
        raise ConfigError("name the data set to convert: --data DIR")
    if args.to == "tfrecord":
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    from yolo.data import folder
    from yolo.data.convert import convert

    free_folder(args.out)  # a place that will not do is said before anything is read
    opened = folder.open_run(config)
    classes = folder.classes_of(opened, config)
    screen.write(f"data: {opened.describe(opened.names, config.seed)}")
    splits = {
        name: opened.read(
            name, classes=classes, seed=config.seed, only_classes=config.only_classes,
            first_pixel=config.first_pixel,
        )
        for name in opened.names
    }  # fmt: skip
    progress = terminal.Progress(screen, None, "pictures")
    lost = convert(splits, classes, args.out, args.to, on_progress=progress.step)
    if lost:
        what = ", ".join(f"{count} {words}" for words, count in lost.items())
        screen.write(f"{args.to} cannot hold: {what}")
    screen.write(f"written: {args.out}; to train on it: --data {args.out}")
    return 0
