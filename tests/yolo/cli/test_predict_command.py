"""`predict.py` inside the process, with a stand-in for the network that finds red spots."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from yolo import cli
from yolo.cli import common
from yolo.cli.option_values import SAVE_KINDS
from yolo.inference import window
from yolo.inference.video import Video, VideoWriter
from yolo.pictures.files import read_image, write_image

ROOT = Path(__file__).resolve().parents[3]
BOX = (20, 30, 60, 50)


@pytest.fixture
def predict(monkeypatch, tmp_path, spot_finder, outcome):
    """Return a function that runs the command and returns its code, output and errors."""
    monkeypatch.chdir(tmp_path)
    model = spot_finder()
    monkeypatch.setattr(common, "open_model", lambda args, weights: model)
    monkeypatch.setattr("yolo.system.terminal.import_tensorflow_quietly", lambda **_: None)

    def run(*arguments):
        return outcome(cli.predict_main, *arguments, "--weights", "any.keras")

    run.model = model
    return run


@pytest.fixture
def clip(tmp_path, spots):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 12.5) as writer:
        for _ in range(6):
            writer.write(spots((96, 128), [BOX]))
    return path


def entries(out):
    return json.loads((out / "predictions.json").read_text(encoding="utf-8"))


def test_pictures_and_videos_with_every_kind_of_file(predict, tmp_path, spots, clip):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX, (5, 5, 95, 20)]))
    code, out, err = predict("a.png", clip, "--save", ",".join(SAVE_KINDS[1:]),
                             "--out", "o")  # fmt: skip
    assert (code, err) == (0, "")
    assert "a.png: 1 dog, 1 cat" in out and "clip.mp4: 6 frames, in all of them 6 cat" in out
    assert "1 picture, 6 frames, results in " in out and "drawn: " in out
    root = tmp_path / "o"
    assert [entry.get("frame") for entry in entries(root)] == [None, *range(6)]
    assert len(list((root / "voc" / "Annotations").iterdir())) == 7
    assert len(list((root / "yolo" / "labels").iterdir())) == 7
    assert len(list((root / "crops" / "cat").iterdir())) == 7
    with (root / "counts.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[-1] == ["total", "", "7", "1", "8"]
    video = Video(root / "clip.mp4")
    assert (video.rate, video.count, video.size) == (12.5, 6, (96, 128))
    frame = next(iter(video)).astype(int)
    assert abs(frame[30:50, 19:22] - (255, 64, 64)).sum(axis=-1).min() < 90, "the box is drawn"
    assert not [path for path in root.rglob("*") if "part" in path.name]


def test_videos_are_not_written_over(predict, tmp_path, clip):
    before = clip.read_bytes()
    code, _, _ = predict(clip.as_uri(), "--out", ".")
    assert code == 0 and clip.read_bytes() == before
    assert (tmp_path / "clip_2.mp4").is_file()


def test_files_of_the_users_are_not_written_over_and_drawn_ones_are(predict, tmp_path, spots, clip):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    write_image(tmp_path / "a.jpg", spots((9, 9), []))
    (tmp_path / "in").mkdir()
    moved = clip.rename(tmp_path / "in" / "clip.mp4")
    (tmp_path / "clip.mp4").write_bytes(moved.read_bytes())
    before = {path: path.read_bytes() for path in (tmp_path / "a.jpg", tmp_path / "clip.mp4")}
    for _ in range(2):
        code, out, _ = predict("a.png", moved, "--out", ".")
        assert code == 0 and "drawn: clip_2.mp4" in out
        assert {path: path.read_bytes() for path in before} == before
        assert entries(tmp_path)[0]["drawn"] == "a_2.jpg"
        assert read_image(tmp_path / "a_2.jpg").shape == (96, 128, 3)
        assert len(list(Video(tmp_path / "clip_2.mp4"))) == 6
        assert not [*tmp_path.glob("*_3.*")]
    assert predict("a.png", "--no-draw", "--save", "yolo", "--out", ".")[0] == 0
    assert (tmp_path / "yolo" / "labels" / "a.txt").is_file(), "nothing stands in its way"


def test_a_broken_video_and_a_missing_camera_do_not_end_the_run(predict, tmp_path, clip):
    (tmp_path / "bad.avi").write_text("no video", encoding="utf-8")
    code, out, _ = predict("bad.avi", "99", clip, "gone.jpg", "--no-draw")
    assert code == 1 and "3 sources left out, not readable" in out
    assert out.count("error: ") == 3 and "6 frames" in out
    assert not list((tmp_path / "predictions").glob("*.mp4"))


def test_odd_names_in_a_list_are_lines_and_the_good_ones_are_looked_at(predict, tmp_path, spots):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "list.txt").write_text("circle.png\nb\0.png\n~$a.png\na.png\n", encoding="utf-8")
    code, out, err = predict("list.txt")
    assert (code, err) == (1, "") and "3 pictures left out, not readable" in out
    assert out.count("error: ") == 3 and "b\\x00.png: " in out
    assert [entry["file"] for entry in entries(tmp_path / "predictions")] == ["a.png"]


def test_tiles_find_what_the_whole_hides(predict, tmp_path, spots):
    write_image(tmp_path / "big.png", spots((384, 512), [(250, 150, 256, 156)]))
    assert "big.png: nothing found" in predict("big.png")[1]
    assert "big.png: 1 cat" in predict("--tile", "big.png")[1]
    code, out, _ = predict("big.png", "--tile", "100x130", "--heatmap", "--out", "heat")
    assert code == 0 and "big.png: 1 cat" in out
    drawn = read_image(tmp_path / "heat" / "big.jpg").astype(int)
    near = drawn[152:154, 252:254].mean(axis=(0, 1))
    assert near[0] - near[2] > 40, "the heat of a sure object is red"
    assert abs(drawn[300:, :150] - 90).max() < 12, "and nothing lies where nothing is"


def test_the_heat_of_other_classes_is_not_shown(predict, tmp_path, spots):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX, (5, 5, 95, 20)]))
    code, out, _ = predict("a.png", "--classes", "dog", "--heatmap")
    assert code == 0 and "a.png: 1 dog" in out
    drawn = read_image(tmp_path / "predictions" / "a.jpg").astype(int)
    cat, dog = drawn[38:42, 38:42].mean(axis=(0, 1)), drawn[11:14, 45:55].mean(axis=(0, 1))
    assert not np.allclose(cat, dog, atol=30)


@pytest.mark.parametrize("tile", [(), ("--tile", "48x64")])
def test_what_is_shown_does_not_hang_on_what_is_saved(predict, tmp_path, tile, monkeypatch):
    """Boxes all over, some beside the picture, and more than are shown."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(-40, 128, (400, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 20, (400, 2))], 1)
    scores = rng.uniform(0, 0.9, (400, 2)).astype(np.float32)

    def raw(images):
        return {
            "boxes": np.repeat(boxes[None].astype(np.float32), len(images), 0),
            "scores": np.repeat(scores[None], len(images), 0),
        }

    monkeypatch.setattr(predict.model, "predict_raw", raw)
    write_image(tmp_path / "a.png", np.zeros((96, 160, 3), np.uint8))
    found = {}
    for more in ((), ("--save", "coco")):
        options = (*tile, *more, "--out", "o" + "".join(more))
        assert predict("a.png", *options, "--no-draw")[0] == 0
        found[more] = entries(tmp_path / options[-1])[0]["objects"]
    assert found[()] == found["--save", "coco"] and len(found[()]) > 40


def test_a_heat_map_is_a_drawing(predict):
    code, _, err = predict("a.png", "--heatmap", "--no-draw")
    assert code == 2 and "leave out --no-draw" in err


def test_annotations_that_may_have_been_corrected_stop_the_run(predict, tmp_path, spots):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    for kind in ("voc", "yolo"):
        assert predict("a.png", "--save", kind)[0] == 0
        code, _, err = predict("a.png", "--save", kind)
        assert code == 2 and len(err.splitlines()) == 1 and "corrected by hand" in err


def test_where_no_window_opens_it_says_so_and_goes_on(predict, tmp_path, spots, monkeypatch):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    monkeypatch.setattr(window, "obstacle", lambda: "--show: there is no display here")
    code, out, _ = predict("a.png", "--show")
    assert code == 0 and out.count("--show: there is no display here") == 1
    assert (tmp_path / "predictions" / "a.jpg").is_file()


def test_a_window_shows_and_ends(predict, tmp_path, spots, monkeypatch, clip):
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name, spots((96, 128), [BOX]))
    waited = []

    def show(image, *, wait, ended):
        waited.append(wait)
        assert image.shape == (96, 128, 3)
        return len(waited) != 2

    monkeypatch.setattr(window, "obstacle", lambda: None)
    monkeypatch.setattr(window, "show", show)
    code, out, _ = predict("a.png", "b.png", "c.png", clip, "--show", "--no-draw")
    assert code == 0 and waited == [True, True] and "2 pictures, results in " in out
    waited[:] = [None, None]
    predict(clip, "--show", "--no-draw")
    assert waited[2:] == [False] * 6, "a video does not wait for keys"


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_there_is_and_the_batch_at_hand(
    predict, tmp_path, spots, clip, monkeypatch, number, code
):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    looked = predict.model.predict_raw

    def interrupted(images):
        if len(predict.model.batches) == 2:  # the picture, two frames, and now two more
            signal.raise_signal(number)
            time.sleep(0.3)  # the line is said now, not when the model is done
            print("-- looked at", flush=True)
        return looked(images)

    monkeypatch.setattr(predict.model, "predict_raw", interrupted)
    found, out, err = predict("a.png", clip, "--save", "csv", "--batch-size", "2")
    lines = out.splitlines()
    assert (found, err, lines[-1]) == (code, "", "stopped")
    said = lines.index("stopping after this batch; again to stop at once")
    assert lines[said + 1] == "-- looked at"
    root = tmp_path / "predictions"
    assert Video(root / "clip.mp4").count == 4
    assert len(entries(root)) == 5 and (root / "predictions.csv").is_file()


def test_a_call_of_the_model_that_nothing_interrupts_may_take_its_time(tmp_path, spots):
    """Compiled code hears of no signal: the process must not be ended before it comes back."""
    for n in range(6):
        write_image(tmp_path / f"{n}.png", spots((96, 128), [BOX]))
    code = (
        "import hashlib, os, signal, sys\n"
        "from tests.yolo.conftest import SpotFinder\n"
        "from yolo import cli\nfrom yolo.system import terminal\n"
        "from yolo.cli import common\n"
        "from yolo.system.signals import Stop\n"
        "class Slow(SpotFinder):\n"
        "    def predict_raw(self, images):\n"
        "        if len(self.batches) == 1:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000)\n"
        "        return super().predict_raw(images)\n"
        "model = Slow()\n"
        "common.open_model = lambda args, weights: model\n"
        "terminal.import_tensorflow_quietly = lambda **_: None\n"
        "Stop.__init__.__kwdefaults__['grace'] = 0.1\n"
        "sys.exit(cli.predict_main(['.', '--weights', 'any.keras', '--batch-size', '2']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (143, "")
    assert [entry["file"] for entry in entries(tmp_path / "predictions")] == [
        "0.png", "1.png", "2.png", "3.png",
    ]  # fmt: skip


def test_the_stopwatch(predict, tmp_path, spots, monkeypatch):
    monkeypatch.setattr("yolo.inference.benchmark.ROUNDS", 3)
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    code, out, _ = predict("a.png", "--benchmark")
    assert code == 0 and not (tmp_path / "predictions").exists()
    for stage in ("read", "resize", "network", "decode and NMS", "draw", "all"):
        (line,) = [line for line in out.splitlines() if line.startswith(stage + " ")]
        low, high = line.split()[-3], line.split()[-1]
        assert 0 < float(low) <= float(line.removeprefix(stage).split()[0]) <= float(high)
    assert "network 96x128, batches of 1" in out


@pytest.mark.parametrize(
    "words",
    [["--tile", "64"], ["--save", "csv"], ["--heatmap"], ["--show"], ["--no-draw"],
     ["--classes", "dog"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_the_stopwatch_leaves_out_nothing_that_was_asked_for(predict, tmp_path, spots, words):
    write_image(tmp_path / "a.png", spots((96, 128), [BOX]))
    code, out, err = predict("a.png", "--benchmark", *words)
    assert (code, out) == (2, "") and f"{words[0]} does not go with --benchmark" in err


def test_the_stopwatch_needs_pictures(predict, clip):
    code, _, err = predict(clip, "--benchmark")
    assert code == 2 and "--benchmark times pictures" in err
