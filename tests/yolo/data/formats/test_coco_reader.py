"""COCO instances files."""

import json

import numpy as np
import pytest

from yolo.data.folder import open_folder
from yolo.data.formats import coco
from yolo.errors import DatasetError


@pytest.fixture
def instances(voc_folder):
    """Two pictures, categories whose ids have gaps, one object and one crowd."""
    for stem in ("a", "b"):
        voc_folder.picture(stem)
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "height": 60, "width": 80},
            {"id": 3, "file_name": "a.jpg", "height": 60, "width": 80},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 5, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 90, "bbox": [10, 5, 30.5, 25]},
            {"id": 2, "image_id": 3, "category_id": 5, "bbox": [0, 0, 80, 60], "iscrowd": 1},
        ],
    }


@pytest.fixture
def read(voc_folder, tmp_path):
    def read(data, **options):
        path = tmp_path / "instances.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return coco.open_file(path, voc_folder.root / "JPEGImages").read("instances", **options)

    return read


def test_pictures_without_objects_come_first_and_stay(read, instances):
    first, second = read(instances)
    assert first.image_id == "7" and first.boxes_xyxy.shape == (0, 4)
    assert second.image_id == "3" and second.size == (60, 80)
    assert second.boxes_xyxy.tolist() == [[10, 5, 40.5, 30], [0, 0, 80, 60]]
    assert second.class_ids.tolist() == [1, 0]
    assert second.difficult.tolist() == second.crowd.tolist() == [False, True]


def test_categories_come_in_the_order_of_their_ids(read, instances, tmp_path):
    read(instances)
    assert coco.open_file(tmp_path / "instances.json", tmp_path).classes == ("cat", "dog")


def test_a_choice_of_classes(read, instances, caplog):
    caplog.set_level("INFO")
    _, sample = read(instances, classes=["dog"])
    assert "instances.json: left out as of other classes: cat (1)" in caplog.text
    assert sample.class_ids.tolist() == [0] and len(sample.boxes_xyxy) == 1
    with pytest.raises(DatasetError, match="no category cow; expected among cat, dog"):
        read(instances, classes=["cow"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 4}, "annotation 1: no picture with id 4"),
        ({"category_id": 1}, "annotation 1: no category with id 1"),
        ({"bbox": [1, 2, 3]}, r"annotation 1: bbox \[1, 2, 3\]; expected"),
        ({"iscrowd": "0"}, "annotation 1: iscrowd '0'; expected 0 or 1"),
        ({"bbox": [1, 2, -3, 4]}, "annotation 1: xmin 1 > xmax -2"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 1: .*expected four finite numbers"),
        ({"bbox": [100, 2, 9, 4]}, "annotation 1: .*lies outside the picture"),
    ],
)
def test_faulty_annotations_are_refused(read, instances, change, words):
    instances["annotations"][0].update(change)
    with pytest.raises(DatasetError, match=words):
        read(instances)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", None, "absent.jpg"])
def test_pictures_that_are_not_in_the_folder_are_refused(read, instances, name):
    instances["images"][0]["file_name"] = name
    with pytest.raises(DatasetError, match="expected a name in the folder|no such picture below"):
        read(instances)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"images": 1}'])
def test_files_that_are_no_instances_are_refused(read, text):
    with pytest.raises(DatasetError, match="instances.json: no "):
        read(text)


@pytest.mark.parametrize(
    "rotation, box",
    [(90.0, [12.75, 2.25, 37.75, 32.75]), (-270, [12.75, 2.25, 37.75, 32.75]),
     (0.0, [10, 5, 40.5, 30]), (360, [10, 5, 40.5, 30]), ("left", [10, 5, 40.5, 30]),
     (None, [10, 5, 40.5, 30])],
)  # fmt: skip
def test_cvats_rotation(read, instances, caplog, rotation, box):
    instances["annotations"][0]["attributes"] = {"occluded": False, "rotation": rotation}
    (_, sample) = read(instances)
    dog = sample.boxes_xyxy[sample.class_ids == 1][0]
    np.testing.assert_allclose(dog, box, atol=1e-5)
    turned = rotation in (90.0, -270)
    assert ("rotated boxes taken as the upright boxes around them: 1" in caplog.text) == turned


def test_a_box_without_area_is_dropped_and_a_wrong_size_noted(read, instances, caplog):
    instances["annotations"][0]["bbox"] = [5, 5, 0, 9]
    instances["images"][1]["width"] = 81
    assert len(read(instances)[1].class_ids) == 1
    assert "degenerate boxes dropped: 1" in caplog.text
    assert "height and width are not the picture's" in caplog.text


def test_real_pictures(shared):
    folder = shared / "data" / "coco_val2017_lightly128"
    (file,) = (folder / "annotations").glob("*.json")
    opened = coco.open_file(file, folder / "val2017")
    samples = opened.read(file.stem)
    assert len(samples) == 128 and sum(len(s.class_ids) for s in samples) == 903
    assert len(opened.classes) == 80 and opened.classes[0] == "person"


def test_where_a_picture_is_looked_for_is_said(instances, voc_folder, tmp_path):
    instances["images"][0]["file_name"] = "images/B.png"
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    (voc_folder.root / "JPEGImages" / "a.jpg").rename(root / "images" / "a.jpg")
    (root / "labels.json").write_text(json.dumps(instances), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        open_folder(root).read("default")
    assert "picture 7: file_name 'images/B.png': no such picture below" in str(caught.value)
    assert "(in images/ and elsewhere)" in str(caught.value)
    assert "name the folder of the pictures with --images" in str(caught.value)


@pytest.mark.parametrize("marked", [False, True])
def test_the_group_of_all_categories_is_no_class_unless_it_is_marked(
    read, instances, tmp_path, marked
):
    for one in instances["categories"]:
        one["supercategory"] = "animals"
    instances["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})
    if marked:
        instances["annotations"][1]["category_id"] = 0
    read(instances)
    names = coco.open_file(tmp_path / "instances.json", tmp_path).classes
    assert names == (("animals",) if marked else ()) + ("cat", "dog")


def test_two_files_for_one_split_are_refused(instances, tmp_path):
    for name in ("labels.json", "result.json"):
        (tmp_path / name).write_text(json.dumps(instances), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"labels\.json and result\.json both describe default"):
        open_folder(tmp_path)


def test_classes_are_those_of_all_files_and_one_name_is_one_class(instances, tmp_path, voc_folder):
    pictures = voc_folder.root / "JPEGImages"
    first = {**instances, "categories": [{"id": 3, "name": "dog"}, {"id": 9, "name": "dog"}]}
    first["annotations"] = [{**one, "category_id": 3} for one in instances["annotations"]]
    for split, data in (("train", first), ("test", instances)):
        (tmp_path / f"{split}.json").write_text(json.dumps(data), encoding="utf-8")
    opened = open_folder(tmp_path, images=pictures)
    assert opened.classes == ("dog", "cat")
    for split in ("train", "test"):
        opened.read(split, classes=opened.classes)


def test_a_file_of_test_pictures_without_annotations(instances, tmp_path, voc_folder, caplog):
    (tmp_path / "train.json").write_text(json.dumps(instances), encoding="utf-8")
    instances.update(categories=[])
    del instances["annotations"]
    (tmp_path / "test.json").write_text(json.dumps(instances), encoding="utf-8")
    opened = open_folder(tmp_path, images=voc_folder.root / "JPEGImages")
    assert opened.classes == ("cat", "dog")
    assert (len(opened.read("train")), len(opened.read("test", classes=opened.classes))) == (2, 0)
    assert "pictures without a label file, left out" in caplog.text


def test_label_studios_own_folder_is_no_place_of_ours(read, instances):
    for one in instances["images"]:
        one["file_name"] = f"../../label-studio/data/media/upload/1/{one['file_name']}"
    assert len(read(instances)) == 2
