"""What `--data` may be, and what a run measures on where lists are missing."""

import json
import logging
import re
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.faults.audit import listening, opened
from yolo import cli
from yolo.data import demo, pipeline
from yolo.data import folder as dataset
from yolo.data.convert import convert
from yolo.data.formats import tfrecords
from yolo.data.recognition import find_format
from yolo.data.source import Source
from yolo.data.store import Store, find_damaged
from yolo.errors import ConfigError, DatasetError
from yolo.settings.train import TrainConfig
from yolo.training import data_check


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
        dataset.open_folder(tmp_path / "coco").read("test", classes=data.classes)


def test_some_classes_alone_in_every_format(shapes, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("cat\n", encoding="utf-8")
    coco = coco_folder(shapes, tmp_path / "coco")
    some = {"classes": str(names), "only_classes": True}
    assert len(dataset.open_data(TrainConfig(data=str(coco), **some)).train[0].boxes_xyxy) == 1
    whole = dataset.open_data(TrainConfig(data=str(shapes)))
    names.write_text(f"{whole.classes[1]}\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="leave such objects out with --only-classes"):
        dataset.open_data(TrainConfig(data=str(shapes), classes=str(names)))
    data = dataset.open_data(TrainConfig(data=str(shapes), **some))
    for ours, theirs in zip(data.train, whole.train, strict=True):
        np.testing.assert_array_equal(ours.boxes_xyxy, theirs.boxes_xyxy[theirs.class_ids == 1])
    with pytest.raises(ConfigError, match="--only-classes needs --classes"):
        dataset.open_data(TrainConfig(data=str(shapes), only_classes=True))


@pytest.mark.parametrize("name", ["train", "Training", "val", "test", "default"])
@pytest.mark.parametrize("to", ["voc", "coco", "yolo", "tfrecord"])
def test_a_single_list_of_any_name_is_divided_by_the_seed(shapes, tmp_path, caplog, name, to):
    caplog.set_level(logging.INFO, "yolo")
    opened = dataset.open_folder(shapes)
    every = [sample for split in ("train", "val", "test") for sample in opened.read(split)]
    root = tmp_path / "one"
    convert({name: every}, opened.classes, root, to)
    caplog.clear()
    data = dataset.open_data(TrainConfig(data=str(root), seed=3))
    pictures = [Path(s.path.name).stem for s in [*data.train, *data.val, *data.test]]
    assert len(set(pictures)) == len(pictures) == len(every)
    assert len(data.train) > len(data.val) >= 1 <= len(data.test) and data.test_name == "test"
    assert {part: len(ids) for part, ids in data.divided.items()} == {
        "train": len(data.train), "val": len(data.val), "test": len(data.test),
    }  # fmt: skip
    assert f"{len(every)} pictures, divided by seed 3: train {len(data.train)}, " in caplog.text
    other = dataset.open_data(TrainConfig(data=str(root), seed=4))
    assert other.divided != data.divided
    whole = dataset.open_folder(root)
    assert len(whole.read(whole.lists[0])) == len(every), "who asks for the list has all of it"


@pytest.mark.parametrize("to", ["voc", "coco"])
def test_a_list_beside_empty_ones_is_a_single_one(shapes, tmp_path, to):
    opened = dataset.open_folder(shapes)
    convert({"train": opened.read("train")}, opened.classes, tmp_path / "one", to)
    if to == "voc":
        (tmp_path / "one" / "ImageSets" / "Main" / "val.txt").write_text("", encoding="utf-8")
    else:
        file = next((tmp_path / "one").rglob("*train*.json"))
        content = json.loads(file.read_text(encoding="utf-8")) | {"images": [], "annotations": []}
        file.with_name(file.name.replace("train", "val")).write_text(json.dumps(content))
    data = dataset.open_data(TrainConfig(data=str(tmp_path / "one")))
    assert len(data.train) > len(data.val) == 1 and data.test_name == "test" and data.divided


def test_a_single_list_that_is_named_itself_is_measured_on_itself(shapes, tmp_path, caplog):
    root = shutil.copytree(shapes, tmp_path / "VOC")
    lists = root / "ImageSets" / "Main"
    (lists / "train.txt").rename(lists / "mine.txt")
    for name in ("val", "test", "trainval"):
        (lists / f"{name}.txt").unlink(missing_ok=True)
    data = dataset.open_data(TrainConfig(data=str(root), train_split="mine"))
    assert data.val is data.train and data.test is data.train
    assert data.test_name == "mine" and not data.divided
    assert "measuring on the training pictures instead" in caplog.text


def test_what_judges_a_model_has_its_own_name(shapes, tmp_path):
    """Where only some of the lists have objects that count."""
    root = shutil.copytree(shapes, tmp_path / "VOC")
    lists = root / "ImageSets" / "Main"
    (lists / "test.txt").rename(lists / "holdout.txt")
    (lists / "trainval.txt").unlink(missing_ok=True)

    def lists_of(**settings):
        return dataset.open_data(TrainConfig(data=str(root), **settings))

    data = lists_of(val_split="holdout")
    assert data.test is data.val is not data.train and data.test_name == "holdout"
    (lists / "test.txt").write_text("", encoding="utf-8")
    data = lists_of(val_split="holdout")
    assert data.test is data.val is not data.train and data.test_name == "holdout"
    data = lists_of(train_split="holdout", val_split="test")
    assert data.test is data.val is data.train and data.test_name == "holdout"


def test_the_lists_to_train_and_to_measure_on_can_be_named(shapes):
    data = dataset.open_data(TrainConfig(data=str(shapes), train_split="val", val_split="train"))
    usual = dataset.open_data(TrainConfig(data=str(shapes)))
    names = [[sample.image_id for sample in part] for part in (data.train, data.val)]
    assert names == [[s.image_id for s in part] for part in (usual.val, usual.train)]
    assert names[0] != names[1]


def test_annotations_with_capital_suffixes(shapes, tmp_path):
    root = shutil.copytree(shapes, tmp_path / "VOC")
    for path in (root / "Annotations").iterdir():
        path.rename(path.with_suffix(".XML"))
    plain = dataset.open_data(TrainConfig(data=str(shapes)))
    loud = dataset.open_data(TrainConfig(data=str(root)))
    assert len(loud.train) == len(plain.train) == 8
    assert (loud.train[0].boxes_xyxy == plain.train[0].boxes_xyxy).all()


def test_shards_are_as_large_as_asked(shapes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        tfrecords, "write_shards",
        lambda splits, *_, **how: asked.append(how["shard_bytes"]) or dict.fromkeys(splits, 1),
    )  # fmt: skip
    command = ["shards", "--data", str(shapes), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--shard-size", "3"]) == cli.main(command) == 0
    assert asked == [3 << 20, 256 << 20]


@pytest.mark.parametrize("kind", ["coco", "lists"])
def test_shards_of_other_layouts_hold_the_same(shapes, tmp_path, kind):
    if kind == "coco":
        settings = {"data": str(coco_folder(shapes, tmp_path / "coco"))}
    else:
        (tmp_path / "classes.txt").write_text("dog\ncat\n", encoding="utf-8")
        settings = {"classes": str(tmp_path / "classes.txt"), "list_root": str(shapes)}
        for split, name in (("train", "000001"), ("val", "000002")):
            text = f"{shapes / 'JPEGImages' / name}.jpg 1,2,30,40,1 5,5,9,9.5,0\n"
            (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
            settings[f"{split}_list"] = str(tmp_path / f"{split}.txt")
    config = TrainConfig(**settings)
    files = dataset.open_data(config)
    tfrecords.write_shards(data_check.splits_of(files, config), files.classes, tmp_path / "out")
    packed = dataset.open_data(TrainConfig(data=str(tmp_path / "out")))
    assert (packed.classes, packed.test_name) == (files.classes, files.test_name)
    for ours, theirs in zip(packed.train + packed.val, files.train + files.val, strict=True):
        assert ours.path.name == theirs.path.name and ours.image_id == theirs.image_id
        assert np.array_equal(ours.boxes_xyxy, theirs.boxes_xyxy) and len(ours.boxes_xyxy)
        assert np.array_equal(ours.class_ids, theirs.class_ids)


def test_without_a_data_set_the_settings_are_refused():
    with pytest.raises(ConfigError, match="no data set: set data to its folder"):
        dataset.open_data(TrainConfig())


def test_every_file_is_read_once_and_every_folder_listed_once(tmp_path, caplog):
    """50 annotations of three drawn splits, from the settings of a run to the batches."""
    caplog.set_level(logging.INFO, "yolo")
    root = demo.write_shapes(tmp_path / "shapes", train=40, val=5, test=5)
    shutil.rmtree(root / "ImageSets")
    for path in (root / "Annotations").iterdir():  # so that pixels are found to count from 0
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"<xmin>\d+<", "<xmin>0<", text), encoding="utf-8")
    with listening() as heard:
        data = dataset.open_data(TrainConfig(data=str(root)))
        Store([*data.train, *data.val, *data.test])
    samples = {sample.path for sample in [*data.train, *data.val, *data.test]}
    read = Counter(path for path in opened(heard) if path.suffix in (".xml", ".jpg"))
    annotations = set((root / "Annotations").iterdir())
    assert len(samples) == len(annotations) == 50
    assert read == dict.fromkeys(samples | annotations, 1)
    listed = Counter(
        Path(event[1][0]).name for event in heard if event[0] in ("os.listdir", "os.scandir")
    )
    assert listed["Annotations"] == listed["JPEGImages"] == 1
    assert caplog.text.count("pixels are counted from 0") == 1


def test_an_instances_file_is_read_once_and_only_when_it_is_needed(shapes, tmp_path):
    root = coco_folder(shapes, tmp_path / "coco")
    with listening() as heard:
        dataset.open_folder(root).read("val", classes=["cat"])
    assert [path.name for path in opened(heard) if path.suffix == ".json"] == ["instances_val.json"]
    with listening() as heard:
        dataset.open_data(TrainConfig(data=str(root)))
    found = sorted(path.name for path in opened(heard) if path.suffix == ".json")
    assert found == ["instances_train.json", "instances_val.json"]


def test_every_format_has_the_same_methods(shapes, tmp_path):
    """A row of the table, and what each row gives: the same samples in the same words."""
    opened_voc = dataset.open_folder(shapes)
    splits = {name: opened_voc.read(name) for name in ("train", "val")}
    tfrecords.write_shards(splits, opened_voc.classes, tmp_path / "shards")
    coco = coco_folder(shapes, tmp_path / "coco")
    for name, root in (("voc", shapes), ("shards", tmp_path / "shards"), ("coco", coco)):
        assert find_format(Source(root))[0].name == name
        one = dataset.open_folder(root)
        assert {"train", "val"} <= set(one.names) == set(one.splits()) and not one.divided
        samples = one.read("train", classes=one.classes, keep_faults=True)
        assert [sample.image_id for sample in samples] == one.splits()["train"]
        (note,) = one.notes
        assert not note.errors and one.damaged() == []
        with pytest.raises(DatasetError, match="no split 'absent'; expected one of"):
            one.read("absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no data set: .* nothing; expected .*Annotations"):
        dataset.open_folder(tmp_path / "empty")


def test_a_changed_picture_is_named_when_it_is_read(shapes, tmp_path):
    """Nobody reads its header a second time; the decoder sees another size."""
    root = shutil.copytree(shapes, tmp_path / "VOC")
    samples = dataset.open_folder(root).read("train")
    path = samples[0].path
    path.write_bytes(cv2.imencode(".jpg", np.zeros((50, 70, 3), np.uint8))[1].tobytes())
    batches = pipeline.evaluation_dataset(samples, image_size=(64, 64), batch_size=8)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(batches)
    faults, looked = find_damaged(samples)
    assert list(faults) == [0] and looked == len(samples)
    assert "70x50 pixels; its sample says 320x240: read" in faults[0]
