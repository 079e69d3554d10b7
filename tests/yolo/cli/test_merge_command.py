"""`--shard` and `python -m yolo merge`: n processes find, write and score what one does."""

import json
import logging
import signal
from pathlib import Path

import numpy as np
import pytest

import yolo
from yolo import cli
from yolo.annotation import LabelledObject, annotation_xml
from yolo.cli import common
from yolo.draw import write_image
from yolo.errors import DatasetError
from yolo.inference import shards
from yolo.inference.predictor import detect_samples
from yolo.inference.shards import Shard
from yolo.sealed import seal
from yolo.training import dataset

COUNT = 11
EVALUATE = ["evaluate", "--data", "VOC", "--weights", "any.keras", "--batch-size", "2",
            "--match-iou", "0.6"]  # fmt: skip
PREDICT = ["predict", "VOC/JPEGImages", "more", "--weights", "any.keras", "--out", "o",
           "--save", "csv,coco,counts,yolo,crops"]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch, spots, capsys):
    """Return a folder with a VOC set of red spots, the current one while the test lasts."""
    rng = np.random.default_rng(3)
    root = tmp_path / "VOC"
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / name).mkdir(parents=True)
    stems = [f"{n:03d}" for n in range(COUNT)]
    for n, stem in enumerate(stems):
        boxes = [(x, y, x + 14 + n, y + 12) for x, y in rng.integers(5, 60, (n % 3, 2)).tolist()]
        write_image(root / "JPEGImages" / f"{stem}.png", spots((96, 128), boxes))
        moved = [LabelledObject("cat", (x1 + 2, y1, x2 + 2, y2), difficult=n == 4)
                 for x1, y1, x2, y2 in boxes]  # fmt: skip
        text = annotation_xml(f"{stem}.png", (96, 128), moved)
        (root / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets/Main/test.txt").write_text("\n".join(stems), encoding="utf-8")
    (tmp_path / "more").mkdir()
    write_image(tmp_path / "more" / "003.jpg", spots((96, 128), [(9, 9, 40, 40)]))
    (tmp_path / "any.keras").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(place, monkeypatch, spot_finder, capsys):
    """Return a function that runs a command and returns its code, output and errors."""

    class DependsOnTheBatch(spot_finder):
        """Gives a picture other scores and boxes in other company, as rounding may do."""

        def predict_raw(self, images):
            raw = super().predict_raw(images)
            rng = np.random.default_rng(np.asarray(images).sum(dtype=np.uint64))
            raw["boxes"] += rng.normal(0, 2, raw["boxes"].shape).astype(np.float32)
            raw["scores"] *= rng.uniform(0.2, 1, raw["scores"].shape).astype(np.float32)
            return raw

    models = {"evaluate": DependsOnTheBatch(), "predict": spot_finder()}
    monkeypatch.setattr(
        common, "open_model",
        lambda args, weights: models["evaluate" if hasattr(args, "match_iou") else "predict"],
    )  # fmt: skip
    monkeypatch.setattr("yolo.terminal.import_tensorflow_quietly", lambda **_: None)
    log = logging.getLogger("yolo")
    before = log.handlers[:], log.level, log.propagate

    def command(*arguments):
        capsys.readouterr()
        code = cli.main([*map(str, arguments)])
        return code, *capsys.readouterr()

    yield command
    log.handlers[:], log.level, log.propagate = before


def in_shards(run, arguments, of, numbers=None):
    for number in numbers or range(1, of + 1):
        code, out, err = run(*arguments, "--shard", f"{number}/{of}")
        assert code in (0, 1) and err == "", err
        assert f"shard {number} of {of}, " in out and "python -m yolo merge " in out


def refusal(run, *arguments):
    """Return the one line with which the merge refuses."""
    code, out, err = run("merge", *arguments)
    assert code in (2, 3) and err.count("\n") == 1 and out == ""
    return err


# ------------------------------------------------------------------------- the same results


@pytest.mark.parametrize("of", [1, 2, 3, 5, 20])
def test_an_evaluation_in_shards_is_that_of_one_process(run, of):
    code, whole, _ = run(*EVALUATE, "--json", "whole.json")
    assert code == 0
    in_shards(run, EVALUATE, of)
    code, merged, _ = run("merge", "evaluation", "--json", "merged.json")
    assert code == 0
    one, two = (Path(name).read_text(encoding="utf-8") for name in ("whole.json", "merged.json"))
    assert one == two
    figures = json.loads(one)
    assert 0.02 < figures["coco"]["AP"] < 0.98 and 0.02 < figures["voc"]["map_all_point"] < 0.98
    table = whole[whole.index("class ") : whole.index("written")]
    assert table in merged


@pytest.mark.parametrize("batch_size, of", [(4, 2), (4, 5), (16, 3)])
def test_a_real_network_finds_the_same_to_the_last_bit(place, batch_size, of):
    model = yolo.build("yolov4-tiny", classes=["cat", "dog"], image_size=(64, 64))
    samples = dataset.read_split("VOC", "test", classes=model.classes)
    whole = detect_samples(model, samples, batch_size=batch_size)
    parts = []
    for number in range(1, of + 1):
        part = Shard(number, of).part(COUNT, batch_size=min(batch_size, COUNT))
        mine = [samples[i] for i in part]
        parts += detect_samples(model, mine, batch_size=batch_size, whole=COUNT)
    assert len(parts) == COUNT and sum(map(len, whole)) > COUNT
    for one, other in zip(whole, parts, strict=True):
        for name in ("boxes_xyxy", "scores", "class_ids"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_parts_hold_every_picture_once_and_differ_by_a_batch():
    for count in range(0, 40):
        for of in (1, 2, 3, 7, 50):
            for size in (1, 4, 8):
                parts = [Shard(n, of).part(count, batch_size=size) for n in range(1, of + 1)]
                assert [i for part in parts for i in part] == list(range(count))
                assert all(part.start % size == 0 for part in parts if part)
                batches = [-(-len(part) // size) for part in parts]
                assert max(batches) - min(batches) <= 1


@pytest.mark.parametrize("of", [2, 13])
def test_predictions_in_shards_are_those_of_one_process(run, place, of):
    (place / "VOC/JPEGImages/005.png").write_bytes(b"no picture")
    code, whole, _ = run(*PREDICT)
    assert code == 1 and "11 pictures, results in" in whole
    (place / "o").rename(place / "whole")
    in_shards(run, PREDICT, of)
    code, merged, err = run("merge", "o")
    assert (code, err) == (1, "") and "1 picture left out, not readable" in merged
    line = next(line for line in whole.splitlines() if line.startswith("all together"))
    assert line in merged
    written = {
        name: {path.relative_to(root): path.read_bytes()
               for path in root.rglob("*") if path.is_file() and "shard-" not in path.name}
        for name, root in (("one", place / "whole"), ("several", place / "o"))
    }  # fmt: skip
    assert len(written["one"]) > 4 + 2 * 11 and written["one"] == written["several"]


def test_merged_predictions_may_go_elsewhere(run, place):
    in_shards(run, [*PREDICT, "--no-draw"], 2)
    before = sorted(path.name for path in (place / "o").iterdir())
    assert run("merge", "o/shard-2-of-2.json", "o/shard-1-of-2.json", "--out", "p")[0] == 0
    entries = json.loads((place / "p/predictions.json").read_text(encoding="utf-8"))
    assert [entry["file"] for entry in entries][-2:] == ["VOC/JPEGImages/010.png", "more/003.jpg"]
    assert before == sorted(path.name for path in (place / "o").iterdir())


# ------------------------------------------------------------------------- what is refused


def test_a_missing_shard_and_one_there_twice(run):
    in_shards(run, EVALUATE, 3, (1, 3))
    line = refusal(run, "evaluation")
    assert "shard 2 of 3 is missing (4 of 11 pictures): run it with --shard 2/3" in line
    in_shards(run, EVALUATE, 3, (2,))
    line = refusal(run, "evaluation", "evaluation/shard-2-of-3.json")
    assert "shard 2 of 3 is there twice: evaluation/shard-2-of-3.json and" in line


@pytest.mark.parametrize(
    "other, words",
    [
        (lambda place: ["--out", "two", "--score", "0.3"],
         "of other settings than evaluation/shard-1-of-2.json (score threshold 0.3, not 0.001)"),
        (lambda place: ["--out", "two", "--match-iou", "0.7"], "(match iou 0.7, not 0.6)"),
        (lambda place: (place / "any.keras").write_bytes(b"others") and ["--out", "two"],
         "of another model than"),
        (lambda place: (place / "VOC/Annotations/000.xml").write_text(
            annotation_xml("000.png", (96, 128), [LabelledObject("dog", (1, 1, 9, 9))]),
            encoding="utf-8") and ["--out", "two"], "of other pictures or annotations than"),
        (lambda place: ["--out", "two", "--shard", "2/3"], "of another division than"),
    ],
)  # fmt: skip
def test_shards_of_another_run_are_refused(run, place, other, words):
    in_shards(run, EVALUATE, 2, (1,))
    assert run(*EVALUATE, "--shard", "2/2", *other(place))[0] == 0
    line = refusal(run, "evaluation", "two")
    assert words in line and "two/shard-2-of-" in line and "of one run only" in line


def test_predictions_of_other_pictures_or_another_command_are_refused(run, place):
    in_shards(run, PREDICT, 2, (1,))
    write_image(place / "more/new.png", np.zeros((9, 9, 3), np.uint8))
    in_shards(run, PREDICT, 2, (2,))
    assert "of other pictures or annotations than" in refusal(run, "o")
    in_shards(run, EVALUATE, 2, (2,))
    assert "of another command than" in refusal(run, "o/shard-1-of-2.json", "evaluation")


def test_a_damaged_shard_is_refused(run, place):
    in_shards(run, EVALUATE, 1)
    path = place / "evaluation/shard-1-of-1.json"
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for spot in rng.integers(0, len(data), 40):
        changed = bytearray(data)
        changed[spot] = ord("7") if changed[spot] != ord("7") else ord("8")
        path.write_bytes(changed)
        line = refusal(run, path)
        assert "shard-1-of-1.json: " in line and "run that shard again" in line
    for part in (b"", data[:-9], b"[]", b'{"format": 3}'):
        path.write_bytes(part)
        assert "shard-1-of-1.json: " in refusal(run, path)
    path.unlink()
    assert "evaluation: holds no shard-*-of-*.json" in refusal(run, "evaluation")
    assert "shard-1-of-1.json: cannot be opened" in refusal(run, path)


@pytest.mark.parametrize(
    "key, value",
    [
        ("number", 2), ("number", "1"), ("of", 0), ("pictures", 10**9), ("pictures", -1),
        ("settings", {}), ("settings", []), ("classes", 3), ("classes", [1]), ("kind", "train"),
        ("entries", []), ("entries", 4), ("failed", None),
        ("entries", [{}] * COUNT), ("entries", [{"objects": 10**9}] * COUNT),
    ],
)  # fmt: skip
def test_a_shard_that_makes_no_sense_is_refused(run, place, key, value):
    """With a right checksum, too: whoever can write the file can compute one."""
    for arguments, folder in ((EVALUATE, "evaluation"), ([*PREDICT, "--no-draw"], "o")):
        in_shards(run, arguments, 1)
        path = place / folder / "shard-1-of-1.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        del document["sha256"]
        document[key] = value
        path.write_text(seal(document), encoding="utf-8")
        assert "make no sense" in refusal(run, path) or "makes no sense" in refusal(run, path)


def test_names_in_a_shard_write_nothing_elsewhere(run, place):
    """The merge writes its lists and nothing else, whatever the entries call their files."""
    in_shards(run, [*PREDICT, "--no-draw"], 1)
    path = place / "o/shard-1-of-1.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["sha256"]
    for entry in document["entries"]:
        entry.update(stem="../../out", path="../../out.png", file="../../out.png", drawn="../x")
    path.write_text(seal(document), encoding="utf-8")
    before = set(place.parent.rglob("*"))
    assert run("merge", path)[0] == 0
    after = {file.name for file in set(place.parent.rglob("*")) - before}
    assert after == {"predictions.json", "predictions.csv", "coco_results.json", "counts.csv"}


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([*EVALUATE, "--shard", "1/2", "--json", "a"], "--json does not go with --shard"),
        ([*PREDICT, "--shard", "1/2", "--benchmark"], "--benchmark does not go with --shard"),
        ([*PREDICT, "--shard", "1/2", "--save", "voc"], "--save voc does not go with --shard"),
        (["predict", "clip.mp4", "--weights", "any.keras", "--shard", "1/2"], "clip.mp4: --shard"),
        (["predict", "0", "--weights", "any.keras", "--shard", "1/2"], "0: --shard divides"),
    ],
)
def test_what_does_not_go_with_a_part_of_a_run(run, place, arguments, words):
    (place / "clip.mp4").write_bytes(b"")
    code, _, err = run(*arguments)
    assert code == 2 and words in err and err.count("\n") == 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/2/3", "-1/2", "a/b", "1/0", "１/２"])
def test_a_part_is_a_number_of_a_number(run, capsys, text):
    with pytest.raises(SystemExit):
        cli.main([*EVALUATE, f"--shard={text}"])
    assert "is not a part such as 1/8" in capsys.readouterr().err


def test_options_of_the_other_kind_are_refused(run):
    in_shards(run, EVALUATE, 1)
    assert (
        "--out belongs to the shards of predict.py" in run("merge", "evaluation", "--out", "x")[2]
    )
    in_shards(run, PREDICT, 1)
    assert "--json belongs to the shards of evaluate.py" in run("merge", "o", "--json", "x")[2]


def test_an_interrupted_shard_is_not_taken_for_a_whole_one(run, place, monkeypatch):
    looked = []

    def interrupt(path, *args):
        looked.append(path)
        if len(looked) == 1:
            signal.raise_signal(signal.SIGINT)
        return write_image(path, *args)

    monkeypatch.setattr("yolo.draw.write_image", interrupt)
    code, out, _ = run(*PREDICT, "--shard", "1/2", "--batch-size", "2")
    assert code == 130 and "this shard is not written: run it again" in out
    assert len(looked) == 2 and not list((place / "o").glob("shard-*"))
    looked.clear()
    code, out, _ = run(*PREDICT, "--shard", "1/2", "--batch-size", "6")
    assert code == 130 and "this shard is not written" not in out
    assert (place / "o" / "shard-1-of-2.json").is_file(), "the signal came in its last batch"


def test_a_shard_leaves_corrected_labels_alone(run, place):
    in_shards(run, PREDICT, 2)
    in_shards(run, PREDICT, 2)  # of the same pictures, the same labels
    label = place / "o/yolo/labels/004.txt"
    label.write_text("1 0.5 0.5 0.5 0.5\n", encoding="utf-8")
    code, _, err = run(*PREDICT, "--shard", "1/2")
    assert code == 2 and "labels/004.txt: holds annotations already" in err
    assert label.read_text(encoding="utf-8") == "1 0.5 0.5 0.5 0.5\n"


def test_labels_come_back_as_they_were(place):
    samples = dataset.read_split("VOC", "test", classes=("cat", "dog"))
    for sample in samples:
        again = shards.unpack_sample(shards.pack_sample(sample), ("cat", "dog"))
        for name in ("boxes_xyxy", "class_ids", "difficult"):
            np.testing.assert_array_equal(getattr(again, name), getattr(sample, name))
        assert (again.size, again.image_id) == (sample.size, sample.image_id)
    entry = shards.pack_sample(samples[2])
    with pytest.raises(DatasetError, match="labels make no sense"):
        shards.unpack_sample(entry, ())
