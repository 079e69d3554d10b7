"""`python -m yolo check`: read a data set and report on it."""

from __future__ import annotations

from pathlib import Path

from yolo.cli import common, options
from yolo.cli.option_values import Parser, make_parser
from yolo.errors import DatasetError
from yolo.settings.train import TrainConfig
from yolo.system import signals, terminal
from yolo.system.reading import printable


def parser() -> Parser:
    """Return the parser of the command's options."""
    parser = make_parser(
        "Read and decode a data set, and report what it holds and what is wrong with it.",
    )
    options.data_options(parser)
    parser.add_argument("--out", default="check", metavar="DIR",
        help="folder for check.txt, check.json and check.html (default: %(default)s)")  # fmt: skip
    return parser


def run(args, screen: terminal.Screen, stop: signals.Stop) -> int:
    """Run the command and return its exit code."""
    config = common.data_settings(args, screen)
    return check_data(config, Path(args.out), screen, args.verbose)


def check_data(config: TrainConfig, out: Path, screen: terminal.Screen, verbose: bool) -> int:
    """Read and decode the data of a run, show the report, write it, and return an exit code."""
    from yolo.reports import check_report, data_plots, run_report
    from yolo.settings.model import AUTO
    from yolo.training import data_check, fit_anchors

    if config.family == "retinanet":  # whose anchors are made with Keras
        terminal.import_tensorflow_quietly(verbose=verbose)
    progress = terminal.Progress(screen, None, "pictures decoded").step
    data, report = data_check.read_and_check(config, decode=True, on_progress=progress)
    screen.write(check_report.text(report))
    figures = {}
    if data is not None:
        if config.anchors == AUTO:
            fit_anchors.fit_anchors(config, data.train, data.classes, screen.write)
        bad = [problem.place for problem in report.of("error")]
        readable = [
            s for s in data.train if not any(p.startswith(f"{printable(s.path)}:") for p in bad)
        ]
        shapes, _ = fit_anchors.anchor_shapes(config)
        figures = data_plots.write_all(report, readable, shapes, out / "plots")
    page = run_report.write_check(out, report, figures)
    screen.write(f"\nwritten: {page}, and check.txt, check.json and plots/ beside it")
    return DatasetError.exit_code if report.of("error") else 0
