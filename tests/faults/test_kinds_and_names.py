"""Pipes, devices, sockets, links in circles, names that are no text: no hang, no crash (T18)."""

import os
import socket
import time
from pathlib import Path

import pytest

from tests.faults.full.pictures import jpeg_with_exif, variants
from yolo.classes import read_classes
from yolo.data.decoding import decode_all
from yolo.data.folder import open_folder
from yolo.data.formats import coco
from yolo.data.formats.tutorial_lists import open_lists
from yolo.data.formats.voc import read_annotation
from yolo.errors import DatasetError, YoloError
from yolo.pictures.files import read_image
from yolo.pictures.header import read_header
from yolo.system.reading import printable, read_regular
from yolo.weights import darknet, keras_file, tutorial
from yolo.weights.loading import load

JPEG = variants()["jpeg 420"]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")


def pipe(path):
    os.mkfifo(path)


def circle(path):
    path.with_suffix(".other").symlink_to(path)
    path.symlink_to(path.with_suffix(".other"))


def unix_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have 100 bytes only
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def secret(path):
    path.write_bytes(JPEG)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")


KINDS = {
    "pipe": pipe,
    "link to a pipe": lambda p: (pipe(p.with_suffix(".f")), p.symlink_to(p.with_suffix(".f"))),
    "zeros": lambda p: p.symlink_to("/dev/zero"),
    "terminal": lambda p: p.symlink_to("/dev/tty"),
    "nothing": lambda p: p.symlink_to("/dev/null"),
    "circle": circle,
    "dangling": lambda p: p.symlink_to(p.with_name("absent")),
    "socket": unix_socket,
    "folder": lambda p: p.mkdir(),
    "no permission": secret,
    "absent": lambda p: None,
    "empty": lambda p: p.write_bytes(b""),
}
READERS = {
    "picture": read_image,
    "header": read_header,
    "annotation": read_annotation,
    "lines": lambda p: open_lists({"train": p}, ["dog"]).read("train") or read_header(p),
    "coco": lambda p: coco.open_file(p, p.parent).read(p.stem),
    "darknet": darknet.read,
    "keras": keras_file.read,
    "tutorial": tutorial.read,
    "weights": load,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_readable_file_is_refused_at_once_by_every_reader(tmp_path, kind):
    path = tmp_path / "a.jpg"
    KINDS[kind](path)
    began = time.monotonic()
    for read in READERS.values():
        with pytest.raises(YoloError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert time.monotonic() - began < 2 * len(READERS)


def test_a_file_that_becomes_a_pipe_after_the_look(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG)
    looked = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda self, **_: looked)
    with pytest.raises(DatasetError, match="expected a file"):
        read_regular(path)


NAMES = [
    "a b.jpg", "图片.jpg", "a\nb.jpg", "[1]*.jpg", "-n.jpg", "é.jpg", "%s.jpg", "a'\"b.jpg",
    ".hidden.jpg", "n" * 251 + ".jpg", "\u202egpj.exe.jpg", "\x1b[31mred.jpg",
    b"\xff\xfe.jpg".decode("utf-8", "surrogateescape"),
    "狗.jpg".encode("gbk").decode("utf-8", "surrogateescape"),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind_work(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(JPEG)
    assert read_image(path).shape == (47, 61, 3)
    shown = printable(path)
    assert shown.isprintable() and shown.encode("utf-8")
    path.write_bytes(b"no picture")
    os.utime(path, ns=(1, 1))
    with pytest.raises(DatasetError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{shown}: ") and str(caught.value).isprintable()


def test_a_data_set_of_such_names(tmp_path, caplog):
    caplog.set_level("DEBUG", "yolo")
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder).mkdir()
    names = [name for name in NAMES if len(name) < 200]
    for name in names:
        (tmp_path / "JPEGImages" / name).write_bytes(JPEG)
        (tmp_path / "Annotations" / name).with_suffix(".xml").write_text(
            "<annotation><object><name>dog</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>99"
            "</xmax><ymax>20</ymax></bndbox></object></annotation>", encoding="utf-8",
        )  # fmt: skip
    opened = open_folder(tmp_path)
    found = [s for split in opened.names for s in opened.read(split)]
    assert len(found) == len(names) and all(len(s.class_ids) == 1 for s in found)
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize("name", ["list.txt", "classes.txt"])
def test_lists_that_are_pipes(tmp_path, name):
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    os.mkfifo(tmp_path / "ImageSets" / "Main" / name)
    with pytest.raises(YoloError, match="expected a file"):
        if name == "list.txt":
            open_folder(tmp_path).read("list", classes=["dog"])
        else:
            read_classes(tmp_path / "ImageSets" / "Main" / name)


# ------------------------------------------------------------- decoding in child processes


def test_check_names_every_bad_picture(tmp_path):
    data = variants()
    good = [tmp_path / f"good {n}.jpg" for n in range(3)]
    for n, path in enumerate(good):
        path.write_bytes(jpeg_with_exif(JPEG, 6) if n else data["png rgb"])
    cut, pipe_ = tmp_path / "cut.png", tmp_path / "pipe.jpg"
    cut.write_bytes(data["png rgb"][:-40])
    os.mkfifo(pipe_)
    found = decode_all([good[0], cut, good[1], pipe_, good[2]], workers=2)
    assert list(found) == [cut, pipe_]
    assert all(text.startswith(str(path)) for path, text in found.items())
    assert decode_all([]) == {}
