"""The faults of VOC data sets seen in the wild, row by row, with the words said (T22)."""

import logging
import re

import numpy as np
import pytest

from tests.faults.full.pictures import variants
from yolo.data.folder import open_folder
from yolo.errors import DatasetError

PICTURE = variants()["png rgb"]  # 61 x 47
FLAGS = "<truncated>0</truncated><difficult>0</difficult>"


def box(*corners, name="dog", flags=FLAGS):
    keys = ("xmin", "ymin", "xmax", "ymax")
    numbers = "".join(f"<{k}>{value}</{k}>" for k, value in zip(keys, corners, strict=True))
    return f"<object><name>{name}</name>{flags}<bndbox>{numbers}</bndbox></object>"


GOOD = box(11, 6, 40, 30)
SIZE = "<size><width>61</width><height>47</height><depth>3</depth></size>"
PARTS = GOOD.replace(
    "</object>", "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
)

# fault: (objects and other elements, boxes that come out, words of the log or of the error);
# boxes None: refused. {a} is the annotation's path, {s} the data set and split.
TABLE = {
    "out of range": (SIZE + box(51, 40, 63, 49), [[50, 39, 61, 47]],
        "{s}: boxes cut at the picture's edge: 1 ({a}: object 1 ('dog') [51, 40, 63, 49])"),
    "wholly outside": (SIZE + box(90, 1, 99, 9), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): [90, 1, 99, 9] lies outside the picture of 61x47 "
        "pixels: correct or remove it"),
    "swapped": (SIZE + box(40, 6, 11, 30), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): xmin 40 > xmax 11; expected the smaller first: "
        "correct the file"),
    "zero area": (SIZE + box(9, 9, 9, 20) + GOOD, [[10, 5, 40, 30]],
        "{s}: degenerate boxes dropped: 1 ({a}: object 1 ('dog') [9, 9, 9, 20])"),
    "counted from 1": (SIZE + box(1, 1, 61, 47), [[0, 0, 61, 47]], ""),
    "counted from 0": (SIZE + box(0, 0, 61, 47) + box(5, 5, 9, 9), [[0, 0, 61, 47], [5, 5, 9, 9]],
        "{d}: pixels are counted from 0: 1 of 2 boxes start there, the first in a.xml "
        "(--first-pixel 1 if those are mistakes)"),
    "no size": (GOOD, [[10, 5, 40, 30]],
        "{s}: <size> is not the picture's, whose own is used: 1 ({a}: nothing for 61x47)"),
    "size 0": (SIZE.replace("61", "0").replace("47", "0") + GOOD, [[10, 5, 40, 30]],
        "{s}: <size> is not the picture's, whose own is used: 1 ({a}: 0x0 for 61x47)"),
    "fractions": (SIZE + box(11.5, 6.25, 40.5, 30), [[10.5, 5.25, 40.5, 30]], ""),
    "nan": (SIZE + box(1, "nan", 40, 30), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): [1, nan, 40, 30]; expected four finite numbers: "
        "correct the file"),
    "infinite": (SIZE + box(1, 1, "inf", 30), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): [1, 1, inf, 30]; expected four finite numbers: "
        "correct the file"),
    "empty": (SIZE + box(1, "", 40, 30), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): <ymin> holds no value; expected a number: correct "
        "the file"),
    "text": (SIZE + box(1, "1_0", 40, 30), None,
        "{s}: 1 fault: {a}: object 1 ('dog'): <ymin> holds '1_0'; expected a number: correct the "
        "file"),
    "no flags": (SIZE + box(11, 6, 40, 30, flags=""), [[10, 5, 40, 30]], ""),
    "difficult": (SIZE + box(11, 6, 40, 30, flags="<difficult>1</difficult>"), [[10, 5, 40, 30]],
        "1 object (1 difficult)"),
    "class unknown": (SIZE + box(1, 1, 9, 9, name="cat") + box(2, 2, 9, 9, name="cat"), None,
        "{s}: 1 fault: {a}: object 1 ('cat'): class 'cat' (2 objects in this split) is not among "
        "dog: add it to the class list, correct the files, or leave such objects out with "
        "--only-classes"),
    "duplicate": (SIZE + GOOD + GOOD, [[10, 5, 40, 30]],
        "{s}: duplicate objects dropped: 1 ({a}: object 2 ('dog') [11, 6, 40, 30])"),
    "no object": (SIZE, [], "1 picture (1 without objects), 0 objects"),
    "many objects": (SIZE + "".join(box(1, 1, 9 + n / 100, 20) for n in range(501)), 501,
        "{s}: pictures with more than 500 objects (all are kept): 1 ({a})"),
    "parts": (SIZE + PARTS, [[10, 5, 40, 30]], ""),
}  # fmt: skip
TABLE["size turned"] = (
    "<size><width>47</width><height>61</height><depth>3</depth></size>" + box(1, 1, 40, 60), None,
    "{s}: 1 fault: {a}: 47x61 for 61x47: the boxes were drawn on the picture before its rotation: "
    "save the picture upright without an EXIF orientation, or mark it again",
)  # fmt: skip


@pytest.fixture
def data(tmp_path):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "JPEGImages" / "a.png").write_bytes(PICTURE)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("fault", TABLE)
def test_a_row_of_the_table(data, caplog, fault):
    caplog.set_level(logging.INFO, "yolo")
    content, boxes, words = TABLE[fault]
    path = data / "Annotations" / "a.xml"
    path.write_text(f"<annotation>{content}</annotation>", encoding="utf-8")
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}
    words = words.format(a=path, d=data, s=f"{data}, split train")
    if boxes is None:
        with pytest.raises(DatasetError) as caught:
            open_folder(data).read("train", classes=["dog"])
        assert re.sub(r"(\.xml):\d+", r"\1", str(caught.value)) == words
    else:
        (sample,) = open_folder(data).read("train", classes=["dog"])
        if isinstance(boxes, int):
            assert len(sample.class_ids) == boxes
        else:
            np.testing.assert_array_equal(sample.boxes_xyxy, np.reshape(boxes, (-1, 4)))
        warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        said = [re.sub(r"(\.xml):\d+", r"\1", r.getMessage()) for r in caplog.records]
        assert not words or any(words == m or (len(words) < 60 and words in m) for m in said)
        assert len(warned) == (words in said and "counted from" not in words)
    assert {p: p.read_bytes() for p in data.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("line, words", [
    ("b", "{d}/Annotations/b.xml: no such annotation: add it or take the name off the list"),
    ("c", "{d}/Annotations/c.xml: no picture c.jpg (or another type) in {d} or below: add it or "
     "remove the annotation"),
])  # fmt: skip
def test_missing_files(data, line, words):
    (data / "Annotations" / "c.xml").write_text("<annotation/>", encoding="utf-8")
    (data / "ImageSets" / "Main" / "train.txt").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        open_folder(data).read("train", classes=["dog"])
    assert str(caught.value) == f"{data}, split train: 1 fault: {words.format(d=data)}"


@pytest.mark.parametrize("line", ["a b", "a b 1", "a b -1", "a b.png", "  a b  ", "\ufeffa b"])
def test_names_with_blanks_and_what_lists_add_to_them(data, line):
    (data / "JPEGImages" / "a.png").rename(data / "JPEGImages" / "a b.png")
    (data / "Annotations" / "a b.xml").write_text(
        f"<annotation>{GOOD}</annotation>", encoding="utf-8"
    )
    (data / "ImageSets" / "Main" / "train.txt").write_text(f"{line}\n", encoding="utf-8")
    assert [s.image_id for s in open_folder(data).read("train", classes=["dog"])] == ["a b"]


ENCODINGS = ("utf-8", "utf-8 with mark", "utf-16", "gbk declared", "gbk not declared")


@pytest.mark.parametrize("kind", ENCODINGS)
def test_encodings(data, kind):
    text = f"<annotation>{box(11, 6, 40, 30, name='狗')}</annotation>"
    content = {
        "utf-8": text.encode(),
        "utf-8 with mark": text.encode("utf-8-sig"),
        "utf-16": ("<?xml version='1.0' encoding='utf-16'?>" + text).encode("utf-16"),
        "gbk declared": ("<?xml version='1.0' encoding='gbk'?>" + text).encode("gbk"),
        "gbk not declared": text.encode("gbk"),
    }[kind]
    (data / "Annotations" / "a.xml").write_bytes(content)
    (sample,) = open_folder(data).read("train", classes=["狗"])
    assert len(sample.class_ids) == 1


def test_a_set_counted_from_0_keeps_every_box_and_can_be_forced(data):
    boxes = "".join(box(n % 3, n % 5, 20 + n, 30) for n in range(30))
    path = data / "Annotations" / "a.xml"
    path.write_text(f"<annotation>{SIZE}{boxes}</annotation>", encoding="utf-8")
    (found,) = open_folder(data).read("train", classes=["dog"])
    assert len(found.class_ids) == 30 and found.boxes_xyxy[0].tolist() == [0, 0, 20, 30]
    (forced,) = open_folder(data).read("train", classes=["dog"], first_pixel="1")
    assert len(forced.class_ids) == 30 and forced.boxes_xyxy[4].tolist() == [0, 3, 24, 30]


def test_pictures_of_several_frames_are_said(data, caplog):
    (data / "JPEGImages" / "a.png").write_bytes(variants()["png animated"])
    (data / "Annotations" / "a.xml").write_text(
        f"<annotation>{SIZE}{GOOD}</annotation>", encoding="utf-8"
    )
    with caplog.at_level(logging.WARNING, "yolo"):
        open_folder(data).read("train", classes=["dog"])
    assert "pictures of several frames, the first taken: 1" in caplog.text
