"""What the first bytes of a picture file say: format, size, orientation; nothing is decoded."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from yolo.errors import ConfigError, DatasetError
from yolo.system.reading import FilePart, open_regular, printable, read_regular

MAX_MEGAPIXELS = 100.0
LARGEST_MEGAPIXELS = 1000.0  # OpenCV itself stops at 2**30 pixels
FORMATS = "JPEG, PNG, BMP, GIF, WebP or TIFF"
# How their files are called, in the order in which one of several is taken
PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff",
)  # fmt: skip

# No picture packs more pixels into a byte than this, one colour all over included, unless its
# header lies; small ones cost little even then. For PNG that is deflate's 1032 at 1 bit a pixel.
_PIXELS_PER_BYTE = {
    "jpeg": 1024, "png": 8256, "bmp": 128, "gif": 4096, "webp": 2048, "tiff": 10_000,
}  # fmt: skip
_SMALL = 4_000_000
_MAX_PARTS = 20_000  # segments or chunks before the pixels; more are there to keep us busy
_MAX_CHUNKS = 100_000  # of a PNG, pixels and all
_MAX_SCANS = 100  # of a JPEG: every one goes over the whole picture

_allowed = MAX_MEGAPIXELS


def allow_megapixels(count: float) -> None:
    """Set how large a picture may be, for all that this process reads from now on.

    Args:
        count: millions of pixels, above 0 and up to 1000.

    Raises:
        ConfigError: another number.
    """
    global _allowed
    if not 0 < count <= LARGEST_MEGAPIXELS:
        raise ConfigError(
            f"max_megapixels lies above 0 and up to {LARGEST_MEGAPIXELS:g}, not {count}"
        )
    _allowed = float(count)


def allowed_megapixels() -> float:
    """Return what `allow_megapixels` set, 100 by default."""
    return _allowed


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
        frames: 2 where the file holds more than one frame or page, of which the first is taken.
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    whole: bool = False
    frames: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as displayed, with the orientation applied."""
        stored = (self.height, self.width)
        return stored[::-1] if self.orientation >= 5 else stored

    @property
    def plain_jpeg(self) -> bool:
        """Whether TensorFlow's own decoder reads the file as `pictures.files.read_image` does."""
        return self.whole and self.orientation == 1


def read_header(path: str | os.PathLike) -> Header:
    """Read a picture's header.

    Raises:
        DatasetError: the file cannot be read, is in none of the known formats, its header is
            cut short or says more than the file can hold, or the picture is larger than
            `allow_megapixels` lets it be.
    """
    if isinstance(path, FilePart):
        return header_of(read_regular(path), path)
    with open_regular(path) as file:
        try:
            return _parsed(file, os.fstat(file.fileno()).st_size, path)
        except OSError as error:
            raise DatasetError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def header_of(data: bytes, path: str | os.PathLike) -> Header:
    """Return the header of a picture whose file was read already.

    Args:
        data: the file's content.
        path: names it in messages.

    Raises:
        DatasetError: as `read_header`.
    """
    return _parsed(io.BytesIO(data), len(data), path)


def _parsed(file: BinaryIO, size: int, path: str | os.PathLike) -> Header:
    try:
        header = _parse(file, size)
    except (struct.error, IndexError):
        header = None
    if header is None:
        found = "an empty file" if size == 0 else f"{size} bytes of something else or cut short"
        raise DatasetError(
            f"{printable(path)}: not a readable picture: expected {FORMATS}, found {found}; "
            "save it again in one of these or remove it"
        )
    # What would cost more than a picture is worth is refused, too.
    pixels = header.height * header.width
    shape = f"{header.width}x{header.height} pixels"
    if pixels < 1:
        raise DatasetError(f"{printable(path)}: a picture without pixels; remove it")
    if pixels > _allowed * 1e6:
        raise DatasetError(
            f"{printable(path)}: {shape}; expected at most {_allowed:g} megapixels: make the "
            "picture smaller or raise --max-megapixels"
        )
    if pixels > max(_SMALL, _PIXELS_PER_BYTE[header.kind] * size):
        raise DatasetError(
            f"{printable(path)}: the header says {shape}, which {size} bytes cannot hold: save "
            "it again or remove it"
        )
    return header


def _parse(file: BinaryIO, size: int) -> Header | None:
    start = file.read(32)
    if start[:2] == b"\xff\xd8":
        return _jpeg(file)
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(file, size)
    if start[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", start, 6)
        return Header("gif", height, width, frames=_gif_frames(file, start[10]))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _webp(file, size)
    if start[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(file)
    if start[:2] == b"BM":
        if struct.unpack_from("<I", start, 14)[0] == 12:
            width, height = struct.unpack_from("<HH", start, 18)
        else:
            width, height = struct.unpack_from("<ii", start, 18)
        return Header("bmp", abs(height), abs(width))
    return None


def _jpeg(file: BinaryIO) -> Header | None:
    file.seek(-2, os.SEEK_END)
    ended = file.read(2) == b"\xff\xd9"
    place, orientation = 2, None
    frame: _Frame | None = None
    for _ in range(_MAX_PARTS):
        file.seek(place)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # fill bytes
            place += _run_of_fill(file, place)
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            place += 2
            continue
        (length,) = struct.unpack_from(">H", head, 2)
        if marker in (0xD9, 0xDA):
            if marker == 0xD9 or frame is None:
                return None  # the end or the pixels before any size
            return _jpeg_with_scans(file, ended, orientation or 1, frame)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = _Frame(marker, *struct.unpack(">BHHB", file.read(6)))
        if marker == 0xE1 and orientation is None and file.read(6) == b"Exif\0\0":
            orientation = _orientation(file, place + 10)
        place += 2 + length
    return None


def _run_of_fill(file: BinaryIO, place: int) -> int:
    """Return the number of fill bytes before the next marker's code, up to a few thousand."""
    file.seek(place)
    block = file.read(4096)
    return max(1, len(block) - len(block.lstrip(b"\xff")) - 1)


class _Frame(NamedTuple):
    """What a JPEG's start of frame says; `marker` tells baseline, extended, progressive, ..."""

    marker: int
    bits: int
    height: int
    width: int
    parts: int


def _jpeg_with_scans(file: BinaryIO, ended: bool, orientation: int, frame: _Frame) -> Header | None:
    """Finish a JPEG's header at its first scan, where `file` stands behind the length."""
    in_scan = file.read(1)[0]
    if frame.marker > 0xC1 or in_scan != frame.parts:  # else libjpeg itself takes no second scan
        scans = file.read().count(b"\xff\xda") + 1
        if scans > _MAX_SCANS:
            return None
    whole = ended and frame.bits == 8 and frame.parts in (1, 3) and frame.marker <= 0xC2
    return Header("jpeg", frame.height, frame.width, orientation, whole)


def _png(file: BinaryIO, size: int) -> Header | None:
    file.seek(16)
    width, height = struct.unpack(">II", file.read(8))
    place, orientation, frames, pixels = 8, 1, 1, False
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        # OpenCV makes room for what a chunk says it holds, gigabytes for a file of 100 bytes
        if place + 12 + length > size:
            return None
        if name == b"IEND":
            return Header("png", height, width, orientation, frames=frames)
        if name == b"eXIf" and not pixels:
            orientation = _orientation(file, place + 8)
        if name == b"acTL" and not pixels:
            frames = min(2, struct.unpack(">I", file.read(4))[0] or 1)
        pixels = pixels or name == b"IDAT"
        place += 12 + length
    return None


def _gif_frames(file: BinaryIO, flags: int) -> int:
    """Return 2 if a GIF holds a second frame, else 1; `flags` are those of its screen."""
    place, frames = 13 + _palette(flags), 0
    for _ in range(_MAX_PARTS):
        file.seek(place)
        head = file.read(11)
        if head[:1] == b"\x2c" and len(head) > 10:
            frames += 1
            if frames == 2:
                return 2
            place += 11 + _palette(head[9])
        elif head[:1] == b"\x21":
            place += 2
        elif head[:1] in (b"", b"\x3b") or head[0] == 0x2C:
            break
        else:
            place += 1 + head[0]  # a block of data, or the empty one behind the last
    return 1


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(file: BinaryIO, size: int) -> Header | None:
    canvas = frame = None
    place, orientation, frames = 12, 1, 1
    for _ in range(_MAX_PARTS):
        if place + 8 > size:
            break
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"VP8X":
            data = file.read(10)
            canvas = tuple(1 + int.from_bytes(data[i : i + 3], "little") for i in (4, 7))
            frames += data[0] >> 1 & 1
        elif name == b"VP8 " and frame is None:
            frame = tuple(n & 0x3FFF for n in struct.unpack("<6xHH", file.read(10)))
        elif name == b"VP8L" and frame is None:
            (bits,) = struct.unpack("<xI", file.read(5))
            frame = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif name == b"EXIF":
            skip = 6 if file.read(6) == b"Exif\0\0" else 0
            orientation = _orientation(file, place + 8 + skip)
        place += 8 + length + length % 2
    found = canvas or frame
    if found is None or None not in (canvas, frame) and canvas != frame:
        return None
    width, height = found
    return Header("webp", height, width, orientation, frames=frames)


def _tiff(file: BinaryIO) -> Header | None:
    tags = _tiff_tags(file, 0)
    if 256 not in tags or 257 not in tags:
        return None
    width, height = tags[256], tags[257]
    # A tile is read whole, however small the picture that it covers
    tile = tags.get(322, 0) * tags.get(323, 0)
    if tile > max(4 * width * height, _SMALL):
        return None
    return Header("tiff", height, width, _valid(tags.get(274)), frames=1 + bool(tags[0]))


def _orientation(file: BinaryIO, start: int) -> int:
    """Return the orientation that an EXIF block (a small TIFF) names, or 1."""
    try:
        return _valid(_tiff_tags(file, start).get(274))
    except (struct.error, IndexError):
        return 1


def _valid(orientation: int | None) -> int:
    return orientation if orientation is not None and 1 <= orientation <= 8 else 1


def _tiff_tags(file: BinaryIO, start: int) -> dict[int, int]:
    """Return the short and long numbers of the first directory of a TIFF that begins at start.

    Under 0, which is no tag, stands the offset of the next directory, 0 if there is none.
    """
    file.seek(start)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return {}
    file.seek(start + struct.unpack(order + "I", head[4:])[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    entries = file.read(12 * count)
    tags = {0: int.from_bytes(file.read(4), "little")}  # only whether it is 0 matters
    for i in range(0, len(entries) - 11, 12):
        tag, kind = struct.unpack_from(order + "HH", entries, i)
        if kind in (3, 4):
            (tags[tag],) = struct.unpack_from(order + "HI"[kind - 3], entries, i + 8)
    return tags
