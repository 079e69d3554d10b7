"""The check of a data set as text, JSON, plots and a page."""

import json
import warnings

import numpy as np
import pytest

from yolo.data import check
from yolo.data.anchor_fit import Recall
from yolo.data.check import Problem
from yolo.pictures.files import read_image
from yolo.reports import check_report, data_plots, run_report

BOX = [0, 0, 20, 20]


@pytest.fixture
def report(labelled):
    """Return the check of three pictures in two splits, with a problem of each severity."""
    splits = {
        "train": [labelled("a", (0, BOX, False), (1, [5, 5, 7, 40], True)), labelled("b")],
        "val": [labelled("c", (1, BOX, False))],
    }
    made = check.examine("set", splits, ("cat", "狗"), [], image_size=(64, 96))
    more = [Problem("error", "bad", f"a.xml:{i}: <x>") for i in range(30)]
    more.append(Problem("repair", "cut", "b.xml:7: object 1"))
    made.problems[:0] = more
    return splits, made.with_anchors(Recall(0.5, 0.6, {"cat": (1, 0.5, 0.6)}))


def test_text_has_counts_sizes_and_places(report):
    text = check_report.text(report[1])
    lines = text.splitlines()
    assert lines[0].startswith("set: 3 pictures (headers and annotations read), 2 classes; 30 err")
    assert [row.split() for row in lines if row.startswith(("class ", "cat", "狗", "without"))] == [
        ["class", "train", "val", "median", "width", "x", "height"],
        ["cat", "1", "0", "21", "x", "21"],
        ["狗", "0", "1", "21", "x", "21"],  # without the difficult one
        ["without", "objects", "1", "0"],
    ]
    assert "  bad: 30" in lines and "    and 10 more, in check.json" in lines
    assert "    b.xml:7: object 1" in lines
    assert "anchors: best possible recall 50.0% of the objects in train at IoU 0.5" in text


def test_brief_is_brief(report):
    lines = check_report.brief(report[1])
    assert lines[0] == "train: 2 pictures, 1 without objects, 2 objects (cat 1, 狗 0, difficult 1)"
    assert len(lines) < 12 and any(
        line.startswith("box sizes on the network's 64x96") for line in lines
    )


def test_json_has_every_place_and_is_json(report):
    data = json.loads(json.dumps(check_report.to_json(report[1]), allow_nan=False))
    assert data["counts"]["error"] == 30 and data["splits"]["train"]["per_class"]["狗"] == 0
    assert data["findings"][0] == {"severity": "error", "kind": "bad", "place": "a.xml:0: <x>"}
    assert data["anchors"]["per_class"]["cat"]["recall"] == 0.5
    nothing = check_report.to_json(check.failed("set", "gone"))
    json.dumps(nothing, allow_nan=False)
    assert "gone" in check_report.text(check.failed("set", "gone"))


def test_a_page_with_plots(report, tmp_path):
    splits, made = report
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = data_plots.write_all(
            made, splits["train"], np.array([[10, 14], [40, 60]]), tmp_path / "plots"
        )
    assert len(files) == 4
    for path in files.values():
        image = read_image(path)
        assert min(image.shape[:2]) > 100 and image.std() > 5
    page = run_report.write_check(tmp_path, made, files)
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/") == 4 and "a.xml:3: &lt;x&gt;" in text
    assert {"check.txt", "check.json", "check.html"} <= {p.name for p in tmp_path.iterdir()}


def test_plots_of_nothing_and_of_many_classes(labelled, tmp_path):
    empty = check.examine("set", {"train": [labelled("a")]}, ("cat",), [], image_size=(64, 64))
    names = tuple(f"class {i}" for i in range(60))
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 30, (60, 4)) + [0, 0, 32, 32]
    sample = labelled(
        "b", *[(i, box.tolist(), False) for i, box in enumerate(boxes)], size=(64, 64)
    )
    many = check.examine("set", {"train": [sample]}, names, [], image_size=(64, 64))
    for made, anchors in ((empty, None), (many, np.array([[9, 9]]))):
        path = tmp_path / "plot.png"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data_plots.plot_boxes(made, anchors, path)
            assert read_image(path).std() > 1
            data_plots.plot_labels(made, path)
            assert read_image(path).std() > 1
            data_plots.plot_centres(made, path)
            assert read_image(path).std() > 1
