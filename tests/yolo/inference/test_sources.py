"""Finding pictures: what people type, with the names that files really have."""

import os
from pathlib import Path

import pytest

from yolo.errors import DatasetError
from yolo.inference.sources import find_pictures


@pytest.fixture
def folder(tmp_path):
    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return touch


def names(paths):
    return [path.name for path in paths]


def test_nothing_typed_is_nothing_found():
    assert find_pictures([]) == []


def test_a_picture_whatever_its_name(folder):
    root = folder("猫 1.jpg", "no suffix", "odd.dat")
    for name in ("猫 1.jpg", "no suffix", "odd.dat"):
        assert find_pictures([str(root / name)]) == [root / name]


def test_a_folder_in_the_order_people_count(folder):
    root = folder("10.jpg", "9.JPG", "a2.Png", "a10.png", "notes.txt", "b/c.jpg", ".hidden")
    (root / "folder.jpg").mkdir()
    assert names(find_pictures([str(root)])) == ["9.JPG", "10.jpg", "a2.Png", "a10.png"]


def test_a_glob(folder):
    root = folder("a1.jpg", "a2.JPG", "a3.txt", "b.jpg", "sub/a4.jpg")
    assert names(find_pictures([str(root / "a*")])) == ["a1.jpg", "a2.JPG"]
    deep = names(find_pictures([str(root / "**" / "a*.jpg")]))
    assert deep == ["a1.jpg", "a4.jpg"]


def test_a_file_that_looks_like_a_glob_is_that_file(folder):
    root = folder("a[1].jpg", "a1.jpg")
    assert names(find_pictures([str(root / "a[1].jpg")])) == ["a[1].jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids * in names")
def test_a_star_in_a_name(folder):
    root = folder("a*.jpg", "ab.jpg")
    assert names(find_pictures([str(root / "a*.jpg")])) == ["a*.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_is_relative_to_itself(folder, encoding, monkeypatch, tmp_path):
    root = folder("lists/list.TXT", "猫 1.jpg", "elsewhere/x")
    absolute = root / "b.jpg"
    text = f"# my pictures\n../猫 1.jpg\n\n  {absolute}  \nmissing.jpg\n"
    (root / "lists" / "list.TXT").write_text(text, encoding=encoding)
    monkeypatch.chdir(root / "elsewhere")
    found = find_pictures(["../lists/list.TXT"])
    assert [Path(os.path.normpath(path)) for path in found] == [
        Path("../猫 1.jpg"),
        absolute,
        Path("../lists/missing.jpg"),
    ]


def test_each_picture_once_in_the_order_typed(folder):
    root = folder("b.jpg", "a.jpg")
    found = find_pictures([str(root / "b.jpg"), str(root), str(root / "*.jpg")])
    assert names(found) == ["b.jpg", "a.jpg"]


def test_home(folder, monkeypatch):
    root = folder("a.jpg")
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.setenv("USERPROFILE", str(root))
    assert find_pictures(["~/a.jpg"]) == [root / "a.jpg"]


@pytest.mark.parametrize(
    "argument, message",
    [
        ("missing.jpg", "no such file or folder"),
        ("*.jpg", "no picture matches"),
        ("empty", "no picture in this folder"),
        ("list.txt", "names no picture"),
        ("bad.txt", "not UTF-8"),
    ],
)
def test_nothing_found_names_the_argument(folder, monkeypatch, argument, message):
    root = folder("empty/readme.md", "list.txt", "bad.txt")
    (root / "list.txt").write_text("# nothing\n\n", encoding="utf-8")
    (root / "bad.txt").write_bytes("我的图片.jpg".encode("gbk"))
    monkeypatch.chdir(root)
    with pytest.raises(DatasetError, match=message) as caught:
        find_pictures([argument])
    assert argument in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_is_left_to_the_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.jpg").write_bytes(b"")
    assert names(find_pictures([str(tmp_path)])) == ["a.jpg"]
    assert names(find_pictures([str(tmp_path / "pipe.jpg")])) == ["pipe.jpg"]
