"""Every fault of annotations that was seen in the wild: repaired and logged, or refused."""

import logging
import struct

import numpy as np
import pytest

from yolo.data.folder import open_folder
from yolo.errors import DatasetError

DOG = ("dog", 11, 6, 40, 30)


def read(folder, **options):
    if not (folder.root / "ImageSets").exists():
        folder.list("train", *sorted(p.stem for p in (folder.root / "Annotations").iterdir()))
    return open_folder(folder.root).read("train", classes=["dog"], **options)


def refused(folder):
    with pytest.raises(DatasetError) as caught:
        read(folder)
    return str(caught.value)


def test_a_box_beyond_the_edge_is_cut_and_named(voc_folder, caplog):
    voc_folder.add("a", ("dog", 71, 51, 85, 70))
    (sample,) = read(voc_folder)
    assert sample.boxes_xyxy.tolist() == [[70, 50, 80, 60]]
    assert "boxes cut at the picture's edge: 1" in caplog.text
    assert "a.xml:1: object 1 ('dog') [71, 51, 85, 70]" in caplog.text


def test_negative_corners_are_cut_and_do_not_mean_counting_from_zero(voc_folder):
    voc_folder.add("a", ("dog", -4, -2, 20, 20), DOG)
    (sample,) = read(voc_folder)
    assert sample.boxes_xyxy.tolist() == [[0, 0, 20, 20], [10, 5, 40, 30]]


def test_a_box_outside_the_picture_is_refused(voc_folder):
    voc_folder.add("a", DOG, ("dog", 90, 10, 95, 20))
    message = refused(voc_folder)
    assert (
        "a.xml:1: object 2 ('dog'): [90, 10, 95, 20] lies outside the picture of 80x60" in message
    )


def test_many_stray_boxes_mean_the_wrong_pictures(voc_folder):
    for n in range(11):
        voc_folder.add(f"{n:02d}", ("dog", 11, 6, 90, 30))
    assert "11 of 11 boxes leave their pictures" in refused(voc_folder)


@pytest.mark.parametrize("box", [(9, 9, 9, 9), (9, 5, 9, 20), (5, 9, 20, 9)])
def test_a_box_without_area_is_dropped(voc_folder, caplog, box):
    voc_folder.add("a", ("dog", *box), DOG)
    (sample,) = read(voc_folder)
    assert sample.boxes_xyxy.tolist() == [[10, 5, 40, 30]]
    assert "degenerate boxes dropped: 1" in caplog.text and "a.xml:1: object 1" in caplog.text


@pytest.mark.parametrize(
    ("box", "words"),
    [((40, 6, 11, 30), "xmin 40 > xmax 11"), ((11, 30, 40, 6), "ymin 30 > ymax 6")],
)
def test_swapped_corners_are_refused(voc_folder, box, words):
    voc_folder.add("a", ("dog", *box))
    assert f"a.xml:1: object 1 ('dog'): {words}" in refused(voc_folder)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "", "abc", "1,5", "1e400"])
def test_what_is_no_finite_number_is_refused(voc_folder, number):
    voc_folder.add("a", ("dog", 1, number, 40, 30))
    message = refused(voc_folder)
    assert "a.xml:1: object 1 ('dog')" in message and "number" in message


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<object><name>dog</name></object>", "no <bndbox>"),
        ("<object><bndbox/></object>", "no <name>"),
        ("<object><name> </name></object>", "no <name>"),
        ("<object><name>dog</name><bndbox><xmin>1</xmin></bndbox></object>", "<ymin> holds no"),
    ],
)
def test_objects_with_parts_missing_are_refused(voc_folder, xml, words):
    voc_folder.add("a", xml)
    message = refused(voc_folder)
    assert "a.xml:1: object 1" in message and words in message


def test_an_unknown_class_is_refused_with_its_count(voc_folder):
    voc_folder.add("a", DOG, ("cat", 1, 1, 9, 9))
    voc_folder.add("b", ("cat", 1, 1, 9, 9))
    message = refused(voc_folder)
    assert "a.xml:1: object 2 ('cat'): class 'cat' (2 objects in this split) is not among dog" in (
        message
    )


def test_other_classes_are_left_out_on_demand_with_their_count(voc_folder, caplog):
    caplog.set_level(logging.INFO)
    voc_folder.add("a", DOG, ("cat", 1, 1, 9, 9))
    voc_folder.add("b", ("cat", 1, 1, 9, 9), ("cow", 1, 1, 9, 9))
    one, two = read(voc_folder, only_classes=True)
    assert (one.class_ids.tolist(), two.class_ids.tolist()) == ([0], [])
    assert "split train: left out as of other classes: cat (2), cow (1)" in caplog.text


def test_exact_duplicates_are_dropped(voc_folder, caplog):
    voc_folder.add("a", DOG, DOG, ("dog", 11, 6, 40, 31))
    (sample,) = read(voc_folder)
    assert sample.boxes_xyxy.tolist() == [[10, 5, 40, 30], [10, 5, 40, 31]]
    assert "duplicate objects dropped: 1" in caplog.text and "a.xml:1: object 2" in caplog.text


@pytest.mark.parametrize("size", [(0, 0), (61, 80), (80, 60)])
def test_the_picture_is_right_about_its_size(voc_folder, caplog, size):
    voc_folder.picture("a")
    voc_folder.annotation("a", DOG, size=size)
    (sample,) = read(voc_folder)
    assert sample.size == (60, 80)
    assert "<size> is not the picture's" in caplog.text and "a.xml" in caplog.text


def test_a_missing_size_is_no_matter(voc_folder):
    voc_folder.picture("a")
    path = voc_folder.annotation("a", DOG)
    text = path.read_text()
    path.write_text(text[: text.index("<size>")] + text[text.index("</size>") + 7 :])
    assert read(voc_folder)[0].size == (60, 80)


def test_boxes_of_the_unturned_picture_are_refused(voc_folder):
    voc_folder.picture("a", size=(60, 80))
    voc_folder.annotation("a", ("dog", 1, 1, 50, 75), size=(80, 60))
    assert "before its rotation" in refused(voc_folder)


def test_boxes_marked_while_ignoring_exif_turn_with_the_picture(voc_folder):
    path = voc_folder.picture("a", size=(60, 80))
    data = path.read_bytes()
    block = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    voc_folder.annotation("a", DOG, size=(80, 60))
    assert read(voc_folder)[0].size == (80, 60)  # marked on the picture as displayed
    voc_folder.annotation("a", ("dog", 11, 6, 40, 31), size=(60, 80))
    # x1 10, y1 5, x2 40, y2 31 of 60 rows: what was low is left
    assert read(voc_folder)[0].boxes_xyxy.tolist() == [[29, 10, 55, 40]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no readable XML"),
        (b"<annotation><object>", "no readable XML"),
        (b"<html/>", "expected <annotation>"),
        (b"\xff\xff\xff\x00", "no readable XML"),
        (b'<?xml version="1.0" encoding="no-such"?><annotation/>', "no readable XML"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", "document type"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><annotation/>", "document type"),
    ],
)
def test_files_that_are_no_annotation_are_refused(voc_folder, data, words):
    voc_folder.picture("a")
    (voc_folder.root / "Annotations" / "a.xml").write_bytes(data)
    message = refused(voc_folder)
    assert words in message and "a.xml" in message and "\n" not in message


def test_deep_nesting_and_great_length_do_no_harm(voc_folder):
    voc_folder.picture("a")
    path = voc_folder.root / "Annotations" / "a.xml"
    path.write_text("<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>")
    assert "no readable XML" in refused(voc_folder)
    path.write_text("<annotation>" + " " * 10_000_001 + "</annotation>")
    assert "expected at most 10000000" in refused(voc_folder)


def test_a_missing_picture_and_a_name_of_neither(voc_folder):
    voc_folder.annotation("a", DOG)
    voc_folder.list("train", "a", "b", "../c")
    message = refused(voc_folder)
    assert "no picture a.jpg" in message and "b.xml: no such annotation" in message
    assert "../c" in message


def test_pictures_without_an_annotation_are_said_and_left_out_or_background(voc_folder, caplog):
    voc_folder.add("a", DOG)
    voc_folder.picture("b")
    voc_folder.picture("c")
    voc_folder.list("train", "a", "b", "c")
    assert [sample.image_id for sample in read(voc_folder)] == ["a"]
    (line,) = [r.getMessage() for r in caplog.records if "without a label file" in r.getMessage()]
    assert "left out (--unlabelled background" in line and ": 2 (" in line and "b.jpg" in line
    opened = open_folder(voc_folder.root, unlabelled="background")
    assert [len(sample.class_ids) for sample in opened.read("train")] == [1, 0, 0]


def test_a_broken_picture(voc_folder):
    voc_folder.add("a", DOG)
    (voc_folder.root / "JPEGImages" / "a.jpg").write_bytes(b"<html>quota exceeded</html>")
    assert "a.jpg: not a readable picture" in refused(voc_folder)


def test_faults_of_all_files_come_in_one_message(voc_folder):
    for n in range(30):
        voc_folder.add(f"{n:02d}", ("dog", 40, 6, 11, 30))
    lines = refused(voc_folder).splitlines()
    assert "30 faults" in lines[0] and len(lines) == 22
    assert "00.xml" in lines[1] and "19.xml" in lines[20] and lines[21] == "... and 10 more"


def test_repairs_are_counted_in_one_line_and_listed_in_full_for_debugging(voc_folder, caplog):
    caplog.set_level(logging.DEBUG, "yolo")
    for n in range(9):
        voc_folder.add(f"{n}", DOG, DOG)
    assert len(read(voc_folder)) == 9
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "duplicate objects dropped: 9" in warnings[0] and "and 6 more" in warnings[0]
    assert sum("duplicate" in r.getMessage() for r in caplog.records if r.levelno == 10) == 9


def test_hundreds_of_objects_are_all_kept(voc_folder, caplog):
    boxes = [("dog", 1 + n % 60, 1 + n // 60, 70, 50) for n in range(501)]
    voc_folder.add("a", *boxes)
    assert len(read(voc_folder)[0].class_ids) == 501
    assert "more than 500 objects" in caplog.text


def test_two_pictures_of_one_name(voc_folder, caplog):
    voc_folder.add("a", DOG)
    voc_folder.picture("a", suffix=".png")
    assert read(voc_folder)[0].path.name == "a.jpg"
    assert "JPEGImages/a.jpg, JPEGImages/a.png" in caplog.text


def test_nothing_is_written_to_the_users_data(voc_folder):
    voc_folder.add("a", DOG, DOG, ("dog", 71, 51, 85, 70))
    read(voc_folder)
    before = {p: p.read_bytes() for p in voc_folder.root.rglob("*") if p.is_file()}
    read(voc_folder)
    assert {p: p.read_bytes() for p in voc_folder.root.rglob("*") if p.is_file()} == before


def test_mutated_annotations_are_read_or_refused_in_one_line_naming_the_file(voc_folder):
    path = voc_folder.add("a", DOG, ("dog", 1, 1, 9, 9))
    good = path.read_bytes()
    digits = [n for n, byte in enumerate(good) if chr(byte).isdigit()]
    rng = np.random.default_rng(0)
    results = {"read": 0, "refused": 0}
    for n in range(300):
        data = bytearray(good)
        for place in rng.choice(digits if n % 2 else len(good), rng.integers(1, 4)):
            data[place] = rng.choice(list(b"0123456789" if n % 2 else b"0-. <>/ax\xff"))
        path.write_bytes(data[: rng.integers(1, len(data))] if rng.random() < 0.2 else data)
        try:
            read(voc_folder)
            results["read"] += 1
        except DatasetError as error:
            assert "a.xml" in str(error)
            results["refused"] += 1
    assert min(results.values()) > 20
