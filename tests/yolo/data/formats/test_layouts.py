"""Every layout of the labelling tools gives the same pictures, classes and boxes."""

import numpy as np
import pytest

from tests.yolo.data.formats import layouts, layouts_voc
from yolo.data.folder import open_folder


@pytest.mark.parametrize("write", layouts.ALL + layouts_voc.ALL, ids=lambda write: write.__name__)
def test_same_pictures_classes_and_boxes(write, tmp_path):
    write(tmp_path / "mine")
    opened = open_folder(tmp_path / "mine")
    assert opened.classes == layouts.CLASSES
    for split in ("train", "val", "test"):
        samples = {sample.path.name: sample for sample in opened.read(split)}
        drawn = [one for one in layouts.DRAWN if one.split == split]
        if write is layouts.csv_open_images:  # which has no way to say that a picture is empty
            drawn = [one for one in drawn if one.objects]
        assert sorted(samples) == sorted(one.name for one in drawn)
        for one in drawn:
            sample = samples[one.name]
            assert sample.size == layouts.SIZE
            found = [layouts.CLASSES[i] for i in sample.class_ids]
            assert found == [name for name, _ in one.objects]
            boxes = np.array([box for _, box in one.objects], np.float32).reshape(-1, 4)
            np.testing.assert_allclose(sample.boxes_xyxy, boxes, atol=1e-3)


@pytest.mark.parametrize(
    "write, name",
    [
        (layouts.yolo_ultralytics, "mine.yaml"),
        (layouts.yolo_darknet, "obj.data"),
        (layouts.coco_own, "annotations/instances_train2017.json"),
        (layouts.coco_cvat, "annotations/instances_train.json"),
        (layouts.csv_tensorflow, "data/train_labels.csv"),
        (layouts.csv_open_images, "train-annotations-bbox.csv"),
    ],
)
def test_the_file_that_describes_them_may_be_named(write, name, tmp_path, monkeypatch):
    write(tmp_path / "mine")
    folder, _, last = f"mine/{name}".rpartition("/")
    monkeypatch.chdir(tmp_path / folder)
    for path in (tmp_path / "mine" / name, last):
        opened = open_folder(path)
        assert opened.classes == layouts.CLASSES
        found = [one.path.name for one in opened.read("train")]
        drawn = [one.name for one in layouts.DRAWN if one.split == "train"]
        assert set(found) | {"b 1.png"} == set(drawn)
