"""What counts as the same model, on arrays made by hand."""

import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.errors import YoloError
from yolo.export.compare import LIMITS, check_difference, check_suppression, compare, rounding
from yolo.export.info import ExportInfo
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.thresholds import Thresholds

BOXES = np.float32([[10, 10, 30, 30], [11, 10, 30, 30], [40, 40, 60, 60], [0, 0, 5, 5]])
SCORES = np.float32([[0.9, 0.1], [0.8, 0.1], [0.1, 0.7], [0.01, 0.02]])


class Fixed:
    """Gives the same boxes and scores for every picture."""

    resize, image_size = "stretch", (64, 96)
    thresholds = Thresholds(score_threshold=0.25, iou_threshold=0.45)

    def __init__(self, boxes=BOXES, scores=SCORES, inside=None, dynamic=False):
        self.raw, self.inside, self.shapes = {"boxes": boxes, "scores": scores}, inside, []
        self.info = ExportInfo(
            "onnx", "m", ("a", "b"), self.image_size, "stretch", *self.thresholds, dynamic
        )

    def predict_raw(self, images):
        self.shapes.append(images.shape)
        return {name: np.stack([array] * len(images)) for name, array in self.raw.items()}

    def detect_inside(self, images, *, score_threshold):
        return [Detections(*self.inside, ("a", "b"))]


PICTURE = np.zeros((32, 32, 3), np.uint8)


def test_the_same_is_no_difference():
    found = compare(Fixed(), Fixed(), PICTURE)
    assert (found.score, found.score_mean, found.box_pixels, found.box_share) == (0, 0, 0, 0)
    check_difference(found, "none")
    assert "at most 0 pixels" in str(found)


def test_free_sizes_are_tried_in_another_size_and_number():
    keras_model, exported = Fixed(), Fixed(dynamic=True)
    compare(keras_model, exported, PICTURE)
    assert keras_model.shapes == exported.shapes == [(1, 64, 96, 3), (2, 96, 160, 3)]


def test_differences_are_the_greatest_of_the_boxes_that_matter():
    boxes, scores = BOXES.copy(), SCORES.copy()
    boxes[2, 3] += 4.8
    scores[0, 1] += 0.05
    found = compare(Fixed(), Fixed(boxes, scores), PICTURE)
    assert found.box_pixels == pytest.approx(4.8, abs=1e-4)
    assert found.box_share == pytest.approx(0.05, abs=1e-4)
    assert found.score == pytest.approx(0.05) and found.score_mean == pytest.approx(0.05 / 8)


def test_a_box_larger_than_the_picture_is_measured_by_its_own_size():
    huge, off = BOXES.copy(), BOXES.copy()
    huge[0, 2], off[0, 2] = 10_010, 9_910
    found = compare(Fixed(huge), Fixed(off), PICTURE)
    assert found.box_pixels == 100 and found.box_share == pytest.approx(0.01)


# A RetinaNet that looks at two candidates a level: ten rows, each level's by score.
TEN_BOXES = np.float32([[i, 2 * i, 20 + i, 30 + 2 * i] for i in range(0, 30, 3)])
TEN_SCORES = np.float32([
    [0.9, 0.3], [0.5, 0.2],  [0.8, 0.0], [0.7, 0.6],  [0.4, 0.1], [0.3, 0.0],
    [0.2, 0.1], [0.1, 0.0],  [0.2, 0.0], [0.1, 0.05],
])  # fmt: skip


class Candidates(Fixed):
    """Gives the best candidates of each level, as a RetinaNet does."""

    architecture = RetinaNetConfig(candidates=2)

    def __init__(self, boxes=TEN_BOXES, scores=TEN_SCORES, **options):
        super().__init__(boxes, scores, **options)


def test_the_order_of_candidates_in_a_level_means_nothing():
    swapped = [1, 0, *range(2, 10)]
    found = compare(Candidates(), Candidates(TEN_BOXES[swapped], TEN_SCORES[swapped]), PICTURE)
    assert (found.score, found.score_mean, found.box_pixels) == (0, 0, 0)
    elsewhere = [2, 1, 0, *range(3, 10)]  # two levels have exchanged their best
    found = compare(Candidates(), Candidates(TEN_BOXES[elsewhere], TEN_SCORES[elsewhere]), PICTURE)
    assert found.box_pixels > 1 and found.score > 0.1


def test_a_candidates_score_that_was_cut_counts_as_the_least_of_its_level():
    cut = TEN_SCORES.copy()
    cut[0, 1], cut[1, 1] = 0.0, 0.19  # 0.3 is cut while 0.19 is kept: a difference of 0.11
    found = compare(Candidates(), Candidates(scores=cut), PICTURE)
    assert found.score == pytest.approx(0.11)
    cut = TEN_SCORES.copy()
    cut[1, 1] = 0.0  # the least of its level: the next one above it is 0.3
    assert compare(Candidates(), Candidates(scores=cut), PICTURE).score == pytest.approx(0.1)
    cut = TEN_SCORES.copy()
    cut[9, 1] = 0.0  # 0.05, where the next is 0.1
    assert compare(Candidates(), Candidates(scores=cut), PICTURE).score == pytest.approx(0.05)


def test_candidates_that_moved_or_are_none_of_the_models_are_seen_both_ways():
    boxes = TEN_BOXES.copy()
    boxes[3, 2] += 1.5
    found = compare(Candidates(), Candidates(boxes), PICTURE)
    assert found.box_pixels == pytest.approx(1.5) and found.score == 0
    wrong = TEN_SCORES.copy()
    wrong[7] = (0.1, 0.95)  # a sure object that Keras does not see
    for pair in (
        (Candidates(), Candidates(scores=wrong)),
        (Candidates(scores=wrong), Candidates()),
    ):
        assert compare(*pair, PICTURE).score > 0.8


@pytest.mark.parametrize("quantize", LIMITS)
@pytest.mark.parametrize("excess", [0.9, 1.1])
def test_too_much_is_refused(quantize, excess):
    score, box = LIMITS[quantize]
    for shift_scores, shift_boxes in ((score * excess, 0), (0, box * 96 * excess)):
        shifted = Fixed(BOXES + np.float32(shift_boxes), SCORES + np.float32(shift_scores))
        found = compare(Fixed(), shifted, PICTURE)
        if excess < 1:
            check_difference(found, quantize)
            continue
        with pytest.raises(YoloError, match="nothing was written"):
            check_difference(found, quantize)


class Wide(Fixed):
    """A network in which the last digit of a picture changes a score by so much."""

    def __init__(self, widened, **what):
        super().__init__(**what)
        self.widened = widened

    def predict_raw(self, images):
        raw = super().predict_raw(images)
        scores = raw["scores"] + self.widened * (images.max() < 255)
        return raw | {"scores": scores.astype(np.float32)}


def test_roundings_that_a_network_widens_itself_are_no_fault_of_the_file():
    white = np.full((32, 32, 3), 255, np.uint8)
    shifted = Fixed(scores=SCORES + np.float32(0.003))
    found = compare(Fixed(), shifted, white)
    for widened, good in ((0.001, True), (0.0005, False)):
        wide = Wide(widened)
        assert rounding(wide, shifted, white).score == pytest.approx(widened, rel=1e-3)
        if good:
            check_difference(found, "none", lambda: rounding(wide, shifted, white))  # noqa: B023
            continue
        with pytest.raises(YoloError, match="nothing was written"):
            check_difference(found, "none", lambda: rounding(wide, shifted, white))  # noqa: B023


def test_other_shapes_and_numbers_that_are_none():
    with pytest.raises(YoloError, match=r"boxes of shape \(1, 3, 4\), Keras \(1, 4, 4\)"):
        compare(Fixed(), Fixed(BOXES[:3]), PICTURE)
    broken = SCORES.copy()
    broken[3, 0] = np.nan
    with pytest.raises(YoloError, match="scores that are not finite"):
        compare(Fixed(), Fixed(scores=broken), PICTURE)


INSIDE = (BOXES[[0, 2, 0, 2, 3]], [0.9, 0.7, 0.12, 0.1, 0.02], [0, 1, 1, 0, 1])


def test_suppression_is_held_against_ours():
    # The threshold is the least of all scores, which suppression leaves out: greater is asked.
    scores = np.float32([[0.9, 0.12], [0.8, 0.11], [0.1, 0.7], [0.01, 0.02]])
    assert check_suppression(Fixed(scores=scores, inside=INSIDE), PICTURE) == 5
    boxes, values, class_ids = INSIDE
    for wrong in (
        tuple(part[:4] for part in INSIDE),
        (boxes, values, [0, 1, 1, 0, 0]),
        (boxes + 1, values, class_ids),
    ):
        with pytest.raises(YoloError, match="suppression inside the file"):
            check_suppression(Fixed(scores=scores, inside=wrong), PICTURE)


def test_of_equal_scores_either_may_be_kept():
    equal = np.float32([[0.9, 0.1], [0.9, 0.1], [0.1, 0.7], [0.01, 0.02]])
    other = (BOXES[[1, 2]], [0.9, 0.7], [0, 1])
    assert check_suppression(Fixed(scores=equal, inside=other), PICTURE) == 5
    with pytest.raises(YoloError, match="suppression inside the file"):
        check_suppression(Fixed(scores=equal, inside=(BOXES[[2]], [0.7], [1])), PICTURE)
