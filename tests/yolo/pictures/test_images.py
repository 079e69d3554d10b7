"""Reading pictures: every kind, every orientation, every fault; fitting them and the way back."""

import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest

from yolo.errors import ConfigError, DatasetError
from yolo.pictures.files import READS_GIF, read_image
from yolo.pictures.fit import Fit, fit_image, fit_window, to_uint8
from yolo.pictures.header import Header, printable, read_header


@pytest.fixture
def picture():
    """A picture whose corners differ: red, green, blue, white; smooth enough for JPEG."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24], image[:16, 24:] = (255, 0, 0), (0, 255, 0)
    image[16:, :24], image[16:, 24:] = (0, 0, 255), (255, 255, 255)
    return image


def size_and_kind(path):
    """Return height and width as displayed, and whether TensorFlow may decode the file."""
    header = read_header(path)
    return (*header.size, header.plain_jpeg)


def encode(image, suffix, *options):
    bgr = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode(suffix, bgr, options)[1].tobytes()


def exif(orientation, order="<"):
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(image, orientation, order="<"):
    data = encode(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    block = b"Exif\0\0" + exif(orientation, order)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


# What EXIF 2.32 says of row 0 and column 0 of the stored picture
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_turned_upright(tmp_path, picture, orientation):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_exif(picture, orientation, "<>"[orientation % 2]))
    expected = UPRIGHT[orientation](picture)
    image = read_image(path)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected)[2:-2, 2:-2].mean() < 12
    assert (image[4, 4] > 128).tolist() == (expected[4, 4] > 128).tolist()
    assert (image[-5, 4] > 128).tolist() == (expected[-5, 4] > 128).tolist()
    assert size_and_kind(path) == (*expected.shape[:2], orientation == 1)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_png_and_webp_are_turned_upright(tmp_path, picture, orientation):
    data = encode(picture, ".png")
    block = b"eXIf" + exif(orientation)
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    webp = encode(picture, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101)
    start = webp.index(b"VP8")
    canvas = struct.pack("<I", 47)[:3] + struct.pack("<I", 31)[:3]
    body = b"VP8X" + struct.pack("<II", 10, 8) + canvas + webp[start:]
    body += b"EXIF" + struct.pack("<I", len(block) - 4) + block[4:]
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    for name in ("a.png", "a.webp"):
        np.testing.assert_array_equal(read_image(tmp_path / name), UPRIGHT[orientation](picture))
        assert read_header(tmp_path / name).size == UPRIGHT[orientation](picture).shape[:2]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_lossless_formats_give_the_pixels(tmp_path, picture, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode(picture, suffix, *([64, 101] if suffix == ".webp" else [])))
    assert size_and_kind(path) == (32, 48, False)
    np.testing.assert_array_equal(read_image(path), picture)


def test_grey_and_16_bit_become_8_bit_rgb(tmp_path, picture):
    grey = picture[..., 0] // 2
    (tmp_path / "grey.png").write_bytes(encode(grey, ".png"))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), grey[..., None].repeat(3, 2))
    (tmp_path / "deep.png").write_bytes(encode(grey.astype(np.uint16) * 257, ".png"))
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), grey[..., None].repeat(3, 2))


def test_the_first_frame_of_an_animation(tmp_path, picture):
    pil = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.gif"
    pil.fromarray(picture).save(
        path, save_all=True, append_images=[pil.fromarray(picture[::-1].copy())]
    )
    assert size_and_kind(path) == (32, 48, False)
    if not READS_GIF:
        with pytest.raises(DatasetError, match="a.gif: OpenCV .* reads no GIF pictures: take a"):
            read_image(path)
        pytest.skip("this build of OpenCV reads no GIF")
    np.testing.assert_array_equal(read_image(path), picture)


def test_grey_jpeg_is_plain_and_cmyk_is_not(tmp_path, picture):
    (tmp_path / "grey.jpg").write_bytes(encode(picture[..., 0], ".jpg"))
    assert size_and_kind(tmp_path / "grey.jpg") == (32, 48, True)
    assert np.ptp(read_image(tmp_path / "grey.jpg"), axis=2).max() == 0
    pil = pytest.importorskip("PIL.Image")
    pil.fromarray(picture).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert size_and_kind(tmp_path / "cmyk.jpg") == (32, 48, False)
    difference = np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - picture)
    assert difference.mean() < 12


def test_content_decides_not_the_extension_and_names_may_hold_anything(tmp_path, picture):
    folder = tmp_path / "две papки" / "图片 [1]"
    folder.mkdir(parents=True)
    path = folder / "a b*.jpg"
    path.write_bytes(encode(picture, ".png"))
    np.testing.assert_array_equal(read_image(path), picture)
    np.testing.assert_array_equal(read_image(str(path)), picture)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_no_text(tmp_path, picture):
    path = os.path.join(os.fsencode(tmp_path), b"\xff\xfe.png")  # noqa: PTH118
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(encode(picture, ".png"))
    np.testing.assert_array_equal(read_image(os.fsdecode(path)), picture)
    assert printable(os.fsdecode(path)).endswith(r"\udcff\udcfe.png")
    assert printable("a\nb") == r"a\nb"


def huge_webp():
    bits = (16382) | (16382 << 14)
    body = b"WEBPVP8L" + struct.pack("<I", 14) + b"\x2f" + struct.pack("<I", bits) + bytes(9)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_png():
    head = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + bytes(8) + b"IEND" + bytes(4)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.jpg", b"", "empty file"),
        ("text.jpg", b"not a picture at all, really", "expected JPEG, PNG"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "expected JPEG, PNG"),
        ("short.jpg", b"\xff\xd8\xff\xe0", "cut short"),
        ("bomb.webp", huge_webp(), "16383x16383 pixels; expected at most 100 megapixels"),
        ("bomb.png", huge_png(), "30000x30000 pixels; expected at most 100 megapixels"),
    ],
)
def test_faulty_files_are_refused_by_their_header(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    for function in (read_header, read_image):
        with pytest.raises(DatasetError) as caught:
            function(path)
        assert words in str(caught.value) and str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_a_picture_cut_short_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = encode(noise, suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(DatasetError, match="damaged|cut short"):
        read_image(path)
    if suffix == ".jpg":
        assert size_and_kind(path) == (64, 64, False)  # so that our own reader names the file


def test_no_regular_file(tmp_path):
    with pytest.raises(DatasetError, match="cannot be opened"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(DatasetError, match="expected a file"):
        read_image(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(DatasetError, match="expected a file"):
            read_image(tmp_path / "pipe.jpg")
        (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent.jpg")
        with pytest.raises(DatasetError, match="cannot be opened"):
            read_header(tmp_path / "dangling.jpg")


def test_header_follows_a_changed_file(tmp_path, picture):
    path = tmp_path / "a.png"
    path.write_bytes(encode(picture, ".png"))
    assert read_header(path) == Header("png", 32, 48)
    path.write_bytes(encode(picture[:8, :8], ".png"))
    os.utime(path, ns=(1, 1))
    assert read_header(path).size == (8, 8)


def test_mutated_headers_never_raise_anything_else(tmp_path, picture):
    rng = np.random.default_rng(0)
    files = [jpeg_with_exif(picture, 6)] + [encode(picture, s) for s in (".png", ".webp", ".tiff")]
    path = tmp_path / "m"
    answers = set()
    for n in range(600):
        data = bytearray(files[n % len(files)])
        for place in rng.integers(0, min(len(data), 120), 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        os.utime(path, ns=(n, n))
        try:
            answers.add(type(read_header(path)))
        except DatasetError:
            answers.add(DatasetError)
    assert answers == {Header, DatasetError}


@pytest.mark.parametrize("size", [(480, 640), (31, 77), (100, 3), (416, 416), (1, 1)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_go_to_the_network_and_back(size, resize):
    picture, fit = fit_image(np.zeros((*size, 3), np.uint8), (96, 160), resize=resize)
    assert picture.shape == (96, 160, 3)
    whole = np.array([[0, 0, size[1], size[0]]], np.float32)
    top, left, height, width = fit_window(size, (96, 160), resize)
    np.testing.assert_allclose(
        fit.to_network(whole), [[left, top, left + width, top + height]], atol=1e-4
    )
    boxes = np.random.default_rng(0).uniform(0, 1, (50, 4)) * np.tile([size[1], size[0]], 2)
    np.testing.assert_allclose(fit.to_picture(fit.to_network(boxes)), boxes, atol=2e-4)
    assert fit.to_network(np.zeros((0, 4))).shape == (0, 4)


def test_letterbox_keeps_proportions_and_fills_with_grey():
    picture, fit = fit_image(np.full((50, 100, 3), 7, np.uint8), (64, 64))
    assert fit == Fit((0.64, 0.64), (0.0, 16.0))
    assert (picture[:16] == 128).all() and (picture[48:] == 128).all()
    assert (picture[16:48] == 7).all()


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shorter"])
def test_a_picture_of_the_networks_size_is_taken_as_it_is(resize):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    picture, fit = fit_image(image, (64, 96), resize=resize)
    assert picture is image and fit == Fit((1.0, 1.0), (0.0, 0.0))
    boxes = np.float32([[1.1, -2.3, 1e5, 77.7]])
    assert fit.to_picture(boxes).tobytes() == boxes.tobytes()


def test_stretch_fills_everything():
    picture, fit = fit_image(np.full((50, 100, 3), 7, np.uint8), (64, 32), resize="stretch")
    assert fit == Fit((0.32, 1.28), (0.0, 0.0))
    assert (picture == 7).all()


def test_unknown_resize_mode():
    with pytest.raises(ConfigError, match="'crop'; expected one of letterbox, stretch"):
        fit_image(np.zeros((2, 2, 3), np.uint8), (4, 4), resize="crop")


def test_missing_opencv_is_explained_in_one_line():
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from yolo.errors import ConfigError\n"
        "try:\n    import yolo.pictures.files\nexcept ConfigError as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install opencv-python-headless" in done.stdout
    assert done.stdout.count("\n") == 1


def test_numbers_of_any_kind_become_8_bit_pictures():
    grey = np.array([0, 1, 7, 255], "uint8").reshape(2, 2, 1)
    assert to_uint8(grey) is grey
    for dtype in ("int8", "int32", "uint16", "int64", "float16", "float32", "float64"):
        some = grey[:1] if dtype == "int8" else grey
        found = to_uint8((some * 7).astype(dtype))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, some * 7)
    assert to_uint8(np.float32([-4, 0.4, 0.6, 300])).tolist() == [0, 0, 1, 255]
    for dtype in ("bool", "float32"):  # black, whatever the scale
        assert to_uint8(np.zeros((2, 2, 3), dtype)).tolist() == np.zeros((2, 2, 3)).tolist()


@pytest.mark.parametrize(
    "values, message",
    [
        (np.float32([0, 0.9]), "as of 0..1; multiply by 255"),
        (np.float16([0, 1]), "multiply by 255"),
        (np.array([False, True]), "bool up to True"),
        (np.uint16([0, 65535]), r"0\.\.65535"),
        (np.int32([-1, 5]), r"-1\.\.5"),
        (np.float32([5, np.nan]), "not finite"),
        (np.float64([5, np.inf]), "not finite"),
        (np.array(["a"]), "dtype <U1"),
        (np.complex64([5]), "dtype complex64"),
    ],
)
def test_values_that_are_no_pictures_are_refused(values, message):
    with pytest.raises(ValueError, match=f"numbers in 0..255. Received: .*{message}"):
        to_uint8(values)
    with pytest.raises(ValueError, match=message):
        fit_image(np.resize(values, (2, 2, 3)), (32, 32))
