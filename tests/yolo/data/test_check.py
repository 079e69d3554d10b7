"""The check of a data set: every kind of finding, with its file and line."""

import numpy as np
import pytest

from yolo.data import check, decoding
from yolo.data.folder import open_folder

DOG = ("dog", 11, 6, 40, 31)


def examine(folder, splits=("train",), classes=None, **options):
    opened = open_folder(folder.root)
    known = classes or opened.classes
    samples = {name: opened.read(name, classes=known, keep_faults=True) for name in splits}
    return check.examine("set", samples, known, opened.notes, image_size=(60, 80), **options)


def found(report, severity):
    return [(problem.kind, problem.place) for problem in report.of(severity)]


def noisy(folder, stem, seed, *objects):
    image = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), np.uint8)
    folder.picture(stem, image=image)
    return folder.annotation(stem, *objects)


@pytest.fixture
def three_lists(voc_folder):
    """Return a folder with one picture in each of train, val and test."""
    for seed, split in enumerate(("train", "val", "test")):
        noisy(voc_folder, f"{split} 1", seed, DOG)
        voc_folder.list(split, f"{split} 1")
    return voc_folder


def test_a_clean_set_has_counts_and_nothing_else(three_lists):
    report = examine(three_lists, ("train", "val", "test"), decode=decoding.decode_all)
    assert report.decoded == 3 and not report.of("error") + report.of("repair")
    assert not report.of("warning")
    assert {name: split.pictures for name, split in report.splits.items()} == {
        "train": 1, "val": 1, "test": 1,
    }  # fmt: skip
    assert report.splits["train"].per_class == {"dog": 1}
    assert report.boxes_xyxy.tolist() == [[10, 5, 40, 31]] * 3


def test_repairs_and_errors_name_file_and_line(three_lists):
    path = three_lists.root / "Annotations" / "train 1.xml"
    text = path.read_text(encoding="utf-8").replace("<object>", "\n<object>")
    objects = [
        ("dog", 5, 5, 5, 9),
        ("dgo", 1, 1, 9, 9),
        ("dog", 9, 1, 2, 5),
        ("dog", 70, 50, 90, 60),
    ]
    more = "".join(f"\n{three_lists.object(*item)}" for item in objects)
    path.write_text(text.replace("</annotation>", f"{more}</annotation>"), encoding="utf-8")
    report = examine(three_lists, classes=("dog", "cat"))
    errors = [place for _, place in found(report, "error")]
    assert len(errors) == 2
    assert f"{path}:5: object 4 ('dog'): xmin 9 > xmax 2" in errors[0]
    assert f"{path}:4: object 3 ('dgo'): class 'dgo'" in errors[1]
    assert "did you mean 'dog'?" in errors[1]
    assert found(report, "repair") == [
        ("degenerate boxes dropped", f"{path}:3: object 2 ('dog') [5, 5, 5, 9]"),
        ("boxes cut at the picture's edge", f"{path}:6: object 5 ('dog') [70, 50, 90, 60]"),
    ]
    assert ("classes without objects in train", "cat") in found(report, "warning")


def test_strict_turns_repairs_and_warnings_into_errors_and_leaves_notes(three_lists):
    three_lists.annotation("train 1", DOG, DOG)
    report = examine(three_lists, classes=("dog", "cat"))
    strict = report.strict()
    assert len(report.of("error")) == 0 and len(strict.of("error")) == 2
    assert not strict.of("repair") and not strict.of("warning")
    assert strict.of("note") == report.of("note") != []


def test_a_wrong_size_is_a_repair_with_its_line(three_lists):
    path = three_lists.annotation("train 1", DOG, size=(61, 80))
    (repair,) = found(examine(three_lists), "repair")
    assert repair == (
        "<size> is not the picture's, whose own is used",
        f"{path}:1: 80x61 for 80x60",
    )


def test_unreadable_and_missing_pictures_are_errors(three_lists):
    picture = three_lists.root / "JPEGImages" / "train 1.jpg"
    picture.write_bytes(picture.read_bytes()[:-100])
    (three_lists.root / "JPEGImages" / "val 1.jpg").unlink()
    assert not examine(three_lists).of("error"), "its header can be read"
    report = examine(three_lists, ("train", "val"), decode=decoding.decode_all)
    errors = dict(found(report, "error"))
    assert errors["unreadable pictures"].startswith(f"{picture}: a damaged JPEG")
    assert "no picture val 1.jpg" in errors["faults in annotations"]


def test_duplicates_and_leaks_are_told_apart(three_lists):
    image = three_lists.root / "JPEGImages"
    for stem, twin in (("train 2", "train 1"), ("val 2", "test 1")):
        (image / f"{stem}.jpg").write_bytes((image / f"{twin}.jpg").read_bytes())
        three_lists.annotation(stem, DOG)
    three_lists.list("train", "train 1", "train 2")
    three_lists.list("val", "val 1", "val 2")
    kinds = dict(found(examine(three_lists, ("train", "val", "test")), "warning"))
    twins, leak = kinds.values()
    assert list(kinds)[0].startswith("pictures that are there twice")
    assert "train 1.jpg (train) = " in twins and "train 2.jpg (train)" in twins
    assert "val 2.jpg (val) = " in leak and "test 1.jpg (test)" in leak


def test_small_boxes_empty_pictures_and_odd_classes_are_notes(voc_folder):
    path = noisy(voc_folder, "a", 0, DOG, ("Dog", 1, 1, 3, 40), ("cat", 1, 1, 20, 20))
    noisy(voc_folder, "b", 1)
    noisy(voc_folder, "c", 2, *[("cat", 1, 1, 20 + i, 20) for i in range(40)])
    voc_folder.list("train", "a", "b", "c")
    notes = found(examine(voc_folder), "note")
    assert ("boxes below 4 pixels on the network's picture", f"{path}:1: 3.0x40.0") in notes
    empty = voc_folder.root / "JPEGImages" / "b.jpg"
    assert ("pictures without objects (they teach background)", str(empty)) in notes
    assert ("classes of almost one name", "'Dog' and 'dog'") in notes
    assert ("classes with fewer than 20 objects", "dog: 1") in notes
    assert any(kind == "unequal classes in train" and "cat 41 to" in p for kind, p in notes)


@pytest.mark.parametrize(
    "one, other, alike",
    [("raccoon", "racoon", True), ("Car", "car", True), ("car", "cat", False),
     ("type 1 cell", "type 2 cell", False), ("bus", "bicycle", False)],
)  # fmt: skip
def test_names_that_are_almost_one(one, other, alike):
    counts = check.SplitCounts(1, 0, 60, 0, {one: 30, other: 30})
    found = check._of_classes({"train": counts}, (one, other))
    assert [problem.kind for problem in found] == ["classes of almost one name"] * alike


def test_a_set_that_cannot_be_read_is_one_error():
    report = check.failed("set", "set: no such folder")
    assert found(report, "error") == [("data that cannot be read", "set: no such folder")]
    assert report.splits == {} and len(report.boxes_xyxy) == 0


def test_classes_that_anchors_miss_are_named_worst_first(three_lists):
    from yolo.data.anchor_fit import Recall

    recall = Recall(0.93, 0.7, {"dog": (90, 1.0, 0.8), "ant": (9, 0.2, 0.3), "bee": (5, 0.8, 0.5)})
    report = examine(three_lists).with_anchors(recall)
    (note,) = [p for kind, p in found(report, "note") if kind == check.NO_ANCHOR]
    assert note.startswith("80.0% of ant, 20.0% of bee, at IoU 0.5; --anchors auto")
    again = report.with_anchors(Recall(0.1, 0.1, {name: (1, 0.1, 0.1) for name in "abcde"}))
    (note,) = [p for kind, p in found(again, "note") if kind == check.NO_ANCHOR]
    assert note.startswith("90.0% of a, 90.0% of b, 90.0% of c and of 2 classes more, at IoU")
    better = report.with_anchors(Recall(0.95, 0.7, {"dog": (2, 0.95, 0.7)}))
    assert check.NO_ANCHOR not in dict(found(better, "note"))


def test_sizes_and_places_are_those_of_what_is_learned(labelled):
    sample = labelled("a", (0, [0, 0, 20, 20], False), (1, [0, 0, 60, 50], True))
    report = check.examine("set", {"train": [sample]}, ("cat", "dog"), [], image_size=(64, 64))
    assert report.class_ids.tolist() == [0] and len(report.boxes_xyxy) == 1
    assert (report.splits["train"].objects, report.splits["train"].difficult) == (2, 1)
