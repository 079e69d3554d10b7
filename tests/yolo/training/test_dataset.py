"""What `--data` may be, and what a run measures on where lists are missing."""

import json
import shutil

import pytest

from yolo.errors import DatasetError
from yolo.training import dataset
from yolo.training.settings import TrainConfig


def coco_folder(shapes, root):
    """Write a data set in COCO's layout from the pictures of one in VOC format."""
    (root / "annotations").mkdir(parents=True)
    for split, names in (("train", ("000001", "000002")), ("val", ("000003",))):
        (root / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for number, name in enumerate(names, 1):
            shutil.copy(shapes / "JPEGImages" / f"{name}.jpg", root / "images" / split)
            images.append({"id": number, "file_name": f"{name}.jpg", "height": 240, "width": 320})
            annotations.append(
                {"id": number, "image_id": number, "category_id": 7, "bbox": [10, 20, 30, 40],
                 "iscrowd": 0, "area": 1200}
            )  # fmt: skip
        data = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
        }
        path = root / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(data), encoding="utf-8")
    return root


def test_a_folder_in_cocos_layout(shapes, tmp_path):
    data = dataset.open_data(TrainConfig(data=str(coco_folder(shapes, tmp_path / "coco"))))
    assert data.classes == ("dog", "cat")
    assert (len(data.train), len(data.val), data.test_name) == (2, 1, "val")
    assert data.train[0].boxes_xyxy.tolist() == [[10, 20, 40, 60]]
    assert data.train[0].class_ids.tolist() == [1]
    with pytest.raises(DatasetError, match="no split 'test'; expected one of train, val"):
        dataset.read_split(tmp_path / "coco", "test", classes=data.classes)


def test_a_set_with_nothing_but_train_is_measured_on_itself(shapes, tmp_path, caplog):
    root = shutil.copytree(shapes, tmp_path / "VOC")
    for name in ("val", "test", "trainval"):
        (root / "ImageSets" / "Main" / f"{name}.txt").unlink(missing_ok=True)
    data = dataset.open_data(TrainConfig(data=str(root)))
    assert data.val is data.train and data.test is data.train
    assert "measuring on the training pictures instead" in caplog.text


def test_annotations_with_capital_suffixes(shapes, tmp_path):
    root = shutil.copytree(shapes, tmp_path / "VOC")
    for path in (root / "Annotations").iterdir():
        path.rename(path.with_suffix(".XML"))
    plain = dataset.open_data(TrainConfig(data=str(shapes)))
    loud = dataset.open_data(TrainConfig(data=str(root)))
    assert len(loud.train) == len(plain.train) == 8
    assert (loud.train[0].boxes_xyxy == plain.train[0].boxes_xyxy).all()
