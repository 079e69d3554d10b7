"""`keras-focal --print-completion SHELL`: what makes a shell complete the commands and options."""

from __future__ import annotations

import argparse
import importlib
import sys

SHELLS = ("bash", "zsh", "tcsh")


def show(script: str, commands: dict[str, str], argv: list[str]) -> int:
    """Print a shell's completion script, and return an exit code.

    Args:
        script: the program that is completed.
        commands: its commands, each the name of a module here, and what they do.
        argv: the shell's name.
    """
    if len(argv) != 1 or argv[0] not in SHELLS:
        print(f"{script}: error: --print-completion takes {', '.join(SHELLS)}", file=sys.stderr)
        return 2
    try:
        import shtab
    except ImportError:
        print(f"{script}: error: completion needs shtab: pip install shtab", file=sys.stderr)
        return 1
    values = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIR}
    print(shtab.complete(_parser(script, commands, values), argv[0]))
    return 0


def _parser(script: str, commands: dict[str, str], values: dict) -> argparse.ArgumentParser:
    """Return a parser of all commands, which this package otherwise loads one at a time."""
    parser = argparse.ArgumentParser(script)
    parsers = parser.add_subparsers()
    for word, about in commands.items():
        own = importlib.import_module(f"yolo.cli.{word}").parser()
        for action in own._actions:
            if action.metavar in values:
                action.complete = values[action.metavar]
        parsers.add_parser(word, help=about, parents=[own], add_help=False)
    return parser
