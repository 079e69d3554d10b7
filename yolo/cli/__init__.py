"""The command line: options in, exit code out. The only package that prints."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable

from yolo import options, terminal
from yolo.errors import YoloError


def train_main(argv: list[str] | None = None) -> int:
    """Run `train.py`: train, evaluate, draw, and say how to go on."""
    from yolo.cli.train import train

    return _run(options.train_parser(), argv, train)


def predict_main(argv: list[str] | None = None) -> int:
    """Run `predict.py`: detect in pictures, draw the boxes, write JSON."""
    from yolo.cli.predict import predict

    return _run(options.predict_parser(), argv, predict)


def evaluate_main(argv: list[str] | None = None) -> int:
    """Run `evaluate.py`: measure average precision on a labelled split."""
    from yolo.cli.evaluate import evaluate

    return _run(options.evaluate_parser(), argv, evaluate)


def export_main(argv: list[str] | None = None) -> int:
    """Run `python -m yolo export`: write a detector for another runtime."""
    from yolo.cli.export import export

    return _run(options.export_parser(), argv, export)


def _run(parser: argparse.ArgumentParser, argv, command: Callable) -> int:
    """Parse, run, and turn what went wrong into one line and an exit code."""
    args = parser.parse_args(argv)
    screen = terminal.Screen()
    log = logging.getLogger("yolo")
    log.handlers[:] = [terminal.ScreenHandler(screen)]
    log.handlers[0].setLevel(logging.DEBUG if args.verbose else logging.INFO)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        return command(args, screen)
    except YoloError as error:
        screen.finish()
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except ImportError as error:
        screen.finish()
        print(f"{parser.prog}: error: {error}; run: pip install -e .", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.finish()
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, *_out_of_memory()) as error:
        screen.finish()
        text = str(error)
        if not isinstance(error, OSError):
            text = "out of memory; a smaller --batch-size or --image-size needs less"
        print(f"{parser.prog}: error: {text}", file=sys.stderr)
        return 1


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return what is raised when memory runs out, TensorFlow's own error only if it runs."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return (MemoryError,)
    return (MemoryError, tensorflow.errors.ResourceExhaustedError)
