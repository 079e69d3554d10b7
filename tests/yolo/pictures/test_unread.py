"""Pictures that cannot be read say of what kind they are, and what to do."""

import cv2
import numpy as np
import pytest

from yolo.errors import DatasetError
from yolo.pictures.files import read_image
from yolo.pictures.header import read_header


@pytest.mark.parametrize(
    "start, name",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\xff\x0a\x50\x10", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (b"8BPS\0\x01", "PSD"),
    ],
)
@pytest.mark.parametrize("read", [read_header, read_image])
def test_other_formats_are_named(tmp_path, start, name, read):
    path = tmp_path / "a.jpg"  # told from the content, whatever the extension
    path.write_bytes(start + bytes(100))
    with pytest.raises(DatasetError, match=f"a.jpg: a picture in the format {name}.*save it as"):
        read(path)


@pytest.mark.parametrize(
    "kind, words",
    [
        ("float32", "32-bit float"),
        ("float64", "64-bit float"),
        ("int32", "32-bit signed"),
        ("uint32", "32-bit unsigned"),
        ("int16", "16-bit signed"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_a_tiff_that_are_no_grey_levels(tmp_path, kind, words, channels):
    image = np.zeros((5, 6, channels), kind)
    (tmp_path / "a.tif").write_bytes(cv2.imencode(".tiff", image)[1].tobytes())
    for read in (read_header, read_image):
        with pytest.raises(DatasetError, match=f"a.tif: a TIFF picture of {words} samples.*save"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_samples_that_are(tmp_path, kind):
    image = np.full((5, 6, 3), np.iinfo(kind).max, kind)
    (tmp_path / "a.tif").write_bytes(cv2.imencode(".tiff", image)[1].tobytes())
    assert read_image(tmp_path / "a.tif").min() == 255
