"""Transparent pictures lie on their background, whatever the format keeps transparency as."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from yolo.errors import ConfigError, DatasetError
from yolo.pictures.background import on_background, show_on
from yolo.pictures.color import parse_color
from yolo.pictures.files import READS_GIF, read_image
from yolo.pictures.header import OPAQUE, read_header

COLOR, GREY = (200, 100, 50), 124
# Rows 0 and 1 are clear, 2 and 3 half so (alpha 128), the others are not.
ALPHA = np.repeat(np.array([0, 0, 128, 128, 255, 255], np.uint8), 4).reshape(6, 4)


@pytest.fixture
def rgba():
    return np.dstack([np.full((6, 4, 3), COLOR, np.uint8), ALPHA])


def bgra(rgba):
    return rgba[..., [2, 1, 0, 3]]


def half(color, background=255):
    """What shows at alpha 128, by the definition, rounded."""
    return [round((level * 128 + background * 127) / 255) for level in color]


def check(path, color, *, background=255, **options):
    image = read_image(path, **options).astype(int)
    assert image.shape == (6, 4, 3)
    for row, expected in ((0, [background] * 3), (2, half(color, background)), (4, list(color))):
        assert np.abs(image[row, 1] - expected).max() <= 1, (path, row)
    assert read_header(path).alpha != OPAQUE


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(rows, bits, color, *chunks):
    """Return a PNG file of the bytes of its rows."""
    head = struct.pack(">IIBBBBB", 4, len(rows), bits, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_alpha_channel(tmp_path, rgba, suffix):
    path = tmp_path / f"a{suffix}"
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    path.write_bytes(cv2.imencode(suffix, bgra(rgba), options)[1].tobytes())
    check(path, COLOR)
    np.testing.assert_array_equal(read_image(path, background=(0, 0, 0))[0, 0], [0, 0, 0])
    np.testing.assert_array_equal(read_image(path, background=(9, 8, 7))[0, 0], [9, 8, 7])


def test_a_lossy_webp_with_alpha(tmp_path, rgba):
    path = tmp_path / "a.webp"
    path.write_bytes(cv2.imencode(".webp", bgra(rgba), (cv2.IMWRITE_WEBP_QUALITY, 95))[1].tobytes())
    image = read_image(path).astype(int)
    assert np.abs(image[0] - 255).max() == 0 and np.abs(image[4, 1] - COLOR).max() < 12


def test_16_bits_with_alpha(tmp_path, rgba):
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", bgra(rgba).astype(np.uint16) * 257)[1].tobytes())
    check(path, COLOR)


def test_grey_with_alpha(tmp_path):
    rows = [[GREY, alpha[0]] * 4 for alpha in ALPHA]
    (tmp_path / "a.png").write_bytes(png(rows, 8, 4))
    check(tmp_path / "a.png", [GREY] * 3)


def test_a_palette_with_alpha(tmp_path):
    palette = (b"PLTE", bytes([*COLOR] * 3))
    rows = [[index] * 4 for index in (0, 0, 1, 1, 2, 2)]
    (tmp_path / "a.png").write_bytes(png(rows, 8, 3, palette, (b"tRNS", bytes([0, 128]))))
    check(tmp_path / "a.png", COLOR)


@pytest.mark.parametrize("bits, level, other", [(1, 1, 0), (2, 2, 1), (4, 9, 3), (8, 77, 78)])
def test_a_grey_level_that_is_clear(tmp_path, bits, level, other):
    def packed(value):
        row = sum(value << bits * place for place in range(4))
        return row.to_bytes(4 * bits // 8 or 1, "big") if bits > 1 else bytes([row << 4])

    rows = [packed(level), packed(other)]
    (tmp_path / "a.png").write_bytes(png(rows, bits, 0, (b"tRNS", struct.pack(">H", level))))
    image = read_image(tmp_path / "a.png", background=(1, 2, 3))
    np.testing.assert_array_equal(image[0, 0], [1, 2, 3])
    np.testing.assert_array_equal(image[1, 0], [round(other * 255 / (2**bits - 1))] * 3)


def test_a_color_that_is_clear(tmp_path):
    rows = [[*COLOR] * 4, [1, 2, 3] * 4]
    (tmp_path / "a.png").write_bytes(png(rows, 8, 2, (b"tRNS", struct.pack(">HHH", *COLOR))))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image[:, 0], [[255] * 3, [1, 2, 3]])


def test_a_gif_with_a_clear_color(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    picture = pil.fromarray(np.repeat([[0], [1]], 4, axis=1).astype(np.uint8), "P")
    picture.putpalette([*COLOR, 1, 2, 3] + [0] * 762)
    picture.save(tmp_path / "a.gif", transparency=0)
    picture.save(tmp_path / "b.gif")
    assert read_header(tmp_path / "a.gif").alpha != OPAQUE == read_header(tmp_path / "b.gif").alpha
    if READS_GIF:
        np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[:, 0], [[255] * 3, [1, 2, 3]])
        np.testing.assert_array_equal(read_image(tmp_path / "b.gif")[0, 0], COLOR)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_with_alpha(tmp_path, rgba, compression):
    pil = pytest.importorskip("PIL.Image")
    pil.fromarray(rgba).save(tmp_path / "a.tif", compression=compression)
    check(tmp_path / "a.tif", COLOR)
    pil.fromarray(rgba).convert("LA").save(tmp_path / "grey.tif")
    with pytest.raises(DatasetError, match="grey TIFF picture with an alpha channel.*as PNG"):
        read_image(tmp_path / "grey.tif")


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    full = np.dstack([image[..., ::-1], np.full((9, 7), 255, np.uint8)])
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", full)[1].tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_colors_multiplied_already_never_overflow():
    """Damaged files have colours that are brighter than their alpha."""
    image = np.array([[[255, 0, 10, 0], [100, 50, 25, 128]]], np.uint8)
    found = on_background(image, premultiplied=True)
    assert found.tolist() == [[[255, 255, 255], [227, 177, 152]]]


def test_the_background_of_a_process(tmp_path, rgba):
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", bgra(rgba))[1].tobytes())
    try:
        show_on(parse_color("10,20,30"))
        assert read_image(path)[0, 0].tolist() == [10, 20, 30]
    finally:
        show_on((255, 255, 255))


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "256,0,0", "-1,0,0", "white", "1.5,2,3"])
def test_what_is_no_color(text):
    with pytest.raises(ConfigError, match="background is R,G,B"):
        parse_color(text)
