"""Curves drawn during a run, TensorBoard's files, and a run that ends when it has learned."""

import importlib.util
import json

import pytest
import tensorflow as tf

from yolo.errors import ConfigError, YoloError
from yolo.settings.train import TrainConfig
from yolo.training import run_folder, watching


class Model:
    """What the callbacks use of a detector."""

    def __init__(self):
        self.notes, self.stop_training = {}, False


def test_curves_are_drawn_as_often_as_costs_little(tmp_path, monkeypatch):
    now, drawn = [100.0], []

    def draw(table, png):
        drawn.append(now[0])
        now[0] += 0.3

    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watching, "plot_training", draw)
    plots = watching.LivePlots(tmp_path)
    plots.on_epoch_end(0)
    assert drawn == [], "there is no table of results yet"
    run_folder.append_results(tmp_path / "results.csv", {"epoch": 1})
    for epoch in range(30):
        plots.on_epoch_end(epoch)
        now[0] += 1
    assert drawn == pytest.approx([100.0, 110.3, 120.6]), "0.3 s of drawing in 10 s of training"
    plots.on_train_end()
    assert len(drawn) == 4


def test_the_picture_of_the_curves_is_there_after_an_epoch(tmp_path):
    run_folder.append_results(tmp_path / "results.csv", {"epoch": 1, "loss": 2.0, "mAP50": 0.5})
    watching.LivePlots(tmp_path).on_epoch_end(0)
    assert (tmp_path / "plots" / "training.png").stat().st_size > 1000


def test_curves_that_somebody_looks_at_end_nothing(tmp_path, monkeypatch, caplog):
    def draw(table, png):
        try:
            raise PermissionError(13, "The process cannot access the file")
        except PermissionError as error:
            raise YoloError(f"{png.name}: cannot be written") from error

    monkeypatch.setattr(watching, "plot_training", draw)
    run_folder.append_results(tmp_path / "results.csv", {"epoch": 1})
    watching.LivePlots(tmp_path).on_epoch_end(0)
    assert "training.png: cannot be written" in caplog.text


def test_a_run_ends_when_it_has_learned():
    lines = []
    callback = watching.StopWhenLearned(0.9, lines.append)
    callback.set_model(model := Model())
    for score, stopped in ((None, False), (0.89, False), (0.9, True)):
        model.notes = {} if score is None else {"best_map50": score}
        callback.on_epoch_end(0)
        assert model.stop_training == stopped == bool(lines)


def test_tensorboard_that_is_missing_is_named_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        watching.watchers(TrainConfig(tensorboard=True), tmp_path)
    assert len(watching.watchers(TrainConfig(), tmp_path)) == 1


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="no TensorBoard here")
def test_tensorboard_gets_every_figure(tmp_path):
    board = watching.TensorBoard(tmp_path)
    for epoch, score in ((1, float("nan")), (2, 0.5)):
        row = {"epoch": epoch, "loss": 2.0 / epoch, "val_loss": 3.0, "mAP50": score}
        run_folder.append_results(tmp_path / "results.csv", row)
        board.on_epoch_end(epoch - 1)
    board.on_train_end()
    (file,) = (tmp_path / "tensorboard").iterdir()
    found = [
        (value.tag, event.step, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]
    assert found == [
        ("run/loss", 1, 2.0), ("validation/loss", 1, 3.0),
        ("run/loss", 2, 1.0), ("validation/loss", 2, 3.0), ("run/mAP50", 2, 0.5),
    ]  # fmt: skip


def test_json_lines_have_all_that_was_logged_and_are_cut_with_the_table(tmp_path):
    path, lines = tmp_path / "results.csv", tmp_path / "results.jsonl"
    for epoch in (1, 2, 3):
        row = {"epoch": epoch, "val_class_loss": 0.25, "mAP50": float("nan")}
        run_folder.append_results(path, row)
    assert json.loads(lines.read_text(encoding="utf-8").splitlines()[0]) == {
        "epoch": 1, "val_class_loss": 0.25, "mAP50": None,
    }  # fmt: skip
    with lines.open("a", encoding="utf-8") as file:
        file.write('{"epoch": 4, "los')
    run_folder.cut_results(path, 2)
    kept = lines.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in kept] == [1, 2]
    assert watching.last_row(lines)["epoch"] == 2


def test_commands_are_noted_one_a_line(tmp_path):
    run_folder.note_command(tmp_path, "python train.py")
    run_folder.note_command(tmp_path, "python train.py --resume 'a b'")
    text = (tmp_path / "command.txt").read_text(encoding="utf-8")
    assert text == "python train.py\npython train.py --resume 'a b'\n"
