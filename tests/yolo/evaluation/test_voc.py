"""PASCAL VOC scores: identities, cases counted by hand, and figures others have published."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.data.sample import Sample
from yolo.errors import ConfigError
from yolo.evaluation.voc import average_precision, evaluate_voc, table, to_json

CLASSES = ("cat", "dog")


def sample(boxes, class_ids=None, difficult=None):
    count = len(boxes)
    return Sample(
        path=Path("x.jpg"),
        boxes_xyxy=np.asarray(boxes, np.float32).reshape(-1, 4),
        class_ids=np.asarray(class_ids if class_ids is not None else [0] * count, np.int32),
        difficult=np.asarray(difficult if difficult is not None else [False] * count, bool),
        truncated=np.zeros(count, bool),
        size=(100, 100),
        image_id="x",
    )


def detections(boxes, scores, class_ids=None):
    return Detections(boxes, scores, [0] * len(boxes) if class_ids is None else class_ids, CLASSES)


def random_set(pictures=12, seed=0):
    rng = np.random.default_rng(seed)
    samples, found = [], []
    for _ in range(pictures):
        corner = rng.uniform(0, 200, (5, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 80, (5, 2))], axis=1)
        class_ids = rng.integers(0, 2, 5)
        samples.append(sample(boxes, class_ids, rng.random(5) < 0.2))
        noisy = np.concatenate([boxes, boxes]) + rng.normal(0, 6, (10, 4))
        found.append(detections(noisy, rng.random(10), np.tile(class_ids, 2)))
    return samples, found


A, B, C = [0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 70]
FAR = [80, 80, 90, 90]


def test_no_pictures():
    result = evaluate_voc([], [], CLASSES)
    assert result.map_all_point == 0.0 and result.map_11_point == 0.0
    assert [entry.objects for entry in result.classes] == [0, 0]


def test_nothing_found_is_zero():
    result = evaluate_voc([Detections.empty(CLASSES)], [sample([A, B])], CLASSES)
    assert result.classes[0].ap_all_point == 0.0 and result.classes[0].ap_11_point == 0.0
    assert result.classes[0].recall == 0.0
    assert np.isnan(result.classes[0].precision)


def test_classes_without_objects_do_not_count():
    found = detections([A, FAR], [0.9, 0.8], [0, 1])
    result = evaluate_voc([found], [sample([A])], CLASSES)
    assert np.isnan(result.classes[1].ap_all_point)
    assert result.map_all_point == 1.0 and result.map_11_point == pytest.approx(1.0)


def test_perfect_detections_score_one():
    samples, _ = random_set()
    samples = [sample(s.boxes_xyxy, s.class_ids) for s in samples]
    found = [detections(s.boxes_xyxy, np.linspace(0.9, 0.5, 5), s.class_ids) for s in samples]
    for threshold in (0.5, 0.95):
        result = evaluate_voc(found, samples, CLASSES, iou_threshold=threshold)
        assert result.map_all_point == pytest.approx(1.0)
        assert result.map_11_point == pytest.approx(1.0)
        assert all(entry.precision == entry.recall == 1.0 for entry in result.classes)


def test_shifted_detections_score_zero():
    boxes = np.float32([A, B])
    result = evaluate_voc([detections(boxes + 8, [0.9, 0.8])], [sample(boxes)], CLASSES)
    # A moved by 8: IoU 4 / 196; B moved by 8: 144 / 656.
    assert result.map_all_point == 0.0


def test_hand_counted():
    # By score: hit, miss, hit; 3 objects. Precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    found = detections([A, FAR, B], [0.9, 0.8, 0.7])
    result = evaluate_voc([found], [sample([A, B, C])], CLASSES)
    cat = result.classes[0]
    np.testing.assert_allclose(cat.precision_curve, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(cat.recall_curve, [1 / 3, 1 / 3, 2 / 3])
    assert cat.ap_all_point == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    # Recall 0, .1, .2, .3 see precision 1; .4, .5, .6 see 2/3; the rest see none.
    assert cat.ap_11_point == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)


def test_a_second_hit_is_a_miss():
    found = detections([A, A, B], [0.9, 0.8, 0.7])
    result = evaluate_voc([found], [sample([A, B])], CLASSES)
    np.testing.assert_allclose(result.classes[0].precision_curve, [1, 1 / 2, 2 / 3])


def test_a_detection_looks_at_its_best_object_only():
    # The second detection overlaps [0, 0, 10, 10] best, which is taken: it does not fall back
    # on its neighbour, though their IoU would do.
    near = [0, 0, 10, 8]
    found = detections([A, A], [0.9, 0.8])
    result = evaluate_voc([found], [sample([A, near])], CLASSES)
    assert result.classes[0].recall == 0.5


def test_difficult_objects_are_neither_hit_nor_miss():
    truth = sample([A, B], difficult=[False, True])
    with_it = evaluate_voc([detections([A, B, B], [0.5, 0.9, 0.8])], [truth], CLASSES)
    without = evaluate_voc([detections([A], [0.5])], [truth], CLASSES)
    for result in (with_it, without):
        cat = result.classes[0]
        assert (cat.objects, cat.difficult, cat.detections) == (1, 1, 1)
        assert cat.ap_all_point == 1.0 and cat.precision == 1.0 and cat.recall == 1.0


def test_a_poor_overlap_with_a_difficult_object_is_a_miss():
    truth = sample([A, B], difficult=[False, True])
    result = evaluate_voc([detections([A, [20, 20, 30, 39]], [0.5, 0.9])], [truth], CLASSES)
    assert result.classes[0].detections == 2
    assert result.classes[0].ap_all_point == 0.5


def test_what_lies_in_a_crowd_of_its_class_is_no_miss():
    truth = sample([A, [40, 40, 100, 100]], difficult=[False, True])
    truth = replace(truth, crowd=np.array([False, True]))
    inside, half_out = [[50, 50, 60, 70], [70, 45, 80, 60]], [34, 80, 44, 90]
    found = detections([A, *inside, half_out], [0.5, 0.9, 0.8, 0.7])
    cat = evaluate_voc([found], [truth], CLASSES).classes[0]
    assert (cat.objects, cat.detections) == (1, 2)
    dogs = detections([A, *inside], [0.5, 0.9, 0.8], [0, 1, 1])  # of another class
    assert evaluate_voc([dogs], [truth], CLASSES).classes[1].detections == 2
    plain = sample([A, [40, 40, 100, 100]], difficult=[False, True])
    assert evaluate_voc([found], [plain], CLASSES).classes[0].detections == 4


def test_a_class_with_difficult_objects_alone_does_not_count():
    truth = sample([A, B], class_ids=[0, 1], difficult=[False, True])
    result = evaluate_voc([detections([A], [0.5])], [truth], CLASSES)
    assert np.isnan(result.classes[1].ap_all_point) and result.map_all_point == 1.0


def test_classes_do_not_meet():
    result = evaluate_voc([detections([A], [0.9], [1])], [sample([A], [0])], CLASSES)
    assert result.classes[0].recall == 0.0 and result.map_all_point == 0.0


def test_iou_at_the_threshold_is_a_hit():
    found = [detections([[0, 0, 10, 5]], [0.9])]
    assert evaluate_voc(found, [sample([A])], CLASSES).map_all_point == 1.0
    assert evaluate_voc(found, [sample([A])], CLASSES, iou_threshold=0.51).map_all_point == 0.0


def test_ties_take_the_order_of_the_input():
    hit_first = evaluate_voc([detections([A, FAR], [0.5, 0.5])], [sample([A])], CLASSES)
    miss_first = evaluate_voc([detections([FAR, A], [0.5, 0.5])], [sample([A])], CLASSES)
    assert hit_first.map_all_point == 1.0 and miss_first.map_all_point == 0.5


def test_inclusive_pixels_by_hand():
    # 4 x 4 against 4 x 2: IoU 8 / 16 plain; 5 x 5 against 5 x 3: 15 / 25 with one added.
    found = [detections([[0, 0, 4, 2]], [0.9])]
    plain = evaluate_voc(found, [sample([[0, 0, 4, 4]])], CLASSES, iou_threshold=0.55)
    added = evaluate_voc(
        found, [sample([[0, 0, 4, 4]])], CLASSES, iou_threshold=0.55, inclusive_pixels=True
    )
    assert plain.map_all_point == 0.0 and added.map_all_point == 1.0
    assert plain.other_rule == (added.map_11_point, added.map_all_point)
    assert added.other_rule == (plain.map_11_point, plain.map_all_point)


def test_half_open_boxes_are_the_kit_rule():
    """Inclusive corners with one added, and the same boxes half-open, overlap equally."""
    samples, found = random_set(seed=3)
    whole = [np.round(s.boxes_xyxy) for s in samples]
    noisy = [np.round(f.boxes_xyxy) for f in found]
    inclusive = evaluate_voc(
        [detections(b, f.scores, f.class_ids) for b, f in zip(noisy, found, strict=True)],
        [sample(b, s.class_ids, s.difficult) for b, s in zip(whole, samples, strict=True)],
        CLASSES,
        inclusive_pixels=True,
    )
    step = np.float32([-1, -1, 0, 0])
    half_open = evaluate_voc(
        [detections(b + step, f.scores, f.class_ids) for b, f in zip(noisy, found, strict=True)],
        [sample(b + step, s.class_ids, s.difficult) for b, s in zip(whole, samples, strict=True)],
        CLASSES,
    )
    assert 0.2 < half_open.map_all_point < 0.9
    assert half_open.map_all_point == inclusive.map_all_point
    assert half_open.map_11_point == inclusive.map_11_point


def test_order_of_pictures_and_detections_does_not_matter():
    samples, found = random_set(seed=4)
    rng = np.random.default_rng(5)
    order = rng.permutation(len(samples))
    straight = evaluate_voc(found, samples, CLASSES)
    shuffled = evaluate_voc(
        [found[i][rng.permutation(len(found[i]))] for i in order],
        [samples[i] for i in order],
        CLASSES,
    )
    assert 0.2 < straight.map_all_point < 0.9
    assert straight.map_all_point == pytest.approx(shuffled.map_all_point, abs=1e-12)
    assert straight.map_11_point == pytest.approx(shuffled.map_11_point, abs=1e-12)


def test_more_misses_below_change_nothing_above():
    samples, found = random_set(seed=6)
    base = evaluate_voc(found, samples, CLASSES)
    worse = [
        detections(
            np.concatenate([f.boxes_xyxy, [[900, 900, 910, 910]]]),
            np.concatenate([f.scores, [0.0]]),
            np.concatenate([f.class_ids, [0]]),
        )
        for f in found
    ]
    assert evaluate_voc(worse, samples, CLASSES).map_all_point == base.map_all_point


def test_eleven_points_are_multiples_of_the_float():
    # Recall 0.3 and 0.6 fall short of 3 * 0.1 and 6 * 0.1; 0.2 and 0.5 reach their points.
    for recall, points in ((0.2, 3), (0.3, 3), (0.5, 6), (0.6, 6), (1.0, 11)):
        found, _ = average_precision(np.array([1.0]), np.array([recall]))
        assert found == pytest.approx(points / 11)


def test_curves_without_detections():
    assert average_precision(np.zeros(0), np.zeros(0)) == (0.0, 0.0)


def test_class_ids_are_matched_by_name():
    found = Detections([A, B, C], [0.9, 0.8, 0.7], [2, 0, 1], ("zebra", "dog", "cat"))
    result = evaluate_voc([found], [sample([A, C], [0, 1])], CLASSES)
    assert result.map_all_point == 1.0
    assert [entry.detections for entry in result.classes] == [1, 1]


def test_either_name_of_a_class_of_coco_is_known():
    """Darknet's models say sofa, COCO's files couch."""
    found = Detections([A, B], [0.9, 0.8], [1, 0], ("cat", "sofa"))
    result = evaluate_voc([found], [sample([A, B], [0, 1])], ("couch", "cat"))
    assert result.map_all_point == 1.0


def test_no_common_class_is_refused():
    found = Detections([A], [0.9], [0], ("zebra",))
    with pytest.raises(ConfigError, match="zebra.*cat, dog"):
        evaluate_voc([found], [sample([A])], CLASSES)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="0 for 1 samples"):
        evaluate_voc([], [sample([A])], CLASSES)


def test_table_and_json():
    names = ("猫", "dog")
    found = Detections([A, FAR], [0.9, 0.4], [0, 0], names)
    result = evaluate_voc([found], [sample([A, B])], names)
    lines = table(result).splitlines()
    assert lines[1].split() == ["猫", "2", "0.5455", "0.5000", "1.0000", "0.5000"]
    assert lines[2].split() == ["mean", "2", "0.5455", "0.5000"]
    assert lines[3] == "without objects: dog"
    assert "x2 - x1 + 1" in lines[5] and "0.5000" in lines[5]
    data = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert data["map_all_point"] == 0.5 and data["classes"][1]["ap_all_point"] is None
    assert data["map_with_inclusive_pixels"]["map_all_point"] == 0.5
    assert data["classes"][0]["recall"] == 0.5


# What others have published.


def read_padilla(folder):
    """His files: `class [score] x y width height` per line, absolute pixels."""
    samples, found = [], []
    for path in sorted((folder / "gts").glob("*.txt")):
        truth = [line.split()[1:] for line in path.read_text().splitlines()]
        lines = (folder / "dets" / path.name).read_text().splitlines()
        answer = np.array([line.split()[1:] for line in lines], float).reshape(-1, 5)
        samples.append(sample(from_xywh(np.array(truth, float).reshape(-1, 4))))
        found.append(detections(from_xywh(answer[:, 1:]), answer[:, 0]))
    return samples, found


def from_xywh(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


@pytest.mark.parametrize("threshold", ["0.1", "0.3", "0.5", "0.75"])
def test_padilla_case(shared, threshold):
    folder = shared / "oracles" / "padilla"
    expected = json.loads((folder / "expected.json").read_text())["voc_case_1"]
    samples, found = read_padilla(folder / "voc_case_1")
    result = evaluate_voc(
        found, samples, CLASSES, iou_threshold=float(threshold), inclusive_pixels=True
    )
    assert result.classes[0].objects == 15 and result.classes[0].detections == 24
    assert result.map_11_point == pytest.approx(expected["eleven_point"][threshold], abs=1e-10)
    assert result.map_all_point == pytest.approx(expected["every_point"][threshold], abs=1e-10)


@pytest.mark.parametrize("threshold, expected", [(0.1, (0.3025, 0.2801)), (0.3, (0.2684, 0.2254))])
def test_padilla_case_with_plain_widths(shared, threshold, expected):
    samples, found = read_padilla(shared / "oracles" / "padilla" / "voc_case_1")
    result = evaluate_voc(found, samples, CLASSES, iou_threshold=threshold)
    assert (result.map_11_point, result.map_all_point) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("inclusive", [True, False])
def test_padilla_toy_example(shared, inclusive):
    folder = shared / "oracles" / "padilla"
    expected = json.loads((folder / "expected.json").read_text())["toyexample"]
    names = (folder / "toyexample" / "voc.names").read_text().split()
    samples, found = [], []
    for path in sorted((folder / "toyexample" / "gts_vocpascal_format").glob("*.xml")):
        boxes, class_ids = [], []
        for element in ElementTree.parse(path).iter("object"):
            corners = [float(element.find("bndbox").find(key).text) for key in KEYS]
            boxes.append(corners)
            class_ids.append(names.index(element.findtext("name")))
        samples.append(sample(boxes, class_ids))
        text = folder / "toyexample" / "dets_classname_abs_xyx2y2" / f"{path.stem}.txt"
        rows = [line.split() for line in text.read_text().splitlines()]
        found.append(
            Detections(
                np.array([row[2:] for row in rows], float),
                [float(row[1]) for row in rows],
                [names.index(row[0]) for row in rows],
                names,
            )
        )
    for threshold, key in ((0.5, "cat_AP50"), (0.75, "cat_AP75")):
        result = evaluate_voc(
            found, samples, names, iou_threshold=threshold, inclusive_pixels=inclusive
        )
        cat = result.classes[names.index("cat")]
        assert cat.ap_11_point == pytest.approx(expected[f"{key}_eleven_point"], abs=5e-5)
        assert cat.ap_all_point == pytest.approx(expected[f"{key}_every_point"], abs=5e-5)


KEYS = ("xmin", "ymin", "xmax", "ymax")


def test_the_score_to_keep_to_lies_between_hits_and_misses(labelled, detected):
    box, other = [0, 0, 20, 20], [30, 30, 50, 50]
    samples = [labelled("a", (0, box, False))]
    found = [detected((0, box, 0.8), (0, other, 0.4))]
    result = evaluate_voc(found, samples, ("cat", "dog"))
    assert 0.4 < result.best_score < 0.41 and result.score_between == pytest.approx(0.6, abs=0.01)
    nothing = evaluate_voc([detected()], samples, ("cat", "dog"))
    assert nothing.best_score == nothing.score_between == 0.0
