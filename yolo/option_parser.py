"""The parser of a command's options: one line for what is wrong, and the option that was meant."""

from __future__ import annotations

import argparse
import re
import sys
from difflib import get_close_matches


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and proposes the option that was probably meant."""

    # Options of a size that may stand alone, and the value they then have. argparse's own way to
    # say so would take the next word for the value, whatever it is: `--tile picture.jpg`.
    bare_options: dict[str, str] = {}

    def parse_args(self, args=None, namespace=None):
        """Refuse what is no option, with the nearest one that is."""
        args = list(sys.argv[1:] if args is None else args)
        for i, word in enumerate(args):
            value = re.fullmatch(r"\d+(x\d+)?", "".join(args[i + 1 : i + 2]), re.IGNORECASE)
            if word in self.bare_options and not value:
                args[i] = f"{word}={self.bare_options[word]}"
        namespace, rest = self.parse_known_args(args, namespace)
        if rest:
            name = rest[0].split("=")[0]
            near = get_close_matches(name, self._option_string_actions, 1)
            self.error(
                f"there is no option {name}" + (f"; did you mean {near[0]}?" if near else "")
                if name.startswith("-")
                else f"{rest[0]!r} belongs to no option"
            )
        return namespace

    def error(self, message):
        """End with one line and exit code 2."""
        name = self.prog if self.prog.startswith("python") else f"python {self.prog}"
        self.exit(2, f"{self.prog}: error: {message} (all options: {name} --help)\n")


def make_parser(name: str, description: str) -> Parser:
    """Return the parser of a command with the option that all commands have.

    Args:
        name: the command as it is typed, "train.py" or "python -m yolo check".
        description: what it does, for --help.
    """
    parser = Parser(prog=name, description=description, allow_abbrev=False)
    parser.add_argument(
        "--verbose", action="store_true", help="show TensorFlow's own messages and more of ours"
    )
    return parser
