"""No name in annotations, lists or archives opens a file outside the data set (T20)."""

import io
import json
import os
import tarfile
import zipfile

import pytest

from tests.faults.audit import listening, opened
from tests.faults.full.pictures import variants
from yolo.data.folder import open_folder
from yolo.data.formats import coco
from yolo.data.formats.tutorial_lists import open_lists
from yolo.errors import DatasetError, YoloError
from yolo.weights.loading import load

JPEG = variants()["jpeg 420"]
OBJECT = (
    "<object><name>dog</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>20</xmax><ymax>20</ymax>"
    "</bndbox></object>"
)
XML = f"<annotation>{OBJECT}</annotation>"


@pytest.fixture
def place(tmp_path):
    """Return a folder with a secret beside a data set: a picture, an annotation, a text."""
    root = tmp_path / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    (root / "JPEGImages" / "a.jpg").write_bytes(JPEG)
    (root / "Annotations" / "a.xml").write_text(XML, encoding="utf-8")
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    (tmp_path / "secret.xml").write_text(XML, encoding="utf-8")
    (tmp_path / "secret.txt").write_text("a\n", encoding="utf-8")
    return tmp_path


def outside(heard, root):
    return [path for path in opened(heard) if path.name.startswith("secret") or (
        "passwd" in path.name) or not (path.is_relative_to(root) or "site-packages" in str(path)
                                       or "/lib/python" in str(path))]  # fmt: skip


def names(place):
    return {
        "up": "../secret", "up twice": "../../secret", "up with suffix": "../secret.jpg",
        "absolute": str(place / "secret"), "absolute with suffix": str(place / "secret.jpg"),
        "passwd": "/etc/passwd", "dot": "./../secret", "down and up": "a/../../secret",
        "backslashes": "..\\secret", "encoded": "%2e%2e/secret", "home": "~/secret",
        "zero byte": "../secret\0", "file url": "file:///etc/passwd",
        "drive": "C:\\secret.jpg", "share": "\\\\host\\share\\secret", "dots": "....//secret",
    }  # fmt: skip


def read_lines(path, root=None):
    return open_lists({"train": path}, ["dog"], root).read("train")


NAMES = list(names(__import__("pathlib").Path("/x")))


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_voc_lists(place, kind):
    name = names(place)[kind]
    root = place / "VOC2007"
    (root / "ImageSets" / "Main" / "train.txt").write_text(f"a\n{name}\n", encoding="utf-8")
    with listening() as heard, pytest.raises(DatasetError, match="no such annotation"):
        open_folder(root).read("train", classes=["dog"])
    assert not outside(heard, root)


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_annotations(place, kind):
    name = names(place)[kind].replace("\0", "")
    root = place / "VOC2007"
    extra = f"<folder>{name}</folder><filename>{name}</filename><path>{name}</path>"
    text = f"<annotation>{extra}{OBJECT}</annotation>"
    (root / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    with listening() as heard:
        (sample,) = open_folder(root).read("train", classes=["dog"])
    assert sample.path == root / "JPEGImages" / "a.jpg" and not outside(heard, root)


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_the_tutorials_lists(place, kind):
    root = place / "VOC2007"
    path = root / "2007_train.txt"
    path.write_text(f"{names(place)[kind]} 1,2,30,40,0\n", encoding="utf-8")
    with listening() as heard, pytest.raises(DatasetError, match="leads out of|cannot be opened"):
        read_lines(path)
    assert not outside(heard, root)


def test_a_list_may_lie_elsewhere_if_that_is_said(place):
    path = place / "2007_train.txt"
    path.write_text(f"{place / 'VOC2007' / 'JPEGImages' / 'a.jpg'} 1,2,30,40,0\n", encoding="utf-8")
    assert len(read_lines(path)) == 1
    moved = place / "VOC2007" / "ImageSets" / "list.txt"
    path.rename(moved)
    with pytest.raises(DatasetError, match="--list-root"):
        read_lines(moved)
    assert len(read_lines(moved, place)) == 1


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_coco_files(place, kind):
    root = place / "VOC2007"
    (root / "i.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": names(place)[kind], "height": 47, "width": 61}],
        "annotations": [], "categories": [{"id": 1, "name": "dog"}],
    }), encoding="utf-8")  # fmt: skip
    with listening() as heard, pytest.raises(DatasetError, match="a name in the|no such pict"):
        coco.open_file(root / "i.json", root / "JPEGImages").read("i")
    assert not outside(heard, root)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
@pytest.mark.parametrize("where", ["JPEGImages/a.jpg", "Annotations/a.xml"])
def test_links_that_lead_out(place, where):
    root = place / "VOC2007"
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    (root / where).unlink()
    (root / where).symlink_to(place / f"secret.{where[-3:]}")
    with listening() as heard, pytest.raises(DatasetError, match="a link that leads out"):
        open_folder(root).read("train", classes=["dog"])
    assert not [p for p in opened(heard) if p == root / where or p.name.startswith("secret")]


@pytest.mark.skipif(os.name == "nt", reason="no links here")
def test_whole_folders_may_be_links(place):
    root = place / "VOC2007"
    (root / "JPEGImages").rename(place / "elsewhere")
    (root / "JPEGImages").symlink_to(place / "elsewhere")
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n", encoding="utf-8")
    assert len(open_folder(root).read("train", classes=["dog"])) == 1
    opened_set = open_folder(root)
    assert opened_set.splits() == {"train": ["a"]} and opened_set.classes == ("dog",)


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/passwd", "config.json/../secret"])
def test_members_of_archives(place, name):
    path = place / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"")
    before = sorted(place.rglob("*"))
    with listening() as heard, pytest.raises(YoloError, match="holds a model, not a detector"):
        load(path)
    assert [p for p in opened(heard) if p.is_relative_to(place)] == [path]
    assert sorted(place.rglob("*")) == before


def test_other_archives_are_not_unpacked(place):
    path = place / "a.keras"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../secret2.txt")
        archive.addfile(member, io.BytesIO())
    with pytest.raises(YoloError, match="no .keras archive"):
        load(path)
    assert not (place.parent / "secret2.txt").exists()
