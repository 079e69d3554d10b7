"""`python -m yolo anchors`: fit anchors to a data set."""

from __future__ import annotations

from pathlib import Path

from yolo.cli import common, options
from yolo.cli.option_values import Parser, make_parser
from yolo.system import signals, terminal


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Fit anchors to the training pictures, show what they reach, and write the better ones "
        "into a file for train.py --anchors FILE.",
    )
    options.data_options(parser)
    parser.add_argument("--out", default="anchors.txt", metavar="FILE",
        help="the file to write (default: %(default)s)")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    from yolo.data import folder
    from yolo.system.writing import write_text
    from yolo.training import fit_anchors

    config = common.data_settings(args, screen)
    if config.family == "retinanet":  # whose anchors are made with Keras
        terminal.import_tensorflow_quietly(verbose=args.verbose)
    data = folder.open_data(config)
    fit = fit_anchors.fit_anchors(config, data.train, data.classes, screen.write)
    write_text(Path(args.out), fit_anchors.anchors_text(fit.chosen))
    height, width = config.image_size
    screen.write(
        f"written: {args.out}; train with --anchors {terminal.quoted(args.out)} --image-size "
        f"{height}x{width}"
    )
    return 0
