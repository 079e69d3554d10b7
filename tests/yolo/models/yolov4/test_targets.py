"""Which anchors answer for which objects."""

import numpy as np
import tensorflow as tf

from yolo.models.anchor_loss import AnchorLoss
from yolo.models.yolov4.loss import detection_loss
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS, YOLOv4Config, YOLOv4Loss
from yolo.models.yolov4.targets import assign, matched_anchors

SIZE = (64, 96)  # whose maps are 4x6 and 2x3
ANCHORS = 4 * 6 * 3 + 2 * 3 * 3


def _config(masks="custom"):
    return YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS[masks])


def _assign(boxes, classes, *, positive_iou=1.0, masks="custom"):
    boxes = np.array(boxes, "float32").reshape(1, -1, 4)
    classes = np.array(classes, "int32").reshape(1, -1)
    settings = YOLOv4Loss(positive_iou=positive_iou)
    targets = assign(_config(masks), settings, SIZE, boxes, classes)
    pairs = np.argwhere(np.array(targets.positive)[0] > 0)
    anchors = np.array(targets.anchor)[0]
    return targets, [(int(m), int(anchors[m, s])) for m, s in pairs]


def test_no_objects():
    targets, pairs = _assign(np.zeros((0, 4)), [])
    assert pairs == [] and not np.array(targets.valid).any()


def test_padding_is_nobodys():
    _, pairs = _assign([[0, 0, 0, 0], [10, 10, 33, 37]], [-1, -1])
    assert pairs == []


def test_the_best_shape_in_the_cell_of_the_centre():
    # 23 x 27 is anchor 1, a slot of stride 16; its centre (57, 33) lies in column 3, row 2
    _, pairs = _assign([[45.5, 19.5, 68.5, 46.5]], [0])
    assert pairs == [(0, (2 * 6 + 3) * 3 + 1)]


def test_a_large_object_belongs_to_the_coarse_map():
    # 80 x 60 is nearest to anchor 3 (81 x 82), slot 0 of stride 32;
    # its centre (48, 32) lies in column 1, row 1
    _, pairs = _assign([[8, 2, 88, 62]], [1])
    assert pairs == [(0, 4 * 6 * 3 + (1 * 3 + 1) * 3 + 0)]


def test_every_anchor_of_like_shape_is_positive_when_asked():
    box = [[45.5, 19.5, 68.5, 46.5]]
    _, pairs = _assign(box, [0], positive_iou=0.2)
    # shape IoU of 23 x 27 with 10 x 14 is 140 / 621 = 0.225, with 37 x 58 it is 621 / 2146 = 0.29
    cell = (2 * 6 + 3) * 3
    assert pairs == [(0, cell), (0, cell + 1), (0, cell + 2)]
    _, pairs = _assign(box, [0], positive_iou=0.26)
    assert pairs == [(0, cell + 1), (0, cell + 2)]


def test_an_anchor_on_two_maps_is_positive_on_both():
    # In Darknet's COCO masks anchor 3 (81 x 82) stands at both strides.
    _, pairs = _assign([[8, -9, 89, 73]], [0], masks="coco")
    assert pairs == [(0, (2 * 6 + 3) * 3 + 2), (0, 72 + (1 * 3 + 1) * 3 + 0)]


def test_an_object_whose_best_anchor_no_map_predicts_takes_the_next():
    # 10 x 14 is anchor 0, which the COCO masks leave out; anchor 1 (23 x 27) is next.
    _, pairs = _assign([[0, 0, 10, 14]], [0], masks="coco")
    assert pairs == [(0, 0)]


def test_two_objects_may_claim_one_anchor():
    _, pairs = _assign([[45.5, 19.5, 68.5, 46.5], [45.0, 19.5, 68.0, 46.5]], [0, 1])
    assert [anchor for _, anchor in pairs] == [(2 * 6 + 3) * 3 + 1] * 2


def test_centres_on_the_edge_stay_inside_the_map():
    _, pairs = _assign([[90, 60, 102, 68], [-6, -4, 6, 4]], [0, 0])
    assert pairs[0][1] < ANCHORS and pairs[1][1] == 0


def test_matched_anchors_are_boxes_in_the_cells_that_learn():
    settings = YOLOv4Loss(positive_iou=1.0)
    boxes = np.float32([[[45.5, 19.5, 68.5, 46.5], [8, 2, 88, 62], [0, 0, 0, 0]],
                        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]])  # fmt: skip
    ids = np.int32([[0, 1, -1], [-1, -1, -1]])
    first, second = matched_anchors(_config(), settings, (64, 96), boxes, ids)
    # Stride 16, column 3, row 2: centre (56, 40); stride 32, column 1, row 1: centre (48, 48).
    assert first.tolist() == [
        [56 - 11.5, 40 - 13.5, 56 + 11.5, 40 + 13.5], [48 - 40.5, 48 - 41, 48 + 40.5, 48 + 41],
    ]  # fmt: skip
    assert second.shape == (0, 4)
    many, _ = matched_anchors(_config(), YOLOv4Loss(positive_iou=0.1), (64, 96), boxes, ids)
    assert len(many) > 2


def largest_tensor(objects):
    """Return the elements of the largest tensor in the graph of the loss and its gradient."""
    config = _config()
    sizes = {16: 38, 32: 19}
    maps = {
        stride: tf.TensorSpec((2, side, side, len(config.mask(stride)) * 85))
        for stride, side in sizes.items()
    }

    @tf.function
    def step(maps, boxes, classes):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            parts = detection_loss(
                config, YOLOv4Loss(), maps, (608, 608), {"boxes": boxes, "classes": classes},
                anchor_loss=AnchorLoss("cross-entropy"),
            )  # fmt: skip
            total = sum(parts.values())
        return tape.gradient(total, maps)

    graph = step.get_concrete_function(
        maps, tf.TensorSpec((2, objects, 4)), tf.TensorSpec((2, objects), tf.int32)
    ).graph
    outputs = [output for op in graph.get_operations() for output in op.outputs]
    return max(output.shape.num_elements() or 0 for output in outputs)


def test_matching_makes_nothing_larger_than_the_maps_however_many_objects():
    anchors = 2 * 3 * (38 * 38 + 19 * 19)
    for objects in (2, 200):
        # the maps themselves, one block of objects against all anchors, and the list of pairs
        assert largest_tensor(objects) <= max(anchors * 85, 2 * objects * 6 * 85)
