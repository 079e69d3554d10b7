"""`train.py` as people run it: interrupted, gone on with, and what it leaves behind."""

import csv
import os
import re
import signal
import time

import pytest

from tests import children
from tests.scripts.commands import command, refused, run_loaded, surroundings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on the VOCdevkit of a folder, interrupt after an epoch, resume; return all of it."""
    from yolo.data import demo

    folder = tmp_path_factory.mktemp("work") / "my work"
    folder.mkdir()
    shapes = demo.write_shapes(tmp_path_factory.mktemp("drawn"), train=8, val=4, test=4)
    shapes.parent.rename(folder / "VOCdevkit")
    process = children.Child(
        command("train", "--name", "一 run", "--image-size", "64", "--epochs", "3", "--batch-size",
                "4", "--epochs-between-evaluations", "1", "--eager"),  # two graphs: half a minute
        cwd=folder, env=surroundings(),
    )  # fmt: skip
    last = folder / "logs" / "一 run" / "last.keras"
    give_up = time.monotonic() + 240
    while not last.exists() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = process.wait()
    interrupted = (done.returncode, done.stdout, done.stderr)
    resumed = run_loaded(folder, "train", "--resume", last.parent.relative_to(folder))
    return folder, interrupted, resumed


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_an_interrupt_says_how_to_go_on(trained):
    _, (code, out, err), _ = trained
    assert code == 130, err
    assert out.splitlines()[-1] == 'stopped; go on with: python train.py --resume "logs/一 run"'
    assert err == ""


def test_without_data_it_takes_the_vocdevkit_here_and_says_so(trained):
    _, (_, out, _), _ = trained
    assert out.splitlines()[0] == "no --data given: training on VOCdevkit"
    assert "run folder: logs/一 run" in out


def test_a_resumed_run_finishes(trained):
    folder, (_, first, _), resumed = trained
    assert resumed.returncode == 0 and resumed.stderr == ""
    done = re.findall(r"^epoch (\d)/3", first, re.M)
    assert re.findall(r"^epoch (\d)/3", resumed.stdout, re.M)[-1] == "3"
    with (folder / "logs" / "一 run" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert done[0] == "1" and [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(0 <= float(row["mAP50"]) <= 1 for row in rows)


def test_the_run_folder_is_complete(trained):
    folder, _, _ = trained
    inside = {
        path.relative_to(folder / "logs" / "一 run").as_posix()
        for path in (folder / "logs" / "一 run").rglob("*")
    }
    assert inside >= {
        "config.toml", "classes.txt", "results.csv", "best.keras", "last.keras",
        "plots/training.png", "plots/precision_recall.png", "plots/predictions.jpg",
        "plots/worst.jpg", "plots/f1.png", "plots/confusion.png", "plots/data_boxes.png",
        "test_results.json", "results.jsonl", "check.json", "check.txt", "command.txt",
        "report.html", "complete.json",
    }  # fmt: skip
    assert len([name for name in inside if name.startswith("predictions/")]) == 4
    assert not [name for name in inside if "part" in name or "lock" in name]


def test_the_report_opens_alone_and_tells_the_commands(trained):
    folder, _, resumed = trained
    page = folder / "logs" / "一 run" / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "everything on one page: " in resumed.stdout
    assert "python train.py --name &#x27;一 run&#x27; --image-size 64" in text
    assert "--resume &#x27;logs/一 run&#x27;" in text
    assert not re.search(r"https?://|<script|<link", text) and text.count("data:image/") >= 10


def test_it_says_how_to_predict_and_that_works(trained):
    folder, _, resumed = trained
    (line,) = [la for la in resumed.stdout.splitlines() if la.startswith("go on with: ")]
    assert re.search(r"mAP50 \d\.\d{4} on the test split", resumed.stdout)
    words = re.findall(r'"([^"]+)"|(\S+)', line.removeprefix("go on with: python predict.py "))
    done = run_loaded(folder, "predict", *(quoted or plain for quoted, plain in words))
    assert done.returncode == 0, done.stderr
    assert (folder / "predictions" / "predictions.json").is_file()


@pytest.mark.parametrize("arguments", [["--resume", "logs/一 run"], ["--name", "一 run"]])
def test_a_finished_run_started_again_says_so_and_does_nothing(trained, arguments):
    folder, _, _ = trained
    before = {path: path.stat().st_mtime_ns for path in (folder / "logs").rglob("*")}
    done = run_loaded(folder, "train", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "logs/一 run: this run is complete (3 epochs); nothing to do\n"
    assert {path: path.stat().st_mtime_ns for path in (folder / "logs").rglob("*")} == before


def test_resume_takes_no_other_settings(trained):
    folder, _, _ = trained
    line = refused(
        folder, 2, "train", "--resume", "logs/一 run", "--batch-size", "2", "--seed", "1",
        by=run_loaded,
    )  # fmt: skip
    assert "logs/一 run/config.toml: a run goes on with what it was started with" in line
    assert "batch_size is 2, was 4; seed is 1, was 11" in line
    # A finished run's folder is not one for another run of the same name.
    line = refused(folder, 2, "train", "--name", "一 run", "--batch-size", "2", by=run_loaded)
    assert "a run of this name exists" in line


def test_a_picture_that_cannot_be_decoded_ends_the_training_with_its_name(trained, tmp_path):
    folder, _, _ = trained
    copy = tmp_path / "VOC2007"
    for path in (folder / "VOCdevkit").rglob("*.*"):
        target = copy / path.relative_to(folder / "VOCdevkit" / "VOC2007")
        target.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        target.write_bytes(data[:6000] if path.name == "000003.jpg" else data)
    line = refused(
        tmp_path, 3, "train", "--data", "VOC2007", "--image-size", "64", "--epochs", "1",
        "--batch-size", "8", "--eager", "--name", "a", by=run_loaded,
    )  # fmt: skip
    assert "1 fault: VOC2007/JPEGImages/000003.jpg: a damaged JPEG" in line
    assert not (tmp_path / "logs" / "a").exists(), "a failed start stands in nobody's way"
