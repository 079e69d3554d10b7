"""Heads that start from those of another detector: the same boxes, and classes by their names."""

import numpy as np
import pytest

import yolo
from tests.yolo.weights.test_torchvision import state_dict
from yolo.weights import darknet, heads, loading, torchvision
from yolo.weights.heads import Meaning, shared_classes

SIZE = (64, 64)
OURS = [(12, 11), (20, 30), (40, 44), (50, 90), (61, 60), (200, 210)]


def tiny(classes, **options):
    return yolo.build("yolov4-tiny", classes=classes, image_size=SIZE, **options)


def drawn(model):
    """Give a model's heads weights that make every anchor's outputs others."""
    rng = np.random.default_rng(3)
    for layer in model.network.layers:
        if hasattr(layer, "outputs_per_anchor"):
            layer.set_weights([rng.normal(0, 0.2, w.shape) for w in layer.get_weights()])
    return model


def predicted(model):
    image = np.random.default_rng(0).integers(0, 255, (1, *SIZE, 3), np.uint8)
    return model.predict_raw(image)


def test_shared_classes_go_by_name_and_equal_lists_by_place():
    assert shared_classes(("Dog", "bird"), ("cat", "dog")) == [(0, 1)]
    assert shared_classes(("a", "A"), ("a", "A")) == [(0, 0), (1, 1)]
    assert shared_classes((), ("a",)) == []


@pytest.mark.parametrize("kind", ["keras", "weights"])
def test_boxes_lie_as_before_under_other_anchors_and_masks(kind, tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    theirs = drawn(tiny(["cat", "dog"]))
    path = tmp_path / f"theirs.{kind}"
    theirs.save(path) if kind == "keras" else darknet.save(theirs, path)
    ours = tiny(["cat", "dog"], anchors=OURS)
    loading.start_from(ours, path)
    assert "boxes were moved" in caplog.text
    # fine map: 4 x 4 cells of 3 anchors, then the coarse one of 2 x 2
    sources = [[0, 1, 2], [0, 0, 1]]  # whose shape is most like: 50x90 and 61x60 are like 81x82
    before, after = predicted(theirs), predicted(ours)
    start = 0
    for cells, source in zip((16, 4), sources, strict=True):
        part = slice(start, start + 3 * cells)
        for name in ("boxes", "scores"):
            old = before[name][0, part].reshape(cells, 3, -1)[:, source]
            new = after[name][0, part].reshape(cells, 3, -1)
            np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4)
        start += 3 * cells


def test_equal_anchors_leave_every_number(tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    theirs = drawn(tiny(["cat", "dog"]))
    darknet.save(theirs, tmp_path / "theirs.weights")
    ours = tiny(["cat", "dog"])
    loading.start_from(ours, tmp_path / "theirs.weights")
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "moved" not in caplog.text


def test_class_logits_of_names_that_both_know_are_kept(tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    theirs = drawn(tiny(["cat", "dog", "bird"]))
    darknet.save(theirs, tmp_path / "theirs.weights")
    (tmp_path / "theirs.names").write_text("cat\ndog\nbird\n", encoding="utf-8")
    ours = tiny(["person", "Bird"])
    fresh = ours.network.get_layer("head_conv_017").get_weights()[0]
    loading.start_from(ours, tmp_path / "theirs.weights")
    kernel = ours.network.get_layer("head_conv_017").get_weights()[0].reshape(-1, 3, 7)
    given = theirs.network.get_layer("head_conv_017").get_weights()[0].reshape(-1, 3, 8)
    np.testing.assert_array_equal(kernel[..., :5], given[..., :5])
    np.testing.assert_array_equal(kernel[..., 6], given[..., 7])
    np.testing.assert_array_equal(kernel[..., 5], fresh.reshape(-1, 3, 7)[..., 5])
    assert "class logits of 1 of 2 classes kept by name (Bird), 1 fresh" in caplog.text


def test_class_logits_of_a_retinanet_are_kept_by_name(tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    options = {"image_size": SIZE, "channels": 32, "profile": "torchvision-v1"}
    theirs = yolo.build("retinanet-r18", classes=["cat", "dog"], **options)
    np.savez(tmp_path / "theirs.npz", **state_dict(theirs))
    torchvision.read(tmp_path / "theirs.npz").fill(theirs)
    ours = yolo.build("retinanet-r18", classes=["dog", "elk", "ant"], **options)
    fresh = ours.network.get_layer("class_logits").get_weights()
    torchvision.read(tmp_path / "theirs.npz").fill(ours, Meaning(("cat", "dog")))
    given = theirs.network.get_layer("class_logits").get_weights()
    found = ours.network.get_layer("class_logits").get_weights()
    for new, old, own in zip(found, given, fresh, strict=True):
        np.testing.assert_array_equal(new[..., 0::3], old[..., 1::2])
        np.testing.assert_array_equal(new[..., 1::3], own[..., 1::3])
    assert "class logits of 1 of 3 classes kept by name (dog), 2 fresh" in caplog.text
    theirs.save(tmp_path / "theirs.keras")
    again = yolo.build("retinanet-r18", classes=["dog", "elk", "ant"], **options)
    loading.start_from(again, tmp_path / "theirs.keras")
    kernel = again.network.get_layer("class_logits").get_weights()[0]
    np.testing.assert_array_equal(kernel[..., 0::3], given[0][..., 1::2])


def test_darknets_coco_weights_find_the_same_under_the_masks_for_own_data(shared):
    path = shared / "weights" / "yolov4_tiny_coco" / "yolov4-tiny.weights"
    coco = yolo.load(path)
    ours = yolo.build("yolov4-tiny", classes=coco.classes, image_size=(416, 416), resize="stretch")
    loading.start_from(ours, path)
    name = "000000000139.jpg"
    picture = next((shared / "data" / "coco_val2017_lightly128").rglob(name))
    (here,), (there,) = (model.detect(picture) for model in (ours, coco))
    # The finer map's anchor of 81 x 82, which the coarser one has, too, has no place there.
    assert len(there) - 1 <= len(here) and len(here) > 5
    for box, score in zip(here.boxes_xyxy, here.scores, strict=True):
        apart = np.abs(there.boxes_xyxy - box).max(axis=1) + np.abs(there.scores - score)
        assert apart.min() < 0.01


def test_nothing_is_moved_where_nothing_is_known():
    model = tiny(["a"])
    head = model.network.get_layer("head_conv_017")
    kernel, bias = (np.array(w) for w in head.get_weights())
    assert not heads.fill_head(model, head, kernel, bias, Meaning())
    np.testing.assert_array_equal(head.get_weights()[0], kernel)
