"""Every layout of the labelling tools gives the same pictures, classes and boxes."""

from pathlib import Path

import keras
import numpy as np
import pytest

import yolo
from tests.faults.full import small
from tests.yolo.data.formats import layouts, layouts_voc, layouts_whole
from yolo.data.convert import convert
from yolo.data.folder import open_folder
from yolo.data.pipeline import BatchPlan, training_dataset
from yolo.models.yolov4 import network
from yolo.settings.augmentation import AugmentConfig

PLAIN = AugmentConfig(
    mosaic=0, flip=0, scale=(1, 1), translate=0, aspect=0, hue=0, saturation=0, value=0,
    min_box_pixels=1,
)  # fmt: skip


def shards(root):
    """Write TFRecord shards as the program does, from another layout."""
    layouts.csv_retinanet(root.with_name("retinanet"))
    opened = open_folder(root.with_name("retinanet"))
    splits = {name: opened.read(name) for name in opened.names}
    convert(splits, opened.classes, root, "tfrecord")


IN_SPLITS = (*layouts.ALL, *layouts_voc.ALL, shards)
EVERY = (*IN_SPLITS, *layouts_whole.ALL)


@pytest.mark.parametrize(
    "write", EVERY, ids=lambda write: f"{write.__module__.rpartition('.')[2]}-{write.__name__}"
)
def test_same_pictures_classes_and_boxes(write, tmp_path):
    write(tmp_path / "mine")
    opened = open_folder(tmp_path / "mine")
    assert opened.classes == layouts.CLASSES and opened.divided != (write in IN_SPLITS)
    for split in ("train", "val", "test") if write in IN_SPLITS else opened.lists:
        samples = {Path(sample.path.name).name: sample for sample in opened.read(split)}
        drawn = [one for one in layouts.DRAWN if one.split == split or opened.divided]
        if "open_images" in write.__name__:  # which has no way to say that a picture is empty
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
)  # fmt: skip
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


@pytest.fixture(scope="module")
def detector():
    """Return a small detector that has been compiled; what follows changes its weights little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "build_network", small.build_network)
        keras.utils.set_random_seed(0)
        made = yolo.build("yolov4-tiny", classes=layouts.CLASSES, image_size=(64, 64))
    made.compile(keras.optimizers.SGD(1e-3))
    return made


@pytest.mark.parametrize(
    "write", EVERY, ids=lambda write: f"{write.__module__.rpartition('.')[2]}-{write.__name__}"
)
def test_one_step_of_training_on_the_same_batch(write, detector, tmp_path):
    write(tmp_path / "mine")
    opened = open_folder(tmp_path / "mine")
    samples = [s for split in opened.names for s in opened.read(split, classes=opened.classes)]
    samples = sorted((s for s in samples if len(s.class_ids)), key=lambda s: s.path.name)
    plan = BatchPlan(batch_size=4, augment=PLAIN, epochs=1)
    images, truth = next(iter(training_dataset(samples, plan, image_size=(64, 64))))
    classes = truth["classes"].numpy()
    assert images.shape == (4, 64, 64, 3) and (classes >= 0).sum() == 8
    for image, boxes, ids in zip(images.numpy(), truth["boxes"].numpy(), classes, strict=True):
        for box, class_id in zip(boxes[ids >= 0], ids[ids >= 0], strict=True):
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            if box[2] - box[0] > 6:  # `layouts` draws each class in a blue of its own
                assert abs(int(image[y, x, 2]) - 40 * class_id) < 20
    losses = detector.train_on_batch(images, truth, return_dict=True)
    assert np.isfinite(losses["loss"]) and losses["location_loss"] > 0
