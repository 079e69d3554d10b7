"""Help and usage errors of the three commands: at once, in a line."""

import subprocess
import sys
import time

import pytest

import keras_focal
from tests.scripts.commands import ROOT, SCRIPTS, refused, run, surroundings, work_of_children
from yolo.cli import train


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_comes_at_once(tmp_path, script):
    took = []
    for _ in range(3):
        started = work_of_children()
        done = run(tmp_path, script, "--help")
        took.append(work_of_children() - started)
        assert done.returncode == 0 and done.stdout.startswith(f"usage: {script}.py")
    assert min(took) < 0.5
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["models", "--hlep"]])
def test_all_commands_in_one_answer_at_once(tmp_path, arguments):
    took = []
    for _ in range(3):
        started = work_of_children()
        done = subprocess.run(
            [sys.executable, "-m", "yolo", *arguments], cwd=tmp_path, capture_output=True,
            env=surroundings() | {"PYTHONPATH": str(ROOT)}, encoding="utf-8",
        )  # fmt: skip
        took.append(work_of_children() - started)
        assert done.returncode == (2 if "--hlep" in arguments else 0)
        assert "python -m yolo" in done.stdout + done.stderr
    assert min(took) < 0.5


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_needs_neither_tensorflow_nor_opencv(tmp_path, script):
    code = (
        "import runpy, sys\n"
        "for name in ('tensorflow', 'keras', 'cv2', 'numpy'): sys.modules[name] = None\n"
        f"sys.argv = ['{script}.py', '--help']\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"runpy.run_path({str(ROOT / script) + '.py'!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_help_of_train_is_one_screen_of_the_usual_options(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(tmp_path, "train", "--help").stdout.splitlines()
    assert lines[:2] == ["usage: train.py [options]", ""]
    assert len(lines) < 24 and max(map(len, lines)) <= 80
    shown = [line.split()[0] for line in lines if line.startswith("  --")]
    assert shown == [
        "--data", "--classes", "--model", "--weights", "--image-size", "--epochs", "--batch-size",
        "--loss", "--name", "--resume",
    ]  # fmt: skip
    known = {text: action for action in train.parser()._actions for text in action.option_strings}
    assert set(shown) <= set(known)
    assert lines[-1] == f"all {len(set(known.values()))} options: --help all"
    for option in ("--model", "--loss", "--epochs", "--batch-size", "--image-size"):
        stated = known[option].help.partition("(default: ")[2].split(",")[0].rstrip(")")
        (line,) = [line for line in lines if line.startswith(f"  {option} ")]
        assert option == "--loss" or line.endswith(f"(default: {stated})")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_version(tmp_path, script):
    done = run(tmp_path, script, "--version")
    assert (done.returncode, done.stdout) == (0, f"keras-focal {keras_focal.__version__}\n")


def test_help_all_of_train_shows_every_setting_with_its_default(tmp_path):
    text = " ".join(run(tmp_path, "train", "--help", "all").stdout.split())
    assert text.startswith("usage: train.py [options] Train a detector")
    for group in ("data:", "model:", "augmentation:", "loss:", "schedule:", "optimizer:", "run:"):
        assert group in text
    for words in (
        "UnFreeze_Epoch) (default: 100)", "(default: 0.01 for sgd, 0.001 for adam and adamw)",
        "(default: 416,416)", "(default: 0.6,1.5)", "(default: date and time)",
        "--multi-scale, --no-multi-scale",
    ):  # fmt: skip
        assert words in text, words


# --------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "script, arguments, words",
    [
        ("train", ["--epoch", "3"], "no option --epoch; did you mean --epochs?"),
        ("train", ["--batchsize=3"], "no option --batchsize; did you mean --batch-size?"),
        ("train", ["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        ("train", ["--epochs", "0"], "epochs lies in 1 to 1000000, not 0"),
        ("train", ["--loss", "hubert"], "invalid choice: 'hubert'"),
        ("train", ["--image-size", "100"], "multiples of 32, not [100, 100]; try 96x96"),
        ("train", ["--scale", "2"], "'2' is not LOW,HIGH, e.g. 0.6,1.5"),
        ("train", ["VOCdevkit"], "'VOCdevkit' belongs to no option"),
        ("train", ["--config", "absent.toml"], "absent.toml: cannot read the settings"),
        ("train", ["--resume", "logs/x"], "logs/x holds no config.toml"),
        ("predict", ["a.jpg", "--score", "2"], "'2' is not a number from 0 to 1"),
        ("predict", ["a.jpg", "--max-detections", "0"], "not a whole number from 1 on"),
        ("predict", ["a.jpg", "--save", "cvs"], "there is no 'cvs'; did you mean csv?"),
        ("predict", ["a.jpg", "--tile", "20"], "'20' is not the size of a tile"),
        ("predict", ["a.jpg"], "no --weights given and no logs/*/best.keras here; train first"),
        ("evaluate", ["--iou", "x"], "'x' is not a number from 0 to 1"),
    ],
)
def test_a_usage_error_is_one_line(tmp_path, script, arguments, words):
    if words.endswith("train first"):  # TensorFlow is loaded by then
        assert words in refused(tmp_path, 2, script, *arguments)
        return
    started = time.monotonic()
    assert words in refused(tmp_path, 2, script, *arguments)
    assert time.monotonic() - started < 5  # half a second on a quiet machine, see below
    assert not list(tmp_path.iterdir())


def test_a_usage_error_comes_at_once(tmp_path):
    took = []
    for _ in range(3):
        started = work_of_children()
        refused(tmp_path, 2, "predict", "a.jpg", "--save", "cvs")
        took.append(work_of_children() - started)
    assert min(took) < 0.5


def test_a_data_folder_that_is_not_there(tmp_path):
    line = refused(tmp_path, 3, "train", "--data", "VOCdevkit/VOC2077")
    assert line.endswith("VOCdevkit/VOC2077: no such folder; expected one of labelled pictures")
    assert not list(tmp_path.iterdir())
