"""What is trained on and what is measured on: by the names of lists, or by the seed."""

import json
import logging
import unicodedata

import pytest

from yolo.data.folder import open_data, open_folder
from yolo.errors import DatasetError
from yolo.settings.train import TrainConfig

DOG = ("dog", 11, 6, 40, 30)


@pytest.fixture
def ten(voc_folder):
    """Return a VOC folder of ten pictures, 0 to 9, with an object each."""
    for n in range(10):
        voc_folder.add(str(n), DOG)
    return voc_folder


def run(folder, **settings):
    """Return the data of a run and the ids of each part."""
    data = open_data(TrainConfig(data=str(folder.root), **settings))
    return data, ["".join(s.image_id for s in part) for part in (data.train, data.val, data.test)]


@pytest.mark.parametrize(
    "train, val, test", [("training", "valid", "testing"), ("Train", "Validation", "Test"),
                         ("train2017", "val2017", "test"), ("TRAIN", "dev", "TESTING")],
)  # fmt: skip
def test_other_names_of_the_usual_lists(ten, train, val, test):
    for name, ids in ((train, "01234"), (val, "567"), (test, "89")):
        ten.list(name, *ids)
    data, parts = run(ten)
    assert parts == ["01234", "567", "89"] and data.test_name == test
    assert [s.image_id for s in open_folder(ten.root).read("val")] == ["5", "6", "7"]


def test_the_very_name_goes_before_another(ten):
    for name, ids in (("train", "0123"), ("valid", "4"), ("val", "5"), ("test", "6")):
        ten.list(name, *ids)
    assert run(ten)[1] == ["0123", "5", "6"]
    assert run(ten, val_split="valid")[1] == ["0123", "4", "6"]


@pytest.mark.parametrize("first", [0, 70])
def test_a_picture_has_its_place_by_its_name_whatever_its_id(ten, tmp_path, first):
    images = [
        {"id": first - n, "file_name": f"{n}.jpg", "height": 60, "width": 80} for n in range(10)
    ]
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "dog"}]})
    )
    opened, other = open_folder(path, images=ten.root / "JPEGImages"), open_folder(ten.root)
    assert opened.divided
    for split in opened.names:
        names = [sample.path.name for sample in opened.read(split, classes=["dog"], seed=2)]
        assert names == [sample.path.name for sample in other.read(split, seed=2)]


def test_pictures_of_one_name_in_two_folders_are_divided_and_none_is_lost(ten, tmp_path):
    (tmp_path / "VOCdevkit/VOC2007/more").mkdir()
    for n in range(10):
        picture = ten.root / "JPEGImages" / f"{n}.jpg"
        (ten.root / "more" / f"{n}.jpg").write_bytes(picture.read_bytes())
    lines = [f"{folder}/{n}.jpg 1,1,9,9,0" for n in range(10) for folder in ("JPEGImages", "more")]
    (ten.root / "all.txt").write_text("\n".join(lines), encoding="utf-8")
    opened = open_folder(ten.root / "all.txt", classes=["dog"])
    assert sum(len(opened.read(split)) for split in ("train", "val", "test")) == 20


def test_a_single_list_of_another_name_is_divided_by_the_seed(ten):
    ten.list("default", *"01234567")
    data, parts = run(ten, seed=3)
    assert sorted("".join(parts)) == list("01234567") and all(parts)
    assert data.divided == open_folder(ten.root).splits(3)
    whole = open_folder(ten.root).read("default")  # by its own name it is all of it
    assert [s.image_id for s in whole] == list("01234567")
    data, parts = run(ten, train_split="default")
    assert parts == ["01234567"] * 3 and data.divided == {}
    ten.list("train", *"01234567")
    assert run(ten)[1] == ["01234567"] * 3


def test_lists_of_folds_are_lists(ten):
    for name in ("train", "fold1_train", "fold1_val"):
        ten.list(name, *("012" if "fold" in name else "345"))
    ten.list("dog_train", "3  1", "4 -1", "5  0")
    opened = open_folder(ten.root)
    assert opened.names == ("fold1_train", "fold1_val", "train")
    assert run(ten, train_split="fold1_train", val_split="fold1_val")[1][:2] == ["012", "012"]


@pytest.mark.parametrize("kind", ["missing", "empty", "without labels", "without objects"])
def test_one_rule_for_lists_that_cannot_be_measured_on(ten, caplog, kind):
    ten.picture("x")
    ten.add("y")
    lines = {"empty": [], "without labels": ["x"], "without objects": ["y"]}
    for cannot, can in (("val", "test"), ("test", "val")):
        ten.list("train", *"01234")
        ten.list(can, *"567")
        path = ten.root / "ImageSets" / "Main" / f"{cannot}.txt"
        path.unlink(missing_ok=True)
        if kind != "missing":
            ten.list(cannot, *lines[kind])
        data, parts = run(ten)
        assert parts == ["01234", "567", "567"] and data.test_name == can
    assert ("nothing to measure on in the list" in caplog.text) == kind.startswith("without")


def test_pictures_without_a_label_file_where_the_seed_divides(ten, caplog):
    caplog.set_level(logging.INFO, "yolo")
    before = run(ten)[1]
    for name in "abcde":
        ten.picture(name)
    assert run(ten)[1] == before
    lines = [r.getMessage() for r in caplog.records if "without a label file" in r.getMessage()]
    assert len(lines) == 1 and "left out (--unlabelled background" in lines[0]
    assert ": 5 (" in lines[0] and "a.jpg" in lines[0]
    opened = open_folder(ten.root, unlabelled="background")
    after = opened.splits(7)
    assert sorted(sum(after.values(), [])) == sorted("0123456789abcde")
    for name, ids in open_folder(ten.root).splits(7).items():
        assert set(ids) <= set(after[name])
    read = [sample for name in opened.names for sample in opened.read(name)]
    assert sum(len(sample.class_ids) == 0 for sample in read) == 5


def test_names_that_differ_in_case_or_in_unicode_form_alone(voc_folder):
    voc_folder.annotation("img_1", DOG)
    voc_folder.picture("IMG_1")
    composed = unicodedata.normalize("NFC", "ü é")
    voc_folder.annotation(composed, DOG)
    voc_folder.picture(unicodedata.normalize("NFD", composed))
    voc_folder.list("train", "Img_1.JPG", unicodedata.normalize("NFD", composed))
    samples = open_folder(voc_folder.root).read("train")
    assert [sample.image_id for sample in samples] == ["img_1", composed]
    voc_folder.annotation("img_20", DOG)
    voc_folder.list("train", "img_20")
    with pytest.raises(DatasetError, match=r"no picture img_20.jpg .*; did you mean 'IMG_1.jpg'"):
        open_folder(voc_folder.root).read("train")


def test_subfolders_are_read_and_have_ids_of_their_own(voc_folder):
    for part in ("JPEGImages", "Annotations"):
        for camera in ("cam1", "cam2/day"):
            (voc_folder.root / part / camera).mkdir(parents=True)
    for stem in ("a", "cam1/a", "cam2/day/a"):
        voc_folder.add(stem, DOG)
    opened = open_folder(voc_folder.root)
    assert sorted(sum(opened.splits().values(), [])) == ["a", "cam1/a", "cam2/day/a"]
    voc_folder.list("train", "cam1/a", "cam2\\day\\a.jpg")
    samples = open_folder(voc_folder.root).read("train")
    assert [sample.image_id for sample in samples] == ["cam1/a", "cam2/day/a"]
    assert samples[1].path == voc_folder.root / "JPEGImages" / "cam2" / "day" / "a.jpg"
    assert samples[1].origin.endswith("cam2/day/a.xml")
