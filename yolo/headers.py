"""What the first bytes of a picture file say: format, size, orientation; nothing is decoded."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from yolo.errors import DatasetError

MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30
FORMATS = "JPEG, PNG, BMP, GIF, WebP or TIFF"


@dataclass(frozen=True)
class Header:
    """A picture file's header.

    Args:
        kind: "jpeg", "png", "bmp", "gif", "webp" or "tiff".
        height: of the stored picture, before its orientation is applied.
        width: of the stored picture, before its orientation is applied.
        orientation: EXIF orientation, 1 to 8; 1 where the file names none.
        whole: for a JPEG, whether it is an 8-bit grey or three-colour one that ends where a
            JPEG ends; False for every other format.
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    whole: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as displayed, with the orientation applied."""
        stored = (self.height, self.width)
        return stored[::-1] if self.orientation >= 5 else stored


def printable(path: str | os.PathLike) -> str:
    """Return a path as one line that any terminal can print, whatever bytes its name holds."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def regular_file(path: str | os.PathLike, *, max_bytes: int = MAX_BYTES) -> os.stat_result:
    """Return the file's status.

    Raises:
        DatasetError: there is no such file, it is no regular file (a folder, a pipe, a device)
            or it is larger than `max_bytes`.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(f"{printable(path)}: cannot be opened: {reason}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DatasetError(
            f"{printable(path)}: expected a file, found a folder, a pipe or a device"
        )
    if status.st_size > max_bytes:
        raise DatasetError(
            f"{printable(path)}: {status.st_size} bytes; expected at most {max_bytes}"
        )
    return status


def read_header(path: str | os.PathLike) -> Header:
    """Read a picture's header.

    The answer is remembered as long as the file's size and time of change stay the same.

    Raises:
        DatasetError: the file cannot be read, is in none of the known formats, its header is
            cut short, or the picture has more than 100 megapixels.
    """
    status = regular_file(path)
    return _read(os.fspath(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 18)
def _read(path: str, size: int, _changed: int) -> Header:
    try:
        with Path(path).open("rb") as file:
            header = _parse(file, size)
    except (struct.error, IndexError):
        header = None
    except OSError as error:
        raise DatasetError(f"{printable(path)}: cannot be read: {error.strerror}") from None
    if header is None:
        found = "an empty file" if size == 0 else f"{size} bytes of something else or cut short"
        raise DatasetError(
            f"{printable(path)}: not a readable picture: expected {FORMATS}, found {found}; "
            "save it again in one of these or remove it"
        )
    if header.height < 1 or header.width < 1:
        raise DatasetError(f"{printable(path)}: a picture without pixels; remove it")
    if header.height * header.width > MAX_PIXELS:
        raise DatasetError(
            f"{printable(path)}: {header.width}x{header.height} pixels; expected at most "
            f"{MAX_PIXELS // 1_000_000} megapixels: make the picture smaller"
        )
    return header


def _parse(file: BinaryIO, size: int) -> Header | None:
    start = file.read(32)
    if start[:2] == b"\xff\xd8":
        return _jpeg(file, size)
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(file)
    if start[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", start, 6)
        return Header("gif", height, width)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _webp(file, size)
    if start[:4] in (b"II*\0", b"MM\0*"):
        tags = _tiff_tags(file, 0)
        return Header("tiff", tags[257], tags[256], _valid(tags.get(274))) if tags else None
    if start[:2] == b"BM":
        if struct.unpack_from("<I", start, 14)[0] == 12:
            width, height = struct.unpack_from("<HH", start, 18)
        else:
            width, height = struct.unpack_from("<ii", start, 18)
        return Header("bmp", abs(height), abs(width))
    return None


def _jpeg(file: BinaryIO, size: int) -> Header | None:
    file.seek(-2, os.SEEK_END)
    ended = file.read(2) == b"\xff\xd9"
    place, orientation = 2, None
    while place < size:
        file.seek(place)
        head = file.read(4)
        if head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            place += 2
            continue
        if marker in (0xD9, 0xDA):  # the end or the pixels before any size
            return None
        (length,) = struct.unpack_from(">H", head, 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, parts = struct.unpack(">BHHB", file.read(6))
            whole = ended and bits == 8 and parts in (1, 3) and marker <= 0xC2
            return Header("jpeg", height, width, orientation or 1, whole)
        if marker == 0xE1 and orientation is None and file.read(6) == b"Exif\0\0":
            orientation = _orientation(file, place + 10)
        place += 2 + length
    return None


def _png(file: BinaryIO) -> Header | None:
    file.seek(16)
    width, height = struct.unpack(">II", file.read(8))
    place, orientation = 8, 1
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return Header("png", height, width, orientation)
        if head[4:] == b"eXIf":
            orientation = _orientation(file, place + 8)
        place += 12 + struct.unpack(">I", head[:4])[0]


def _webp(file: BinaryIO, size: int) -> Header | None:
    height = width = None
    place, orientation = 12, 1
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"VP8X":
            data = file.read(10)
            width = 1 + int.from_bytes(data[4:7], "little")
            height = 1 + int.from_bytes(data[7:10], "little")
        elif name == b"VP8 " and width is None:
            width, height = (n & 0x3FFF for n in struct.unpack("<6xHH", file.read(10)))
        elif name == b"VP8L" and width is None:
            (bits,) = struct.unpack("<xI", file.read(5))
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif name == b"EXIF":
            skip = 6 if file.read(6) == b"Exif\0\0" else 0
            orientation = _orientation(file, place + 8 + skip)
        place += 8 + length + length % 2
    return None if width is None else Header("webp", height, width, orientation)


def _orientation(file: BinaryIO, start: int) -> int:
    """Return the orientation that an EXIF block (a small TIFF) names, or 1."""
    try:
        return _valid(_tiff_tags(file, start).get(274))
    except (struct.error, IndexError):
        return 1


def _valid(orientation: int | None) -> int:
    return orientation if orientation in range(1, 9) else 1


def _tiff_tags(file: BinaryIO, start: int) -> dict[int, int]:
    """Return the short and long numbers of the first directory of a TIFF that begins at start."""
    file.seek(start)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return {}
    file.seek(start + struct.unpack(order + "I", head[4:])[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    entries = file.read(12 * count)
    tags = {}
    for i in range(0, len(entries) - 11, 12):
        tag, kind = struct.unpack_from(order + "HH", entries, i)
        if kind in (3, 4):
            (tags[tag],) = struct.unpack_from(order + "HI"[kind - 3], entries, i + 8)
    return tags
