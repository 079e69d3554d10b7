"""Training, prediction and evaluation on a Ray cluster of this machine.

Two cores start Ray and four processes with TensorFlow: about forty seconds of processor time.
"""

import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import yolo.cli
from yolo.data import demo
from yolo.errors import ConfigError, DatasetError, OutOfMemory, YoloError
from yolo.ray import cluster, prediction
from yolo.ray.cluster import OLDEST, Cluster
from yolo.training import checkpoint, job

ROOT = Path(__file__).resolve().parents[3]
CONVOLUTION = """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=swish
"""
CFG = f"""
[net]
width=64
height=64
channels=3
{CONVOLUTION * 5}
[convolutional]
filters=36
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
classes=7
num=3
"""
QUICK = {
    "image_size": (64, 64), "batch_size": 6, "epochs": 3, "precision": "float32", "mosaic": 0.0,
    "epochs_between_evaluations": 0, "accumulate": 2, "clip_norm": 1.0, "learning_rate": 1e-4,
    "anchors": "auto", "weights": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def ray():
    """Start Ray once for the tests of this file."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with a network's cfg and a data set of seven pictures to learn from."""
    place = tmp_path_factory.mktemp("ray")
    (place / "tiny.cfg").write_text(CFG, encoding="utf-8")
    demo.write_shapes(place / "shapes", train=7, val=3, test=5)
    return place


@pytest.fixture(scope="module")
def alone(work):
    """Train in this process, and return the run."""
    return run(work, "alone")


def run(work, name, **others):
    place = {"model": work / "tiny.cfg", "data": work / "shapes", "save_dir": work / "logs"}
    return job.train(name=name, **place, **{**QUICK, **others})


@pytest.mark.long
def test_two_workers_train_as_one_process(ray, work, alone):
    from yolo.ray.training import on

    lines = []
    done = run(work, "both", engine=on(workers=2), write=lambda text, end="\n": lines.append(text))
    assert done.result.map_all_point == alone.result.map_all_point
    assert any(", 2 devices" in line for line in lines) and lines[-1].startswith("everything")
    assert [path.name for path in (work / "logs").glob(".*")] == []
    for mine, theirs in zip(alone.figures, done.figures, strict=True):
        for key in set(mine) - {"seconds"}:
            assert theirs[key] == pytest.approx(mine[key], rel=1e-5), key
    arrays, others = (checkpoint.newest(one.folder)[1] for one in (alone, done))
    weights = [key for key in arrays if not key.startswith("metric")]
    assert max(float(np.abs(arrays[key] - others[key]).max()) for key in weights) < 1e-5


@pytest.mark.long
def test_what_no_other_attempt_mends_is_said_once_and_nothing_is_left(ray, work):
    from yolo.ray.training import on

    lines = []
    with pytest.raises(ConfigError, match="a batch of 7 does not divide among 2 devices"):
        run(work, "wrong", engine=on(workers=2), batch_size=7,
            write=lambda text, end="\n": lines.append(text))  # fmt: skip
    assert sum(line.startswith("run folder: ") for line in lines) == 1, "it was tried again"
    with pytest.raises(DatasetError):
        settings = {"data": work / "nowhere", "save_dir": work / "logs", "model": work / "tiny.cfg"}
        job.train(name="none", **settings, engine=on(workers=1))
    names = {path.name for path in work.glob("logs/*")}
    assert names <= {"alone", "both"}


@pytest.mark.long
def test_many_pictures_are_detected_as_in_one_process(ray, work, alone, outcome, monkeypatch):
    monkeypatch.chdir(work)
    pictures = work / "pictures"
    demo.write_shapes(work / "more", train=40, val=1, test=1)
    pictures.mkdir()
    for number, path in enumerate(sorted((work / "more").rglob("*.jpg"))[:40]):
        path.rename(pictures / f"{number:02}.jpg")
    (pictures / "07.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    words = ["pictures", "--weights", alone.best, "--score", "0.0001", "--save",
             "csv,coco-results,crops", "--batch-size", "3"]  # fmt: skip
    code, printed, _ = outcome(yolo.cli.predict_main, *words, "--out", "out")
    (work / "out").rename(work / "single")
    there = ["--engine", "ray", "--workers", "1,2"]
    theirs, said, _ = outcome(yolo.cli.predict_main, *words, "--out", "out", *there)
    assert (theirs, said.count("07.jpg: ")) == (code, 1) == (1, 1)
    assert sorted(printed.splitlines()) == sorted(said.splitlines())
    names = sorted(path.relative_to(work / "out") for path in (work / "out").rglob("*.*"))
    assert len(names) > 41
    for name in names:
        assert (work / "out" / name).read_bytes() == (work / "single" / name).read_bytes(), name

    words = ["--data", "shapes", "--weights", alone.best, "--json"]
    assert outcome(yolo.cli.evaluate_main, *words, "one.json")[0] == 0
    assert outcome(yolo.cli.evaluate_main, *words, "two.json", *there)[0] == 0
    assert (work / "one.json").read_bytes() == (work / "two.json").read_bytes()


def test_a_prediction_that_was_killed_goes_on(work, monkeypatch):
    """What the workers find is made up here, so that nothing but the going on is looked at."""
    asked, paths = [], sorted((work / "shapes").rglob("*.jpg"))[:9]

    def computed(there, open_model, chunks, settings):
        for chunk in chunks:
            asked.append(len(chunk))
            found = [[[4, 6], [[0, 0, 1 / 3, 2]], [0.1], [i % 2]] for i in range(len(chunk))]
            yield json.dumps(found).encode() + b"\n"

    monkeypatch.setattr(prediction, "_computed", computed)
    monkeypatch.setattr(prediction, "_BATCHES", 1)
    kept = work / "kept"
    options = {"cluster": Cluster(2), "open_model": None, "on_error": None, "pixels": False,
               "kept": (kept, ""), "batch_size": 2}  # fmt: skip

    def found(**others):
        model = SimpleNamespace(classes=("a", "b"))
        for path, image, boxes in prediction.predict(model, paths, **options | others):
            yield path, image.shape, boxes.boxes_xyxy.tolist(), boxes.class_ids.tolist()

    broken = found()
    first = [next(broken) for _ in range(3)]
    broken.close()
    assert asked == [2, 2]
    with kept.open("ab") as file:
        file.write(b"[[[4, 6], [[0, 0, 0")  # a line that was being written
    whole = list(found())
    assert asked == [2, 2, 2, 3] and not kept.exists()
    assert whole[:3] == first and [one[0] for one in whole] == paths
    next(found())
    assert len(list(found(kept=(kept, "other weights")))) == 9 and asked[4:] == [2, 2, 2, 2, 3]


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--workers", "2"], "--workers is for --engine ray"),
        (["--engine", "ray"], "needs --workers N"),
        (["--engine", "ray", "--workers", "0"], "not a whole number"),
        (["--engine", "ray", "--workers", "3,2"], "LEAST,MOST"),
        (["--engine", "ray", "--workers", "2,3", "--data", "x"], "one number"),
        (["--engine", "ray", "--workers", "2", "--check"], "without --engine"),
        (["--engine", "ray", "--workers", "2", "--data", "x", "--gpus", "0"], "--gpus is Ray's"),
        (["--engine", "ray", "--workers", "2", "--data", "x", "--batch-size", "auto"], "batch"),
    ],
)
def test_options_that_go_nowhere(tmp_path, monkeypatch, outcome, words, expected):
    monkeypatch.chdir(tmp_path)
    code, _, errors = outcome(yolo.cli.train_main, *words)
    assert code == 2 and expected in errors and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_one_machine_imports_no_ray():
    """Nor what leads to it; the commands and a training are all that could."""
    code = (
        "import sys, yolo.cli.train, yolo.cli.predict, yolo.cli.evaluate, yolo.training.job\n"
        "from yolo.cli import common\n"
        "args = yolo.cli.predict.parser().parse_args(['a.jpg'])\n"
        "args.typed = set()\n"
        "assert common.predict_on_cluster(args, 'no.keras', pixels=True) is None\n"
        "print(*[m for m in sys.modules if 'ray' in m.split('.') or m.startswith('pyarrow')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "words", [["0"], ["film.mp4"], ["a.jpg", "--show"], ["a.jpg", "--benchmark"]]
)
def test_a_camera_and_a_window_stay_at_this_machine(tmp_path, monkeypatch, outcome, words):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "film.mp4"):
        (tmp_path / name).write_bytes(b"")
    more = ["--weights", "no.keras", "--engine", "ray", "--workers", "2"]
    code, _, errors = outcome(yolo.cli.predict_main, *words, *more)
    assert code == 2 and "--engine ray" in errors and errors.count("\n") == 1


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("listens", [False, True])
def test_an_address_at_which_no_cluster_answers(monkeypatch, scheme, listens):
    pytest.importorskip("ray")
    monkeypatch.setattr(cluster, "_PATIENCE", 0.2)
    with socket.socket() as other:  # some other program's
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"{scheme}127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"{address}: no Ray cluster answers there"):
            Cluster(1, address).connected().__enter__()


def test_no_ray_is_said_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(YoloError, match=r'pip install "ray\[default,train,data\]>='):
        Cluster(1).connected().__enter__()


def test_a_ray_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.9.3"))
    with pytest.raises(YoloError, match="Ray 2.9.3 is too old; run: pip install -U"):
        Cluster(1).connected().__enter__()
    wanted = f"ray[default,train,data]>={OLDEST[0]}.{OLDEST[1]}\n"
    assert wanted in (ROOT / "setup.cfg").read_text(encoding="utf-8")


@pytest.mark.long
def test_more_workers_than_there_is_room_for(ray, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with pytest.raises(ConfigError, match=r"--workers 3: the cluster has 2 CPU \(2 free\)"):
        Cluster(3).resources(ray)
    assert Cluster(3, wait=True).resources(ray) == Cluster(2).resources(ray) == {"CPU": 1}


@pytest.mark.long
def test_nodes_with_another_state_of_the_package_are_refused(ray, tmp_path, monkeypatch):
    cluster._look_over(ray)
    monkeypatch.setattr(cluster, "_CODE", tmp_path)
    with pytest.raises(ConfigError, match="not this very package .another version"):
        cluster._look_over(ray)


@pytest.mark.long
@pytest.mark.parametrize("storage", ["file", "nowhere://bucket/runs"])
def test_a_storage_that_cannot_be_written_is_said_before_anything_is_begun(ray, work, storage):
    from yolo.ray.training import on

    (work / "file").write_bytes(b"")
    storage = storage if "://" in storage else str(work / storage)
    with pytest.raises(ConfigError, match="--storage .*: cannot be written"):
        run(work, "unwritable", engine=on(workers=1, storage=storage))
    assert not (work / "logs" / "unwritable").exists()


@pytest.mark.long
def test_a_run_of_the_same_name_in_a_storage_is_left_alone(ray, work):
    from yolo.ray.training import on

    (work / "storage" / "taken" / "checkpoint_1").mkdir(parents=True)
    with pytest.raises(ConfigError, match="has a run taken; choose another --name, or --continue"):
        run(work, "taken", engine=on(workers=1, storage=str(work / "storage")))
    names = [path.name for path in (work / "storage").rglob("*")]
    assert names == ["taken", "checkpoint_1"]


def test_errors_cross_processes():
    for error in (YoloError("a"), ConfigError("b"), DatasetError("c"), OutOfMemory("d", "e")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
    with pytest.raises(ConfigError, match="LEAST,MOST"):
        Cluster((3, 2))
