"""`Detector.detect` and `predict_raw`: what they take, from how many threads, what they refuse."""

import keras
import numpy as np
import pytest
from PIL import Image

import yolo
from tests.yolo.helpers import seen_from_threads
from yolo.models import postprocess
from yolo.pictures.files import write_image


def _model():
    keras.utils.set_random_seed(0)
    return yolo.build("yolov4-tiny", classes=["green", "red"], image_size=(64, 64))


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 64, 64, 3), (2, 100, 50, 3)])
def test_detect_takes_pictures_of_any_size(shape):
    found = _model().detect(np.zeros(shape, "uint8"), score_threshold=0.0)
    height, width = shape[-3:-1]
    assert len(found) == (shape[0] if len(shape) == 4 else 1)
    for one in found:
        assert 0 < len(one) <= 100
        assert one.boxes_xyxy.min() >= 0
        assert (one.boxes_xyxy <= [width, height, width, height]).all()


def test_boxes_reach_over_the_edge_unless_they_are_cut():
    model, picture = _model(), np.zeros((1, 64, 64, 3), "uint8")
    whole = model.detect(picture, score_threshold=0.0, clip=False)[0].boxes_xyxy
    assert whole.min() < 0 and whole.max() > 64
    cut = model.detect(picture, score_threshold=0.0)[0].boxes_xyxy
    np.testing.assert_array_equal(cut, np.clip(whole, 0, 64))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("size", [(96, 128), (192, 192)])
def test_detect_takes_pictures_of_any_kind_of_numbers(spot_finder, dtype, size):
    picture = np.full((*size, 3), 30, "uint8")
    picture[40:60, 50:80] = (255, 0, 0)
    expected, found = (
        postprocess.detect(spot_finder(), p, score_threshold=0.5)[0]
        for p in (picture, picture.astype(dtype))
    )
    assert len(expected) == 1
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)


def test_threads_share_one_trace_and_find_what_one_does():
    pictures = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    model, alone = _model(), _model()
    expected = [alone.predict_raw(picture[None]) for picture in pictures]
    for answers in seen_from_threads(model, pictures):
        for found, wanted in zip(answers, expected, strict=True):
            for key in ("boxes", "scores"):
                np.testing.assert_array_equal(found[key], wanted[key])
    assert len(model._frozen()._graphs) == 1


def test_detect_of_nothing():
    assert _model().detect(np.zeros((0, 64, 64, 3), "uint8")) == []


def test_detect_takes_pictures_of_several_sizes_and_kinds_at_once(tmp_path):
    model = _model()
    colour = np.random.default_rng(0).integers(0, 255, (40, 70, 3), np.uint8)
    write_image(tmp_path / "p.png", colour)
    given = [colour, np.zeros((64, 64), "uint8"), tmp_path / "p.png", Image.fromarray(colour)]
    found = model.detect(given, score_threshold=0.0)
    assert len(found) == 4 and len(found[0]) > 0
    for one in (2, 3):
        np.testing.assert_allclose(found[one].boxes_xyxy, found[0].boxes_xyxy, atol=1e-4)
    (alone,) = model.detect(str(tmp_path / "p.png"), score_threshold=0.0)
    np.testing.assert_allclose(alone.boxes_xyxy, found[0].boxes_xyxy, atol=1e-4)
    assert model.detect([]) == []


def test_weights_that_are_no_numbers_are_named_where_nothing_was_found():
    model = _model()
    weights = model.network.get_layer("head_conv_020")
    weights.set_weights([part * np.nan for part in weights.get_weights()])
    with pytest.raises(ValueError, match=r"no numbers \(NaN\): its weights"):
        model.detect(np.zeros((64, 64, 3), "uint8"))


def test_boxes_that_are_no_numbers_are_named_though_scores_are_some():
    """A RetinaNet's boxes have a subnet of their own, which a training may destroy alone."""
    model = yolo.build("retinanet-csp-tiny", classes=["a"], image_size=(64, 64))
    layer = model.network.get_layer("box_deltas")
    layer.set_weights([part * np.nan for part in layer.get_weights()])
    with pytest.raises(ValueError, match=r"boxes that are no numbers \(NaN\): its weights"):
        model.detect(np.zeros((64, 64, 3), "uint8"))


def test_pictures_are_drawn_on_the_background_that_they_were_looked_at_on():
    model = _model()
    model.notes = {"background": [0, 0, 0]}
    (drawn,) = model.detect(np.zeros((64, 64, 4), "uint8"), score_threshold=1.0).plot()
    assert not drawn.any()


@pytest.mark.parametrize(
    "images, words",
    [
        (np.zeros((1, 50, 64, 3), "uint8"), "multiples of 32, received 50x64.* to 64x64"),
        (np.zeros((64, 64, 3), "uint8"), r"received \(64, 64, 3\); write detect\(images\)"),
        (np.full((1, 64, 64, 3), 0.5), "multiply by 255"),
        (np.full((1, 64, 64, 3), np.nan), "not finite"),
    ],
)
def test_predict_raw_refuses_what_the_network_does_not_take(images, words):
    with pytest.raises(ValueError, match=words):
        _model().predict_raw(images)
    with pytest.raises(ValueError, match=words):
        _model().predict(images, verbose=0)
