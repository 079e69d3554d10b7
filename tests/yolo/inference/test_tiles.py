"""Tiles: the whole picture is covered, small objects are found once each."""

import json

import cv2
import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.boxes.pairwise import pairwise_iou
from yolo.errors import ConfigError
from yolo.inference import tiles
from yolo.inference.predictor import predict_frames
from yolo.pictures.files import read_image


@pytest.mark.parametrize("size", [(10, 10), (11, 10), (100, 37), (640, 1000), (401, 399)])
@pytest.mark.parametrize("tile", [(10, 10), (64, 128)])
def test_windows_cover_the_picture_and_overlap(size, tile):
    found = tiles.windows(size, tile, overlap=0.25)
    covered = np.zeros(size, int)
    for x1, y1, x2, y2 in found:
        assert 0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]
        assert (y2 - y1, x2 - x1) == (min(tile[0], size[0]), min(tile[1], size[1]))
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    for low, high, side in [(0, 2, tile[1]), (1, 3, tile[0])]:
        starts, ends = np.unique(found[:, low]), np.unique(found[:, high])
        assert (ends[:-1] - starts[1:] >= 0.25 * min(side, ends[0])).all()


def test_a_picture_no_larger_than_a_tile_is_one_window():
    assert tiles.windows((30, 20), (30, 20)).tolist() == [[0, 0, 20, 30]]


@pytest.mark.parametrize("tile, overlap", [((0, 5), 0.2), ((5, 5), 0.95), ((5, 5), -0.1)])
def test_tiles_that_are_none(tile, overlap):
    with pytest.raises(ConfigError, match="overlap in"):
        tiles.windows((10, 10), tile, overlap=overlap)


def test_a_large_picture_keeps_its_small_objects(spot_finder, spots):
    """The network sees 6000 x 4000 pixels as 128 x 96; spots of 12 pixels vanish in it."""
    rng = np.random.default_rng(0)
    corners = [(x + rng.integers(0, 300), y + rng.integers(0, 300))
               for x in range(100, 5600, 700) for y in range(100, 3600, 700)]  # fmt: skip
    small = [(int(x), int(y), int(x) + 12, int(y) + 14) for x, y in corners]
    large = (5000, 3700, 5900, 3990)  # larger than a tile: only the whole picture shows it
    image = spots((4000, 6000), [*small, large])
    model = spot_finder()
    thresholds = {"score_threshold": 0.25, "iou_threshold": 0.45, "max_detections": 100}
    ((_, whole),) = predict_frames(model, [image], batch_size=1, **thresholds)
    assert len(whole) == 1
    ((_, found),) = predict_frames(model, [image], tile=(384, 512), batch_size=16, **thresholds)
    iou = pairwise_iou(np.array([*small, large]), found.boxes_xyxy)
    assert (iou.max(axis=1)[:-1] > 0.5).all() and iou.max(axis=1)[-1] > 0.8
    near_small = pairwise_iou(np.array(small), found.boxes_xyxy) > 0.2
    assert (near_small.sum(axis=1) == 1).all(), "each small object once"
    assert set(model.batches[1:]) == {16}, "one batch size, whatever the number of tiles"


def test_an_object_on_the_seams_is_found_once(spot_finder, spots):
    boxes = [(180, 140, 220, 170), (370, 290, 400, 310)]
    image = spots((400, 500), boxes)
    found = tiles.detect_tiled(
        spot_finder(),
        image,
        (192, 256),
        score_threshold=0.25,
        iou_threshold=0.45,
        max_detections=100,
    ).where(classes="cat")  # fmt: skip  (a slice at an edge may look like a dog)
    assert len(found) == 2
    assert pairwise_iou(np.array(boxes), found.boxes_xyxy).max(axis=1).min() > 0.75


def test_limits_hold_for_the_picture(spot_finder, spots):
    image = spots((400, 500), [(x, 100, x + 20, 120) for x in range(10, 480, 50)])
    settings = {"score_threshold": 0.25, "iou_threshold": 0.45}
    found = tiles.detect_tiled(spot_finder(), image, (192, 256), max_detections=3, **settings)
    assert len(found) == 3
    nothing = tiles.detect_tiled(spot_finder(), spots((40, 50), []), (19, 25), max_detections=3,
                                 **settings)  # fmt: skip
    assert len(nothing) == 0 and nothing.class_names == ("cat", "dog")


def test_a_part_gives_way_to_the_whole_even_if_it_scores_more():
    whole, part, other = [0, 0, 100, 50], [0, 0, 40, 50], [300, 0, 340, 50]
    found = Detections([whole, part, part, other], [0.6, 0.9, 0.8, 0.5], [0, 0, 1, 0], ("a", "b"))
    cut = np.array([False, True, True, True])
    kept = tiles.merge(found, cut, iou_threshold=0.45)
    assert kept.boxes_xyxy.tolist() == [part, whole, other]
    assert kept.labels == ["b", "a", "a"], "another class, and a part without a whole, stay"


def test_what_is_sure_does_not_hang_on_what_is_not():
    """Far below what is shown, something covers everything."""
    whole, part, lesser = [0, 0, 100, 50], [0, 0, 40, 50], [60, 0, 100, 50]
    found = Detections([whole, part, lesser], [0.01, 0.9, 0.005], [0, 0, 0], ("a",))
    cut = np.array([False, True, True])
    kept = tiles.merge(found, cut, iou_threshold=0.45, sure=0.25)
    assert kept.boxes_xyxy.tolist() == [part, whole], "the lesser part gave way"
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 60, (300, 2))], 1)
    many = Detections(boxes, rng.uniform(0, 1, 300), rng.integers(0, 2, 300), ("a", "b"))
    cut, sure = rng.uniform(size=300) < 0.5, many.scores >= 0.25
    for options in ({}, {"one_label": True}):
        options |= {"iou_threshold": 0.45, "sure": 0.25}
        every = tiles.merge(many, cut, **options).where(score=0.25)
        alone = tiles.merge(many[sure], cut[sure], **options)
        assert every.to_json() == alone.to_json() and 10 < len(alone) < sure.sum()


def test_nothing_merges_to_nothing():
    kept = tiles.merge(Detections.empty(("a",)), np.zeros(0, bool), iou_threshold=0.5)
    assert len(kept) == 0


def test_real_weights_find_more_in_tiles(shared):
    """Twelve COCO pictures on one sheet: a network of 416 pixels sees the sheet's objects small."""
    from yolo.weights import loading

    folder = shared / "data" / "coco_val2017_lightly128"
    weights = shared / "weights" / "yolov4_tiny_coco" / "yolov4-tiny.weights"
    (listed,) = (folder / "annotations").glob("*.json")
    data = json.loads(listed.read_text(encoding="utf-8"))
    sheet, truth = np.zeros((3 * 480, 4 * 640, 3), np.uint8), []
    for n, entry in enumerate(data["images"][:12]):
        image = read_image(folder / "val2017" / entry["file_name"])
        left, top = n % 4 * 640, n // 4 * 480
        sheet[top : top + 480, left : left + 640] = cv2.resize(image, (640, 480))
        scale = np.array([640 / image.shape[1], 480 / image.shape[0]] * 2)
        for item in data["annotations"]:
            if item["image_id"] == entry["id"] and not item["iscrowd"]:
                x, y, w, h = item["bbox"]
                box = np.array([x, y, x + w, y + h]) * scale
                truth.append(box + (left, top, left, top))
    model = loading.load(weights)
    hits = {}
    for tile in (None, (640, 640)):
        ((_, found),) = predict_frames(model, [sheet], tile=tile, batch_size=4, max_detections=1000)
        iou = pairwise_iou(np.array(truth), found.boxes_xyxy)
        hits[tile] = int((iou.max(axis=1) > 0.5).sum())
    # 40 and 21 of 95 objects when this was written.
    assert hits[640, 640] >= 1.5 * hits[None] and hits[640, 640] > 30, (hits, len(truth))
