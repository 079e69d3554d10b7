"""Finding pictures: what people type, with the names that files really have."""

import os
from pathlib import Path

import pytest

from yolo.errors import DatasetError
from yolo.inference.sources import find_sources, is_video
from yolo.pictures.header import PICTURE_SUFFIXES


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
    assert find_sources([]) == []


def test_a_picture_whatever_its_name(folder):
    root = folder("猫 1.jpg", "no suffix", "odd.dat")
    for name in ("猫 1.jpg", "no suffix", "odd.dat"):
        assert find_sources([str(root / name)]) == [root / name]


def test_a_folder_in_the_order_people_count(folder):
    root = folder("10.jpg", "9.JPG", "a2.Png", "a10.png", "notes.txt", "b/c.jpg", ".hidden")
    (root / "folder.jpg").mkdir()
    assert names(find_sources([str(root)])) == ["9.JPG", "10.jpg", "a2.Png", "a10.png"]


def test_a_glob(folder):
    root = folder("a1.jpg", "a2.JPG", "a3.txt", "b.jpg", "sub/a4.jpg")
    assert names(find_sources([str(root / "a*")])) == ["a1.jpg", "a2.JPG"]
    deep = names(find_sources([str(root / "**" / "a*.jpg")]))
    assert deep == ["a1.jpg", "a4.jpg"]


def test_a_file_that_looks_like_a_glob_is_that_file(folder):
    root = folder("a[1].jpg", "a1.jpg")
    assert names(find_sources([str(root / "a[1].jpg")])) == ["a[1].jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids * in names")
def test_a_star_in_a_name(folder):
    root = folder("a*.jpg", "ab.jpg")
    assert names(find_sources([str(root / "a*.jpg")])) == ["a*.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_is_relative_to_itself(folder, encoding, monkeypatch, tmp_path):
    root = folder("lists/list.TXT", "猫 1.jpg", "elsewhere/x")
    absolute = root / "b.jpg"
    text = f"# my pictures\n../猫 1.jpg\n\n  {absolute}  \nmissing.jpg\n"
    (root / "lists" / "list.TXT").write_text(text, encoding=encoding)
    monkeypatch.chdir(root / "elsewhere")
    found = find_sources(["../lists/list.TXT"])
    assert [Path(os.path.normpath(path)) for path in found] == [
        Path("../猫 1.jpg"),
        absolute,
        Path("../lists/missing.jpg"),
    ]


def test_each_picture_once_in_the_order_typed(folder):
    root = folder("b.jpg", "a.jpg")
    found = find_sources([str(root / "b.jpg"), str(root), str(root / "*.jpg")])
    assert names(found) == ["b.jpg", "a.jpg"]


def test_home(folder, monkeypatch):
    root = folder("a.jpg")
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.setenv("USERPROFILE", str(root))
    assert find_sources(["~/a.jpg"]) == [root / "a.jpg"]


@pytest.mark.parametrize(
    "argument, message",
    [
        ("missing.jpg", "no such file or folder"),
        ("*.jpg", "no picture matches"),
        ("empty", "no picture or video in this folder"),
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
        find_sources([argument])
    assert argument in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_regular_file_is_left_to_the_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.jpg").write_bytes(b"")
    assert names(find_sources([str(tmp_path)])) == ["a.jpg", "pipe.jpg"]
    assert names(find_sources([str(tmp_path / "pipe.jpg")])) == ["pipe.jpg"]


def test_videos_are_known_by_their_suffix_and_stand_among_the_pictures(folder):
    root = folder("b.MP4", "a.jpg", "c.avi", "d.gif", "e.srt")
    found = find_sources([str(root)])
    assert names(found) == ["a.jpg", "b.MP4", "c.avi", "d.gif"]
    assert [is_video(path) for path in found] == [False, True, True, False]
    assert find_sources([str(root / "b.MP4"), "gone.mov"]) == [root / "b.MP4", Path("gone.mov")]


def test_a_number_is_a_camera_unless_a_file_has_that_name(folder, monkeypatch):
    root = folder("1")
    monkeypatch.chdir(root)
    assert find_sources(["0", "1", "0"]) == [0, Path("1")]


def test_addresses_of_files_on_this_machine(folder):
    root = folder("猫 [1]#2.jpg", "b.mp4")
    address = (root / "猫 [1]#2.jpg").as_uri()
    assert "%20" in address and "%5B1%5D" in address
    assert find_sources([address]) == [root / "猫 [1]#2.jpg"]
    local = (root / "b.mp4").as_uri().replace("file://", "FILE://localhost")
    assert find_sources([local, root.as_uri()]) == [root / "b.mp4", root / "猫 [1]#2.jpg"]


@pytest.mark.parametrize(
    "address, words",
    [
        ("https://example.org/a.jpg", "nothing is fetched from other machines"),
        ("rtsp://10.0.0.1/stream", "nothing is fetched"),
        ("file://server/share/a.jpg", r"another machine \(server\)"),
        ("file:///nowhere/a.jpg", "no such file or folder"),
    ],
)
def test_addresses_elsewhere_are_refused(address, words):
    with pytest.raises(DatasetError, match=words):
        find_sources([address])


def test_a_folder_gives_the_pictures_that_training_reads(folder):
    root = folder(*(f"{n}{suffix}" for n, suffix in enumerate(PICTURE_SUFFIXES)))
    assert {".jfif", ".jpe"} <= set(PICTURE_SUFFIXES)
    found = find_sources([str(root)])
    assert [path.suffix for path in found] == list(PICTURE_SUFFIXES)


def test_a_tilde_that_names_no_home_is_part_of_the_name(folder, monkeypatch):
    root = folder("~$photo.jpg", "~x.jpg", "a.jpg")
    (root / "list.txt").write_text("~$photo.jpg\n~x.jpg\n", encoding="utf-8")
    monkeypatch.chdir(root)
    assert names(find_sources(["~x.jpg"])) == ["~x.jpg"]
    assert names(find_sources(["~$photo.jpg", "a.jpg"])) == ["~$photo.jpg", "a.jpg"]
    assert names(find_sources(["list.txt"])) == ["~$photo.jpg", "~x.jpg"]
    assert names(find_sources(["~$p*.jpg"])) == ["~$photo.jpg"]


def test_what_macos_leaves_behind_is_passed_over_and_a_pipe_is_not(tmp_path, caplog):
    caplog.set_level("INFO", "yolo")
    for name in ("a.jpg", "._a.jpg", "b.png", "._b.png"):
        (tmp_path / name).write_bytes(b"")
    found = [tmp_path / "a.jpg", tmp_path / "b.png"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "c.jpg")  # to be reported by what reads it
        found.append(tmp_path / "c.jpg")
    assert find_sources([str(tmp_path)]) == found
    assert caplog.text.count("2 files that macOS leaves behind (._*) passed over") == 1
