"""The benchmark of opening data sets writes ones that are opened."""

import pytest

from benchmarks import opening
from yolo.data.folder import open_folder


@pytest.mark.parametrize("format", opening.FORMATS)
def test_what_it_writes_is_of_the_format_and_whole(format, tmp_path):
    opening.write(tmp_path, format, 5)
    opening.read_once(tmp_path)
    opened = open_folder(tmp_path)
    assert opened.kind == {
        "voc": "VOC XML", "coco": "COCO JSON", "yolo": "YOLO labels", "csv": "CSV tables",
        "lists": "lists of lines",
    }[format]  # fmt: skip
    samples = [one for split in opened.names for one in opened.read(split, classes=opening.CLASSES)]
    assert len(samples) == 5
    assert all((one.boxes_xyxy == opening.BOXES).all() for one in samples)
