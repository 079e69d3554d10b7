"""Training and prediction see the same pixels, whatever way the file stores them (T23)."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageSequence

from tests.faults.full.pictures import HEIGHT, WIDTH, picture, variants
from yolo.data.sample import Sample
from yolo.data.store import Store
from yolo.pictures.files import read_image, upright
from yolo.pictures.header import read_header

FILES = variants()
# Where the way of storing loses nothing and the rule says that nothing else is changed
LOSSLESS = {
    "png rgb", "png interlaced", "png orientation 6",
    "png 16 bits", "png animated", "bmp rgb", "bmp top down", "bmp 32 bits",
    "webp lossless", "webp orientation 6", "webp orientation 8", "webp animated",
    "tiff raw", "tiff lzw", "tiff deflate", "tiff packbits", "tiff orientation 6",
    "tiff orientation 3", "tiff two pages",
}  # fmt: skip
SEVERAL = {"png animated", "gif animated", "webp animated", "tiff two pages"} & set(FILES)


def test_there_are_sixty_and_every_orientation():
    assert len(FILES) >= 60 and len([name for name in FILES if "orientation" in name]) >= 20


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store over all variants, as a training run holds them, and their pixels."""
    folder = tmp_path_factory.mktemp("variants")
    samples, pixels, headers = [], {}, {}
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool)
    for name, data in FILES.items():
        path = folder / name
        path.write_bytes(data)
        pixels[name] = read_image(path)
        headers[name] = read_header(path)
        samples.append(Sample(path, *nothing, nothing[2], pixels[name].shape[:2], name))
    whole = tf.TensorSpec([], tf.int64), *[tf.TensorSpec([2], tf.int32)] * 2
    return tf.function(Store(samples).pixels, input_signature=whole), pixels, headers


@pytest.mark.parametrize("name", FILES)
def test_training_and_prediction_see_identical_pixels(store, name):
    draw, pixels, _ = store
    index, expected = list(FILES).index(name), pixels[name]
    height, width = expected.shape[:2]
    rng = np.random.default_rng(index)
    windows = [(0, 0, height, width)]
    for _ in range(2):
        top, left = rng.integers(0, height - 1), rng.integers(0, width - 1)
        windows.append(
            (top, left, rng.integers(1, height - top + 1), rng.integers(1, width - left + 1))
        )
    for top, left, high, wide in windows:
        start, size = np.array([top, left], np.int32), np.array([high, wide], np.int32)
        seen = draw(np.int64(index), start, size)
        np.testing.assert_array_equal(seen, expected[top : top + high, left : left + wide])


def pil_pixels(data):
    """Return the first frame as Pillow reads it, as stored, in RGB on white."""
    with Image.open(io.BytesIO(data)) as image:
        frame = next(iter(ImageSequence.Iterator(image)))
        if not frame.has_transparency_data:
            return np.asarray(frame.convert("RGB"))
        white = Image.new("RGBA", frame.size, "white")
        return np.asarray(Image.alpha_composite(white, frame.convert("RGBA")).convert("RGB"))


@pytest.mark.parametrize("name", FILES)
def test_pixels_follow_the_stated_rules(store, name, tmp_path):
    found, header = store[1][name], store[2][name]
    assert found.dtype == np.uint8 and found.shape == (*header.size, 3)
    assert header.frames == (2 if name in SEVERAL else 1)
    turn = int(name.split("orientation ")[1][0]) if "orientation" in name else 1
    assert header.orientation == turn
    if name in LOSSLESS:
        np.testing.assert_array_equal(found, upright(picture(), turn))
        return
    stored = pil_pixels(FILES[name])
    assert stored.shape == (HEIGHT, WIDTH, 3)
    if name == "png 16 bits grey":  # the upper byte, for grey as for colours
        stored = picture()[..., 1:2].repeat(3, 2)
    if name == "tiff 16 bits":  # scaled to the nearest
        stored = np.rint((picture().astype(float) * 256 + 255) / 257)
        np.testing.assert_array_equal(found, stored)
    # Pillow has decoders of its own; an error of rule (colours swapped, alpha blended) is larger
    assert np.abs(found.astype(int) - upright(stored, turn)).mean() < (9 if "cmyk" in name else 2)


def test_what_is_wholly_transparent_is_white(tmp_path):
    clear = np.dstack([picture(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    buffer = io.BytesIO()
    Image.fromarray(clear).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert (read_image(tmp_path / "a.png") == 255).all()
