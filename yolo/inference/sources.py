"""From what people type to a list of picture files: a picture, a folder, a glob or a list."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from yolo.errors import DatasetError

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .png .tif .tiff .webp".split())


def find_pictures(arguments: list[str]) -> list[Path]:
    """Return the picture files that the arguments name, each once, in the order of the arguments.

    An argument is, in this order: a `.txt` file with one picture per line (UTF-8, paths relative
    to the list, empty lines and lines that start with # left out); any other file, taken as a
    picture whatever its name; a folder, whose pictures are taken without those of its subfolders;
    a glob such as `holiday/*.jpg`, where `**` reaches into subfolders. A file whose name happens
    to contain `[1]` or `*` is that file. Pictures of a folder or a glob are known by their
    suffix, in small letters or capitals, and sorted as people count: 2 before 10.

    Args:
        arguments: what was typed; `~` stands for the home folder.

    Returns:
        Paths as typed or relative to the list. A picture named in a list or among other
        arguments need not exist: the reader reports it.

    Raises:
        DatasetError: an argument names no picture.

    Example:
        >>> find_pictures([])
        []
    """
    found = {}
    for argument in arguments:
        path = Path(argument)
        if len(arguments) > 1 and path.suffix.lower() in SUFFIXES and not glob.has_magic(argument):
            expanded = [path.expanduser()]  # one that is missing is the reader's to report
        else:
            expanded = _expand(argument)
        for path in expanded:
            found.setdefault(os.path.normcase(path), path)
    return list(found.values())


def _expand(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if path.is_file():
        return _read_list(path) if path.suffix.lower() == ".txt" else [path]
    if path.is_dir():
        pictures = _pictures(path.iterdir())
        if not pictures:
            raise DatasetError(
                f"{argument}: no picture in this folder. Expected files that end in "
                f"{_suffixes()}; subfolders are searched with a glob such as '{argument}/**/*'."
            )
        return pictures
    if path.exists():
        return [path]
    if glob.has_magic(argument):
        matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 (Path.glob refuses '/...')
        pictures = _pictures(Path(match) for match in matches)
        if pictures:
            return pictures
        raise DatasetError(
            f"{argument}: no picture matches this pattern ({len(matches)} other files and folders "
            f"do). Expected files that end in {_suffixes()}."
        )
    raise DatasetError(
        f"{argument}: no such file or folder. Expected a picture, a folder, a pattern such as "
        "'*.jpg' or a .txt file with one picture per line."
    )


def _read_list(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the list of pictures as UTF-8."
        ) from None
    names = [line.strip() for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise DatasetError(f"{path}: this list names no picture. Expected one path per line.")
    return [path.parent / Path(name).expanduser() for name in names]


def _pictures(paths) -> list[Path]:
    pictures = [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(pictures, key=_natural)


def _natural(path: Path):
    """Return a sort key that takes runs of digits as numbers; the text itself breaks ties."""
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], str(path)


def _suffixes() -> str:
    return " ".join(sorted(SUFFIXES))
