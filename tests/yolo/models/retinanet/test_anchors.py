"""Anchors of every profile, and the coding of boxes against them."""

import numpy as np
import pytest

from yolo.models.retinanet.decode import decode, decode_boxes, encode_boxes, make_anchors
from yolo.models.retinanet.settings import PROFILES, from_profile

PAPER = from_profile("paper")


@pytest.mark.parametrize(
    "size, count",
    [((512, 512), 49104), ((600, 600), 67995), ((640, 640), 76725), ((800, 800), 120087),
     ((800, 1333), 200700)],
)  # fmt: skip
@pytest.mark.parametrize("profile", PROFILES)
def test_the_number_of_anchors_is_the_papers(profile, size, count):
    assert make_anchors(from_profile(profile), size).shape == (count, 4)


def test_the_first_anchors_by_hand():
    anchors = np.array(make_anchors(PAPER, (64, 64)))
    half, wide, high = 16.0, 16 * 2**0.5, 16 / 2**0.5
    # The first cell's centre is (4, 4); ratio 0.5 is half as high as wide.
    np.testing.assert_allclose(anchors[0], [4 - wide, 4 - high, 4 + wide, 4 + high], rtol=1e-6)
    np.testing.assert_allclose(anchors[3], [4 - half, 4 - half, 4 + half, 4 + half], rtol=1e-6)
    np.testing.assert_allclose(anchors[6], [4 - high, 4 - wide, 4 + high, 4 + wide], rtol=1e-6)
    larger = half * 2 ** (1 / 3)
    np.testing.assert_allclose(anchors[4], [4 - larger, 4 - larger, 4 + larger, 4 + larger])
    np.testing.assert_allclose(anchors[9 + 3], anchors[3] + [8, 0, 8, 0])  # along the row first
    np.testing.assert_allclose(anchors[8 * 9 + 3], anchors[3] + [0, 8, 0, 8])
    np.testing.assert_allclose(anchors[-6], [64 - 256, 64 - 256, 64 + 256, 64 + 256], rtol=1e-6)


def test_profiles_differ_where_their_sources_do():
    paper = np.array(make_anchors(PAPER, (800, 800)))
    corner = np.array(make_anchors(from_profile(anchor_offset=0.0), (800, 800)))
    np.testing.assert_allclose(corner[:9], paper[:9] - 4.0, atol=1e-4)
    rounded = np.array(make_anchors(from_profile("torchvision-v1"), (800, 800)))
    # torchvision: sizes 32, 40 and 50, whole corners; at 800 the steps of P6 and P7 are 800 // 13
    # and 800 // 7.
    np.testing.assert_array_equal(rounded[3:6, 2], [16, 20, 25])
    np.testing.assert_array_equal(rounded, np.round(rounded))
    p6 = 9 * (100**2 + 50**2 + 25**2)
    assert (rounded[p6 + 9] - rounded[p6])[0] == 61 and (rounded[-9] - rounded[-18])[0] == 114


def test_encode_then_decode_is_the_identity():
    config = PAPER
    rng = np.random.default_rng(0)
    anchors = np.array(make_anchors(config, (256, 320)))
    corner = rng.uniform(-40, 300, (len(anchors), 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 200, (len(anchors), 2))], 1)
    boxes = boxes.astype("float32")
    size = anchors[:, 2:] - anchors[:, :2]
    boxes[:, 2:] = np.minimum(boxes[:, 2:], boxes[:, :2] + 60 * size)  # within the clamp
    again = np.array(decode_boxes(config, encode_boxes(boxes, anchors), anchors))
    scale = np.abs(boxes).max(axis=1, keepdims=True) + 1
    assert (np.abs(again - boxes) / scale).max() < 1e-5


def test_coding_by_hand():
    anchor = np.array([[10.0, 20.0, 30.0, 60.0]], "float32")  # 20 x 40, centre (20, 40)
    box = np.array([[15.0, 40.0, 55.0, 60.0]], "float32")  # 40 x 20, centre (35, 50)
    centre = encode_boxes(box, anchor)
    np.testing.assert_allclose(centre, [[0.75, 0.25, np.log(2), np.log(0.5)]], rtol=1e-6)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("value", [-100.0, 100.0])
def test_wild_outputs_decode_to_finite_boxes(profile, value):
    config = from_profile(profile)
    anchors = make_anchors(config, (64, 64))
    deltas = np.full(anchors.shape, value, "float32")
    assert np.isfinite(decode_boxes(config, deltas, anchors)).all()


def test_decoding_keeps_the_best_pairs_of_each_level():
    config = from_profile("paper", candidates=5)
    anchors = np.array(make_anchors(config, (32, 32)))
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (2, len(anchors), 3)).astype("float32")
    deltas = rng.normal(0, 0.2, (2, len(anchors), 4)).astype("float32")
    found = decode(config, {"class_logits": logits, "box_deltas": deltas}, (32, 32))
    boxes, scores = np.array(found["boxes"]), np.array(found["scores"])
    assert boxes.shape == (2, 25, 4) and scores.shape == (2, 25, 3)
    every = np.array(decode_boxes(config, deltas, anchors))
    start = 0
    for level, count in enumerate((16 * 9, 4 * 9, 9, 9, 9)):
        probability = 1 / (1 + np.exp(-logits[0, start : start + count].astype("float64")))
        best = np.sort(probability.reshape(-1))[-5:]
        rows = slice(5 * level, 5 * level + 5)
        mine = scores[0, rows]
        np.testing.assert_allclose(np.sort(mine[mine > 0]), best, rtol=1e-5)
        for box, row in zip(boxes[0, rows], mine, strict=True):
            if row.max() > 0:
                anchor, label = np.argwhere(np.isclose(probability, row.max(), rtol=1e-6))[0]
                assert row.argmax() == label
                np.testing.assert_allclose(box, every[0, start + anchor], rtol=1e-4, atol=1e-3)
        start += count
