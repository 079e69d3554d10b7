"""One picture or several, in any form that a program has them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from yolo.errors import DatasetError
from yolo.pictures.files import write_image
from yolo.pictures.given import as_batch, as_picture, each_of

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GREY = RGB[..., 0]
CLEAR = np.concatenate([RGB, np.full((5, 7, 1), 51, np.uint8)], -1)
REPEATED = np.repeat(GREY[..., None], 3, -1)


def as_pictures(images, background=None):
    return [as_picture(one, background) for one in each_of(images)]


@pytest.mark.parametrize(
    "given, expected",
    [
        (RGB, [RGB]),
        (RGB.astype("float64"), [RGB]),
        (RGB.astype("int64"), [RGB]),
        (tf.constant(RGB), [RGB]),
        (RGB.tolist(), [RGB]),
        (GREY, [REPEATED]),
        (GREY[..., None], [REPEATED]),
        (GREY.astype("float32"), [REPEATED]),
        (RGB[None], [RGB]),
        (np.stack([RGB, RGB]), [RGB, RGB]),
        (np.stack([GREY, GREY])[..., None], [REPEATED] * 2),
        ([RGB, RGB[:2], GREY], [RGB, RGB[:2], REPEATED]),
        ((RGB, RGB), [RGB, RGB]),
        (Image.fromarray(RGB), [RGB]),
        (Image.fromarray(GREY), [REPEATED]),
        (Image.fromarray(GREY > 99), [np.where(REPEATED > 99, 255, 0)]),
        ([], []),
        (np.zeros((0, 8, 8, 3), "uint8"), []),
    ],
)
def test_every_usual_form_becomes_rgb(given, expected):
    found = as_pictures(given)
    assert len(found) == len(expected)
    for one, wanted in zip(found, expected, strict=True):
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, wanted)


def test_files_are_read_with_the_names_of_paths_as_text_or_not(tmp_path):
    write_image(tmp_path / "p.png", RGB)
    for given in (tmp_path / "p.png", str(tmp_path / "p.png")):
        np.testing.assert_array_equal(as_pictures(given)[0], RGB)
        np.testing.assert_array_equal(as_pictures([RGB[:2], given])[1], RGB)
    with pytest.raises(DatasetError, match="absent.png"):
        as_pictures([tmp_path / "absent.png"])


def test_a_folder_gives_its_pictures_by_name(tmp_path):
    for name, picture in (("b.png", RGB), ("a.PNG", RGB[:2]), ("._a.png", RGB)):
        write_image(tmp_path / name, picture)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    assert [one.name for one in each_of(str(tmp_path))] == ["a.PNG", "b.png"]
    found = as_pictures([RGB[:3], tmp_path])
    assert [len(one) for one in found] == [3, 2, 5]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: this folder holds no picture"):
        each_of(tmp_path / "empty")
    with pytest.raises(DatasetError, match="x{40}"):
        as_pictures("x" * 5000)


@pytest.mark.parametrize("given", [CLEAR, CLEAR[None], CLEAR.astype("float32"), [CLEAR]])
@pytest.mark.parametrize("background", [None, (10, 200, 30)])
def test_a_transparent_picture_lies_on_the_background(given, background):
    (found,) = as_pictures(given, background)
    expected = 0.2 * RGB + 0.8 * np.array(background or (255, 255, 255))
    np.testing.assert_allclose(found, expected, atol=0.51)
    (pillow,) = as_pictures(Image.fromarray(CLEAR), background)
    np.testing.assert_array_equal(pillow, found)


@pytest.mark.parametrize(
    "given, words",
    [
        (np.zeros((3, 64, 64), "uint8"), r"np.moveaxis\(image, 0, -1\): channels come last"),
        (np.zeros((2, 3, 64, 64), "uint8"), r"np.moveaxis\(image, 1, -1\)"),
        (np.zeros((9, 64, 64), "uint8"), r"images\[..., None\] if they are a batch of grey"),
        (np.zeros((64, 64, 2), "uint8"), "received shape"),
        (np.zeros(7, "uint8"), "one picture for each entry"),
        (np.zeros((1, 0, 64, 3), "uint8"), "that has pixels"),
        (np.zeros((1, 1, 64, 64, 3), "uint8"), "one picture for each entry"),
        (RGB / 255, "as of 0..1; multiply by 255"),
        ([RGB, RGB / 255], "as of 0..1; multiply by 255"),
        (RGB / 127.5 - 1, "as of"),
        (RGB.astype("float32") * np.nan, "not finite"),
        (RGB.astype("uint16") * 257, "scale them"),
        (None, "received a NoneType"),
        (7, "received a int"),
        (b"street.jpg", "received a bytes; write os.fsdecode"),
        (RGB.astype("float32") - 128, "scale them, and take no mean away"),
        (RGB.astype("float32") * 16, "scale them"),
        ({"images": RGB}, "received a dict"),
        ([None], "received a NoneType"),
    ],
)
def test_what_is_no_picture_gets_one_line(given, words):
    with pytest.raises(ValueError, match=words) as caught:
        as_pictures(given)
    assert "\n" not in str(caught.value)


def test_a_batch_for_the_network_is_taken_as_it_is():
    batch = np.zeros((2, 32, 32, 3), "uint8")
    assert as_batch(batch) is batch
