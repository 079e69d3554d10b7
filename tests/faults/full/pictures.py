"""One small picture in every way that files store it."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from yolo.pictures.files import READS_GIF

HEIGHT, WIDTH = 47, 61  # odd, so that no block of a format ends where the picture does
EXIF_MARK = b"Exif\0\0"


def picture() -> np.ndarray:
    """Return the picture: (47, 61, 3) uint8 RGB, smooth with some noise, all corners different."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 255, (5, 7, 3)).astype(np.uint8)
    smooth = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(int)
    return (smooth + rng.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8)


@functools.cache
def variants() -> dict[str, bytes]:
    """Return at least 60 files by name, `<format> <what is special>`."""
    return {**_jpeg(), **_png(), **_bmp(), **(_gif() if READS_GIF else {}), **_webp(), **_tiff()}


def exif(orientation: int, order: str = "<") -> bytes:
    """Return an EXIF block that names nothing but an orientation, "<" or ">" ordered."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(data: bytes, orientation: int, order: str = "<") -> bytes:
    """Return a JPEG file with an orientation put in front."""
    block = EXIF_MARK + exif(orientation, order)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png(rows: list[bytes], *, depth: int, color: int, before: bytes = b"", passes=None) -> bytes:
    """Write a PNG file from packed rows, or from the rows of Adam7's `passes`."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, int(passes is not None))
    lines = rows if passes is None else [row for part in passes for row in part]
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    parts = chunk(b"IHDR", head) + before + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file with its checksum."""
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def _saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def _jpeg() -> dict[str, bytes]:
    image = Image.fromarray(picture())
    plain = _saved(image, "JPEG", quality=90)
    found = {
        f"jpeg orientation {n} {order}": jpeg_with_exif(plain, n, order)
        for n in range(1, 9)
        for order in "<>"
    }
    bgr = np.ascontiguousarray(picture()[..., ::-1])
    for name, factor in (
        ("444", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        ("422", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
        ("420", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        ("411", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
        ("440", cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
    ):
        for progressive in (0, 1):
            found[f"jpeg {name}{' progressive' * progressive}"] = _encoded(
                ".jpg", bgr, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor,
                cv2.IMWRITE_JPEG_PROGRESSIVE, progressive,
            )  # fmt: skip
    grey, cmyk = image.convert("L"), image.convert("CMYK")
    return found | {
        "jpeg grey": _saved(grey, "JPEG"),
        "jpeg grey progressive": _saved(grey, "JPEG", progressive=True),
        "jpeg optimized": _saved(image, "JPEG", optimize=True),
        "jpeg restart markers": _encoded(".jpg", bgr, cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
        "jpeg quality 5": _saved(image, "JPEG", quality=5),
        "jpeg quality 100": _saved(image, "JPEG", quality=100),
        "jpeg rgb": _saved(image, "JPEG", keep_rgb=True),
        "jpeg cmyk": _saved(cmyk, "JPEG"),
        "jpeg cmyk progressive": _saved(cmyk, "JPEG", progressive=True),
        "jpeg comment": _saved(image, "JPEG", comment=b"\xff\xd9 not the end"),
        "jpeg bytes behind the end": plain + b"trailer",
    }


def _png() -> dict[str, bytes]:
    rgb = picture()
    image = Image.fromarray(rgb)
    deep = rgb[..., ::-1].astype(np.uint16) * 256 + 255  # OpenCV's order; the lower byte is lost
    alpha = np.dstack([rgb, np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256])
    alpha = Image.fromarray(alpha.astype(np.uint8))
    rows = [row.tobytes() for row in rgb]
    steps = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2),
             (1, 2, 0, 1))  # fmt: skip
    passes = [[row.tobytes() for row in rgb[y::dy, x::dx]] for y, dy, x, dx in steps]
    transparent = image.quantize(16)
    return {
        "png rgb": png(rows, depth=8, color=2),
        "png interlaced": png(rows, depth=8, color=2, passes=passes),
        "png orientation 6": png(rows, depth=8, color=2, before=chunk(b"eXIf", exif(6))),
        "png transparent colour": png(
            rows, depth=8, color=2, before=chunk(b"tRNS", struct.pack(">HHH", *map(int, rgb[0, 0])))
        ),
        "png rgba": _saved(alpha, "PNG"),
        "png grey": _saved(image.convert("L"), "PNG"),
        "png grey alpha": _saved(image.convert("LA"), "PNG"),
        "png 1 bit": _saved(image.convert("1"), "PNG"),
        "png palette": _saved(image.quantize(256), "PNG"),
        "png palette 4 bits": _saved(image.quantize(16), "PNG", bits=4),
        "png palette transparent": _saved(transparent, "PNG", transparency=3),
        "png 16 bits": _encoded(".png", deep),
        "png 16 bits grey": _encoded(".png", np.ascontiguousarray(deep[..., 1])),
        "png 16 bits rgba": _encoded(".png", np.dstack([deep, deep[..., 0]])),
        "png animated": _saved(
            image, "PNG", save_all=True, append_images=[Image.fromarray(255 - rgb)]
        ),
    }


def _bmp() -> dict[str, bytes]:
    rgb = picture()
    image = Image.fromarray(rgb)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    bottom_up = _encoded(".bmp", bgr)
    offset = struct.unpack_from("<I", bottom_up, 10)[0]
    stride = (3 * WIDTH + 3) // 4 * 4
    body = bottom_up[offset:]
    lines = [body[i : i + stride] for i in range(0, stride * HEIGHT, stride)]
    head = bytearray(bottom_up[:offset])
    head[22:26] = struct.pack("<i", -HEIGHT)
    return {
        "bmp rgb": bottom_up,
        "bmp top down": bytes(head) + b"".join(lines[::-1]),
        "bmp 1 bit": _saved(image.convert("1"), "BMP"),
        "bmp palette": _saved(image.quantize(256), "BMP"),
        "bmp grey": _saved(image.convert("L"), "BMP"),
        "bmp 32 bits": _encoded(".bmp", np.dstack([bgr, np.full_like(bgr[..., 0], 255)])),
    }


def _gif() -> dict[str, bytes]:
    image = Image.fromarray(picture()).quantize(64)
    other = Image.fromarray(255 - picture()).quantize(64)
    return {
        "gif": _saved(image, "GIF", interlace=0),
        "gif interlaced": _saved(image, "GIF", interlace=1),
        "gif transparent": _saved(image, "GIF", transparency=5),
        "gif animated": _saved(image, "GIF", save_all=True, append_images=[other], duration=90),
    }


def _webp() -> dict[str, bytes]:
    rgb = picture()
    image = Image.fromarray(rgb)
    alpha = Image.fromarray(np.dstack([rgb, np.full((HEIGHT, WIDTH), 200, np.uint8)]))
    frames = [Image.fromarray(255 - rgb)]
    return {
        "webp lossy": _saved(image, "WEBP", quality=90),
        "webp lossless": _saved(image, "WEBP", lossless=True),
        "webp alpha": _saved(alpha, "WEBP", lossless=True, exact=True),
        "webp orientation 6": _saved(image, "WEBP", lossless=True, exif=EXIF_MARK + exif(6)),
        "webp orientation 8": _saved(image, "WEBP", lossless=True, exif=EXIF_MARK + exif(8, ">")),
        "webp animated": _saved(
            image, "WEBP", lossless=True, save_all=True, append_images=frames, duration=90
        ),
    }


def _tiff() -> dict[str, bytes]:
    rgb = picture()
    image = Image.fromarray(rgb)
    deep = rgb[..., ::-1].astype(np.uint16) * 256 + 255
    kinds = {"raw": None, "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate",
             "packbits": "packbits", "jpeg": "jpeg"}  # fmt: skip
    found = {
        f"tiff {name}": _saved(image, "TIFF", compression=compression)
        for name, compression in kinds.items()
    }
    return found | {
        "tiff grey": _saved(image.convert("L"), "TIFF"),
        "tiff 1 bit": _saved(image.convert("1"), "TIFF", compression="group4"),
        "tiff palette": _saved(image.quantize(256), "TIFF"),
        "tiff 16 bits": _encoded(".tiff", deep),
        "tiff orientation 6": _saved(image, "TIFF", tiffinfo={274: 6}),
        "tiff orientation 3": _saved(image, "TIFF", tiffinfo={274: 3}),
        "tiff two pages": _saved(
            image, "TIFF", save_all=True, append_images=[Image.fromarray(255 - rgb)]
        ),
    }
