"""A RetinaNet in other runtimes: the best candidates of each level, suppression, free sizes."""

import numpy as np
import pytest

import yolo
from yolo.errors import ConfigError
from yolo.export import compare, exporter
from yolo.inference.runtimes import ExportedDetector

CLASSES = ["cat", "狗", "cow"]


def retinanet(**options):
    return yolo.build("retinanet-csp-tiny", classes=CLASSES, channels=32, **options)


def test_onnx_computes_what_keras_does(tmp_path):
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason='needs pip install -e ".[export]"')
    model = retinanet(image_size=(64, 96))
    noise = np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8)
    said = model.network(noise)
    for name, spread in (("class_logits", 1.0), ("box_deltas", 0.3)):  # fresh heads say one thing
        (head,) = [layer for layer in model.network.layers if layer.name == name]
        head.kernel.assign(head.kernel * spread / np.std(said[name]))
    image = np.random.default_rng(1).integers(0, 255, (12, 20, 3), np.uint8)
    image = image.repeat(10, axis=0).repeat(10, axis=1)  # (120, 200, 3)
    path, difference = exporter.export(
        model, tmp_path, exporter.describe(model, "onnx"), picture=image
    )
    assert difference.score < 1e-4 and difference.box_pixels < 0.01
    found = ExportedDetector(path)
    assert compare.check_suppression(found, image) > 5
    (answer,) = found.detect(image, max_detections=9, score_threshold=0.05)
    (expected,) = model.detect(image, max_detections=9, score_threshold=0.05)
    np.testing.assert_allclose(answer.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(answer.boxes_xyxy, expected.boxes_xyxy, atol=0.05)
    assert len(answer) == 9


@pytest.mark.parametrize(
    "options, dynamic, mend",
    [
        ({"image_size": (64, 96)}, True, "leave out --dynamic, or take onnx"),
        ({"image_size": (64, 96), "resize": "shorter"}, True, "candidates; take onnx, openvino"),
        ({"image_size": (64, 96), "resize": "shorter"}, False, "candidates; take onnx, openvino"),
    ],
)
def test_litert_has_no_free_sizes_for_it(options, dynamic, mend):
    with pytest.raises(ConfigError, match=mend):
        exporter.describe(retinanet(**options), "litert", dynamic=dynamic)


def test_litert_with_a_size_and_onnx_with_free_ones_are_described():
    model = retinanet(image_size=(64, 96))
    assert not exporter.describe(model, "litert").dynamic
    assert exporter.describe(model, "onnx", dynamic=True).dynamic
