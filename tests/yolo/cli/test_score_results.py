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
        ("book 0.5 90 80 30 40", "write left + width and top + height, if they are"),
        ("0 0.5 0.5 0.2 0.3 0.9", "shares of the picture, as in YOLO's labels, do not go"),
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


def test_ground_truth_that_is_width_and_height_is_told(map_out, scores):
    text = "book 90 80 30 40\n"
    (map_out / "ground-truth/1.txt").write_text(text, encoding="utf-8")
    for arguments in ((map_out,), (map_out, "--data", map_out / "ground-truth")):
        code, err = scores("--results", *arguments)
        assert code == 3 and "1.txt:1: 'book 90 80 30 40'; expected 'class left top" in err
        assert "write left + width and top + height" in err


def test_the_files_of_vocs_kit_count_from_1(map_out, scores):
    """They name the picture where others name the class; Darknet writes them so, too."""
    kit = map_out.parent / "results"
    kit.mkdir()
    (kit / "comp4_det_test_cup of tea.txt").write_text("1 0.9 11 21 59 49\n", encoding="utf-8")
    (kit / "comp4_det_test_book.txt").write_text("1 0.6 6 6 44 44\n2 0.5 6 6 44 44\n")
    found, _ = scores("--results", kit, "--data", map_out / "ground-truth", "--inclusive-pixels")
    assert found["voc"]["map_all_point"] == 0.75, "as from the text of before"


def test_class_numbers_in_text_are_counted_from_0(map_out, scores):
    folder = map_out / "detection-results"
    folder.joinpath("1.txt").write_text("1 0.9 10 20 59 79\n0 0.6 5 5 44 44\n", encoding="utf-8")
    found, out = scores("--results", map_out)
    assert found["voc"]["map_all_point"] == 0.75 and "numbers: 0 book, 1 cup of tea" in out


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


@pytest.mark.parametrize("file", [True, False])
def test_annotations_alone_do_to_score_against(map_out, voc, scores, file):
    """In Annotations/, or as files of a folder of any name."""
    found = scores("--results", map_out / "detection-results", "--data", voc)[0]
    (voc / "JPEGImages/1.png").unlink()
    (voc / "JPEGImages").rmdir()
    where = (voc / "Annotations").rename(voc.parent / "truth") if file else voc
    alone, _ = scores("--results", map_out / "detection-results", "--data", where)
    assert alone["voc"] == found["voc"] and alone["coco"]["AP"] == found["coco"]["AP"]
    (where / "2.xml" if file else where / "Annotations/2.xml").write_text("<annotation>")
    code, err = scores("--results", map_out / "detection-results", "--data", where)
    assert code == 3 and "2.xml" in err


def test_pictures_of_one_name_in_several_folders_keep_to_theirs(tmp_path, scores):
    """Of a split that holds one of them, and of data that hold both."""
    names = ("cam1/1.jpg", "cam2/1.jpg", "cam2/2.jpg")
    boxes = ([0, 0, 9, 9], [20, 0, 9, 9], [40, 0, 9, 9])
    entries = [{"image_id": int(name[5]), "file_name": f"mine\\{name}".replace("/", "\\"),
                "category_id": 1, "category_name": "cup", "bbox": box, "score": 0.5}
               for name, box in zip(names, boxes, strict=True)]  # fmt: skip
    (tmp_path / "found.json").write_text(json.dumps(entries), encoding="utf-8")
    for kept in (names, names[:1]):
        truth = {
            "images": [{"id": 2 - n, "file_name": f"data/{name}", "height": 99, "width": 99}
                       for n, name in enumerate(kept)],
            "annotations": [{"id": n, "image_id": 2 - n, "category_id": 1, "bbox": boxes[n]}
                            for n in range(len(kept))],
            "categories": [{"id": 1, "name": "cup"}],
        }  # fmt: skip
        (tmp_path / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
        found, out = scores("--results", tmp_path / "found.json", "--data", tmp_path / "truth.json")
        assert found["voc"]["map_all_point"] == 1 and found["coco"]["AP"] == pytest.approx(1)
        assert found["voc"]["classes"][0]["detections"] == len(kept)
        assert ("2 results of 2 pictures that the data do not have" in out) == (kept != names)


def test_results_in_the_form_of_instances(voc, tmp_path, scores):
    file = {
        "images": [{"id": 70, "file_name": "1.jpg"}],
        "categories": [{"id": 3, "name": "cup of tea"}],
        "annotations": [{"id": 1, "image_id": 70, "category_id": 3, "bbox": [9, 19, 50, 60]}],
    }
    for score, expected in (({}, 3), ({"score": 0.5}, 0)):
        file["annotations"][0] |= score
        (tmp_path / "r.json").write_text(json.dumps(file), encoding="utf-8")
        code, said = scores("--results", tmp_path / "r.json", "--data", voc)
        assert (code["voc"]["map_all_point"] == 1) if not expected else code == expected
    (tmp_path / "r.json").write_text("{}", encoding="utf-8")
    assert "--save coco-results writes one" in scores(
        "--results", tmp_path / "r.json", "--data", voc
    )[1]  # fmt: skip


def test_categories_that_are_numbers_are_told(voc, tmp_path, scores):
    entry = {"image_id": "1", "category_id": 1, "bbox": [9, 19, 50, 60], "score": 0.5}
    (tmp_path / "r.json").write_text(json.dumps([entry]), encoding="utf-8")
    found, out = scores("--results", tmp_path / "r.json", "--data", voc)
    assert found["voc"]["map_all_point"] == 1 and "categories are numbers: 1 cup of tea" in out
    assert "VOC: 1 picture" in out, "which has no lists"
    (tmp_path / "r.json").write_text(json.dumps([{**entry, "category_id": 0}]), encoding="utf-8")
    found, out = scores("--results", tmp_path / "r.json", "--data", voc)
    assert found["voc"]["map_all_point"] == 1 and "categories are numbers: 0 cup of tea" in out


@pytest.mark.parametrize("results", ["[]", "\ufeff[]"])
def test_nothing_found_scores_nothing(voc, tmp_path, scores, results):
    (tmp_path / "r.json").write_text(results, encoding="utf-8")
    found, out = scores("--results", tmp_path / "r.json", "--data", voc)
    assert found["voc"]["map_all_point"] == found["coco"]["AP"] == 0
    assert "without a result: 1 picture" in out


@pytest.mark.parametrize("name", ["train", "default", "val"])
def test_a_single_list_is_scored_whole_or_as_a_seed_divides_it(tmp_path, scores, name):
    pictures = [{"id": i, "file_name": f"{i}.jpg", "height": 90, "width": 90} for i in range(20)]
    box = {"category_id": 1, "bbox": [0, 0, 50, 50]}
    marked = [{"id": i + 1, "image_id": i, "area": 2500, "iscrowd": 0, **box} for i in range(20)]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / f"instances_{name}.json").write_text(json.dumps(
        {"images": pictures, "categories": [{"id": 1, "name": "a"}], "annotations": marked}
    ))  # fmt: skip
    found = [{"image_id": i, "score": 0.9, **box} for i in range(20)]
    (tmp_path / "r.json").write_text(json.dumps(found))
    words = ("--results", tmp_path / "r.json", "--data", tmp_path)
    assert "on 20 pictures" in scores(*words)[1]
    part = scores(*words, "--split", "test")
    if name == "val":
        assert "no split 'test'" in part[1], "a list to measure on is whole"
    else:
        assert "on 2 pictures" in part[1]
