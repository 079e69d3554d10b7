"""Files are written whole or not at all."""

import os

import pytest

from yolo import files
from yolo.errors import YoloError


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    files.write_bytes(path, b"old")
    files.write_text(path, "neu: \u732b")
    assert path.read_text(encoding="utf-8") == "neu: \u732b"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(YoloError, match=r"a\.txt: cannot be written \(No space left"):
            files.write_text(path, "new")
    with pytest.raises(YoloError, match="not UTF-8; rename"):
        files.write_text(path, "data = caf\udce9")

    def interrupted(temporary):
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_with(path, interrupted)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_where_the_folder_should_be(tmp_path):
    files.write_text(tmp_path / "a", "x")
    with pytest.raises(YoloError, match="cannot be written"):
        files.write_bytes(tmp_path / "a" / "b.txt", b"")


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    seen = []
    files.write_with(tmp_path / "m.keras", lambda p: (seen.append(p.suffix), p.write_bytes(b"1")))
    assert seen == [".keras"]


def test_a_folder_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "new" / "step-1"

    def fill(text):
        return lambda folder: (folder / "a").write_text(text, encoding="utf-8")

    files.write_folder(path, fill("one"))
    files.write_folder(path, fill("two"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(YoloError, match=r"step-1: cannot be written \(No space left"):
            files.write_folder(path, fill("three"))

    remains = path.with_name(f".step-1.{os.getpid()}.part")  # of a killed one of our number
    remains.mkdir()
    (remains / "b").write_bytes(b"half")
    files.write_folder(path, fill("two"))

    def interrupted(folder):
        (folder / "a").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_folder(path, interrupted)
    assert [p.name for p in path.parent.iterdir()] == ["step-1"]
    assert [(p.name, p.read_bytes()) for p in path.iterdir()] == [("a", b"two")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
def test_only_files_are_replaced_and_a_link_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # as /dev/null: a rename would put a file in its place
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(YoloError, match=f"{name}: cannot be written .expected a file's name"):
            files.write_text(tmp_path / name, "x")
    assert not (tmp_path / "pipe").is_file()
    real, link = tmp_path / "folder" / "real.txt", tmp_path / "link.txt"
    link.symlink_to(real)  # to nothing yet
    for text in ("one", "two"):
        files.write_text(link, text)
        assert link.is_symlink() and real.read_text(encoding="utf-8") == text
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(YoloError, match="cannot be written"):
        files.write_text(tmp_path / "a", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "folder", "link.txt", "pipe"]
