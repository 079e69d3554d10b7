"""Exported files behind a detector's methods, with a stand-in for the runtime."""

import numpy as np
import pytest

import yolo
from yolo.errors import ConfigError, WeightsError
from yolo.export import runtimes
from yolo.export.info import ExportInfo, write_info
from yolo.export.runtimes import ExportedDetector, open_exported

THRESHOLDS = {"score_threshold": 0.25, "iou_threshold": 0.45, "max_detections": 100}


@pytest.fixture
def calls(monkeypatch):
    """Replace the opener of ONNX files; what its runtime was given is listed."""
    given = []

    def run(images, outputs, **thresholds):
        given.append((images.shape, images.dtype, outputs))
        box = np.float32([[8, 16, 24, 48]])
        return {
            "boxes": np.stack([box] * len(images)),
            "scores": np.full((len(images), 1, 2), 0.5, np.float32) * [1.0, 0.1],
        }

    monkeypatch.setitem(runtimes._OPENERS, "onnx", lambda path: run)
    return given


def file(folder, name="best.onnx", **options):
    info = {"format": "onnx", "model": "m", "classes": ("a", "b"), "image_size": (64, 96),
            "resize": "stretch", **THRESHOLDS, **options}  # fmt: skip
    (folder / name).write_bytes(b"no graph")
    write_info(folder / name, ExportInfo(**info))
    return folder / name


def test_boxes_come_back_in_the_pictures_pixels(tmp_path, calls):
    found = ExportedDetector(file(tmp_path))
    answers = found.detect(np.zeros((2, 128, 48, 3), np.uint8))
    assert [answer.boxes_xyxy.tolist() for answer in answers] == [[[4, 32, 12, 96]]] * 2
    assert answers[0].labels == ["a"] and found.resize == "stretch"
    assert len(found.detect(np.zeros((128, 48, 3), np.uint8), score_threshold=0.01)[0]) == 2
    assert found.detect(np.zeros((0, 64, 96, 3), np.uint8)) == []


@pytest.mark.parametrize("score, expected", [(1 + 2**-23, 1.0), (1.5, None), (np.nan, None)])
def test_a_sigmoid_that_rounds_beyond_1_is_no_fault_but_more_is(
    tmp_path, monkeypatch, score, expected
):
    """ONNX Runtime gives 1.0000001 for large logits."""

    def run(images, outputs, **_):
        return {
            "boxes": np.float32([[[8, 16, 24, 48]]]),
            "scores": np.float32([[[score, 0.0]]]),
            "detection_boxes": np.float32([[[8, 16, 24, 48]]]),
            "detection_scores": np.float32([[score]]),
            "detection_classes": np.int32([[0]]),
            "num_detections": np.int32([1]),
        }

    monkeypatch.setitem(runtimes._OPENERS, "onnx", lambda path: run)
    model = ExportedDetector(file(tmp_path, nms=True))
    picture = np.zeros((1, 64, 96, 3), np.uint8)
    if expected:
        assert model.detect(picture)[0].scores.tolist() == [expected]
        assert model.detect_inside(picture)[0].scores.tolist() == [expected]
        return
    with pytest.raises(ValueError, match="scores must lie in 0..1"):
        model.detect_inside(picture)
    if score > 1:
        with pytest.raises(ValueError, match="scores must lie in 0..1"):
            model.detect(picture)


@pytest.mark.parametrize("dynamic, batches", [(False, [1, 1, 1]), (True, [3])])
def test_a_fixed_file_gets_one_picture_at_a_time(tmp_path, calls, dynamic, batches):
    found = ExportedDetector(file(tmp_path, dynamic=dynamic))
    raw = found.predict_raw(np.zeros((3, 64, 96, 3), np.uint8))
    assert raw["boxes"].shape == (3, 1, 4) and raw["scores"].shape == (3, 1, 2)
    assert [shape[0] for shape, _, _ in calls] == batches
    assert {dtype for _, dtype, _ in calls} == {np.dtype(np.float32)}


def test_another_size_needs_free_sizes(tmp_path, calls):
    assert ExportedDetector(file(tmp_path, dynamic=True), image_size=(32, 32)).image_size == (
        32,
        32,
    )
    assert yolo.load(file(tmp_path, dynamic=True), image_size=64).image_size == (64, 64)
    with pytest.raises(ConfigError, match="best.onnx: image_size must be"):
        ExportedDetector(file(tmp_path, dynamic=True), image_size=(None, None))
    coarse = file(tmp_path, dynamic=True, image_size=(128, 64), stride=64)
    assert ExportedDetector(coarse, image_size=(64, 128)).image_size == (64, 128)
    with pytest.raises(ConfigError, match="best.onnx: .* multiples of 64, received 96x128"):
        ExportedDetector(coarse, image_size=(96, 128))
    with pytest.raises(ValueError, match="multiples of 64, received 96x64.*to 128x64"):
        ExportedDetector(coarse).predict_raw(np.zeros((1, 96, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match="was exported for 64x96; leave out --image-size"):
        ExportedDetector(file(tmp_path), image_size=(32, 32))


def test_an_export_is_found_beside_its_weights(tmp_path, calls):
    path = file(tmp_path)
    assert open_exported(path).path == path
    assert open_exported(path, "onnx").path == path
    assert open_exported(tmp_path / "best.keras", "onnx").path == path
    with pytest.raises(WeightsError, match="best.tflite: no such file; write it with: python -m "):
        open_exported(tmp_path / "best.keras", "litert")
    with pytest.raises(ConfigError, match="is for --runtime onnx, not openvino"):
        open_exported(path, "openvino")


def test_only_openvino_can_be_asked_for_another_precision(tmp_path, calls, monkeypatch):
    with pytest.raises(ConfigError, match="best.onnx: onnx computes in the file's own precision"):
        ExportedDetector(file(tmp_path), precision="bfloat16")
    asked = []
    monkeypatch.setattr(runtimes, "_open_openvino", lambda path, precision: asked.append(precision))
    path = file(tmp_path, "best.xml", format="openvino")
    ExportedDetector(path, precision="bfloat16")
    assert open_exported(path, precision="bfloat16").path == path
    with pytest.raises(ConfigError, match="only OpenVINO can be asked for float8"):
        ExportedDetector(path, precision="float8")
    assert asked == ["bfloat16"] * 2


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(WeightsError, match="absent.onnx: no such file"):
        ExportedDetector(tmp_path / "absent.onnx")


@pytest.mark.parametrize(
    "runtime, name, package",
    [
        ("onnx", "best.onnx", "onnxruntime"),
        ("openvino", "best.xml", "openvino"),
        ("litert", "best.tflite", "ai_edge_litert.interpreter"),
        ("saved_model", "folder", "tensorflow"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, runtime, name, package):
    pytest.importorskip(package, reason='needs pip install -e ".[export]"')
    if runtime == "saved_model":
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"no graph")
        info = ExportInfo(runtime, "m", ("a",), (64, 64), "stretch", **THRESHOLDS)
        write_info(tmp_path / name, info)
    else:
        file(tmp_path, name, format=runtime)
    with pytest.raises(WeightsError, match="cannot be opened by its runtime") as caught:
        ExportedDetector(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_what_was_lent_comes_back_also_after_an_error():
    made = iter(range(9))
    pool = runtimes._Pool(lambda: next(made))
    with pool.one() as first, pool.one() as second:
        assert (first, second) == (0, 1)
    with pytest.raises(KeyError), pool.one():
        raise KeyError
    with pool.one() as one, pool.one() as other:
        assert {one, other} == {0, 1}
