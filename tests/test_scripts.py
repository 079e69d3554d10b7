"""The three commands as people run them: subprocesses in a folder of their own."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("train", "predict", "evaluate")
CHATTER = re.compile(r"oneDNN|cuda|absl|Traceback|Warning|XLA|cpu_feature|TF_", re.IGNORECASE)
# The boxes of the detector below in a 320 x 240 picture, in the picture's own pixels.
CORNERS = [[60, 20, 100, 60], [60, 180, 100, 220], [220, 20, 260, 60], [220, 180, 260, 220]]


def command(script, *arguments):
    return [sys.executable, str(ROOT / f"{script}.py"), *map(str, arguments)]


def surroundings():
    """Return an environment as a user has it: no path to the package, no TensorFlow settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")
    } | {"PYTHONIOENCODING": "utf-8"}


def run(folder, script, *arguments, timeout=240):
    done = subprocess.run(
        command(script, *arguments), cwd=folder, env=surroundings(), capture_output=True,
        encoding="utf-8", timeout=timeout,
    )  # fmt: skip
    assert not CHATTER.search(done.stderr), done.stderr
    return done


def work_of_children() -> float:
    """Return the seconds of processor time that child processes took: other work hardly counts."""
    if os.name == "nt":  # which does not tell
        return time.monotonic()
    times = os.times()
    return times.children_user + times.children_system


def refused(folder, code, script, *arguments):
    """Run a command that must end with one line and this exit code; return the line."""
    done = run(folder, script, *arguments)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{script}.py: error: ")
    return line


@pytest.fixture(scope="module")
def pinned(tmp_path_factory):
    """Return a detector of 64 x 64 pixels that sees the same four objects in every picture.

    Its heads ignore their input; one anchor of the coarse map (2 x 2 cells of 32 pixels) fires
    in every cell, 8 x 8 pixels large. A 320 x 240 picture is letterboxed by 1/5 with 8 rows of
    padding above, so that the cell's centre (16, 16) is the picture's (80, 40) and the box
    40 x 40 there.
    """
    import yolo

    model = yolo.build("yolov4-tiny", classes=["cat", "狗"], image_size=(64, 64))
    # In the order of Darknet's file the head of stride 32 comes first.
    coarse, fine = (la for la in model.network.layers if hasattr(la, "outputs_per_anchor"))
    if coarse.name > fine.name:
        coarse, fine = fine, coarse
    bias = np.tile(np.float32([0, 0, 0, 0, -20, -20, -20]), 3)
    fine.bias.assign(bias)
    bias[:7] = [0, 0, math.log(8 / 81), math.log(8 / 82), 20, -20, 20]
    coarse.bias.assign(bias)
    for head in (coarse, fine):
        head.kernel.assign(np.zeros(head.kernel.shape, "float32"))
    path = tmp_path_factory.mktemp("pinned") / "pinned.keras"
    model.save(path)
    return path


def picture(path, size=(240, 320)):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """Return a VOC folder of two pictures in which the objects are where `pinned` sees them."""
    root = tmp_path_factory.mktemp("voc") / "VOC2007"
    objects = "".join(
        f"<object><name>狗</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for x1, y1, x2, y2 in CORNERS
    )
    for stem in ("a", "b"):
        picture(root / "JPEGImages" / f"{stem}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(
            "<annotation><size><width>320</width><height>240</height><depth>3</depth></size>"
            f"{objects}</annotation>", encoding="utf-8",
        )  # fmt: skip
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "test.txt").write_text("a\nb\n", encoding="utf-8")
    return root


# ---------------------------------------------------------------------------------- help


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


def test_help_of_train_shows_every_setting_with_its_default(tmp_path):
    text = " ".join(run(tmp_path, "train", "--help").stdout.split())
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
        ("train", ["--loss", "huber"], "invalid choice: 'huber'"),
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
    assert line.endswith("VOCdevkit/VOC2077: no such folder; expected one in VOC format")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cut.keras", "cut.weights"])
def test_bad_weights(tmp_path, pinned, name):
    (tmp_path / "cut.keras").write_bytes(pinned.read_bytes()[:100_000])
    (tmp_path / "cut.weights").write_bytes(b"\0\0\0\0\2\0\0\0\5\0\0\0" + bytes(1000))
    picture(tmp_path / "a.png")
    assert f"{name}: " in refused(tmp_path, 4, "predict", "a.png", "--weights", name)
    assert not (tmp_path / "predictions").exists()


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


# -------------------------------------------------------------------------------- predict


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
    done = run(tmp_path, "predict", "x/a.png", "y", "--classes", "狗", "--max-detections", "3",
               "--out", "out/here")  # fmt: skip
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
    done = run(tmp_path, "predict", "clip.avi", "a.png", "--tile", "--heatmap", "--save",
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
    done = run(tmp_path, "predict", "a.png", "--benchmark", "--weights", pinned)
    assert (done.returncode, done.stderr) == (0, "")
    assert "decode and NMS" in done.stdout and "network 64x64, batches of 1" in done.stdout


def test_predict_never_writes_over_the_pictures_it_reads(tmp_path, pinned):
    picture(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    done = run(tmp_path, "predict", "a.jpg", "gone.jpg", "--weights", pinned, "--out", ".")
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
    line = refused(tmp_path, 3, "evaluate", "--data", voc, "--weights", pinned, "--split", "val")
    assert "no split 'val'; expected one of test" in line


# ---------------------------------------------------------------------------------- train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on the VOCdevkit of a folder, interrupt after an epoch, resume; return all of it."""
    from yolo.data import demo

    folder = tmp_path_factory.mktemp("work") / "my work"
    folder.mkdir()
    shapes = demo.write_shapes(tmp_path_factory.mktemp("drawn"), train=8, val=4, test=4)
    shapes.parent.rename(folder / "VOCdevkit")
    process = subprocess.Popen(
        command("train", "--name", "一 run", "--image-size", "64", "--epochs", "4", "--batch-size",
                "4", "--epochs-between-evaluations", "1"),
        cwd=folder, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip
    last = folder / "logs" / "一 run" / "last.keras"
    give_up = time.monotonic() + 240
    while not last.exists() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    interrupted = (process.returncode, out, err)
    resumed = run(folder, "train", "--resume", last.parent.relative_to(folder))
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
    done = re.findall(r"^epoch (\d)/4", first, re.M)
    assert re.findall(r"^epoch (\d)/4", resumed.stdout, re.M)[-1] == "4"
    with (folder / "logs" / "一 run" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert done[0] == "1" and [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
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
    done = run(folder, "predict", *(quoted or plain for quoted, plain in words))
    assert done.returncode == 0, done.stderr
    assert (folder / "predictions" / "predictions.json").is_file()


@pytest.mark.parametrize("arguments", [["--resume", "logs/一 run"], ["--name", "一 run"]])
def test_a_finished_run_started_again_says_so_and_does_nothing(trained, arguments):
    folder, _, _ = trained
    before = {path: path.stat().st_mtime_ns for path in (folder / "logs").rglob("*")}
    done = run(folder, "train", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "logs/一 run: this run is complete (4 epochs); nothing to do\n"
    assert {path: path.stat().st_mtime_ns for path in (folder / "logs").rglob("*")} == before


def test_resume_takes_no_other_settings(trained):
    folder, _, _ = trained
    line = refused(
        folder, 2, "train", "--resume", "logs/一 run", "--batch-size", "2", "--seed", "1"
    )
    assert "logs/一 run/config.toml: a run goes on with what it was started with" in line
    assert "batch_size is 2, was 4; seed is 1, was 11" in line
    # A finished run's folder is not one for another run of the same name.
    line = refused(folder, 2, "train", "--name", "一 run", "--batch-size", "2")
    assert "a run of this name exists" in line


def catches(status, number):
    """Tell from /proc whether a process has its own handler for a signal."""
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signals to one process")
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_loads_ends_it_with_one_line(tmp_path, number, code):
    process = subprocess.Popen(
        command("train", "--data", "VOC2007", "--name", "a"), cwd=tmp_path,
        env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        process.kill()
        pytest.skip("no /proc here to see from when on it listens")
    while not catches(status.read_text(encoding="ascii"), signal.SIGTERM):
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert len((out + err).splitlines()) <= 2 and "Traceback" not in err
    assert not (tmp_path / "logs").exists(), "what saved nothing stands in nobody's way"


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
        "--batch-size", "8", "--eager", "--name", "a",
    )  # fmt: skip
    assert line.startswith("train.py: error: VOC2007/JPEGImages/000003.jpg: a damaged JPEG")
    assert not (tmp_path / "logs" / "a").exists(), "a failed start stands in nobody's way"
