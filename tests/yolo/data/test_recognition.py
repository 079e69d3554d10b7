"""What `--data` may name: the folder, one above, a part of it; and what is said of others."""

import logging
import os
import shutil

import pytest

from tests.yolo.data.formats import layouts, layouts_voc
from yolo.data.folder import open_data, open_folder
from yolo.errors import ConfigError, DatasetError
from yolo.settings.train import TrainConfig


@pytest.fixture
def mine(tmp_path):
    """Return a folder with one data set in VOC2007 below it."""
    layouts_voc.voc_devkit(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    "place", ["", "..", "VOC2007/Annotations", "VOC2007/JPEGImages", "VOC2007/ImageSets/Main"]
)
def test_a_folder_above_or_a_part_of_the_data_set(mine, caplog, place):
    caplog.set_level(logging.INFO, "yolo")
    opened = open_folder(mine / place)
    assert len(opened.read("train")) == 3
    assert ("is a part of the data set in" in caplog.text) == place.startswith("VOC")


def test_a_part_named_from_inside(mine, monkeypatch):
    monkeypatch.chdir(mine / "VOC2007" / "Annotations")
    assert len(open_folder(".").read("train")) == 3


def test_the_line_says_what_was_recognised_and_how_it_was_divided(tmp_path, caplog):
    caplog.set_level(logging.INFO, "yolo")
    layouts_voc.voc_beside(tmp_path)
    data = open_data(TrainConfig(data=str(tmp_path)))
    assert "data: VOC XML, 5 pictures: train 3, valid (as val) 1, test 1" in caplog.text
    assert [len(part) for part in (data.train, data.val, data.test)] == [3, 1, 1]
    shutil.move(tmp_path / "train", tmp_path / "holiday")
    for name in ("valid", "test"):
        shutil.rmtree(tmp_path / name)
    open_data(TrainConfig(data=str(tmp_path), seed=5))
    assert "data: VOC XML, 3 pictures, divided by seed 5: train 1, val 1, test 1" in caplog.text


def test_what_was_seen_where_nothing_fits(tmp_path):
    for name in ("a.jpg", "b.JPG", "c.pdf"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"no data set: this folder holds 2 \.jpg, 1 \.pdf, 0 "):
        open_folder(tmp_path)
    with pytest.raises(DatasetError, match=r"c\.pdf: no data set: this file is none"):
        open_folder(tmp_path / "c.pdf")


def test_a_format_can_be_forced_and_pictures_can_lie_elsewhere(mine, tmp_path):
    with pytest.raises(DatasetError, match="expected shards.json"):
        open_folder(mine, format="shards")
    with pytest.raises(ConfigError, match="expected one of .*; did you mean 'coco'"):
        open_folder(mine, format="cocoo")
    (mine / "VOC2007" / "JPEGImages").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="no JPEGImages: .* --images DIR"):
        open_folder(mine)
    opened = open_folder(mine, images=tmp_path / "elsewhere")
    assert {sample.path.parent for sample in opened.read("train")} == {tmp_path / "elsewhere"}
    with pytest.raises(DatasetError, match="absent: no such folder"):
        open_folder(mine, images=tmp_path / "absent")


def test_what_macos_leaves_behind_is_passed_over_and_counted_once(mine, caplog):
    caplog.set_level(logging.INFO, "yolo")
    for path in [*(mine / "VOC2007").rglob("*.*")]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    (mine / "VOC2007" / "Annotations" / ".DS_Store").write_bytes(b"\0\0\0\1")
    assert len(open_folder(mine / "VOC2007").read("train")) == 3
    assert caplog.text.count("16 files that macOS leaves behind (._*) passed over") == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_named(mine, caplog):
    os.mkfifo(mine / "VOC2007" / "notes")
    assert len(open_folder(mine).read("train")) == 3
    assert "neither files nor folders: VOC2007/notes: remove them" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="no links here")
def test_folders_that_are_links_to_where_one_is_are_not_followed(mine):
    (mine / "VOC2007" / "again").symlink_to(mine)
    (mine / "VOC2007" / "self").symlink_to(mine / "VOC2007" / "self")
    assert len(open_folder(mine).read("train")) == 3


def test_what_lies_beside_the_split_folders_moves_nothing_into_them(tmp_path):
    layouts_voc.voc_beside(tmp_path)
    before = open_folder(tmp_path).splits()
    shutil.copy(tmp_path / "train" / "a.jpg", tmp_path / "cover.jpg")
    (tmp_path / "metadata.xml").write_text("<metadata/>", encoding="utf-8")
    (tmp_path / "more").mkdir()
    for name in ("c.jpg", "c.xml"):
        shutil.copy(tmp_path / "valid" / name, tmp_path / "more")
        shutil.copy(tmp_path / "valid" / name, tmp_path)
    after = open_folder(tmp_path).splits()
    assert {name: after[name] for name in before} == before
    assert (after["more"], after[""]) == (["more/c"], ["c"])


@pytest.mark.parametrize("annotations, pictures, suffix", [
    ("ann", "img", ".jpg.xml"), ("mine", "theirs", ".xml"), ("mine", "theirs/part 1", ".jpg.xml"),
])  # fmt: skip
def test_folders_of_any_name_are_paired_by_the_names_of_files(
    tmp_path, annotations, pictures, suffix
):
    one = layouts_voc.DRAWN[0]
    one.draw(tmp_path / pictures / one.name)
    layouts_voc.text(tmp_path / annotations / f"{one.stem}{suffix}", layouts_voc.xml(one))
    (sample,) = open_folder(tmp_path).read("train")
    assert sample.path.name == one.name and len(sample.class_ids) == 2


def test_of_several_annotations_of_one_picture_the_first_is_read(tmp_path, caplog):
    layouts_voc.flat(tmp_path, "images", "annotations")
    layouts_voc.flat(tmp_path, "images", "labels")
    opened = open_folder(tmp_path)
    assert sum(len(opened.read(split)) for split in opened.names) == len(layouts_voc.DRAWN)
    assert "several annotations for one picture, the first taken" in caplog.text


@pytest.mark.parametrize("name, content, words", [
    ("a.json", b'{"version": "5", "shapes": [{"points": []}]}', "LabelMe's JSON: convert it"),
    ("a.json", b'[{"image": "a.jpg", "annotations": [{"coordinates": {}}]}]', "CreateML's JSON"),
    ("a.json", b'[{"id": 1, "annotations": [{"result": []}]}]', "Label Studio's own form: export"),
    ("a.json", b'[{"image": "/a.jpg", "label": [{"x": 1, "rectanglelabels": ["a"]}]}]',
     "Label Studio's own form: export"),
    ("a.json", b'{"categories": {"label": {}}, "items": [{"annotations": []}]}', "Datumaro's own"),
    ("a.json", b'{"a": {"regions": [{"shape_attributes": {}}]}}', "VIA's own JSON: export COCO"),
    ("a.json", b'[{"image_id": 1, "bbox": [], "score": 1}]', "a list of results: evaluate.py"),
    ("a.csv", b"image_id,width,bbox\n1,2,3\n", "a table; expected columns such as filename"),
    ("a.tfrecord", b"\1", "TFRecords of another program"),
    ("a.txt", b"pics/a.jpg 1 2 3 4 0\n", "a list whose boxes lack commas"),
    ("a.txt", b"Car 0.00 0 -1.5 1.0 2.0 3.0 4.0 1 1 1 1 1 1 1\n", "KITTI's labels"),
    ("a.rar", b"Rar!\x1a\7", "an archive: unpack it"),
    ("download", b"PK\3\4", "an archive: unpack it, or name a .zip"),
])  # fmt: skip
def test_what_other_tools_write_is_told_with_what_to_do(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(DatasetError, match=f"no data set: .*; {name} is {words}"):
            open_folder(path)


def test_a_list_of_classes_in_json_is_no_coco_file(tmp_path):
    layouts.yolo_folders(tmp_path)
    layouts.text(tmp_path / "notes.json", '{"categories": [{"id": 0, "name": "cat"}]}')
    assert open_folder(tmp_path).kind == "YOLO labels"


@pytest.mark.parametrize("write, name", [
    (layouts.yolo_ultralytics, "mine.yaml"), (layouts.coco_files, "my_val.json"),
    (layouts.csv_retinanet, "val.csv"), (layouts.yolo_lists, "val.txt"),
])  # fmt: skip
def test_a_file_in_utf16_is_refused_not_passed_over(write, name, tmp_path):
    write(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    with pytest.raises(DatasetError, match="in UTF-8"):
        opened = open_folder(tmp_path)
        opened.read("train", classes=opened.classes)
        opened.read("val", classes=opened.classes)


@pytest.mark.parametrize("write", [
    layouts.coco_own, layouts.coco_roboflow, layouts.coco_files, layouts.csv_retinanet,
    layouts.csv_tensorflow, layouts.cvat_images,
])  # fmt: skip
def test_pictures_that_no_label_file_names_are_counted_and_may_be_background(
    write, tmp_path, caplog
):
    write(tmp_path)
    (place,) = tmp_path.rglob("a.jpg")
    shutil.copy(place, place.with_name("more.jpg"))
    shutil.copy(place, tmp_path / "preview.jpg")  # where no others lie
    assert len(open_folder(tmp_path).read("train")) == 3
    assert "pictures without a label file, left out" in caplog.text
    assert "more.jpg)" in caplog.text and "preview" not in caplog.text
    samples = open_folder(tmp_path, unlabelled="background").read("train")
    assert [len(s.class_ids) for s in samples if s.path.name == "more.jpg"] == [0]
    assert len(samples) == 4
    assert len(open_folder(tmp_path, unlabelled="background").read("val")) == 1


def test_pictures_that_data_yaml_does_not_name_are_counted(tmp_path, caplog):
    layouts.yolo_ultralytics(tmp_path)
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    layouts.text(tmp_path / "mine.yaml", text.replace("test:\n- images/test\n", ""))
    assert open_folder(tmp_path).names == ("train", "val")
    assert "1 picture outside of train, val, passed over (images/test/d.jpg)" in caplog.text


def test_lists_of_pairs_of_picture_and_annotation_divide_as_they_say(tmp_path):
    for number, split in enumerate(("train", "train", "val")):
        one = layouts.DRAWN[0]
        one.draw(tmp_path / "JPEGImages" / f"{number} x.jpg")
        layouts.text(tmp_path / "Annotations" / f"{number} x.xml", layouts_voc.xml(one))
        with (tmp_path / f"{split}_list.txt").open("a", encoding="utf-8") as file:
            file.write(f"JPEGImages/{number} x.jpg ./Annotations/{number} x.xml\n")
    layouts.text(tmp_path / "label_list.txt", "cat\ndog\n")
    opened = open_folder(tmp_path)
    assert {name: len(opened.read(name)) for name in opened.names} == {"train": 2, "val": 1}


def test_text_of_class_and_corners_is_told_apart(tmp_path):
    layouts.DRAWN[0].draw(tmp_path / "Cat" / "a.jpg")
    layouts.text(tmp_path / "Cat" / "Label" / "a.txt", "Tabby cat 1.0 2 30.5 40\n")
    with pytest.raises(DatasetError, match="a.txt is text of class left top right bottom"):
        open_folder(tmp_path)


def test_the_folder_of_data_yaml_may_be_its_split_and_a_part_tells_what_lies_above(tmp_path):
    layouts.yolo_roboflow(tmp_path)
    layouts.text(tmp_path / "data.yaml", "train: .\nnames: [cat, dog, 'no']\n")
    assert len(open_folder(tmp_path).read("train")) == len(layouts.DRAWN)
    with pytest.raises(DatasetError, match="data.yaml lies one folder up, name that; or give --cl"):
        _ = open_folder(tmp_path / "train").classes


def test_the_labels_that_are_named_are_taken_of_several_of_the_same_pictures(tmp_path):
    layouts.yolo_folders(tmp_path)
    layouts_voc.flat(tmp_path, "images", "annotations")
    assert open_folder(tmp_path / "labels").kind == "YOLO labels"
    assert open_folder(tmp_path / "annotations").kind == "VOC XML"


def test_labels_without_pictures_are_not_those_of_the_folder_beside(tmp_path):
    layouts_voc.flat(tmp_path / "voc", "JPEGImages", "Annotations")
    one = layouts.DRAWN[0]
    layouts.text(tmp_path / "yolo" / "labels" / f"{one.stem}.txt", layouts.yolo_lines(one))
    layouts.text(tmp_path / "yolo" / "classes.txt", "\n".join(layouts.CLASSES))
    with pytest.raises(DatasetError, match="yolo: YOLO labels, but no pictures: .* --images DIR"):
        open_folder(tmp_path / "yolo")
    opened = open_folder(tmp_path / "yolo", images=tmp_path / "voc" / "JPEGImages")
    assert [sample.path.name for sample in opened.read("train")] == [one.name]
