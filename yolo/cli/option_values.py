"""How the values of options are read; what is wrong with one is said in words."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from yolo.pictures.header import LARGEST_MEGAPIXELS

# What `--save` can name, the writers of inference.writers. The first is always written.
SAVE_KINDS = (
    "json", "csv", "coco-results", "voc", "yolo", "coco", "label-studio", "cvat", "crops", "counts"
)  # fmt: skip

# What `convert --to` can name, `data.convert.FORMATS`.
CONVERT_FORMATS = ("voc", "coco", "yolo", "tfrecord")


def image_size(text: str) -> tuple[int, int]:
    """Return (height, width), multiples of 32, from "416" or "320x416"."""
    return any_size(text, step=32)


def any_size(text: str, *, step: int = 1) -> tuple[int, int]:
    """Return two sides of at least 32 pixels from "416" or "800x1333"."""
    sides = _sides(text.replace(",", "x"))
    if not sides or any(side % step for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: 416 or 320x416 (height x width), multiples of 32"
        )
    return sides


def tile_size(text: str) -> tuple[int, int] | str:
    """Return (height, width) from "640" or "480x640", or "auto"."""
    sides = text if text == "auto" else _sides(text)
    if not sides:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the size of a tile: 640 or 480x640 (height x width), 32 pixels or "
            "more"
        )
    return sides


def _sides(text: str) -> tuple[int, int] | None:
    """Return two sides of at least 32 pixels from one or two numbers, None if these are none."""
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        return None
    return (sides[0], sides[-1]) if len(sides) <= 2 and min(sides) >= 32 else None


def kinds(text: str) -> tuple[str, ...]:
    """Return the words of `--save`, each once."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in SAVE_KINDS:
            near = get_close_matches(word, SAVE_KINDS, 1)
            raise argparse.ArgumentTypeError(
                f"there is no {word!r}; did you mean {near[0]}?"
                if near
                else f"there is no {word!r}; expected some of {','.join(SAVE_KINDS)}"
            )
    return tuple(dict.fromkeys(words))


def batch_size(text: str) -> int:
    """Return a number of pictures, 0 for "auto"."""
    return 0 if text == "auto" else count(text)


def number_pair(text: str) -> tuple[float, float]:
    """Return two numbers from "0.6,1.5"."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH, e.g. 0.6,1.5") from None
    return (low, high)


def share(text: str) -> float:
    """Return a number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def megapixels(text: str) -> float:
    """Return a number of megapixels above 0 and up to 1000."""
    value = _number(text)
    if not 0 < value <= LARGEST_MEGAPIXELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number above 0 and up to {LARGEST_MEGAPIXELS:g}"
        )
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def workers(text: str) -> int | tuple[int, int]:
    """Return a number of workers from "4", or the least and the most of them from "2,8"."""
    numbers = [count(part) for part in text.split(",")]
    if len(numbers) > 2 or numbers[0] > numbers[-1]:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, or LEAST,MOST, e.g. 2,8")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and proposes the option that was probably meant."""

    # Options of a size that may stand alone, and the value they then have. argparse's own way to
    # say so would take the next word for the value, whatever it is: `--tile picture.jpg`.
    bare_options: dict[str, str] = {}
    # The options with their values' names that `--help` shows, and what it says of them, where
    # `--help all` is needed to see all.
    usual: dict[str, str] = {}

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
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

    def error(self, message: str) -> NoReturn:
        """End with one line and exit code 2."""
        name = f"python {self.prog}" if self.prog.endswith(".py") else self.prog
        more = " all" if self.usual else ""
        self.exit(2, f"{self.prog}: error: {message} (all options: {name} --help{more})\n")


class _Help(argparse.Action):
    """Shows the usual options, or all of them, and ends."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        shown = parser
        if parser.usual and values != "all":
            shown = argparse.ArgumentParser(
                prog=parser.prog, usage=parser.usage, description=parser.description,
                epilog=f"all {len(parser._actions)} options: --help all", add_help=False,
            )  # fmt: skip
            group = shown.add_argument_group("the usual ones")
            for option, text in parser.usual.items():
                name, _, metavar = option.partition(" ")
                group.add_argument(name, metavar=metavar, help=text)
        shown.print_help()
        parser.exit()


def make_parser(description: str, usual: dict[str, str] | None = None) -> Parser:
    """Return the parser of a command with the options that all commands have."""
    parser = Parser(description=description, allow_abbrev=False, add_help=False)
    if usual:
        parser.usual, parser.usage = usual, "%(prog)s [options]"
    parser.add_argument("-h", "--help", action=_Help, nargs="?" if usual else 0,
        default=argparse.SUPPRESS, metavar="all",
        help="show the options and end")  # fmt: skip
    parser.add_argument("--version", action="version", version=version(),
        help="show the version and end")  # fmt: skip
    parser.add_argument("--verbose", action="store_true",
        help="show TensorFlow's own messages and more of ours")  # fmt: skip
    return parser


def version() -> str:
    """Return the name and the version of the project, which stands in `keras_focal`.

    That file is found and read, for importing it would import Keras.
    """
    spec = importlib.util.find_spec("keras_focal")
    text = Path(spec.origin).read_text(encoding="utf-8")  # type: ignore[union-attr, arg-type]
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return f"keras-focal {found[1]}"  # type: ignore[index]
