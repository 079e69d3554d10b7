"""Darknet's files on the command line: `--cfg`, another size, the way back, faults in one line."""

import cv2
import numpy as np
import pytest

from tests.yolo.models.darknet_cfg.cfgs import MINI, file_of, weights_of
from yolo.cli import main


@pytest.fixture
def folder(here, monkeypatch):
    """Return the current folder, with `my.weights`, two cfgs, names and a picture."""
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)
    (here / "my.weights").write_bytes(file_of(weights_of(MINI, np.random.default_rng(0))))
    (here / "one.cfg").write_text(MINI, encoding="utf-8")
    (here / "bad.cfg").write_text(MINI.replace("[upsample]", "[gru]"), encoding="utf-8")
    (here / "obj.names").write_text("cat\ndog\n", encoding="utf-8")
    cv2.imwrite(str(here / "a.png"), np.full((60, 80, 3), 90, np.uint8))
    return here


def run(capsys, *words):
    code = main(list(words))
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_detect_export_back_and_detect_at_another_size(folder, capsys):
    code, said = run(
        capsys, "predict", "a.png", "--weights", "my.weights", "--cfg", "one.cfg", "--no-draw"
    )
    assert code == 0 and "my.weights: loaded 6 of 6" in said
    assert "one from one.cfg: 2 classes, 96x64, 2 heads, masks 2,1 and 0, names from obj" in said
    code, said = run(
        capsys, "export", "--weights", "my.weights", "--cfg", "one.cfg", "--format", "darknet",
        "--out", "back",
    )  # fmt: skip
    assert code == 0 and "written: back/my.cfg" in said
    for name, source in (("my.weights", "my.weights"), ("my.cfg", "one.cfg")):
        assert (folder / "back" / name).read_bytes() == (folder / source).read_bytes()
    code, said = run(
        capsys, "predict", "a.png", "--weights", "back/my.weights", "--image-size", "128x96",
        "--no-draw",
    )  # fmt: skip
    assert code == 0 and "2 classes, 128x96" in said and "names from my.names" in said


@pytest.mark.parametrize(
    "words, code, part",
    [
        (["predict", "a.png", "--cfg", "bad.cfg"], 2, "bad.cfg, line 71: [gru] is no layer"),
        (["predict", "a.png", "--cfg", "none.cfg"], 2, "none.cfg: cannot be opened"),
        (["predict", "a.png", "--cfg", "one.cfg", "--masks", "0,1"], 2, "a mask for each"),
        (["predict", "a.png"], 4, "whose cfg is wanted: --cfg FILE"),
        (["export", "--cfg", "one.cfg", "--format", "darknet", "--dynamic"], 2, "--dynamic is for"),
    ],
)
def test_faults_are_one_line(folder, capsys, words, code, part):
    found, said = run(capsys, *words, "--weights", "my.weights")
    (line,) = [line for line in said.splitlines() if "error:" in line]
    assert found == code and part in line


def test_train_takes_a_cfg_in_the_place_of_a_model(folder, capsys):
    code, said = run(capsys, "train", "--cfg", "one.cfg", "--model", "yolov4")
    assert code == 2 and "--cfg takes the place of --model" in said
    code, said = run(capsys, "train", "--model", "yolov9")
    assert code == 2 and "no model is called 'yolov9'" in said
