"""Files and folders written whole or not at all: a crash or a full disk leaves the old one."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from yolo.errors import ConfigError, YoloError
from yolo.system.reading import printable

log = logging.getLogger("yolo")

WINDOWS = os.name == "nt"
SECONDS_HELD = 3.0  # how long another program's hold on a file is waited for, on Windows


def numbered(path: Path) -> Iterator[Path]:
    """Yield a path, and then the same with a number behind its stem, for the first that is free.

    Example:
        >>> names = numbered(Path("a.jpg"))
        >>> str(next(names)), str(next(names)), str(next(names))
        ('a.jpg', 'a_2.jpg', 'a_3.jpg')
    """
    yield path
    yield from (path.with_stem(f"{path.stem}_{number}") for number in itertools.count(2))


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made if it is missing.

    It is replaced only when the new content is safe on the disk.

    Raises:
        YoloError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8, as `write_bytes` does.

    Raises:
        YoloError: the file cannot be written, or the text holds a name that is not UTF-8.
    """
    write_bytes(path, _encoded(path, text))


def add_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 into a folder that `write_folder` fills; its folder is made.

    Raises:
        YoloError: the text holds a name that is not UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path, text))


def _encoded(path: str | os.PathLike, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise YoloError(
            f"{printable(path)}: cannot write {error.object[error.start : error.end]!r}, a name "
            "that is not UTF-8; rename that file or folder"
        ) from error


def write_json(path: str | os.PathLike, value: object) -> None:
    """Write plain values as a JSON file for people to read, too, as `write_text` does."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary file to write, put in its place when the block ends without an error.

    It lies in the same folder and has the same suffix, which some writers go by.

    Raises:
        YoloError: an error of the system, or the path is a folder, a device or a pipe; what was
            there is as it was.
    """
    path = _target(path)
    # Short, because a name may have 255 bytes and the file's own may have all of them
    temporary = path.with_name(f".{path.stem[:40]}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        _patiently(lambda: temporary.replace(path))
        _sync(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # still there after an error or an interrupt


def free_folder(path: str | os.PathLike) -> Path:
    """Return the path of a folder that `write_folder` can make: it is not there, or is empty.

    Raises:
        ConfigError: something stands there, or where it would stand nothing can be written.
    """
    path = Path(path)
    empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if not empty and (path.exists() or path.is_symlink()):
        raise ConfigError(
            f"{printable(path)}: is there already; name another folder, or remove it first"
        )
    above = next(one for one in path.absolute().parents if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{printable(path)}: cannot be written; name another place")
    return path


def write_folder(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder, empty, beside `path`, then put it in its place.

    Every file in it is on the disk before the folder has its name. A folder that has the name
    already is removed first; until then it is whole.

    Raises:
        YoloError: an error of the system while writing; a folder of that name is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old.part")
    # In a container a killed writer may have had the same number.
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        if any(file.is_dir() for file in temporary.iterdir()) and hasattr(os, "sync"):
            os.sync()  # all at once: a folder of folders may have many small files
        else:
            for file in temporary.iterdir():
                _sync(file)
            _sync(temporary)
        with contextlib.suppress(FileNotFoundError):
            _patiently(lambda: path.rename(old))
        _patiently(lambda: temporary.rename(path))
        _sync(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if old.exists() and not path.exists():  # the second rename failed
            old.rename(path)
        for remains in (temporary, old):
            shutil.rmtree(remains, ignore_errors=True)


@contextlib.contextmanager
def unless_held() -> Iterator[None]:
    """Let what only shows something go unwritten, with a warning, while it may not be replaced.

    On Windows a file that somebody looks at, such as a table in Excel, cannot be.
    """
    try:
        yield
    except YoloError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        log.warning(
            "%s; is it open in another program? The next try is after the next epoch", error
        )


def _patiently(rename: Callable[[], object]) -> None:
    """Rename; on Windows, which renames nothing that is open, wait a while for its reader."""
    give_up = time.monotonic() + SECONDS_HELD
    while True:
        try:
            rename()
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > give_up:
                raise
        time.sleep(0.1)


def _target(path: str | os.PathLike) -> Path:
    """Return the file to replace: that which a link leads to, so that the link stays.

    A rename onto a device would put a plain file in its place, /dev/null for one.
    """
    path = Path(path)
    try:
        if path.is_symlink():
            path = path.resolve()
        special = path.exists() and not path.is_file()
    except RuntimeError as error:
        raise YoloError(f"{printable(path)}: cannot be written (links in a circle)") from error
    except OSError as error:
        raise _cannot_write(path, error) from error
    if special:
        raise YoloError(
            f"{printable(path)}: cannot be written (expected a file's name, found a folder, a "
            "device or a pipe)"
        )
    return path


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and WINDOWS:
        return  # Windows syncs no folders
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _cannot_write(path: Path, error: OSError) -> YoloError:
    return YoloError(f"{printable(path)}: cannot be written ({error.strerror or error})")
