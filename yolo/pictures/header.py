"""What the first bytes of a picture file say: format, size, orientation; nothing is decoded."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from yolo.errors import ConfigError, DatasetError
from yolo.pictures import tiff
from yolo.system.reading import FilePart, open_regular, printable, read_regular

MAX_MEGAPIXELS = 100.0
LARGEST_MEGAPIXELS = 1000.0  # OpenCV itself stops at 2**30 pixels
FORMATS = "JPEG, PNG, BMP, GIF, WebP or TIFF"
READ_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff",
)  # fmt: skip
# How pictures are called, in the order in which one of several is taken. Those that cannot be read
# are among them, because to pass over them in silence would lose them.
PICTURE_SUFFIXES = (*READ_SUFFIXES, ".heic", ".heif", ".avif", ".jxl", ".jp2")

# No picture packs more pixels into a byte than this, one colour all over included, unless its
# header lies; small ones cost little even then. For PNG that is deflate's 1032 at 1 bit a pixel.
_PIXELS_PER_BYTE = {
    "jpeg": 1024, "png": 8256, "bmp": 128, "gif": 4096, "webp": 2048, "tiff": 10_000,
}  # fmt: skip
_SMALL = 4_000_000
_MAX_PARTS = 20_000  # segments or chunks before the pixels; more are there to keep us busy
_MAX_CHUNKS = 100_000  # of a PNG, pixels and all
_MAX_SCANS = 100  # of a JPEG: every one goes over the whole picture

# How a picture's alpha channel stands to its colours
OPAQUE, TRANSPARENT, PREMULTIPLIED = "none", "beside", "multiplied"

_allowed = MAX_MEGAPIXELS


class _Unread(Exception):
    """Says of what kind a picture is that cannot be read, and what to do."""


def allow_megapixels(count: float) -> None:
    """Set how large a picture may be, for all that this process reads from now on.

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
        alpha: `OPAQUE`; `TRANSPARENT` where the file has an alpha channel or a transparent
            colour; `PREMULTIPLIED` where its colours are multiplied with alpha already.
        clear_level: of a grey PNG, the level that is transparent, as it is decoded.
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    whole: bool = False
    frames: int = 1
    alpha: str = OPAQUE
    clear_level: int | None = None

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

    Raises:
        DatasetError: as `read_header`.
    """
    return _parsed(io.BytesIO(data), len(data), path)


def _parsed(file: BinaryIO, size: int, path: str | os.PathLike) -> Header:
    try:
        header = _parse(file, size)
    except _Unread as error:
        raise DatasetError(f"{printable(path)}: {error}") from None
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
        frames, clear = _gif_frames(file, start[10])
        return Header("gif", height, width, frames=frames, alpha=TRANSPARENT if clear else OPAQUE)
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
    if name := _unread_kind(start):
        raise _Unread(f"a picture in the format {name}: expected {FORMATS}; save it as JPEG or PNG")
    return None


def _unread_kind(start: bytes) -> str:
    """Return the name of a format that people have pictures in and OpenCV mostly has no part for.

    Reference:
        ISO 14496-12 (boxes), ISO 23008-12 (brands of HEIF), MP4RA for the others.
    """
    if start[4:8] == b"ftyp":
        return {b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIF",
                b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}.get(start[8:12], "")  # fmt: skip
    marks = {b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL", b"\0\0\0\x0cjP  ": "JPEG 2000",
             b"\xff\x4f\xff\x51": "JPEG 2000", b"II+\0": "BigTIFF", b"MM\0+": "BigTIFF",
             b"8BPS": "PSD"}  # fmt: skip
    return next((name for mark, name in marks.items() if start.startswith(mark)), "")


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
            orientation = tiff.read_orientation(file, place + 10)
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
    width, height, bits, color = struct.unpack(">IIBB", file.read(10))
    place, orientation, frames, pixels = 8, 1, 1, False
    alpha, level = TRANSPARENT if color in (4, 6) else OPAQUE, None
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        # OpenCV makes room for what a chunk says it holds, gigabytes for a file of 100 bytes
        if place + 12 + length > size:
            return None
        if name == b"IEND":
            return Header("png", height, width, orientation, False, frames, alpha, level)
        if name == b"eXIf" and not pixels:
            orientation = tiff.read_orientation(file, place + 8)
        if name == b"acTL" and not pixels:
            frames = min(2, struct.unpack(">I", file.read(4))[0] or 1)
        if name == b"tRNS" and not pixels:
            alpha = TRANSPARENT
            if color == 0:
                level = struct.unpack(">H", file.read(2))[0] * max(1, 255 // (2**bits - 1))
        pixels = pixels or name == b"IDAT"
        place += 12 + length
    return None


def _gif_frames(file: BinaryIO, flags: int) -> tuple[int, bool]:
    """Return 2 if a GIF holds a second frame, else 1, and whether a colour of the first is clear.

    `flags` are those of its screen.
    """
    place, frames, clear = 13 + _palette(flags), 0, False
    for _ in range(_MAX_PARTS):
        file.seek(place)
        head = file.read(11)
        if head[:1] == b"\x2c" and len(head) > 10:
            frames += 1
            if frames == 2:
                break
            place += 11 + _palette(head[9])
        elif head[:1] == b"\x21":
            clear |= head[1:2] == b"\xf9" and head[3:4] > b"" and head[3] & 1 > frames
            place += 2
        elif head[:1] in (b"", b"\x3b") or head[0] == 0x2C:
            break
        else:
            place += 1 + head[0]  # a block of data, or the empty one behind the last
    return max(1, frames), clear


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(file: BinaryIO, size: int) -> Header | None:
    canvas = frame = None
    place, orientation, frames, alpha = 12, 1, 1, OPAQUE
    for _ in range(_MAX_PARTS):
        if place + 8 > size:
            break
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"VP8X":
            data = file.read(10)
            canvas = tuple(1 + int.from_bytes(data[i : i + 3], "little") for i in (4, 7))
            frames += data[0] >> 1 & 1
            alpha = TRANSPARENT if data[0] & 0x10 else alpha
        elif name == b"VP8 " and frame is None:
            frame = tuple(n & 0x3FFF for n in struct.unpack("<6xHH", file.read(10)))
        elif name == b"VP8L" and frame is None:
            (bits,) = struct.unpack("<xI", file.read(5))
            frame = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
            alpha = TRANSPARENT if bits >> 28 & 1 else alpha
        elif name == b"EXIF":
            skip = 6 if file.read(6) == b"Exif\0\0" else 0
            orientation = tiff.read_orientation(file, place + 8 + skip)
        place += 8 + length + length % 2
    found = canvas or frame
    if found is None or None not in (canvas, frame) and canvas != frame:
        return None
    width, height = found
    return Header("webp", height, width, orientation, frames=frames, alpha=alpha)


def _tiff(file: BinaryIO) -> Header | None:
    tags = tiff.read_tags(file, 0)
    if tiff.WIDTH not in tags or tiff.HEIGHT not in tags:
        return None
    width, height = tags[tiff.WIDTH], tags[tiff.HEIGHT]
    # A tile is read whole, however small the picture that it covers
    tile = tags.get(tiff.TILE_WIDTH, 0) * tags.get(tiff.TILE_HEIGHT, 0)
    if tile > max(4 * width * height, _SMALL):
        return None
    if samples := tiff.unusual_samples(tags):
        raise _Unread(
            f"a TIFF picture of {samples} samples, which have no grey levels: scale them and save "
            "it with 8 or 16 unsigned bits"
        )
    alpha = {1: PREMULTIPLIED, 2: TRANSPARENT}.get(tags.get(tiff.EXTRA_SAMPLES, 0), OPAQUE)
    return Header(
        "tiff", height, width, tiff.orientation(tags), frames=1 + bool(tags[tiff.NEXT]), alpha=alpha
    )
