"""`predict.py`, `evaluate.py` and `python -m yolo check` as people run them."""

import csv
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.scripts.commands import CORNERS, ROOT, picture, refused, run, run_loaded


@pytest.mark.parametrize("name", ["cut.keras", "cut.weights"])
def test_bad_weights(tmp_path, pinned, name):
    (tmp_path / "cut.keras").write_bytes(pinned.read_bytes()[:100_000])
    (tmp_path / "cut.weights").write_bytes(b"\0\0\0\0\2\0\0\0\5\0\0\0" + bytes(1000))
    picture(tmp_path / "a.png")
    assert f"{name}: " in refused(tmp_path, 4, "predict", "a.png", "--weights", name, by=run_loaded)
    assert not (tmp_path / "predictions").exists()


def test_predict_draws_and_writes_pixels_of_the_picture(tmp_path, pinned):
    picture(tmp_path / "街.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    done = run(tmp_path, "predict", ".", "--weights", pinned)
    assert done.returncode == 1 and done.stderr == ""
    assert "街.jpg: 4 狗" in done.stdout
    assert "error: broken.jpg: " in done.stdout
    assert "1 picture, results in " in done.stdout
    assert "1 picture left out, not readable" in done.stdout
    text = (tmp_path / "predictions" / "predictions.json").read_text(encoding="utf-8")
    (entry,) = json.loads(text)
    assert (entry["file"], entry["width"], entry["height"]) == ("街.jpg", 320, 240)
    assert sorted(found["box"] for found in entry["objects"]) == pytest.approx(
        np.array(CORNERS), abs=0.02
    )
    assert {found["class"] for found in entry["objects"]} == {"狗"}
    assert all(found["score"] > 0.99 for found in entry["objects"])
    drawn = cv2.imdecode(np.fromfile(tmp_path / entry["drawn"], np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (240, 320, 3)


def test_predict_takes_the_newest_run_and_keeps_pictures_of_one_name_apart(tmp_path, pinned):
    for age, run_name in enumerate(("new", "old")):
        best = tmp_path / "logs" / run_name / "best.keras"
        best.parent.mkdir(parents=True)
        best.write_bytes(pinned.read_bytes() if run_name == "new" else b"old")
        os.utime(best, (10**9 - age, 10**9 - age))
    for folder in ("x", "y"):
        picture(tmp_path / folder / "a.png")
    done = run_loaded(tmp_path, "predict", "x/a.png", "y", "--classes", "狗", "--max-detections",
               "3", "--out", "out/here")  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out" / "here"
    assert {path.name for path in out.iterdir()} == {"a.jpg", "a_2.jpg", "predictions.json"}
    entries = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert [len(entry["objects"]) for entry in entries] == [3, 3]


def test_predict_on_a_video_in_tiles_with_heat(tmp_path, pinned):
    """A real detector behind every option at once; it sees the same objects in every frame."""
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (320, 240)
    )
    for _ in range(3):
        writer.write(np.full((240, 320, 3), 120, np.uint8))
    writer.release()
    picture(tmp_path / "a.png")
    done = run_loaded(tmp_path, "predict", "clip.avi", "a.png", "--tile", "--heatmap", "--save",
               "csv,counts", "--show", "--weights", pinned)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("--show: ") == 1 and "clip.avi: 3 frames" in done.stdout
    out = tmp_path / "predictions"
    written = cv2.VideoCapture(str(out / "clip.mp4"))
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and written.get(cv2.CAP_PROP_FPS) == 12.5
    entries = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    counts = [len(entry["objects"]) for entry in entries]
    assert counts == [counts[0]] * 4 and counts[0] > 4, "every tile has four, the whole, too"
    with (out / "counts.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[-1] == [
            "total",
            "",
            "0",
            str(4 * counts[0]),
            str(sum(counts)),
        ]


def test_the_stopwatch_tells_decoding_from_the_network(tmp_path, pinned):
    picture(tmp_path / "a.png")
    done = run_loaded(tmp_path, "predict", "a.png", "--benchmark", "--weights", pinned)
    assert (done.returncode, done.stderr) == (0, "")
    assert "decode and NMS" in done.stdout and "network 64x64, batches of 1" in done.stdout


def test_predict_never_writes_over_the_pictures_it_reads(tmp_path, pinned):
    picture(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    done = run_loaded(tmp_path, "predict", "a.jpg", "gone.jpg", "--weights", pinned, "--out", ".")
    assert done.returncode == 1 and "error: gone.jpg: " in done.stdout
    assert (tmp_path / "a.jpg").read_bytes() == before
    (entry,) = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert entry["drawn"] == "a_2.jpg" and (tmp_path / "a_2.jpg").is_file()


# ------------------------------------------------------------------------------- evaluate


def test_evaluate_writes_its_figures(tmp_path, pinned, voc):
    done = run(tmp_path, "evaluate", "--data", voc, "--weights", pinned, "--json", "new/ap.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on 2 pictures of " in done.stdout and "1.0000" in done.stdout
    found = json.loads(
        (tmp_path / "new" / "ap.json").read_text(encoding="utf-8"),
        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"),
    )
    assert set(found) == {"voc", "coco"}
    text = json.dumps(found["voc"], ensure_ascii=False)
    assert "狗" in text and found["voc"]["map_all_point"] == pytest.approx(1.0)
    assert found["coco"]["AP"] == pytest.approx(1.0)


def test_evaluate_on_a_list_that_is_not_there(tmp_path, pinned, voc):
    line = refused(
        tmp_path, 3, "evaluate", "--data", voc, "--weights", pinned, "--split", "val", by=run_loaded
    )
    assert "no split 'val'; expected one of test" in line


# ------------------------------------------------------------------------------ yolo check


def test_checking_needs_no_tensorflow(tmp_path, voc):
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"from yolo.cli import main\nsys.exit(main(['check', '--data', {str(voc)!r}, "
        "'--train-split', 'test']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "2 pictures (all 2 decoded), 1 class; 0 errors, 0 repairs, 1 warning" in done.stdout
    assert (tmp_path / "check" / "check.html").is_file()
