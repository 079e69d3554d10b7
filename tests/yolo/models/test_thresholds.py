"""One number, one home: what counts as a detection is the same wherever a model is used."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import yolo
from yolo import cli
from yolo.boxes.pairwise import pairwise_iou
from yolo.cli import common
from yolo.data.formats.voc import LabelledObject, annotation_xml
from yolo.detector import Detector
from yolo.export import exporter, runtimes
from yolo.export.graph import Graph
from yolo.export.info import write_info
from yolo.inference import predictor, tiles
from yolo.models.retinanet.settings import RetinaNetConfig
from yolo.models.thresholds import Thresholds
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.pictures.files import read_image, write_image
from yolo.training import trainer

# Two objects side by side that overlap by more than YOLOv4 lets pass, and less than RetinaNet.
PAIR = np.float32([[0, 10, 50, 50], [18, 10, 68, 50]])
SIZE = (64, 96)


def raw_pair(images, *_, **__):
    count = len(images)
    return {"boxes": np.stack([PAIR] * count), "scores": np.full((count, 2, 1), 0.9, np.float32)}


def test_the_families_differ_on_the_two_objects():
    iou = pairwise_iou(PAIR, PAIR)[0, 1]
    assert YOLOv4Config.thresholds.iou_threshold < iou < RetinaNetConfig.thresholds.iou_threshold


def test_a_name_that_is_no_threshold_is_refused():
    with pytest.raises(ValueError, match="score"):
        YOLOv4Config.thresholds.chosen(score=0.1)


@pytest.fixture(params=["the family's", "changed"])
def expected(request, monkeypatch):
    """Return how many of the two a RetinaNet finds, as it is and with another overlap."""
    if request.param == "the family's":
        return 2
    monkeypatch.setattr(RetinaNetConfig, "thresholds", Thresholds(0.25, 0.4))
    return 1


@pytest.fixture
def model(monkeypatch):
    """Return a RetinaNet that sees the two in every picture, and is equally sure of both."""
    monkeypatch.setattr(Detector, "predict_raw", lambda self, images: raw_pair(images))
    return yolo.build("retinanet-csp-tiny", classes=["cat"], image_size=SIZE, channels=32)


@pytest.fixture
def sample(labelled):
    return labelled("a", *((0, box.tolist(), False) for box in PAIR), size=SIZE)


def test_everything_that_looks_takes_the_models_own_overlap(model, sample, expected):
    image = read_image(sample.path)
    assert len(model.detect(image)[0]) == expected
    ((_, _, found),) = predictor.predict(model, [sample.path])
    assert len(found) == expected
    ((_, found),) = predictor.predict_frames(model, [image])
    assert len(found) == expected
    assert len(tiles.detect_tiled(model, image, SIZE)) == expected
    (found,) = predictor.detect_samples(model, [sample])
    assert len(found) == expected


def test_training_measures_with_it(model, sample, expected):
    config, data = SimpleNamespace(batch_size=1), SimpleNamespace(val=[sample], classes=("cat",))
    assert trainer._measure(model, config=config, data=data)["mAP50"] == expected / 2


def test_an_export_takes_it_along(model, sample, expected, tmp_path, monkeypatch):
    path = tmp_path / "best.onnx"
    info = exporter.describe(model, "onnx", max_detections=None, iou_threshold=None)
    assert info.thresholds == RetinaNetConfig.thresholds
    graph = Graph(model, dynamic=False, thresholds=info.thresholds)
    assert graph.thresholds["iou_threshold"] == RetinaNetConfig.thresholds.iou_threshold
    path.write_bytes(b"no graph")
    write_info(path, info)
    monkeypatch.setattr(RetinaNetConfig, "thresholds", Thresholds(0.25, 0.1))  # does not matter now
    monkeypatch.setitem(runtimes._OPENERS, "onnx", lambda path: raw_pair)
    exported = runtimes.ExportedDetector(path)
    assert len(exported.detect(read_image(sample.path))[0]) == expected
    (found,) = predictor.detect_samples(exported, [sample])
    assert len(found) == expected


@pytest.fixture
def folder(tmp_path):
    """Return a VOC folder of one picture with the two objects."""
    root = tmp_path / "VOC"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    write_image(root / "JPEGImages" / "a.png", np.zeros((*SIZE, 3), np.uint8))
    text = annotation_xml("a.png", SIZE, [LabelledObject("cat", tuple(box)) for box in PAIR])
    (root / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets" / "Main" / "test.txt").write_text("a\n", encoding="utf-8")
    return root


def test_the_commands_do_so(model, folder, expected, tmp_path, monkeypatch, outcome):
    monkeypatch.setattr(common, "open_model", lambda args, weights: model)
    monkeypatch.chdir(tmp_path)
    code, _, err = outcome(
        cli.evaluate_main, "--data", folder, "--weights", "a.keras", "--json", "scores.json"
    )
    assert code == 0, err
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert scores["voc"]["map_all_point"] == expected / 2
    picture = folder / "JPEGImages" / "a.png"
    code, _, err = outcome(cli.predict_main, picture, "--weights", "a.keras", "--no-draw")
    assert code == 0, err
    text = (tmp_path / "predictions" / "predictions.json").read_text(encoding="utf-8")
    assert len(json.loads(text)[0]["objects"]) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"score_threshold": 2},
        {"score_threshold": float("nan")},
        {"score_threshold": "0.5"},
        {"iou_threshold": -0.1},
        {"max_detections": 0},
        {"max_detections": 2.5},
        {"one_label": "yes"},
    ],
    ids=str,
)
def test_a_threshold_out_of_its_range_is_refused(model, asked):
    ((name, value),) = asked.items()
    with pytest.raises(ValueError, match=f"^{name}: expected .*, received {value!r}$"):
        model.detect(np.zeros((*SIZE, 3), np.uint8), **asked)
