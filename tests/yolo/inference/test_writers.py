"""The forms in which predictions are written, read back by whoever reads them."""

import csv
import gc
import json
import logging
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.classes import COCO_CLASSES
from yolo.data.folder import open_folder
from yolo.data.formats import coco_results
from yolo.errors import ConfigError, YoloError
from yolo.inference import writers
from yolo.inference.results import Result
from yolo.inference.writers import WRITERS

NAMES = ("cat", "a/b", "猫")
LISTS = ("json", "csv", "coco-results", "counts")  # files that hold all pictures


def picture(size=(60, 80)):
    return np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)


@pytest.fixture
def results(tmp_path):
    """Return results of a picture on disk, of one without objects, and of a video's frame."""
    image = picture()
    path = tmp_path / "in" / "照片.png"
    path.parent.mkdir()
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    found = Detections(
        [[10, 20, 30, 40], [0, 0, 80, 60], [2.6, 3.4, 9.7, 9.9]], [0.9, 0.8, 0.7], [0, 1, 2], NAMES
    )
    nothing = Detections.empty(NAMES)
    return [
        Result(str(path), "照片", image, found, path=path, drawn=tmp_path / "d.jpg"),
        Result(str(path), "照片_2", image, nothing, path=path),
        Result("clip.mp4", "clip_frame_000007", image, found[:1], frame=7),
    ]


def written(kind, results, out):
    writer = WRITERS[kind](out, NAMES)
    for result in results:
        writer.add(result)
    writer.close()
    return writer.path


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", list(WRITERS))
def test_nothing_looked_at_is_no_error(tmp_path, kind):
    written(kind, [], tmp_path / "out")


def test_json(results, tmp_path):
    path = written("json", results, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "照片.png" in text
    one, two, three = json.loads(text)
    assert (one["width"], one["height"], one["drawn"]) == (80, 60, str(tmp_path / "d.jpg"))
    assert one["objects"] == results[0].found.to_json()
    assert two["objects"] == [] and "drawn" not in two
    assert three["frame"] == 7 and "frame" not in one


def test_json_of_a_name_that_is_no_text(tmp_path):
    from yolo.pictures.header import printable

    path = tmp_path / b"caf\xe9.png".decode("utf-8", "surrogateescape")
    result = Result(printable(path), "x", picture(), Detections.empty(NAMES), path=path)
    (entry,) = json.loads(written("json", [result], tmp_path).read_text(encoding="utf-8"))
    assert "caf" in entry["file"]


def test_csv(results, tmp_path):
    rows = read_csv(written("csv", results, tmp_path))
    assert [row["class"] for row in rows] == ["cat", "a/b", "猫", "cat"]
    assert [row["frame"] for row in rows] == ["", "", "", "7"]
    assert [float(rows[0][name]) for name in ("x1", "y1", "x2", "y2")] == [10, 20, 30, 40]


def test_counts(results, tmp_path):
    rows = read_csv(written("counts", results, tmp_path))
    assert [[row[name] for name in (*NAMES, "all")] for row in rows] == [
        ["1", "1", "1", "3"], ["0", "0", "0", "0"], ["1", "0", "0", "1"], ["2", "1", "1", "4"],
    ]  # fmt: skip
    assert rows[-1]["file"] == "total"


def test_coco_ids(tmp_path):
    found = Detections([[1, 2, 3, 4]], [0.5], [79], COCO_CLASSES)
    pictures = [tmp_path / name for name in ("000000000139.jpg", "street.jpg")]
    writer = WRITERS["coco-results"](tmp_path, COCO_CLASSES)
    for path in pictures:  # the drawn picture may have another name
        writer.add(Result(str(path), f"{path.stem}_2", picture(), found, path=path))
    writer.close()
    entries = json.loads(writer.path.read_text(encoding="utf-8"))
    assert [(e["image_id"], e["category_id"]) for e in entries] == [(139, 90), ("street", 90)]
    assert [e["file_name"] for e in entries] == [path.as_posix() for path in pictures]


def test_voc_goes_back_into_training(results, tmp_path, caplog):
    root = written("voc", results, tmp_path)
    with caplog.at_level(logging.WARNING, "yolo"):
        opened = open_folder(root)
        samples = {
            sample.image_id: sample
            for split in opened.names
            for sample in opened.read(split, classes=NAMES)
        }
    assert not caplog.messages, "nothing to repair"
    assert set(samples) == {"照片", "照片_2", "clip_frame_000007"}
    one = samples["照片"]
    np.testing.assert_array_equal(
        one.boxes_xyxy, [[10, 20, 30, 40], [0, 0, 80, 60], [3, 3, 10, 10]]
    )
    assert one.class_ids.tolist() == [0, 1, 2] and one.truncated.tolist() == [False, True, False]
    assert len(samples["照片_2"].boxes_xyxy) == 0
    assert one.path.read_bytes() == results[0].path.read_bytes(), "the picture as it was"
    assert samples["clip_frame_000007"].size == (60, 80)
    assert (root / "classes.txt").read_text(encoding="utf-8").split() == list(NAMES)


def test_corrected_annotations_are_never_written_over(results, tmp_path):
    written("voc", results, tmp_path)
    with pytest.raises(ConfigError, match="corrected by hand; move that folder away"):
        WRITERS["voc"](tmp_path, NAMES)


def test_a_jpeg_of_any_name_gets_its_suffix(tmp_path):
    path = tmp_path / "odd.dat"
    path.write_bytes(cv2.imencode(".jpg", picture())[1].tobytes())
    result = Result(str(path), "odd", picture(), Detections.empty(NAMES), path=path)
    root = written("voc", [result], tmp_path)
    assert [p.name for p in (root / "JPEGImages").iterdir()] == ["odd.jpg"]


def test_yolo_text(results, tmp_path):
    root = written("yolo", results, tmp_path)
    texts = {p.stem: p.read_text(encoding="utf-8") for p in (root / "labels").iterdir()}
    assert texts["照片"].splitlines()[0] == "0 0.250000 0.500000 0.250000 0.333333"
    assert texts["照片_2"] == "" and len(texts) == 3
    assert (root / "classes.txt").read_text(encoding="utf-8").split() == list(NAMES)


def test_crops(results, tmp_path):
    root = written("crops", results, tmp_path)
    sizes = {
        path.relative_to(root).as_posix(): cv2.imdecode(
            np.fromfile(path, np.uint8), cv2.IMREAD_COLOR
        ).shape[:2]
        for path in root.rglob("*.jpg")
    }
    assert sizes == {
        "cat/照片_1.jpg": (20, 20), "a_b/照片_2.jpg": (60, 80), "猫/照片_3.jpg": (7, 8),
        "cat/clip_frame_000007_1.jpg": (20, 20),
    }  # fmt: skip


def test_a_full_disk_is_one_line(results, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for kind in WRITERS:
        with pytest.raises(YoloError, match="cannot be written"):
            written(kind, results, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["predictions.jsonl"]
    lines = files[0].read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [result.to_json() for result in results]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.skipif(os.name == "nt", reason="there are no limits on the size of files")
@pytest.mark.parametrize("kind", LISTS)
def test_a_disk_that_fills_on_the_way_leaves_the_old_list(tmp_path, kind):
    """With a real limit of the system, so that it strikes inside whatever is written."""
    code = (
        "import resource, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from yolo.errors import YoloError\nfrom yolo.boxes.detections import Detections\n"
        "from yolo.inference.writers import WRITERS\nfrom yolo.inference.results import Result\n"
        "found = Detections([[1, 2, 3, 4]] * 10, [0.5] * 10, [0] * 10, ('a',))\n"
        "def add(writer, count):\n"
        "    for n in range(count):\n"
        "        writer.add(Result('a', 'a', np.zeros((9, 9, 3), np.uint8), found, frame=n))\n"
        "first = WRITERS[sys.argv[1]](Path(), ('a',))\nadd(first, 3)\nfirst.close()\n"
        "old = first.path.read_bytes()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "second = WRITERS[sys.argv[1]](Path(), ('a',))\n"
        "try:\n    add(second, 10_000)\nexcept YoloError as error:\n    print(error)\n"
        "try:\n    second.close()\nexcept YoloError as error:\n    print(error)\n"
        "assert first.path.read_bytes() == old\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, kind], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert ": cannot be written (File too large)" in line
    (path, *lines) = sorted(tmp_path.iterdir())
    assert [file.name for file in lines] == (["predictions.jsonl"] if kind == "json" else [])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lists_that_grow_are_those_written_at_once(results, tmp_path, count):
    entries = [result.to_json() for result in results[:count]]
    text = json.dumps(entries, ensure_ascii=False, indent=1) + "\n"
    assert written("json", results[:count], tmp_path).read_bytes() == text.encode()
    entries = [
        entry
        for result in results[:count]
        for entry in coco_results.results(
            result.found,
            result.path.stem if result.path else result.stem,
            file_name=result.path.as_posix() if result.path else "",
        )
    ]
    text = json.dumps(entries, ensure_ascii=False) + "\n"  # fmt: skip
    assert written("coco-results", results[:count], tmp_path).read_bytes() == text.encode()
    assert len(list(tmp_path.glob("*.json*"))) == 2, "and no lines remain"


@pytest.mark.long
@pytest.mark.parametrize("kind", LISTS)
def test_a_day_at_a_camera_needs_no_more_memory_than_a_minute(tmp_path, kind):
    """One result for all, because only what the writer keeps of it shall count."""
    found = Detections([[1, 2, 30.5, 40.25]] * 10, [0.5] * 10, [0, 1] * 5, NAMES)
    writer, image = WRITERS[kind](tmp_path, NAMES), picture()
    tracemalloc.start()
    try:
        for number in range(1000):
            if number == 50:
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
            writer.add(Result("camera 0", f"camera_0_{number}", image, found, frame=number))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Buffers of files and other threads come and go, some 20 kB; ten objects are a thousand bytes.
    assert held < 950 * 100, "bytes of 950 results, which were 10 objects each"
    writer.close()
    assert writer.path.read_text(encoding="utf-8").count("camera") >= 1000


def test_what_a_killed_run_had_found_is_there_line_by_line_and_stays(results, tmp_path, caplog):
    killed = WRITERS["json"](tmp_path, NAMES)
    for result in results:
        killed.add(result)
        lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(lines[-1]) == result.to_json()
    with caplog.at_level(logging.WARNING, "yolo"):
        path = written("json", results[:1], tmp_path)
    assert "predictions.jsonl: of a run that was killed" in caplog.text
    assert len(json.loads(path.read_text(encoding="utf-8"))) == 1
    assert (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines() == lines
    assert not (tmp_path / "predictions_2.jsonl").exists()


@pytest.mark.parametrize("label", ["..", ".", " ", "a:b", "x\ty", "a\\b"])
def test_names_of_classes_become_names_of_folders(label):
    name = writers.folder_name(label)
    assert name.strip(". ") and not set(name) & set('<>:"/\\|?*\t')
