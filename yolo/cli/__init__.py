"""The command line: options in, exit code out. The only package that prints."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from yolo.cli import options
from yolo.errors import YoloError
from yolo.system import signals, terminal


def train_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `train.py`: train, evaluate, draw, and say how to go on."""
    from yolo.cli.train import train

    stop = signals.Stop()
    command = typed(prog or "train.py", sys.argv[1:] if argv is None else argv)
    run = functools.partial(train, command=command, stop=stop)
    return _run(options.train_parser(), argv, run, prog, stop)


def predict_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `predict.py`: detect in pictures and videos, draw the boxes, write what was found."""
    from yolo.cli.predict import predict

    stop = signals.Stop()
    return _run(options.predict_parser(), argv, functools.partial(predict, stop=stop), prog, stop)


def evaluate_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `evaluate.py`: measure average precision on a labelled split."""
    from yolo.cli.evaluate import evaluate

    return _run(options.evaluate_parser(), argv, evaluate, prog)


def export_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `python -m yolo export`: write a detector for another runtime."""
    from yolo.cli.export import export

    return _run(options.export_parser(), argv, export, prog)


def models_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `python -m yolo models`: list the models there are."""
    from yolo.cli.models import models

    return _run(options.models_parser(), argv, models, prog)


def check_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `python -m yolo check`: read a data set and report on it."""
    from yolo.cli.look import check

    return _run(options.check_parser(), argv, check, prog)


def anchors_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `python -m yolo anchors`: fit anchors to a data set."""
    from yolo.cli.look import anchors

    return _run(options.anchors_parser(), argv, anchors, prog)


def shards_main(argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run `python -m yolo shards`: copy a data set into TFRecord shards."""
    from yolo.cli.shards import shards

    return _run(options.shards_parser(), argv, shards, prog)


# What `python -m yolo` understands: the function behind each word, and what it does.
COMMANDS: dict[str, tuple[Callable, str]] = {
    "train": (train_main, "train a detector on labelled pictures"),
    "predict": (predict_main, "detect objects in pictures and videos"),
    "evaluate": (evaluate_main, "measure average precision"),
    "export": (export_main, "write a detector for another runtime"),
    "models": (models_main, "list the models, their sizes and their weights"),
    "check": (check_main, "report what a data set holds and what is wrong with it"),
    "anchors": (anchors_main, "fit anchors to a data set"),
    "shards": (shards_main, "copy a data set into TFRecord shards"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `python -m yolo COMMAND ...`: the same functions as the scripts."""
    argv = sys.argv[1:] if argv is None else argv
    word = argv[0] if argv else ""
    if word in COMMANDS:
        return COMMANDS[word][0](argv[1:], f"python -m yolo {word}")
    if word in ("-h", "--help"):
        print(_overview())
        return 0
    if not word:
        print(_overview(), file=sys.stderr)
        return 2
    near = get_close_matches(word, COMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    print(f"python -m yolo: error: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(
        ["usage: python -m yolo COMMAND [options]", "", "commands:", *lines, ""]
        + ["python -m yolo COMMAND --help lists the options of a command"]
    )


def _run(
    parser: argparse.ArgumentParser, argv, command: Callable, prog: str | None, stop=None
) -> int:
    """Parse, run, and turn what went wrong into one line and an exit code.

    Args:
        parser: of the command's options.
        argv: the options, those of the process for None.
        command: called with the options and the screen; returns the exit code.
        prog: what the command is called in its messages; None: the script's name.
        stop: ends the command on a signal; it may know what to say then.
    """
    parser.prog = prog or parser.prog
    argv = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(argv)
    args.typed = {word.partition("=")[0] for word in argv if word.startswith("--")}
    args.prog = parser.prog
    screen = terminal.Screen()

    def fail(text: str, code: int) -> int:
        screen.outlive()
        screen.finish()
        word = terminal.colored("error:", "red", sys.stderr)
        with contextlib.suppress(OSError):  # a terminal that is gone changes no exit code
            print(f"{parser.prog}: {word} {text}", file=sys.stderr)
        return code

    stop = stop or signals.Stop()

    def farewell():
        terminal.let_errors_through()
        screen.outlive()  # what ends the program may have taken the terminal with it
        screen.finish()
        line = stop.last_line()
        if line:
            screen.write(line)
            return
        with contextlib.suppress(OSError):
            print("interrupted", file=sys.stderr, flush=True)

    stop.farewell = farewell
    try:
        with _log_on(screen, verbose=args.verbose), stop:
            return command(args, screen)
    except signals.Stopped as stopped:
        farewell()
        return stopped.exit_code
    except YoloError as error:
        return fail(str(error), error.exit_code)
    except ImportError as error:
        return fail(f"{error}; run: pip install -e .", 1)
    except KeyboardInterrupt:  # from within, without a signal
        farewell()
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; nobody is left to tell.
        terminal.lose(sys.stdout)
        return 1
    except OSError as error:
        return fail(str(error), 1)
    except _out_of_memory():
        return fail("out of memory; a smaller --batch-size or --image-size needs less", 1)


@contextlib.contextmanager
def _log_on(screen: terminal.Screen, *, verbose: bool) -> Iterator[None]:
    """Show the package's log on the screen, and nowhere else, while a command runs."""
    log = logging.getLogger("yolo")
    handler = terminal.ScreenHandler(screen)
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)  # its stream may not outlive the command
        log.propagate = True


def typed(prog: str, argv: list[str]) -> str:
    """Return a command as it can be typed again."""
    program = prog if prog.startswith("python") else f"python {prog}"
    return " ".join([program, *map(shlex.quote, argv)])


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return what is raised when memory runs out, TensorFlow's own error only if it runs."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return (MemoryError,)
    return (MemoryError, tensorflow.errors.ResourceExhaustedError)
