"""The directory of a TIFF, which is also the form of EXIF data: its numbers by their tags."""

from __future__ import annotations

import struct
from typing import BinaryIO

WIDTH, HEIGHT, BITS, ORIENTATION, SAMPLES = 256, 257, 258, 274, 277
TILE_WIDTH, TILE_HEIGHT, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 338, 339
NEXT = 0  # no tag: the offset of the next directory, 0 if there is none

# What a sample is, by the values of SampleFormat; without the tag it is an unsigned number.
_FORMATS = {2: "signed", 3: "float", 5: "complex signed", 6: "complex float"}


def read_tags(file: BinaryIO, start: int) -> dict[int, int]:
    """Return the first short or long number of each tag in the first directory.

    The TIFF begins at `start`, perhaps among other things.

    Returns:
        Numbers by tag, and under `NEXT` whether another directory follows. Nothing where no TIFF
        begins.

    Raises:
        struct.error: it is cut short.

    Reference:
        TIFF 6.0, section 2.
    """
    file.seek(start)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return {}
    file.seek(start + struct.unpack(order + "I", head[4:])[0])
    (count,) = struct.unpack(order + "H", file.read(2))
    entries = file.read(12 * count)
    tags = {NEXT: int.from_bytes(file.read(4), "little")}  # only whether it is 0 matters
    for i in range(0, len(entries) - 11, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", entries, i)
        if kind not in (3, 4):
            continue
        form, place = order + "HI"[kind - 3], i + 8
        if values * struct.calcsize(form) <= 4:
            (tags[tag],) = struct.unpack_from(form, entries, place)
        else:  # they stand elsewhere
            file.seek(start + struct.unpack_from(order + "I", entries, place)[0])
            (tags[tag],) = struct.unpack(form, file.read(struct.calcsize(form)))
    return tags


def read_orientation(file: BinaryIO, start: int) -> int:
    """Return the orientation that EXIF data name, 1 if they name none or are damaged."""
    try:
        return orientation(read_tags(file, start))
    except (struct.error, IndexError):
        return 1


def orientation(tags: dict[int, int]) -> int:
    """Return the orientation that tags name, 1 to 8; 1 where they name none."""
    found = tags.get(ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def unusual_samples(tags: dict[int, int]) -> str:
    """Return of what kind a picture's samples are where they are no grey levels, else "".

    Example:
        >>> unusual_samples({BITS: 32, SAMPLE_FORMAT: 3}), unusual_samples({BITS: 16})
        ('32-bit float', '')
    """
    bits, kind = tags.get(BITS, 1), _FORMATS.get(tags.get(SAMPLE_FORMAT, 1), "")
    if not kind and bits <= 16:
        return ""
    return f"{bits}-bit {kind or 'unsigned'}"
