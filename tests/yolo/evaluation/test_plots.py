"""Plots: a PNG that can be read appears, whatever the numbers; none opens a window."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from yolo.errors import DatasetError
from yolo.evaluation import plots
from yolo.evaluation.plots import (
    plot_average_precision,
    plot_confusion,
    plot_f1,
    plot_precision_recall,
    plot_training,
)
from yolo.evaluation.voc import SCORES, ClassResult, VocResult
from yolo.pictures.files import read_image


def class_result(name, ap, count=20):
    precision = np.linspace(1, ap, count)
    return ClassResult(
        name=name,
        objects=10 if ap == ap else 0,
        difficult=0,
        detections=count,
        ap_11_point=ap,
        ap_all_point=ap,
        precision=0.5,
        recall=0.5,
        precision_curve=precision,
        recall_curve=np.linspace(0, ap, count),
        scores=precision,
    )


def voc_result(*classes):
    return VocResult(
        classes=list(classes),
        iou_threshold=0.5,
        score_threshold=0.5,
        inclusive_pixels=False,
        other_rule=(0.5, 0.5),
    )


def check_picture(path):
    image = read_image(path)
    assert min(image.shape[:2]) > 100 and image.std() > 5


@pytest.mark.parametrize("plot", [plot_average_precision, plot_precision_recall, plot_f1])
@pytest.mark.parametrize(
    "result",
    [
        voc_result(),
        voc_result(class_result("cat", float("nan"))),
        voc_result(class_result("猫", 0.7), class_result("dog", 0.3), class_result("x", 0.0, 0)),
        voc_result(*[class_result(f"class {i}", i / 80) for i in range(80)]),
    ],
    ids=["empty", "no objects", "three", "eighty"],
)
def test_classes(tmp_path, plot, result):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot(result, tmp_path / "图" / "plot.png")
    check_picture(tmp_path / "图" / "plot.png")


def test_f1_is_read_where_detections_reach_the_score():
    entry = ClassResult(
        name="a", objects=4, difficult=0, detections=3, ap_11_point=0, ap_all_point=0,
        precision=0, recall=0, precision_curve=np.array([1, 1 / 2, 2 / 3]),
        recall_curve=np.array([1 / 4, 1 / 4, 2 / 4]), scores=np.array([0.9, 0.5, 0.5]),
    )  # fmt: skip
    found = dict(zip(SCORES.round(3).tolist(), entry.f1_curve().tolist(), strict=True))
    both, one = 2 * (2 / 3) * 0.5 / (2 / 3 + 0.5), 2 * 0.25 / 1.25
    read = [found[score] for score in (0.0, 0.5, 0.6, 0.9, 0.95)]
    assert read == pytest.approx([both, both, one, one, 0])


def test_the_best_score_keeps_what_is_right_and_leaves_out_what_is_wrong():
    def entry(objects, scores, hits):
        hits = np.cumsum(hits)
        return ClassResult(
            name="a", objects=objects, difficult=0, detections=len(scores), ap_11_point=0,
            ap_all_point=0, precision=0, recall=0, scores=np.array(scores),
            precision_curve=hits / np.arange(1, len(hits) + 1),
            recall_curve=hits / max(objects, 1),
        )  # fmt: skip

    def best(*entries):
        return VocResult(list(entries), 0.5, 0.5, False, (0, 0)).best_score

    low, high = entry(2, [0.06, 0.04, 0.021], [1, 1, 0]), entry(1, [0.9, 0.031], [1, 0])
    assert best(low) == pytest.approx(0.025), "the least of SCORES above the mistake"
    assert best(low, high) == pytest.approx(0.035)
    assert best(low, high, entry(0, [0.5], [0])) == pytest.approx(0.035), "no objects, no voice"
    assert best(entry(0, [], [])) == 0


@pytest.mark.parametrize("count", [1, 3, 80])
def test_confusion(tmp_path, count):
    matrix = np.random.default_rng(0).integers(0, 9, (count + 1, count + 1))
    matrix[-1, -1] = 0
    plot_confusion(matrix, [f"猫 {i}" for i in range(count)], tmp_path / "confusion.png")
    check_picture(tmp_path / "confusion.png")
    chosen = plots._worst_confused(matrix)
    assert len(chosen) == min(count + 1, 30) and chosen[-1] == count, "background stays"


def test_training(tmp_path):
    table = tmp_path / "results.csv"
    table.write_text(
        "epoch,loss,val_loss,learning_rate,mAP50,note\n"
        "1,20.5,30,0.001,,first\n"
        "2,0.1,nan,0.01,0.5,\n"
        "3,0.05,0.2,0.001,,\n",
        encoding="utf-8",
    )
    plot_training(table, tmp_path / "training.png")
    check_picture(tmp_path / "training.png")


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "a,b\nx,y\n", "loss\n1.5\n"])
def test_training_without_numbers_is_refused(tmp_path, text):
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="results.csv"):
        plot_training(tmp_path / "results.csv", tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()


def test_importing_the_module_does_not_load_matplotlib():
    code = "import sys, yolo.evaluation.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
