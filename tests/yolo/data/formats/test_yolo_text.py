"""YOLO's text labels and what describes them."""

import logging

import numpy as np
import pytest
import yaml

from tests.yolo.data.formats import layouts
from yolo.data.folder import open_folder
from yolo.data.formats.yolo_config import named_in, read_yaml
from yolo.data.formats.yolo_text import data_yaml
from yolo.errors import DatasetError

PICTURE = layouts.DRAWN[0]


@pytest.fixture
def labelled(tmp_path):
    """Return a function that makes a data set of one picture with these label lines."""

    def make(lines, *, yaml="train: images\nnames: [cat, dog]\n", split="train"):
        root = tmp_path / "set"
        PICTURE.draw(root / "images" / "a.jpg")
        layouts.text(root / "labels" / "a.txt", lines)
        if yaml is not None:
            layouts.text(root / "data.yaml", yaml)
        return open_folder(root)

    return make


def read_one(opened, **options):
    (sample,) = opened.read("train", **options)
    return sample


def test_an_empty_label_file_is_background(labelled):
    sample = read_one(labelled("\n"))
    assert sample.boxes_xyxy.shape == (0, 4)


def test_shares_become_pixels(labelled):
    sample = read_one(labelled("1 0.5 0.5 0.25 0.5\r\n0.0 .5 5e-1 +0.5 1\n"))
    assert sample.boxes_xyxy.tolist() == [[30, 15, 50, 45], [20, 0, 60, 60]]
    assert sample.class_ids.tolist() == [1, 0] and sample.lines.tolist() == [1, 2]


def test_polygons_and_rotated_boxes_become_the_boxes_around_them(labelled, caplog):
    caplog.set_level(logging.INFO)
    rotated = "0 0.5 0.25 0.75 0.5 0.5 0.75 0.25 0.5\n"
    sample = read_one(labelled(rotated + "1 0 0 0.5 0 0.25 0.5\n" + "1 0.5 0.5 1 1\n"))
    assert sample.boxes_xyxy.tolist() == [[20, 15, 60, 45], [0, 0, 40, 30], [0, 0, 80, 60]]
    assert "2 polygons and rotated boxes are taken as the upright boxes around them" in caplog.text


def test_keypoints_behind_a_box_are_no_polygon(labelled):
    yaml = "train: images\nnames: [cat]\nkpt_shape: [1, 2]\n"
    sample = read_one(labelled("0 0.5 0.5 0.5 0.5 0.9 0.9\n", yaml=yaml))
    assert sample.boxes_xyxy.tolist() == [[20, 15, 60, 45]]


@pytest.mark.parametrize(
    "line, words",
    [
        ("0 0.5 0.5 0.25", "3 numbers after the class; expected 4"),
        ("0 0.5 0.5 0.25 0.5 0.9", "5 numbers after the class; expected 4"),
        ("cat 0.5 0.5 0.25 0.5", "'cat 0.5 0.5 0.25 0.5'; expected a class number"),
        ("0 0.5 0.5 0_1 0.5", "expected a class number and shares"),
        ("2 0.5 0.5 0.25 0.5", "class 2; expected 0 to 1, the names in"),
        ("-1 0.5 0.5 0.25 0.5", "class '-1'; expected a number from 0 on"),
        ("1e400 0.5 0.5 0.25 0.5", "class '1e400'; expected a number from 0 on"),
        ("0.5 0.5 0.5 0.25 0.5", "class '0.5'; expected a number from 0 on"),
        ("0 320 240 64 48", "320 is no share of the picture, 0 to 1"),
        ("0 0.5 0.5 nan 0.5", "expected four finite numbers"),
        ("0 0.5 0.5 -0.25 0.5", "xmin 0.625 > xmax 0.375"),
    ],
)
def test_a_faulty_line_is_named_by_file_and_number(labelled, line, words):
    opened = labelled(f"0 0.5 0.5 0.25 0.5\n{line}\n")
    with pytest.raises(DatasetError, match=r"labels/a\.txt:2: object: ") as caught:
        opened.read("train")
    assert words in str(caught.value)


def test_without_class_names_the_option_is_named_and_its_names_are_counted(labelled):
    opened = labelled("1 0.5 0.5 0.25 0.5\n", yaml=None)
    with pytest.raises(DatasetError, match="1 picture, 1 .txt whose lines look.*give --classes"):
        _ = opened.classes
    assert read_one(opened, classes=("a", "b")).class_ids.tolist() == [1]
    with pytest.raises(DatasetError, match=r"a\.txt:1: object: class '1' .* not among a"):
        opened.read("train", classes=("a",))


def test_a_picture_without_label_file_is_unlabelled_and_a_label_without_picture_is_told(
    labelled, tmp_path, caplog
):
    labelled("0 0.5 0.5 0.25 0.5\n")
    PICTURE.draw(tmp_path / "set" / "images" / "b.jpg")
    layouts.text(tmp_path / "set" / "labels" / "gone.txt", "0 0.5 0.5 0.25 0.5\n")
    opened = open_folder(tmp_path / "set")
    assert len(opened.read("train")) == 1
    assert "1 label files without a picture, passed over (labels/gone.txt)" in caplog.text
    opened = open_folder(tmp_path / "set", unlabelled="background")
    assert [len(sample.class_ids) for sample in opened.read("train")] == [1, 0]


def test_pictures_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for camera in ("left", "right"):
        PICTURE.draw(tmp_path / "images" / camera / "1.jpg")
        share = 0.25 if camera == "left" else 0.5
        layouts.text(tmp_path / "labels" / camera / "1.txt", f"0 0.5 0.5 {share} 0.5\n")
    layouts.text(tmp_path / "classes.txt", "cat\n")
    opened = open_folder(tmp_path)
    samples = [sample for split in opened.names for sample in opened.read(split)]
    widths = {s.image_id: float(s.boxes_xyxy[0, 2] - s.boxes_xyxy[0, 0]) for s in samples}
    assert widths == {"left/1": 20, "right/1": 40}


def test_two_class_lists_that_differ_are_refused(labelled, tmp_path):
    layouts.text(tmp_path / "set" / "x" / "classes.txt", "cat\n")
    layouts.text(tmp_path / "set" / "classes.txt", "dog\n")
    with pytest.raises(DatasetError, match=r"classes\.txt name different classes: keep one"):
        labelled("0 0.5 0.5 0.25 0.5\n", yaml=None)


def test_a_line_of_a_list_that_names_no_picture(labelled, tmp_path):
    layouts.text(
        tmp_path / "set" / "all.txt", "images/a.jpg\n\nimages/../../x.jpg\nimages/A1.jpg\n"
    )
    opened = labelled("0 0.5 0.5 0.25 0.5\n", yaml="train: all.txt\nnames: [cat]\n")
    with pytest.raises(DatasetError) as caught:
        opened.read("train")
    assert "all.txt:3: no picture 'images/../../x.jpg' below" in str(caught.value)
    assert "all.txt:4: no picture 'images/A1.jpg'" in str(caught.value)
    assert "did you mean 'a.jpg'?" in str(caught.value)


@pytest.mark.parametrize(
    "yaml, words",
    [
        ("train: [a\n", r"data\.yaml:2: no readable YAML"),
        ("train: \x00\n", "no readable YAML"),
        ("train: " + "[" * 100_000, "no readable YAML"),
        ("train: images\nnc: 3\nnames: [a, b]\n", "nc is '3', but there are 2 names"),
        ("train: images\nnames: {0: a, 2: b}\n", "names: the numbers 0, 2; expected 0 to 1"),
        ("train: images\nnames: {a: b}\n", "a key that is no number"),
        ("train: images\nnames: [a, [b]]\n", "expected a list of names"),
        ("train: images\nnames: [a, a]\n", "Received twice: a"),
        ("train: {a: b}\nnames: [a]\n", "train: expected folders or lists"),
        ("train: elsewhere\nnames: [a]\n", "train: 'elsewhere': no such folder or list below"),
        ("train: images\nnames: [a]\nkpt_shape: 3\n", "kpt_shape: expected two numbers"),
    ],
)
def test_a_faulty_data_yaml_is_named(labelled, yaml, words):
    with pytest.raises(DatasetError, match=words):
        labelled("", yaml=yaml)


def test_a_split_that_roboflow_names_in_vain_is_missing(labelled, caplog):
    opened = labelled("", yaml="train: ../images\nval: ../valid/images\nnames: [cat]\n")
    assert opened.names == ("train",)
    assert "val: no folder or list '../valid/images', passed over" in caplog.text


def test_a_value_of_aliases_is_not_written_out(labelled):
    layers = "".join(f"n{i}: &n{i} [{', '.join([f'*n{i - 1}'] * 20)}]\n" for i in range(1, 20))
    with pytest.raises(DatasetError, match="names: .{,99}; expected a list of names"):
        labelled("", yaml=f"n0: &n0 [a, b]\n{layers}train: images\nnames: *n19\n")


def test_a_label_file_of_millions_of_lines_is_refused(labelled):
    opened = labelled("0 .5 .5 .1 .1\n" * 1_300_000)
    with pytest.raises(DatasetError, match=r"a\.txt: 18200000 bytes; expected at most 16777216"):
        opened.read("train")


def test_yaml_makes_nothing_but_texts(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\nb: 12\nc: no\n", encoding="utf-8")
    assert read_yaml(path) == {"a": [], "b": "12", "c": "no"}
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"a\.yaml: expected settings such as train and names"):
        read_yaml(path)


@pytest.mark.parametrize(
    "text, found",
    [
        ("../train/images", "train/images"),
        (r"D:\sets\mine\train\images", "train/images"),
        (".", ""),
        ("images", None),
        ("valid/train", None),
    ],
)
def test_folders_named_on_other_computers(text, found):
    assert named_in({"", "train", "train/images"}, "data.yaml", text) == found


def test_many_lines_are_read_at_the_speed_of_their_numbers(tmp_path):
    """Parsing 20,000 lines takes a small multiple of splitting them and making numbers of them."""
    import time

    line = "1 0.501234 0.498765 0.251111 0.333333\n"
    root = tmp_path
    for n in range(20):
        PICTURE.draw(root / "images" / f"{n}.jpg")
        layouts.text(root / "labels" / f"{n}.txt", line * 1000)
    layouts.text(root / "classes.txt", "cat\ndog\n")
    ours, least = [], []
    for _ in range(3):  # of which the quickest counts: a crowded machine slows either
        start = time.process_time()
        opened = open_folder(root)
        ours.append(time.process_time() - start)
        start = time.process_time()
        for n in range(20):
            lines = (root / "labels" / f"{n}.txt").read_text("utf-8").splitlines()
            boxes = np.array([[float(x) for x in text.split()] for text in lines])
        least.append(time.process_time() - start)
    assert boxes.shape == (1000, 5) and sum(map(len, opened.splits().values())) == 20
    assert min(ours) < 12 * min(least) + 0.1


def test_a_written_data_yaml_names_the_splits_as_ultralytics_does():
    text = data_yaml({"train": "images/train", "valid": "images/valid", "x": "images/x"}, ["a"])
    assert yaml.safe_load(text) == {
        "train": "images/train", "val": "images/valid", "x": "images/x", "names": {0: "a"},
    }  # fmt: skip
