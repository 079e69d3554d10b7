"""The commands with bad files among good ones: every good result, a line for each bad one (T19)."""

import json
import os
import re
import sys

import numpy as np
import pytest

from tests.faults.full.pictures import variants
from yolo import cli
from yolo.cli import common
from yolo.models.yolov4.settings import YOLOv4Config
from yolo.pictures import header

JPEG = variants()["jpeg 420"]
XML = (
    "<annotation><object><name>dog</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax>"
    "<ymax>20</ymax></bndbox></object></annotation>"
)


class Nothing:
    """A model that finds nothing, at once."""

    classes, image_size, resize = ("dog",), (32, 32), "letterbox"
    thresholds = YOLOv4Config.thresholds
    notes: dict = {}

    def predict_raw(self, images):
        return {"boxes": np.zeros((len(images), 0, 4)), "scores": np.zeros((len(images), 0, 1))}


@pytest.fixture(autouse=True)
def as_before(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "open_model", lambda args, weights: Nothing())
    monkeypatch.chdir(tmp_path)
    yield
    header.allow_megapixels(header.MAX_MEGAPIXELS)


BAD = {
    "empty.jpg": b"",
    "page.png": b"<html>quota exceeded</html>",
    "cut.png": variants()["png rgb"][:-60],
    "cut.jpg": JPEG[: len(JPEG) // 2],
    "cut.gif": b"GIF89a" + bytes(range(200)),
    "bomb.webp": b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(9),
    "noise.bmp": b"BM" + bytes(range(200)),
    "text.jpg": "不是图片".encode(),
    "zeros.tif": bytes(1000),
    "cut.tif": variants()["tiff lzw"][:-1500],
    "lie.png": variants()["png rgb"][:16] + b"\0\xff\0\0" + variants()["png rgb"][20:],
}


def test_predict_on_a_folder_with_good_and_bad_pictures(tmp_path, outcome):
    good = list(variants().values())
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(100):
        (folder / f"{n}.jpg").write_bytes(good[n % len(good)])
    for name, data in BAD.items():
        (folder / name).write_bytes(data)
    code, out, err = outcome(cli.predict_main, "in", "--weights", "w", "--no-draw")
    lines = out.splitlines()
    assert (code, err) == (1, "")
    assert sum(bool(re.match(r"in/\d+\.jpg: nothing", x)) for x in lines) == 100
    errors = [line for line in lines if line.startswith("error: ")]
    assert sorted(re.search(r"in/(\w+\.\w+): ", line)[1] for line in errors) == sorted(BAD)
    assert lines[-2].startswith("100 pictures, results in ")
    assert lines[-1] == "11 pictures left out, not readable"
    entries = json.loads((tmp_path / "predictions" / "predictions.json").read_text("utf-8"))
    assert [entry["file"] for entry in entries] == [f"in/{n}.jpg" for n in range(100)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_predict_draws_pictures_of_any_name(tmp_path, outcome):
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["n" * 251 + ".jpg", "n" * 250 + ".png", "狗" * 83 + ".jpg", "a\nb.jpg",
             b"\xff.jpg".decode("utf-8", "surrogateescape")]  # fmt: skip
    for name in names:
        (folder / name).write_bytes(JPEG)
    code, out, _ = outcome(cli.predict_main, "in", "--weights", "w")
    # Besides the model, all together, and where they are
    assert code == 0 and len(out.splitlines()) == len(names) + 3
    assert len([p for p in (tmp_path / "predictions").iterdir() if p.suffix == ".jpg"]) == 5


def test_the_limit_of_pixels_is_an_option(tmp_path, outcome):
    (tmp_path / "a.jpg").write_bytes(JPEG)  # 61 x 47: 0.002867 megapixels
    run = ["a.jpg", "--weights", "w", "--no-draw", "--max-megapixels"]
    code, out, _ = outcome(cli.predict_main, *run, "0.0028")
    assert code == 1 and (
        "a.jpg: 61x47 pixels; expected at most 0.0028 megapixels: make the picture smaller or "
        "raise --max-megapixels" in out
    )
    assert outcome(cli.predict_main, *run, "0.0029")[0] == 0
    for value in ("0", "-1", "nan", "1001", "many"):
        code, _, err = outcome(cli.predict_main, *run, value)
        assert code == 2 and "is not a number above 0 and up to 1000" in err


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for stem in "abc":
        (root / "JPEGImages" / f"{stem}.jpg").write_bytes(JPEG)
        (root / "Annotations" / f"{stem}.xml").write_text(XML, encoding="utf-8")
    for split, stem in (("train", "a"), ("val", "b"), ("test", "c")):
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{stem}\n", encoding="utf-8")
    return root


def test_check_decodes_everything_and_trains_nothing(tmp_path, data, outcome):
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}
    code, out, _ = outcome(cli.train_main, "--check", "--data", "VOC2007")
    assert code == 0 and "0 errors" in out
    assert {p: p.read_bytes() for p in data.rglob("*") if p.is_file()} == before
    (data / "JPEGImages" / "b.jpg").write_bytes(JPEG[:-200])
    os.utime(data / "JPEGImages" / "b.jpg", ns=(1, 1))
    code, out, _ = outcome(cli.train_main, "--check", "--data", "VOC2007")
    assert code == 3
    assert "VOC2007/JPEGImages/b.jpg: a damaged JPEG picture" in out
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"check"}


def test_the_first_pixel_can_be_forced(tmp_path, data, capsys):
    from yolo.data import folder as dataset
    from yolo.settings.train import TrainConfig

    text = XML.replace("<xmin>5", "<xmin>0")
    (data / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    for first, corner in (("auto", 0), ("0", 0), ("1", -1)):
        found = dataset.open_data(TrainConfig(data=str(data), first_pixel=first))
        np.testing.assert_array_equal(found.train[0].boxes_xyxy[0, 0], max(corner, 0))
        assert found.val[0].boxes_xyxy[0].tolist()[:2] == ([4, 4] if first == "1" else [5, 5])
