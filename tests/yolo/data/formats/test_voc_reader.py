"""VOC folders: boxes by hand, splits, names, real data."""

import logging
import os

import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.data.folder import open_folder
from yolo.data.formats.voc import detections_xml, read_annotation
from yolo.errors import DatasetError

DOG = ("dog", 11, 6, 40, 30)


def test_no_objects(voc_folder):
    voc_folder.add("a")
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train", classes=["dog"])
    assert sample.boxes_xyxy.shape == (0, 4) and sample.boxes_xyxy.dtype == np.float32
    assert sample.class_ids.shape == (0,) and sample.class_ids.dtype == np.int32
    assert sample.difficult.shape == sample.truncated.shape == (0,)
    assert sample.size == (60, 80) and sample.image_id == "a"


def test_pixels_counted_from_one(voc_folder):
    """A box over all of an 80x60 picture is 1, 1, 80, 60 in the file."""
    voc_folder.add("a", ("cat", 1, 1, 80, 60), ("dog", 11, 6, 40, 30), ("dog", 2.5, 3, 9.25, 8))
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train")
    expected = [[0, 0, 80, 60], [10, 5, 40, 30], [1.5, 2, 9.25, 8]]
    assert sample.boxes_xyxy.tolist() == expected
    assert sample.class_ids.tolist() == [0, 1, 1]


def test_a_zero_anywhere_means_pixels_counted_from_zero(voc_folder, caplog):
    caplog.set_level(logging.INFO, "yolo")
    voc_folder.add("a", ("dog", 10, 5, 40, 30))
    voc_folder.add("b", ("dog", 0, 5, 80, 60))
    voc_folder.list("train", "a")
    voc_folder.list("test", "b")
    opened = open_folder(voc_folder.root)
    (sample,) = opened.read("train")
    assert sample.boxes_xyxy.tolist() == [[10, 5, 40, 30]]
    (sample,) = opened.read("test")
    assert sample.boxes_xyxy.tolist() == [[0, 5, 80, 60]]
    assert caplog.text.count("counted from 0: 1 of 2 boxes start there, the first in b.xml") == 1
    (sample,) = opened.read("train", first_pixel="1")
    assert sample.boxes_xyxy.tolist() == [[9, 4, 40, 30]]


def test_flags_are_kept_and_default_to_zero(voc_folder):
    flags = "<difficult>1</difficult><truncated>0</truncated>"
    voc_folder.add(
        "a",
        voc_folder.object(*DOG, extra=flags),
        voc_folder.object("dog", 1, 1, 9, 9, extra="<truncated>1</truncated>"),
        ("dog", 2, 2, 9, 9),
    )
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train")
    assert sample.difficult.tolist() == [True, False, False]
    assert sample.truncated.tolist() == [False, True, False]


def test_parts_are_no_objects_and_do_not_disturb_them(voc_folder):
    part = "<part><name>head</name><bndbox><xmin>0</xmin></bndbox></part>"
    voc_folder.add("a", voc_folder.object(*DOG, extra=part))
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train")
    assert sample.boxes_xyxy.tolist() == [[10, 5, 40, 30]]
    assert open_folder(voc_folder.root).classes == ("dog",)


@pytest.mark.parametrize(
    "first, inner",
    [('<annotation xmlns="http://x">', "<object>"), ("<annotation>", '<object xmlns="x">'),
     ('<v:annotation xmlns:v="a/b">', "<v:object>")],
    ids=["default", "of one element", "prefixed"],
)  # fmt: skip
def test_a_namespace_is_passed_over(voc_folder, first, inner):
    path = voc_folder.add("a", ("cat", 10, 20, 30, 40), ("dog", 1, 2, 3, 4))
    text = path.read_text(encoding="utf-8").replace("<object>", f"\n{inner}")
    if "v:" in first:
        text = text.replace("</object>", "</v:object>").replace("</annotation>", "</v:annotation>")
    path.write_text(text.replace("<annotation>", first), encoding="utf-8")
    found = read_annotation(path)
    assert [item.name for item in found.objects] == ["cat", "dog"]
    assert [item.line for item in found.objects] == [2, 3]
    assert found.objects[0].box == (10, 20, 30, 40) and found.size == (60, 80)


def test_the_files_own_paths_are_never_followed(voc_folder, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"no picture")
    names = "<folder>../..</folder><filename>../../secret.jpg</filename><path>/etc/passwd</path>"
    voc_folder.picture("a")
    voc_folder.annotation("a", DOG, extra=names)
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train")
    assert sample.path == voc_folder.root / "JPEGImages" / "a.jpg"


@pytest.mark.parametrize("suffix", [".JPG", ".Jpeg", ".PNG", ".bmp", ".webp"])
def test_pictures_are_found_whatever_their_extension(voc_folder, suffix):
    path = voc_folder.picture("a", suffix=suffix)
    voc_folder.annotation("a", DOG)
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train")
    assert sample.path == path


def test_names_with_blanks_dots_and_chinese(voc_folder):
    stems = ["a b", "图片 1", "x.y.z", "红细胞"]
    for stem in stems:
        voc_folder.add(stem, ("猫 咪", 1, 1, 9, 9))
    voc_folder.list("train", "a b", "图片 1", "x.y.z.jpg", "红细胞  1")
    samples = open_folder(voc_folder.root).read("train")
    assert [s.image_id for s in samples] == stems
    assert open_folder(voc_folder.root).classes == ("猫 咪",)


def test_a_list_with_byte_order_mark_and_windows_line_ends(voc_folder):
    voc_folder.add("a", DOG)
    voc_folder.add("b", DOG)
    voc_folder.list("train")
    path = voc_folder.root / "ImageSets" / "Main" / "train.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\n\r\nb\r\na\r\n")
    assert open_folder(voc_folder.root).splits() == {"train": ["a", "b"]}


def test_lists_of_single_classes_are_not_splits(voc_folder):
    voc_folder.add("a", DOG)
    for name in ("train", "dog_train", "my_own"):
        voc_folder.list(name, "a  1" if name == "dog_train" else "a")
    assert sorted(open_folder(voc_folder.root).splits()) == ["my_own", "train"]
    assert not open_folder(voc_folder.root).divided


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-16", ' encoding="utf-16"'),
        ("gbk", ' encoding="gbk"'),
        ("gbk", ""),
        ("utf-8-sig", ""),
        ("latin-1", ' encoding="ISO-8859-1"'),
    ],
)
def test_encodings(voc_folder, encoding, declared):
    name = "é" if encoding == "latin-1" else "红细胞"
    path = voc_folder.add("a", (name, 1, 1, 9, 9))
    text = f'<?xml version="1.0"{declared}?>\n' + path.read_text(encoding="utf-8")
    path.write_bytes(text.encode(encoding))
    assert open_folder(voc_folder.root).classes == (name,)


def test_the_folder_above_will_do_if_it_holds_one_set(voc_folder):
    voc_folder.add("a", DOG)
    voc_folder.list("train", "a")
    assert len(open_folder(voc_folder.root.parent).read("train")) == 1
    for part in ("Annotations", "JPEGImages"):
        (voc_folder.root.parent / "VOC2012" / part).mkdir(parents=True)
    with pytest.raises(DatasetError, match="several data sets: VOC2007, VOC2012"):
        open_folder(voc_folder.root.parent).read("train")


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        open_folder(tmp_path / "absent")
    with pytest.raises(DatasetError, match="this folder holds nothing; expected .*Annotations"):
        open_folder(tmp_path)
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(DatasetError, match="no JPEGImages"):
        open_folder(tmp_path)


def test_a_missing_split_lists_those_that_exist(voc_folder):
    voc_folder.add("a", DOG)
    voc_folder.list("train", "a")
    voc_folder.list("val", "a")
    with pytest.raises(DatasetError, match="no split 'test'; expected one of train, val"):
        open_folder(voc_folder.root).read("test")


class TestOurOwnSplit:
    @pytest.fixture
    def root(self, voc_folder):
        for n in range(200):
            (voc_folder.root / "Annotations" / f"p{n}.xml").write_text("<annotation/>")
        return voc_folder.root

    def test_shares_and_no_overlap(self, root):
        opened = open_folder(root)
        lists = opened.splits()
        assert opened.divided
        assert list(lists) == ["train", "val", "test"]
        assert sorted(sum(lists.values(), [])) == sorted(f"p{n}" for n in range(200))
        assert 145 <= len(lists["train"]) <= 175
        assert min(len(lists["val"]), len(lists["test"])) >= 10

    def test_the_seed_decides(self, root):
        opened = open_folder(root)
        assert opened.splits(3) == open_folder(root).splits(3) != opened.splits(4)

    def test_a_new_picture_moves_no_other(self, root):
        before = open_folder(root).splits()
        (root / "Annotations" / "new.xml").write_text("<annotation/>")
        after = open_folder(root).splits()
        assert all(set(before[name]) <= set(after[name]) for name in before)

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_few_pictures_leave_no_split_empty_while_they_last(self, voc_folder, count):
        for n in range(count):
            (voc_folder.root / "Annotations" / f"{n}.xml").write_text("<annotation/>")
        sizes = {name: len(stems) for name, stems in open_folder(voc_folder.root).splits().items()}
        assert sum(sizes.values()) == count
        assert sum(size > 0 for size in sizes.values()) == min(count, 3)


def test_bccd(shared, caplog):
    opened = open_folder(shared / "data" / "bccd")
    samples = {split: opened.read(split) for split in ("train", "val", "test")}
    assert {k: len(v) for k, v in samples.items()} == {"train": 205, "val": 87, "test": 72}
    everything = sum(samples.values(), [])
    ids = np.concatenate([s.class_ids for s in everything])
    assert opened.classes == ("Platelets", "RBC", "WBC")
    assert np.bincount(ids).tolist() == [361, 4155 - 2, 372]
    assert sum(s.truncated.sum() for s in everything) == pytest.approx(1131, abs=2)
    assert all(s.size == (480, 640) for s in everything)
    repairs = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(repairs) == 2
    assert "degenerate boxes dropped: 1" in repairs[0] and "BloodImage_00343.xml" in repairs[0]
    assert "BloodImage_00338.xml:158: object 13 ('RBC') [504, 337, 504, 337]" in repairs[1]


def test_raccoon(shared):
    opened = open_folder(shared / "data" / "raccoon")
    samples = sum((opened.read(split) for split in opened.names), [])
    assert len(samples) == 200 and opened.classes == ("raccoon",)
    assert sum(len(s.class_ids) for s in samples) == 217
    assert sum(s.truncated.sum() for s in samples) == 59
    for sample in samples:
        height, width = sample.size
        assert (sample.boxes_xyxy >= 0).all()
        assert (sample.boxes_xyxy <= [width, height, width, height]).all()
        assert (sample.boxes_xyxy[:, 2:] > sample.boxes_xyxy[:, :2]).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_annotations_does_not_hang(voc_folder):
    os.mkfifo(voc_folder.root / "Annotations" / "a.xml")
    voc_folder.picture("a")
    voc_folder.list("train", "a")
    with pytest.raises(DatasetError, match="expected a file"):
        open_folder(voc_folder.root).read("train", classes=["dog"])


@pytest.mark.parametrize(
    "box, corners",
    [
        ([3.4, 4.6, 20.5, 21.4], [4, 6, 20, 21]),
        ([0, 0, 40, 30], [1, 1, 40, 30]),
        ([39.9, 5, 40, 9], [39, 6, 40, 9]),  # at least two pixels, and inside
        ([7.1, 7.2, 7.3, 9.9], [8, 8, 9, 10]),
        ([-9, -9, 0.2, 50], [1, 1, 2, 30]),
    ],
)
def test_voc_corners_count_from_one_and_stay_inside(box, corners):
    text = detections_xml(Detections([box], [0.5], [0], ("dog",)), "a.jpg", (30, 40))
    found = [int(text.split(f"<{name}>")[1].split("<")[0])
             for name in ("xmin", "ymin", "xmax", "ymax")]  # fmt: skip
    assert found == corners
