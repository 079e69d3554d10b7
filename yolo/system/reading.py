"""Files of others: opened by ourselves, only if they are regular files of a sensible size."""

from __future__ import annotations

import io
import json
import os
import reprlib
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo.errors import DatasetError

# What zipfile raises on damaged archives. Most damage it finds itself; the rest shows in what it
# calls: packed data in zlib, places outside of the file in seek, names in a codec (a ValueError),
# and as a RuntimeError a flag that asks for a password or a newer program.
ZIP_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, OverflowError, RuntimeError, ValueError
)  # fmt: skip
MAX_BYTES = 1 << 30
MAX_WHOLE_BYTES = 1 << 40  # of a file of which parts are read
LITTER = "._"  # what names begin with that macOS leaves on the disks of other systems
_SHOWN = 60
_BRIEF = reprlib.Repr()
_BRIEF.maxlist = _BRIEF.maxdict = _BRIEF.maxtuple = 20
_BRIEF.maxlevel = 3
_archives: dict[str, str] = {}  # the folder of what was unpacked, and what its archive is called


@dataclass(frozen=True)
class FilePart(os.PathLike):
    """A file that lies inside a larger one, as a picture lies in a shard.

    `read_regular` reads it like any other; messages name it as the larger file and its own name.

    Args:
        file: the larger file.
        start: where the part begins, in bytes.
        length: its bytes.
        crc32: zlib's checksum of them.
        name: what the part is called.
    """

    file: Path
    start: int
    length: int
    crc32: int
    name: str

    def __fspath__(self) -> str:
        return f"{self.file}:{self.name}"

    __str__ = __fspath__

    @property
    def stem(self) -> str:
        """The name without its suffix, as a path has it."""
        return Path(self.name).stem


def unpacked_from(archive: str | os.PathLike, folder: Path) -> None:
    """From here on messages name what lies in a folder by the archive that it was unpacked from."""
    _archives[os.fspath(folder)] = os.fspath(archive)


def printable(path: str | os.PathLike) -> str:
    """Return a path as one line that any terminal can print, whatever bytes its name holds.

    What was unpacked is named as its owner knows it: "mine.zip: train/a.xml". A message that begins
    with a path, or holds one, may be given as well.
    """
    text = os.fspath(path)
    for folder, archive in _archives.items():
        text = text.replace(f"{folder}{os.sep}", f"{archive}: ").replace(folder, archive)
    if text.isprintable():
        return text
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(value: object) -> str:
    """Return a value found in a file as a message shows it: quoted, on one line, not too long.

    Example:
        >>> shortened("dog"), shortened("x" * 1000).count("x")
        ("'dog'", 60)
    """
    if not isinstance(value, str):
        value = _BRIEF.repr(value)  # a value of aliases may be without end when written out
        return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."


def reason(error: Exception) -> str:
    """Return what an error says as one short line."""
    return printable(str(error).strip().partition("\n")[0])[:200] or type(error).__name__


def regular_file(
    path: str | os.PathLike, *, max_bytes: int = MAX_BYTES, error: type[Exception] = DatasetError
) -> os.stat_result:
    """Return a file's status; a link to one is followed.

    Raises:
        DatasetError: or `error`, called with one line: there is no such file, it is no regular
            file (a folder, a pipe, a socket, a device) or it is larger than `max_bytes`.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 (a path of its own for each file takes time)
    except (OSError, ValueError) as fault:
        words = getattr(fault, "strerror", None) or str(fault)
        raise error(f"{printable(path)}: cannot be opened: {words}") from None
    _check(path, status, max_bytes, error)
    return status


def open_regular(
    path: str | os.PathLike, *, max_bytes: int = MAX_BYTES, error: type[Exception] = DatasetError
) -> io.BufferedReader:
    """Open a file for reading, in such a way that none can block us; the caller closes it.

    What is opened is checked again after the opening: the name may have come to mean a pipe
    since it was looked at.

    Raises:
        DatasetError: or `error`: as `regular_file`, or the file cannot be read.
    """
    regular_file(path, max_bytes=max_bytes, error=error)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115 (a descriptor)
    except OSError as fault:
        raise error(f"{printable(path)}: cannot be read: {fault.strerror}") from None
    try:
        _check(path, os.fstat(file.fileno()), max_bytes, error)
    except error:
        file.close()
        raise
    return file


def read_regular(
    path: str | os.PathLike, *, max_bytes: int = MAX_BYTES, error: type[Exception] = DatasetError
) -> bytes:
    """Read a whole file as `open_regular` opens it, and never more than `max_bytes`.

    Of a `FilePart` the checksum is compared.

    Raises:
        DatasetError: or `error`: as `regular_file`, or the file cannot be read.
    """
    if isinstance(path, FilePart):
        return _read_part(path, max_bytes, error)
    with open_regular(path, max_bytes=max_bytes, error=error) as file:
        try:
            size = min(os.fstat(file.fileno()).st_size, max_bytes)
            data = file.read(size + 1)  # room for no more than there is
            if len(data) > size:  # it grew meanwhile, or its system does not tell its size
                data += file.read(max_bytes + 1 - len(data))
        except OSError as fault:
            raise error(f"{printable(path)}: cannot be read: {fault.strerror}") from None
    if len(data) > max_bytes:
        raise error(f"{printable(path)}: more than {max_bytes} bytes, the most that is taken")
    return data


def read_json(path: str | os.PathLike, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file in UTF-8, with or without a byte-order mark.

    Raises:
        DatasetError: as `read_regular`, or it is no JSON.
    """
    data = read_regular(path, max_bytes=max_bytes)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as fault:
        raise DatasetError(
            f"{printable(path)}: no readable JSON in UTF-8 ({reason(fault)})"
        ) from None


def read_lines_of(
    path: str | os.PathLike, *, max_bytes: int = 1 << 28, error: type[Exception] = DatasetError
) -> list[str]:
    """Read the lines of a list in UTF-8, with or without a byte-order mark.

    Raises:
        DatasetError: or `error`: as `read_regular`, or it is not UTF-8.
    """
    data = read_regular(path, max_bytes=max_bytes, error=error)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(
            f"{printable(path)}: no readable list in UTF-8 (byte {fault.start}): save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def inside(path: Path, *folders: Path) -> bool:
    """Tell whether a file, all links followed, lies in one of the folders or below it."""
    if not path.is_symlink():  # the usual case: what a folder lists lies in it
        return True
    try:
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, RuntimeError, ValueError):  # links in a circle
        return False


def _read_part(part: FilePart, max_bytes: int, error: type[Exception]) -> bytes:
    if part.length > max_bytes:
        raise error(f"{printable(part)}: {part.length} bytes; expected at most {max_bytes}")
    with open_regular(part.file, max_bytes=MAX_WHOLE_BYTES, error=error) as file:
        try:
            file.seek(part.start)
            data = file.read(part.length)
        except OSError as fault:
            raise error(f"{printable(part)}: cannot be read: {fault.strerror}") from None
    if len(data) != part.length or zlib.crc32(data) != part.crc32:
        raise error(
            f"{printable(part)}: damaged (not the bytes that were written there): write the "
            "shards again"
        )
    return data


def _check(
    path: str | os.PathLike, status: os.stat_result, max_bytes: int, error: type[Exception]
) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{printable(path)}: expected a file, found a folder, a pipe or a device")
    if status.st_size > max_bytes:
        raise error(f"{printable(path)}: {status.st_size} bytes; expected at most {max_bytes}")
