"""What a finished run shows, made from a few detections without any training."""

import re
from dataclasses import replace

import numpy as np
import pytest

from yolo.data import check
from yolo.evaluation import coco, voc
from yolo.reports import run_report, showing
from yolo.settings.train import TrainConfig
from yolo.training import run_folder

CLASSES = ("cat", "dog")
A, B = [0, 0, 20, 20], [30, 0, 50, 20]


@pytest.fixture
def run(labelled, detected, tmp_path):
    """Return a run's folder, its test, and the check of its data."""
    samples = [labelled("a", (0, A, False), (1, B, False)), labelled("b", (1, A, False))]
    found = [detected((0, A, 0.9)), detected((1, A, 0.8), (0, B, 0.7))]
    report = check.examine("set", {"test": samples}, CLASSES, [], image_size=(64, 64))
    folder = tmp_path / "一 run"
    config = TrainConfig(name="x", epochs=2, learning_rate=0.02)
    run_folder.describe(folder, config, CLASSES, {})
    run_folder.note_command(folder, "python train.py --name '<x>'")
    for epoch, score in ((1, 0.25), (2, 0.5)):
        row = {"epoch": epoch, "loss": 2.0, "mAP50": score, "seconds": 30, "learning_rate": 0.1}
        run_folder.append_results(folder / "results.csv", row)
    result = voc.evaluate_voc(found, samples, CLASSES)
    of_coco = coco.evaluate_coco(found, samples, CLASSES)
    test = showing.Test("test", samples, found, CLASSES, result, of_coco, score=0.6, most=100)
    return folder, test, report


def test_a_run_shows_itself_on_one_page(run):
    folder, test, report = run
    page = showing.show(folder, test, report, list(test.samples), np.array([[10, 14]]))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "report.html", "test_results.json", "predictions/a.jpg", "plots/training.png",
        "plots/precision_recall.png", "plots/average_precision.png", "plots/f1.png",
        "plots/confusion.png", "plots/worst.jpg", "plots/best.jpg", "plots/predictions.jpg",
        "plots/data_labels.png", "plots/data_boxes.png", "plots/data_centres.png",
        "plots/data_pictures.jpg", "plots/worst_1.jpg", "plots/worst_2.jpg",
    }  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/") == 4 + 1 + 4 + 2 + 1
    assert "python train.py --name &#x27;&lt;x&gt;&#x27;" in text
    assert re.search(r"<td>learning_<wbr>rate</td><td>0.02</td><td>0.01</td>", text)
    assert "COCO AP on test" in text
    assert "best mAP50 while training, in epoch 2" in text and "<td>cat</td>" in text
    assert not re.search(r"https?://|<script", text)
    assert run_report.LEARNED not in text
    assert text.count("at score 0.6") >= 2 and "at score 0.25" not in text


def test_figures_of_the_training_pictures_are_called_that(run):
    folder, test, report = run
    text = showing.show(folder, test, report, test.samples, None).read_text(encoding="utf-8")
    assert run_report.LEARNED in text


def test_pictures_of_an_earlier_showing_do_not_stay(run):
    folder, test, report = run
    (folder / "plots").mkdir(exist_ok=True)
    (folder / "plots" / "worst_7.jpg").write_bytes(b"old")
    showing.show(folder, test, report, test.samples, None)
    assert not (folder / "plots" / "worst_7.jpg").exists()


def test_settings_that_differ_are_told_with_their_defaults():
    from yolo.settings.train import resolved

    assert run_report.changed_settings(resolved(TrainConfig())) == []
    changed = run_report.changed_settings(resolved(TrainConfig(epochs=3, loss="focal")))
    assert changed == [("loss", "focal", "cross-entropy"), ("epochs", "3", "100")]
    retina = TrainConfig(model="retinanet-r50", optimizer="adamw", batch_size=16)
    assert run_report.changed_settings(resolved(retina)) == [
        ("model", "retinanet-r50", "yolov4-tiny"), ("batch_size", "16", "8"),
        ("optimizer", "adamw", "sgd"),
    ]  # fmt: skip


def test_no_more_is_drawn_and_judged_than_prediction_shows(run):
    _, test, _ = run
    few = replace(test, most=1)
    assert [len(one) for one in test.shown] == [1, 2] and [len(one) for one in few.shown] == [1, 1]
