"""Each format: written, opened by its own runtime, equal to Keras, and kept only then."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import yolo
from tests.yolo.helpers import narrow, seen_from_threads
from tests.yolo.measured import check_scores_agree
from yolo.errors import ConfigError, YoloError
from yolo.export import compare, exporter, formats
from yolo.export import info as exported
from yolo.export.graph import Graph, float32_twin
from yolo.export.runtimes import ExportedDetector
from yolo.inference import predictor
from yolo.models.thresholds import Thresholds
from yolo.pictures.files import write_image

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert.interpreter",),
}
# One file of each format; free sizes and small numbers are tried where they cost least.
FILES = {
    "saved_model": {"format": "saved_model"},
    "onnx": {"format": "onnx", "dynamic": True, "max_detections": 20, "one_label": True},
    "openvino": {"format": "openvino", "dynamic": True},
    "litert": {"format": "litert", "dynamic": True},
    "litert float16": {"format": "litert", "quantize": "float16"},
    "litert int8": {"format": "litert", "quantize": "int8"},
}
NAMES = [pytest.param(name, marks=[pytest.mark.long] if " " in name else []) for name in FILES]


@pytest.fixture(scope="module", autouse=True)
def _narrow_networks():
    """A converter goes through the same layers, and is done sooner."""
    with narrow():
        yield


@pytest.fixture(scope="module")
def model():
    """Return a detector as a run in bfloat16 leaves it, whose heads have something to say."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(3)
    found = yolo.build("yolov4-tiny", classes=["cat", "狗", "cow"], image_size=(64, 96))
    keras.config.set_dtype_policy(before)
    rng = np.random.default_rng(0)
    for layer in found.network.layers:
        if hasattr(layer, "norm"):
            layer.norm.moving_mean.assign(rng.normal(0, 0.1, layer.filters))
            layer.norm.moving_variance.assign(rng.uniform(0.5, 1.5, layer.filters))
    heads = {16: found.network.get_layer("head_conv_020"),
             32: found.network.get_layer("head_conv_017")}  # fmt: skip
    for layer in heads.values():
        layer.kernel.assign(rng.normal(0, 1, layer.kernel.shape))
        layer.bias.assign(np.zeros(layer.bias.shape))
    maps = found.network(rng.integers(0, 255, (1, 64, 96, 3), np.uint8))
    for stride, layer in heads.items():  # logits of about -2 to 2: boxes near their anchors' sizes
        layer.kernel.assign(layer.kernel / np.std(maps[stride]))
    return found


@pytest.fixture(scope="module")
def picture():
    image = np.random.default_rng(1).integers(0, 255, (12, 20, 3), np.uint8)
    return image.repeat(10, axis=0).repeat(10, axis=1)  # (120, 200, 3)


@pytest.fixture(scope="module")
def files(model, picture, tmp_path_factory):
    """Return a function that exports once and gives the path, opened file and difference."""
    made = {}

    def make(name):
        options = dict(FILES[name])
        for package in PACKAGES.get(options["format"], ()):
            pytest.importorskip(package, reason='needs pip install -e ".[export]"')
        if name not in made:
            info = exporter.describe(model, options.pop("format"), **options)
            path, difference = exporter.export(
                model, tmp_path_factory.mktemp("出口"), info, stem="best", picture=picture,
                calibration=lambda: iter([picture, picture[::-1], 255 - picture]),
            )  # fmt: skip
            made[name] = path, ExportedDetector(path), difference
        return made[name]

    return make


@pytest.fixture(scope="module")
def twin(model):
    return float32_twin(model)


def test_the_twin_computes_in_float32_with_the_same_weights(model, twin):
    assert model.network.get_layer("backbone_conv_000").compute_dtype == "bfloat16"
    assert {layer.compute_dtype for layer in twin.network.layers} == {"float32"}
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_computes_what_keras_does(files, twin, picture, name):
    path, found, difference = files(name)
    exact = found.info.quantize == "none"
    images = np.stack([picture, picture[::-1], picture[:, ::-1]])
    asked = {"score_threshold": 0.01, "one_label": found.info.one_label}
    kept = [(one.scores[:5], one.boxes_xyxy[:5]) for one in twin.detect(images, **asked)]
    answers = found.detect(images, score_threshold=0.01)
    assert all(len(scores) == 5 for scores, _ in kept) and len(answers) == 3
    for (scores, boxes), answer in zip(kept, answers, strict=True):
        np.testing.assert_allclose(answer.scores[:5], scores, atol=1e-4 if exact else 0.1)
        if exact:
            np.testing.assert_allclose(answer.boxes_xyxy[:5], boxes, atol=0.05)
    assert found.classes == ("cat", "狗", "cow") and found.image_size == (64, 96)
    assert (difference.score < 1e-4) == exact and difference.score < 0.2
    noted = json.loads(exported.info_path(path).read_text(encoding="utf-8"))["difference"]
    assert noted == difference._asdict()


@pytest.mark.parametrize("name", NAMES)
def test_eight_threads_find_what_one_does_from_the_first_call_on(files, name):
    path, alone, _ = files(name)
    pictures = np.random.default_rng(0).integers(0, 255, (5, 64, 96, 3), np.uint8)
    expected = [alone.predict_raw(picture[None]) for picture in pictures]
    for answers in seen_from_threads(ExportedDetector(path), pictures):
        for found, wanted in zip(answers, expected, strict=True):
            for key in ("boxes", "scores"):
                np.testing.assert_array_equal(found[key], wanted[key])


@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_free_sizes_are_free(files, twin, name):
    path, _, _ = files(name)
    found = ExportedDetector(path, image_size=(96, 64))
    batch = np.random.default_rng(2).integers(0, 255, (3, 96, 64, 3), np.uint8)
    expected, received = twin.predict_raw(batch), found.predict_raw(batch)
    for key in ("boxes", "scores"):
        np.testing.assert_allclose(received[key], expected[key], rtol=1e-4, atol=1e-3)
        assert received[key].dtype == np.float32


def test_a_fixed_size_is_refused_another(files):
    path, _, _ = files("saved_model")
    with pytest.raises(ConfigError, match="was exported for 64x96"):
        ExportedDetector(path, image_size=(64, 64))


@pytest.mark.parametrize("name", ["saved_model", "onnx"])
def test_suppression_inside_the_file_is_ours(files, picture, name):
    path, found, _ = files(name)
    assert found.info.nms and compare.check_suppression(found, picture) > 5
    fitted = np.stack([picture[:64, :96], picture[40:104, 90:186]])
    inside = found.detect_inside(fitted, score_threshold=0.05)
    ours = found.detect(fitted, score_threshold=0.05, clip=False)
    for a, b in zip(inside, ours, strict=True):
        assert len(a) > 3
        np.testing.assert_array_equal(a.scores, b.scores)
        np.testing.assert_array_equal(a.boxes_xyxy, b.boxes_xyxy)
        np.testing.assert_array_equal(a.class_ids, b.class_ids)
    assert not list(path.parent.glob("*_nms.py"))


@pytest.mark.parametrize("one_label", [False, True])
def test_the_graph_suppresses_as_we_do(twin, picture, one_label):
    thresholds = Thresholds(0.05, 0.4, 30, one_label)
    graph = Graph(twin, dynamic=True, thresholds=thresholds)
    fitted = np.stack([picture[:64, :96], picture[40:104, 90:186]])
    found = {name: value.numpy() for name, value in graph.served(fitted.astype("float32")).items()}
    ours = twin.detect(fitted, **thresholds._asdict(), clip=False)
    for i, one in enumerate(ours):
        count = found["num_detections"][i]
        assert len(one) == count > 3 and not found["detection_classes"][i, count:].any()
        np.testing.assert_array_equal(found["detection_classes"][i, :count], one.class_ids)
        np.testing.assert_allclose(found["detection_scores"][i, :count], one.scores, atol=1e-6)
        np.testing.assert_allclose(found["detection_boxes"][i, :count], one.boxes_xyxy, atol=1e-3)


@pytest.mark.parametrize("name", ["openvino", "litert"])
def test_suppression_lies_beside_files_that_have_none(files, picture, name):
    path, found, _ = files(name)
    with pytest.raises(ConfigError, match="no suppression inside"):
        found.detect_inside(picture[None, :64, :96])
    beside = runpy.run_path(str(path.with_name("best_nms.py")))["class_wise_nms"]
    raw = found.predict_raw(picture[None, :64, :96])
    boxes, scores, _ = beside(
        raw["boxes"][0], raw["scores"][0], **found.thresholds.chosen(score_threshold=0.05)._asdict()
    )
    (ours,) = found.detect(picture[:64, :96], score_threshold=0.05, clip=False)
    np.testing.assert_array_equal(boxes, ours.boxes_xyxy)
    np.testing.assert_array_equal(scores, ours.scores)


@pytest.mark.parametrize("name", NAMES)
def test_a_prediction_scored_later_scores_as_the_file_does(
    files, picture, tmp_path, monkeypatch, name
):
    check_scores_agree(files(name)[1], [picture, picture[::-1]], tmp_path, monkeypatch)


def test_names_of_inputs_and_outputs(files):
    path, _, _ = files("onnx")
    import onnxruntime
    import tensorflow as tf

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert {i.name for i in session.get_inputs()} == {"images"}, "thresholds have defaults"
    assert {o.name for o in session.get_outputs()} == {
        *exported.RAW_OUTPUTS, *exported.NMS_OUTPUTS,
    }  # fmt: skip
    assert session.get_modelmeta().custom_metadata_map["classes"] == "cat\n狗\ncow"
    loaded = tf.saved_model.load(str(files("saved_model")[0]))
    served = loaded.signatures["serving_default"](images=tf.zeros((1, 64, 96, 3)))
    assert set(served) == set(exported.NMS_OUTPUTS)
    assert served["detection_boxes"].shape == (1, 100, 4)


def test_prediction_over_files_takes_an_export_as_it_takes_a_detector(
    files, twin, picture, tmp_path
):
    write_image(tmp_path / "a.png", picture)
    _, found, _ = files("saved_model")
    answers = [
        [one for _, _, one in predictor.predict(m, [tmp_path / "a.png"], score_threshold=0.05)]
        for m in (twin, found)
    ]
    np.testing.assert_allclose(answers[1][0].boxes_xyxy, answers[0][0].boxes_xyxy, atol=0.05)


def test_running_an_export_needs_neither_tensorflow_nor_keras(files, picture, tmp_path):
    path, found, _ = files("onnx")
    write_image(tmp_path / "a.png", picture)
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras'): sys.modules[name] = None\n"
        "from yolo.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "a.png", "--weights", str(path), "--score", "0.05",
         "--no-draw"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads((tmp_path / "predictions" / "predictions.json").read_text("utf-8"))
    (expected,) = found.detect(picture, score_threshold=0.05)
    assert len(entry["objects"]) == len(expected) > 3
    assert [one["class"] for one in entry["objects"]] == expected.labels


# ------------------------------------------------------------------------------- refusals


def test_a_file_that_is_not_the_model_is_not_kept(model, picture, tmp_path, monkeypatch):
    def write_half(graph, path, info, pictures):
        variable = graph.variables_of_model[0]
        variable.assign(variable * 0.5)
        formats.write_saved_model(graph, path, info, pictures)
        variable.assign(variable * 2.0)

    monkeypatch.setitem(formats.WRITERS, "saved_model", write_half)
    info = exporter.describe(model, "saved_model")
    with pytest.raises(YoloError, match="is not the model: scores differ by at most"):
        exporter.export(model, tmp_path, info, picture=picture)
    assert not list(tmp_path.iterdir())


def test_a_converter_that_refuses_is_one_line(model, picture, tmp_path, monkeypatch):
    def refuse(graph, path, info, pictures):
        raise ValueError("op Erfinv has no counterpart\nmore lines")

    monkeypatch.setitem(formats.WRITERS, "saved_model", refuse)
    info = exporter.describe(model, "saved_model")
    with pytest.raises(YoloError) as caught:
        exporter.export(model, tmp_path, info, picture=picture)
    assert str(caught.value) == (
        "saved_model: its converter refuses yolov4_tiny (op Erfinv has no counterpart)"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "format, options, words",
    [
        ("coreml", {}, "no format is called 'coreml'; there are saved_model, onnx, openvino"),
        ("onnx", {"quantize": "int8"}, "onnx is not written with --quantize int8"),
        ("litert", {"nms": True}, "litert has no suppression inside"),
    ],
)
def test_what_a_format_cannot_do(model, format, options, words):
    with pytest.raises(ConfigError, match=words):
        exporter.describe(model, format, **options)


def test_int8_needs_pictures(model, picture, tmp_path):
    info = exporter.describe(model, "litert", quantize="int8")
    with pytest.raises(ConfigError, match="--data"):
        exporter.export(model, tmp_path, info, picture=picture)


def test_a_missing_package_is_named_with_its_command(model, picture, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    info = exporter.describe(model, "openvino")
    with pytest.raises(YoloError, match="export to OpenVINO needs .*run: pip install openvino"):
        exporter.export(model, tmp_path, info, picture=picture)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_export_is_left_alone(files, model, picture, tmp_path):
    made, _, _ = files("saved_model")
    source = tmp_path / "new"
    shutil.copytree(made, source / "best_saved_model")
    (tmp_path / "best_saved_model").mkdir()
    (tmp_path / "best_saved_model" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(YoloError, match="is a folder that is no export"):
        exporter.put_in_place(source, tmp_path)
    assert (tmp_path / "best_saved_model" / "thesis.txt").exists()
    shutil.rmtree(tmp_path / "best_saved_model")
    shutil.copytree(made, tmp_path / "best_saved_model")
    exporter.put_in_place(source, tmp_path)
    assert (tmp_path / "best_saved_model" / "saved_model.pb").is_file()
