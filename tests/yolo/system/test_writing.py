"""Files are written whole or not at all."""

import logging
import os
from pathlib import Path

import pytest

from yolo.errors import YoloError
from yolo.system import writing


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    writing.write_bytes(path, b"old")
    writing.write_text(path, "neu: \u732b")
    assert path.read_text(encoding="utf-8") == "neu: \u732b"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    writing.write_text(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(YoloError, match=r"a\.txt: cannot be written \(No space left"):
            writing.write_text(path, "new")
    with pytest.raises(YoloError, match="not UTF-8; rename"):
        writing.write_text(path, "data = caf\udce9")

    with pytest.raises(KeyboardInterrupt), writing.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_where_the_folder_should_be(tmp_path):
    writing.write_text(tmp_path / "a", "x")
    with pytest.raises(YoloError, match="cannot be written"):
        writing.write_bytes(tmp_path / "a" / "b.txt", b"")


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    with writing.replacing(tmp_path / "m.keras") as temporary:
        temporary.write_bytes(b"1")
    assert temporary.suffix == ".keras" and (tmp_path / "m.keras").read_bytes() == b"1"


def test_a_folder_is_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "new" / "step-1"

    def fill(text):
        return lambda folder: (folder / "a").write_text(text, encoding="utf-8")

    writing.write_folder(path, fill("one"))
    writing.write_folder(path, fill("two"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(YoloError, match=r"step-1: cannot be written \(No space left"):
            writing.write_folder(path, fill("three"))

    remains = path.with_name(f".step-1.{os.getpid()}.part")  # of a killed one of our number
    remains.mkdir()
    (remains / "b").write_bytes(b"half")
    writing.write_folder(path, fill("two"))

    def interrupted(folder):
        (folder / "a").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writing.write_folder(path, interrupted)
    assert [p.name for p in path.parent.iterdir()] == ["step-1"]
    assert [(p.name, p.read_bytes()) for p in path.iterdir()] == [("a", b"two")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
def test_only_files_are_replaced_and_a_link_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # as /dev/null: a rename would put a file in its place
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(YoloError, match=f"{name}: cannot be written .expected a file's name"):
            writing.write_text(tmp_path / name, "x")
    assert not (tmp_path / "pipe").is_file()
    real, link = tmp_path / "folder" / "real.txt", tmp_path / "link.txt"
    link.symlink_to(real)  # to nothing yet
    for text in ("one", "two"):
        writing.write_text(link, text)
        assert link.is_symlink() and real.read_text(encoding="utf-8") == text
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(YoloError, match="cannot be written"):
        writing.write_text(tmp_path / "a", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "folder", "link.txt", "pipe"]


# ---------------------------------------------------------------- files that others have open


@pytest.fixture
def held(monkeypatch):
    """Refuse renames as Windows does while somebody has the file open; count them."""
    tries, real = [], {name: getattr(Path, name) for name in ("replace", "rename")}

    def refuse(number, name):
        def rename(path, target):
            tries.append(name)
            if len(tries) <= number:
                raise PermissionError(13, "The process cannot access the file")
            return real[name](path, target)

        return rename

    def hold(number):
        for name in real:
            monkeypatch.setattr(Path, name, refuse(number, name))
        return tries

    monkeypatch.setattr(writing, "WINDOWS", True)
    monkeypatch.setattr(writing.time, "sleep", lambda seconds: None)
    return hold


def test_a_reader_is_waited_for_on_windows(tmp_path, held):
    writing.write_text(tmp_path / "a.txt", "old")
    tries = held(3)
    writing.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new" and len(tries) == 4
    tries.clear()
    writing.write_folder(tmp_path / "step", lambda folder: (folder / "a").write_bytes(b"1"))
    assert (tmp_path / "step" / "a").read_bytes() == b"1" and len(tries) > 3


def test_the_wait_for_a_reader_has_an_end(tmp_path, held, monkeypatch, caplog):
    writing.write_text(tmp_path / "a.txt", "old")
    held(10**9)
    now = [0.0]
    monkeypatch.setattr(writing.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(writing.time, "sleep", lambda s: now.__setitem__(0, now[0] + s))
    with pytest.raises(YoloError, match=r"a\.txt: cannot be written \(The process cannot access"):
        writing.write_text(tmp_path / "a.txt", "new")
    assert 3 <= now[0] < 3.5
    with caplog.at_level(logging.WARNING), writing.unless_held():
        writing.write_text(tmp_path / "a.txt", "new")
    assert "a.txt: cannot be written" in caplog.text and "open in another program?" in caplog.text
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.txt", b"old")]
    monkeypatch.setattr(writing, "WINDOWS", False)
    now[0] = 0.0
    with pytest.raises(YoloError):
        writing.write_text(tmp_path / "a.txt", "new")
    assert now[0] == 0, "elsewhere it is not a reader who refuses"


def test_only_a_file_that_is_held_is_left_for_later(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(YoloError, match="No space left"), writing.unless_held():
        writing.write_text(tmp_path / "a.txt", "new")
