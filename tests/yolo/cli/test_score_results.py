"""`evaluate.py --results`: what other programs found, in their own files, against any data."""

import json

import pytest

from yolo import cli
from yolo.data.formats.voc import LabelledObject, annotation_xml
from yolo.pictures.files import write_image

TRUTH = {
    "1": "cup of tea 10 20 59 79\nbook 100 100 199 199 difficult\nbook 5 5 44 44\n",
    "2": "cup of tea 10 20 59 79\n",
}
FOUND = {  # 50 x 30 of 50 x 60 pixels inclusive: IoU 0.5; else 29 of 59 rows
    "1": "cup of tea 0.9 10 20 59 49\nbook 0.8 100 100 199 199\nbook 0.7 200 5 244 44\n"
         "book 0.6 5 5 44 44\n",
    "2": "",
}  # fmt: skip


@pytest.fixture
def map_out(tmp_path):
    """Return the tutorial's folder, whose figures are counted by hand."""
    for name, texts in (("ground-truth", TRUTH), ("detection-results", FOUND)):
        (tmp_path / "map_out" / name).mkdir(parents=True)
        for stem, text in texts.items():
            (tmp_path / "map_out" / name / f"{stem}.txt").write_text(text, encoding="utf-8")
    return tmp_path / "map_out"


@pytest.fixture
def scores(tmp_path, outcome):
    """Return a function that runs the command: its figures and what it said, or the error."""

    def run(*arguments):
        path = tmp_path / "scores.json"
        code, out, err = outcome(cli.evaluate_main, "--json", path, *arguments)
        return (json.loads(path.read_text(encoding="utf-8")), out) if code == 0 else (code, err)

    return run


def test_cartuchos_text_files(map_out, scores):
    """His tool adds 1 to widths: mAP (1/2 + 1/2) / 2; without it the cup's IoU is 29/59."""
    found, out = scores("--results", map_out, "--inclusive-pixels")
    assert found["voc"]["map_all_point"] == 0.5
    assert [one["class"] for one in found["voc"]["classes"]] == ["book", "cup of tea"]
    assert found["voc"]["classes"][0]["difficult"] == 1 and "without a result: 1 picture" in out
    plain, _ = scores(
        "--results", map_out / "detection-results", "--data", map_out / "ground-truth"
    )
    assert plain["voc"]["map_all_point"] == 0.25
    assert plain["coco"]["per_class"]["book"]["AP50"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "line, words",
    [
        ("book 0.5 1 2 3", "1.txt:1: 'book 0.5 1 2 3'; expected 'class score left top right bott"),
        ("book 50 1 2 3 4", "1.txt:1: "),
        ("book 0.5 9 2 3 4", "1.txt:1: "),
        ("book 0.5 nan 2 3 4", "1.txt:1: "),
    ],
)
def test_lines_that_are_none(map_out, scores, line, words):
    (map_out / "detection-results" / "1.txt").write_text(line, encoding="utf-8")
    code, err = scores("--results", map_out)
    assert code == 3 and words in err and err.count("\n") == 1


def test_results_of_other_pictures_and_classes_are_counted_and_none_at_all_is_an_error(
    map_out, scores
):
    folder = map_out / "detection-results"
    (folder / "7.txt").write_text("book 0.5 1 2 3 4\n" * 2, encoding="utf-8")
    (folder / "2.txt").write_text("lamp 0.5 1 2 3 4\n", encoding="utf-8")
    _, out = scores("--results", map_out)
    assert "left out: 2 results of 1 pictures that the data do not have: 7" in out
    assert "left out: 1 result of 1 classes that the data do not have: lamp" in out
    (folder / "1.txt").unlink()
    assert "no result is of a class of the data: it names 'lamp'" in scores("--results", map_out)[1]
    (folder / "2.txt").unlink()
    assert "no result is of a picture of the data: it names '7'" in scores("--results", map_out)[1]


def test_what_coco_does_not_look_at_is_said(map_out, scores):
    lines = [f"book {i} 1 {i + 2} 9\n" for i in range(101)]
    for count, said in ((100, False), (101, True)):
        (map_out / "ground-truth" / "1.txt").write_text("".join(lines[:count]), encoding="utf-8")
        _, out = scores("--results", map_out)
        assert ("where there are more, as in 1 picture" in out) == said


@pytest.fixture
def voc(tmp_path):
    """Return a VOC set of one picture with a cup at (10, 20) to (59, 79), inclusive from 1."""
    for name in ("Annotations", "JPEGImages"):
        (tmp_path / "VOC" / name).mkdir(parents=True)
    import numpy as np

    write_image(tmp_path / "VOC/JPEGImages/1.png", np.zeros((300, 300, 3), np.uint8))
    text = annotation_xml("1.png", (300, 300), [LabelledObject("cup of tea", (9, 19, 59, 79))])
    (tmp_path / "VOC/Annotations/1.xml").write_text(text, encoding="utf-8")
    return tmp_path / "VOC"


def test_text_files_count_pixels_as_the_annotations_do(map_out, voc, scores):
    found, _ = scores("--results", map_out / "detection-results", "--data", voc)
    assert found["voc"]["map_all_point"] == 1, "IoU 0.5, as in the kit"


def test_results_name_pictures_and_classes_whatever_the_ids_of_the_data(tmp_path, scores):
    """In files of tools a picture's id is its number in the list, and classes have any order."""
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    images = [{"id": n, "file_name": f"{name}.jpg", "height": 99, "width": 99}
              for n, name in enumerate(("b", "7", "a"), 1)]  # fmt: skip
    marked = [{"id": n, "image_id": n, "category_id": c, "bbox": [n, 0, 9, 9], "iscrowd": 0}
              for n, c in ((1, 8), (2, 4), (3, 4))]  # fmt: skip
    truth.write_text(json.dumps({
        "images": images, "annotations": marked,
        "categories": [{"id": 4, "name": "dog"}, {"id": 8, "name": "cat"}],
    }), encoding="utf-8")  # fmt: skip
    wrong = {"category_id": 1, "score": 0.5, "image_id": 1}
    entries = [
        {**wrong, "file_name": "b.jpg", "category_name": "cat", "bbox": [1, 0, 9, 9]},
        {**wrong, "file_name": "7.jpg", "category_name": "dog", "bbox": [2, 0, 9, 9]},
        {"image_id": "a", "category_id": 4, "bbox": [3, 0, 9, 9], "score": 0.4},
    ]
    results.write_text(json.dumps(entries), encoding="utf-8")
    found, _ = scores("--results", results, "--data", truth)
    assert found["voc"]["map_all_point"] == 1 and found["coco"]["AP"] == pytest.approx(1)


def test_categories_that_are_numbers_are_told(voc, tmp_path, scores):
    entry = {"image_id": "1", "category_id": 1, "bbox": [9, 19, 50, 60], "score": 0.5}
    (tmp_path / "r.json").write_text(json.dumps([entry]), encoding="utf-8")
    found, out = scores("--results", tmp_path / "r.json", "--data", voc)
    assert found["voc"]["map_all_point"] == 1 and "categories are numbers: 1 cup of tea" in out
    assert "VOC: 1 picture" in out, "which has no lists"
