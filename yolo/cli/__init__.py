"""The command line: options in, exit code out. The only package that prints."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

from yolo.errors import YoloError
from yolo.system import signals, terminal

# What `keras-focal` understands, and what it does. A command is the module of its name, with
# `parser()` and `run(args, screen, stop)`; that of the command that was called alone is loaded.
COMMANDS = {
    "train": "train a detector on labelled pictures",
    "predict": "detect objects in pictures and videos",
    "evaluate": "measure average precision",
    "compare": "say whether another loss helps on a data set",
    "export": "write a detector for another runtime",
    "models": "list the models, their sizes and their weights",
    "check": "report what a data set holds and what is wrong with it",
    "anchors": "fit anchors to a data set",
    "convert": "write a data set in another format",
    "shards": "copy a data set into TFRecord shards",
}


SCRIPT = "keras-focal"


def command(word: str, argv: list[str] | None = None, prog: str | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        word: one of `COMMANDS`.
        argv: its options, those of the process for None.
        prog: what it is called in its messages; None: the script's name.
    """
    module = importlib.import_module(f"yolo.cli.{word}")
    parser = module.parser()
    parser.prog = prog or f"{word}.py"
    return _run(parser, sys.argv[1:] if argv is None else argv, module.run, signals.Stop())


train_main = functools.partial(command, "train")
predict_main = functools.partial(command, "predict")
evaluate_main = functools.partial(command, "evaluate")


def main(argv: list[str] | None = None) -> int:
    """Run `keras-focal COMMAND ...`, or `python -m yolo COMMAND ...`."""
    argv = sys.argv[1:] if argv is None else argv
    prog = SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m yolo"
    word = argv[0] if argv else ""
    if word in COMMANDS:
        return command(word, argv[1:], f"{prog} {word}")
    if word in ("-h", "--help"):
        print(_overview(prog))
        return 0
    if word == "--print-completion":
        from yolo.cli import completion

        return completion.show(SCRIPT, COMMANDS, argv[1:])
    if word == "--version":
        from yolo.cli.option_values import version

        print(version())
        return 0
    if not word:
        print(_overview(prog), file=sys.stderr)
        return 2
    near = get_close_matches(word, COMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    print(f"{prog}: error: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2


def _overview(prog: str) -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [f"usage: {prog} COMMAND [options]", "", "commands:", *lines, ""]
        + [f"{prog} COMMAND --help lists the options of a command,"]
        + [f"{prog} --print-completion bash (or zsh, tcsh) writes what completes them"]
    )


def _run(
    parser: argparse.ArgumentParser, argv: list[str], run: Callable, stop: signals.Stop
) -> int:
    """Parse, run, and turn what went wrong into one line and an exit code.

    `stop` ends the command on a signal, and may know what to say then.
    """
    args = parser.parse_args(argv)
    args.typed = {word.partition("=")[0] for word in argv if word.startswith("--")}
    args.prog, args.command = parser.prog, typed(parser.prog, argv)
    screen = terminal.Screen()

    def fail(text: str, code: int) -> int:
        screen.outlive()
        screen.finish()
        word = terminal.colored("error:", "red", sys.stderr)
        with contextlib.suppress(OSError):  # a terminal that is gone changes no exit code
            print(f"{parser.prog}: {word} {text}", file=sys.stderr)
        return code

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
            return run(args, screen, stop)
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
    return " ".join([f"python {prog}" if prog.endswith(".py") else prog, *map(shlex.quote, argv)])


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return what is raised when memory runs out, TensorFlow's own error only if it runs."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return (MemoryError,)
    return (MemoryError, tensorflow.errors.ResourceExhaustedError)
