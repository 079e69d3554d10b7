"""From what people type to what is looked at: pictures, folders, globs, lists, videos, cameras."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES, READ_SUFFIXES
from yolo.system.reading import LITTER
from yolo.system.terminal import counted

log = logging.getLogger("yolo")

VIDEO_SUFFIXES = frozenset(
    ".3gp .avi .flv .m4v .mkv .mov .mp4 .mpeg .mpg .mts .webm .wmv".split()
)  # a GIF is a picture here: its first frame


def find_sources(arguments: list[str]) -> list[Path | int]:
    """Return the pictures, videos and cameras that the arguments name, each once, in order.

    An argument is, in this order: a `file://` address of one of the following on this machine;
    a `.txt` file with one picture per line (UTF-8, paths relative to the list, empty lines and
    lines that start with # left out); any other file, a video where the suffix says so, else a
    picture; a folder, whose pictures and videos are taken without those of its subfolders; a
    whole number, which is a camera; a glob such as `holiday/*.jpg`, where `**` reaches into
    subfolders. A file whose name happens to be `0` or to contain `[1]` or `*` is that file.
    `~` stands for the home folder. Pictures of a folder or a glob are known by their suffix, in
    small letters or capitals, and sorted as people count: 2 before 10. A picture named in a list
    or among other arguments need not exist: the reader reports it.

    Raises:
        DatasetError: an argument names nothing to look at.

    Example:
        >>> find_sources([])
        []
    """
    found: dict[int | str, Path | int] = {}
    for argument in arguments:
        typed = _without_scheme(argument)
        path = Path(typed)
        known = is_video(path) or path.suffix.lower() in PICTURE_SUFFIXES
        if len(arguments) > 1 and known and not glob.has_magic(typed):
            # One that is missing is the reader's to report.
            expanded: Sequence[Path | int] = [_from_home(typed)]
        else:
            expanded = _expand(typed)
        for source in expanded:
            key = source if isinstance(source, int) else os.path.normcase(source)
            found.setdefault(key, source)
    return list(found.values())


def is_video(source: Path | int) -> bool:
    """Tell whether a source is a camera, or a file that is taken as a video by its suffix."""
    return isinstance(source, int) or source.suffix.lower() in VIDEO_SUFFIXES


def pictures_among(found: Iterable[Path | int]) -> list[Path]:
    """Return the pictures of what `find_sources` found."""
    return [one for one in found if not isinstance(one, int) and not is_video(one)]


def _without_scheme(argument: str) -> str:
    """Return the path that a file:// address names; other arguments as they are."""
    # A drive letter of Windows is no scheme: those have more than one letter.
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+(?=://)", argument)
    if scheme is None:
        return argument
    if scheme[0].lower() != "file":
        raise DatasetError(
            f"{argument}: nothing is fetched from other machines. Download it first, or name a "
            "file on this machine (file:///folder/picture.jpg is understood)."
        )
    address = urlsplit(argument, allow_fragments=False)
    if address.netloc not in ("", "localhost"):
        raise DatasetError(
            f"{argument}: a file on another machine ({address.netloc}). Expected three slashes, "
            "as in file:///folder/picture.jpg."
        )
    return url2pathname(address.path)


def _from_home(text: str) -> Path:
    """Return a path with `~` replaced; `~$a.jpg` is a name where no user is called `$a.jpg`."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _expand(argument: str) -> Sequence[Path | int]:
    path = _from_home(argument)
    if path.is_file():
        return _read_list(path) if path.suffix.lower() == ".txt" else [path]
    if path.is_dir():
        pictures = _pictures(path.iterdir())
        if not pictures:
            raise DatasetError(
                f"{argument}: no picture or video in this folder. Expected files that end in "
                f"{_suffixes()}; subfolders are searched with a glob such as '{argument}/**/*'."
            )
        return pictures
    if path.exists():
        return [path]
    if argument.isascii() and argument.isdigit():
        return [int(argument)]
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
        "'*.jpg', a .txt file with one picture per line, a video or the number of a camera."
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
    return [path.parent / _from_home(name) for name in names]


def _pictures(paths) -> list[Path]:
    """Return those of some paths that are called as pictures or videos are, sorted."""
    known = {*PICTURE_SUFFIXES, *VIDEO_SUFFIXES}
    # What is no regular file is the reader's to report.
    found = [path for path in paths if path.suffix.lower() in known and not path.is_dir()]
    pictures = [path for path in found if not path.name.startswith(LITTER)]
    if len(pictures) < len(found):
        passed_over = counted(len(found) - len(pictures), "file")
        log.info("%s that macOS leaves behind (%s*) passed over", passed_over, LITTER)
    return sorted(pictures, key=_natural)


def _natural(path: Path):
    """Return a sort key that takes runs of digits as numbers; the text itself breaks ties."""
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], str(path)


def _suffixes() -> str:
    return " ".join(sorted({*READ_SUFFIXES, *VIDEO_SUFFIXES}))
