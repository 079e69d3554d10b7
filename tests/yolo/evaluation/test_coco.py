"""COCO's numbers: identities, crowds, and the figures that others have published."""

import json
from pathlib import Path

import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.evaluation import coco
from yolo.evaluation.coco import METRICS, evaluate_coco, evaluate_coco_files, table

CLASSES = ("cat", "dog")
SMALL, MEDIUM, LARGE = [0, 0, 20, 20], [30, 30, 90, 90], [100, 100, 250, 250]


def sample(boxes, class_ids=None, difficult=None):
    count = len(boxes)
    return Sample(
        path=Path("x.jpg"),
        boxes_xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
        class_ids=np.asarray(class_ids if class_ids is not None else [0] * count, np.int32),
        difficult=np.asarray(difficult if difficult is not None else [False] * count, bool),
        truncated=np.zeros(count, bool),
        size=(300, 300),
        image_id="x",
    )


def detections(boxes, scores, class_ids=None):
    return Detections(boxes, scores, [0] * len(boxes) if class_ids is None else class_ids, CLASSES)


def numbers(result):
    return {key: result[key] for key in METRICS}


@pytest.mark.parametrize("samples", [[], [sample([])]])
def test_no_objects_is_minus_one(samples):
    found = [Detections.empty(CLASSES)] * len(samples)
    assert set(numbers(evaluate_coco(found, samples, CLASSES)).values()) == {-1.0}


def test_nothing_found_is_zero():
    found = [Detections.empty(CLASSES)]
    result = evaluate_coco(found, [sample([SMALL, MEDIUM, LARGE])], CLASSES)
    assert set(numbers(result).values()) == {0.0}
    assert result["per_class"]["cat"] == {"AP": 0.0, "AP50": 0.0}
    assert result["per_class"]["dog"] == {"AP": -1.0, "AP50": -1.0}


def test_perfect_detections_score_one():
    boxes = [SMALL, MEDIUM, LARGE]
    result = evaluate_coco(
        [detections(boxes, [0.9, 0.8, 0.7], [0, 1, 1])], [sample(boxes, [0, 1, 1])], CLASSES
    )
    expected = dict.fromkeys(METRICS, 1.0) | {"AR1": 0.75}  # one of the two dogs at the most
    assert numbers(result) == pytest.approx(expected)
    assert result["per_class"]["dog"]["AP"] == pytest.approx(1.0)


def test_sizes_are_told_by_the_box():
    result = evaluate_coco([detections([MEDIUM], [0.9])], [sample([MEDIUM])], CLASSES)
    assert (result["APs"], result["APl"]) == (-1.0, -1.0)
    assert result["APm"] == pytest.approx(1.0)


def test_hand_counted():
    # 100 x 100 against 100 x 72: IoU 0.72, a hit at 0.50, 0.55, ... 0.70: five of ten.
    found = detections([[0, 0, 100, 72]], [0.9])
    result = evaluate_coco([found], [sample([[0, 0, 100, 100]])], CLASSES)
    assert result["AP50"] == pytest.approx(1.0) and result["AP75"] == 0.0
    assert result["AP"] == pytest.approx(0.5) and result["AR100"] == pytest.approx(0.5)


def test_a_second_hit_is_a_miss():
    truth = sample([MEDIUM, LARGE])
    once = evaluate_coco([detections([MEDIUM, LARGE], [0.9, 0.7])], [truth], CLASSES)
    twice = evaluate_coco([detections([MEDIUM, MEDIUM, LARGE], [0.9, 0.8, 0.7])], [truth], CLASSES)
    # Precision 1 up to recall 0.5 (51 of the 101 points), 2/3 from there on.
    assert once["AP"] == pytest.approx(1.0)
    assert twice["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_difficult_objects_are_crowds():
    truth = sample([MEDIUM, LARGE], difficult=[False, True])
    inside = [[110, 110, 150, 150], [160, 160, 240, 240]]
    result = evaluate_coco([detections([*inside, MEDIUM], [0.9, 0.8, 0.7])], [truth], CLASSES)
    assert result["AP"] == pytest.approx(1.0) and result["APl"] == -1.0


def test_boxes_are_not_rounded():
    box = np.float32([10.26, 10.26, 20.74, 20.74])
    assert evaluate_coco([detections([box], [0.5])], [sample([box])], CLASSES)[
        "AP"
    ] == pytest.approx(1.0)


def test_class_ids_are_matched_by_name():
    found = Detections([LARGE], [0.9], [1], ("zebra", "cat"))
    assert evaluate_coco([found], [sample([LARGE])], CLASSES)["AP"] == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="no class name in common"):
        evaluate_coco([Detections([LARGE], [0.9], [0], ("zebra",))], [sample([LARGE])], CLASSES)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="0 for 1 samples"):
        evaluate_coco([], [sample([])], CLASSES)


def test_is_silent(capfd):
    evaluate_coco([detections([LARGE], [0.9])], [sample([LARGE])], CLASSES)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_table():
    text = table(evaluate_coco([detections([LARGE], [0.9])], [sample([LARGE])], CLASSES))
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == ["cat", "1.0000", "1.0000"] and lines[2] == ["all", "1.0000", "1.0000"]
    assert lines[3] == ["AP", "1.0000", "AP50", "1.0000", "AP75", "1.0000"]
    assert lines[4] == ["APs", "-", "APm", "-", "APl", "1.0000"]


def test_published_figures_with_masks_and_crowds(shared):
    folder = shared / "oracles" / "cocoapi_val2014_100"
    expected = json.loads((folder / "expected.json").read_text())["bbox"]
    result = evaluate_coco_files(
        folder / "instances_val2014_100.json",
        folder / "instances_val2014_fakebbox100_results.json",
    )
    assert numbers(result) == pytest.approx(expected, abs=1e-12)
    known = [entry["AP"] for entry in result["per_class"].values() if entry["AP"] >= 0]
    assert len(result["per_class"]) == 80
    assert np.mean(known) == pytest.approx(expected["AP"], abs=1e-12)


def test_published_figures_of_padilla(shared):
    folder = shared / "oracles" / "padilla"
    expected = json.loads((folder / "expected.json").read_text())["coco_case"]
    expected = {key: expected[key] for key in METRICS}
    truth = folder / "coco_case" / "gts" / "sampled_gts_bbox_area.json"
    results = folder / "coco_case" / "cocoapi_results.json"
    assert numbers(evaluate_coco_files(truth, results)) == pytest.approx(expected, abs=1e-6)
    # The same from samples: boxes pass through float32, areas are those of the boxes.
    samples, found, names = as_samples(
        json.loads(truth.read_text()), json.loads(results.read_text())
    )
    assert numbers(evaluate_coco(found, samples, names)) == pytest.approx(expected, abs=1e-6)


def as_samples(truth, results):
    names = tuple(category["name"] for category in truth["categories"])
    position = {category["id"]: i for i, category in enumerate(truth["categories"])}
    samples, found = [], []
    for image in sorted(truth["images"], key=lambda image: image["id"]):  # ties: COCO's order
        mine = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        samples.append(
            sample(
                [to_xyxy(a["bbox"]) for a in mine],
                [position[a["category_id"]] for a in mine],
                [a["iscrowd"] for a in mine],
            )
        )
        mine = [a for a in results if a["image_id"] == image["id"]]
        found.append(
            Detections(
                [to_xyxy(a["bbox"]) for a in mine],
                [a["score"] for a in mine],
                [position[a["category_id"]] for a in mine],
                names,
            )
        )
    return samples, found, names


def to_xyxy(box):
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


TRUTH = {
    "images": [{"id": 5, "height": 300, "width": 300}],
    "categories": [{"id": 3, "name": "cat"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 5,
            "category_id": 3,
            "bbox": [0, 0, 50, 50],
            "area": 100,
            "iscrowd": 0,
        }
    ],
}
RESULT = {"image_id": 5, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.5}


def write(folder, truth, results):
    paths = folder / "标注.json", folder / "results.json"
    for path, data in zip(paths, (truth, results), strict=True):
        text = data if isinstance(data, str) else json.dumps(data)
        path.write_text(text, encoding="utf-8")
    return paths


def test_files_keep_the_area_of_the_mask(tmp_path):
    result = evaluate_coco_files(*write(tmp_path, TRUTH, [RESULT]))
    assert result["APs"] == pytest.approx(1.0) and result["APm"] == -1.0


def test_an_empty_results_file_is_zero(tmp_path):
    result = evaluate_coco_files(*write(tmp_path, TRUTH, []))
    assert result["AP"] == 0.0 and result["AR100"] == 0.0


def changed(**fields):
    """Return the instances with other values in its annotation; "leave out" drops a field."""
    entry = {**TRUTH["annotations"][0], **fields}
    return TRUTH | {"annotations": [{k: v for k, v in entry.items() if v != "leave out"}]}


def categories(*names, ids=(3, 4)):
    entries = [{"id": i, "name": name} for i, name in zip(ids, names, strict=True)]
    return TRUTH | {"categories": entries}


@pytest.mark.parametrize(
    "fields, result",
    [
        ({"id": 0}, {}),
        ({"id": -1}, {}),
        ({"id": "a"}, {}),
        ({"image_id": "5"}, {"image_id": 5.0, "category_id": 3.0}),
        ({"iscrowd": "leave out"}, {"image_id": "5", "category_id": "3"}),
        ({"iscrowd": False}, {}),
    ],
)
def test_ids_of_any_kind_name_the_same_object(tmp_path, fields, result):
    found = [RESULT | result, RESULT | {"category_id": 99, "score": 0.9}]
    paths = write(tmp_path, changed(**fields), found)
    assert evaluate_coco_files(*paths)["AP"] == pytest.approx(1.0)


def test_annotations_that_share_an_id_all_count(tmp_path):
    boxes = [[0, 0, 50, 50], [100, 100, 50, 50]]
    truth = TRUTH | {"annotations": [{**TRUTH["annotations"][0], "bbox": box} for box in boxes]}
    paths = write(tmp_path, truth, [RESULT | {"bbox": box} for box in boxes])
    assert evaluate_coco_files(*paths)["AP"] == pytest.approx(1.0)


def test_without_an_area_the_box_tells_the_size(tmp_path):
    result = evaluate_coco_files(*write(tmp_path, changed(area="leave out"), [RESULT]))
    assert result["APm"] == pytest.approx(1.0) and result["APs"] == -1.0


def test_pictures_may_have_names_for_ids(tmp_path):
    truth = changed(image_id="p") | {"images": [{"id": "p"}, {"id": 7}]}
    result = evaluate_coco_files(*write(tmp_path, truth, [RESULT | {"image_id": "p"}]))
    assert result["AP"] == pytest.approx(1.0)


def test_pictures_are_ranked_by_their_numbers(tmp_path):
    """Of equal scores that of the picture with the lower id comes first, as in COCO's code."""
    truth = changed(image_id=9) | {"images": [{"id": 10}, {"id": 9}]}
    found = [RESULT | {"image_id": 10}, RESULT | {"image_id": 9}]
    result = evaluate_coco_files(*write(tmp_path, truth, found))
    assert result["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "truth, results, message",
    [
        (TRUTH, [RESULT | {"image_id": 6}], "image_id 6"),
        (TRUTH, [{"image_id": 5}], "result 0 lacks"),
        (TRUTH, {"a": 1}, "expected a JSON list"),
        (TRUTH, [RESULT | {"bbox": [9, 9, -3, 4]}], "expected x, y, width and height"),
        ({"images": []}, [], "no list of objects under 'annotations'"),
        (TRUTH, [RESULT | {"category_id": [1]}], "category_id .1.; expected a number"),
        (TRUTH, [RESULT | {"image_id": None}], "image_id None"),
        (changed(iscrowd=None), [], "annotation 1: iscrowd None; expected 0 or 1"),
        (changed(iscrowd=2), [], "iscrowd 2; expected 0 or 1"),
        (changed(area="large"), [], "area 'large'; expected square pixels"),
        (changed(area=-1), [], "area -1"),
        (changed(bbox=[1, 2, 3]), [], "expected .x, y, width, height."),
        (categories("cat", ["dog"]), [], "entry 1: a name that is no text"),
        (categories("cat", "cat"), [], "two categories have the name 'cat'"),
        (categories("cat", "dog", ids=(3, "3")), [], "two categories have the id '3'"),
        ("{", [], "no readable JSON in UTF-8"),
    ],
)
def test_wrong_files_are_refused(tmp_path, truth, results, message):
    with pytest.raises(DatasetError, match=message):
        evaluate_coco_files(*write(tmp_path, truth, results))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere.json"):
        evaluate_coco_files(tmp_path / "nowhere.json", tmp_path / "nothing.json")


def test_what_coco_does_not_look_at_takes_no_memory(monkeypatch):
    """Only the best hundred of a class in a picture count; equal scores rank as they come."""
    rng = np.random.default_rng(0)
    samples, found = [], []
    for _ in range(3):
        corners = rng.uniform(0, 200, (20, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 90, (20, 2))], axis=1)
        samples.append(sample(boxes, rng.integers(0, 2, 20)))
        near = boxes[rng.integers(0, 20, 300)] + rng.uniform(-4, 4, (300, 4))
        scores = np.round(rng.uniform(0, 1, 300), 1)
        found.append(detections(near, scores, (rng.uniform(0, 1, 300) < 0.2).astype(int)))
    taken = []
    evaluate = coco._evaluate
    monkeypatch.setattr(
        coco, "_evaluate", lambda truth, all_: taken.append(len(all_)) or evaluate(truth, all_)
    )
    result = evaluate_coco(found, samples, CLASSES)
    monkeypatch.setattr(coco, "_COUNTED", 1000)
    assert result == evaluate_coco(found, samples, CLASSES) and 0.05 < result["AP"] < 0.95
    dogs = sum(int((one.class_ids == 1).sum()) for one in found)
    assert taken == [300 + dogs, 900] and dogs < 250
