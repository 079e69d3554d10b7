"""`train.py`: train, evaluate, draw, and say how to go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from yolo.cli import check, common, look, options
from yolo.cli.option_values import Parser, count, make_parser
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.signals import Stop

# What `--help` shows, on one screen of 24 lines.
USUAL = {
    "--data DIR": "pictures and labels in VOC's or COCO's layout, or shards "
    "(default: VOCdevkit/ here, else a data set that is drawn)",
    "--classes FILE": "class names, one a line (default: those annotated)",
    "--model NAME": f"python -m yolo models lists them (default: {TrainConfig.model})",
    "--weights FILE": "start from a .keras, .weights, .h5 or .pth, or published ones by "
    "name, such as yolov4-tiny-backbone (default: fresh ones)",
    "--image-size SIZE": "416 or 320x416, height x width (default: 416)",
    "--epochs N": f"(default: {TrainConfig.epochs})",
    "--batch-size N": f"pictures a step, or auto (default: {TrainConfig.batch_size})",
    "--loss NAME": "cross-entropy or focal (default: focal for RetinaNet alone)",
    "--name NAME": "of the run's folder in logs/ (default: date and time)",
    "--resume DIR": "go on with the run in this folder",
}


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Train a detector on pictures labelled in VOC format. Without --data it trains on "
        "VOCdevkit/ in the current folder, or on a data set that it draws itself.",
        USUAL,
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
    options.settings_options(parser)
    return parser


def run(args, screen: terminal.Screen, stop: Stop) -> int:
    """Run the command and return its exit code."""
    from yolo.training import job

    given = common.settings_given(args)
    resume = True if args.go_on else args.resume
    if args.check or args.show_batches or args.overfit:
        return _look(args, given, resume, screen)
    screen.outlive()  # a terminal that is closed, or a log that is full, is no reason to end
    done = job.train(
        **given, resume=resume, write=screen.write, live=screen.live, stop=stop,
        command=args.command, verbose=args.verbose,
    )  # fmt: skip
    if done.result is not None:
        predict = common.sibling(args.prog, "predict")
        example = terminal.quoted(done.example or "PICTURE")
        screen.write(f"go on with: {predict} {example} --weights {terminal.quoted(done.best)}")
    return 0


def _look(args, given: dict, resume: str | bool | None, screen: terminal.Screen) -> int:
    """Take the look before training that was asked for, and return an exit code."""
    from yolo.training import devices, start

    begun = start.settle(given, resume=resume, program=common.sibling(args.prog, "train"))
    config = begun.with_data(screen.write)
    if args.check:
        return check.check_data(config, Path(config.save_dir) / "check", screen, args.verbose)
    if devices.read_tf_config()[1] > 1:
        raise ConfigError("--show-batches and --overfit are for one process; unset TF_CONFIG")
    terminal.import_tensorflow_quietly(verbose=args.verbose, prepare=lambda: devices.set_up(config))
    from yolo.training.precision import choose_precision

    config = dataclasses.replace(config, precision=choose_precision(config.precision))
    if args.show_batches:
        out = Path(config.save_dir) / "batches"
        return look.show_batches(config, args.show_batches, out, screen)
    return look.overfit(config, args.overfit, screen)
