"""Archives: read as their folders are, unpacked once; what leads out is refused by name."""

import gzip
import io
import logging
import os
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from yolo.cli import main
from yolo.data import archive
from yolo.data.folder import open_folder
from yolo.errors import DatasetError, YoloError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Let the cache be a folder of the test's."""
    monkeypatch.setenv("KERAS_FOCAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_an_archive_is_read_as_its_folder(shapes, tmp_path, kind):
    made = shutil.make_archive(str(tmp_path / "mine"), kind, shapes.parents[1])
    ours, theirs = (open_folder(path).read("train") for path in (made, shapes))
    assert [one.image_id for one in ours] == [one.image_id for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        assert one.path.read_bytes() == other.path.read_bytes()


def test_it_is_unpacked_again_only_if_it_has_changed(tmp_path, cache):
    path = tmp_path / "a.zip"

    def write(text, time):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.txt", text)
        os.utime(path, ns=(time, time))

    write("one", 10**18)
    folder = archive.unpacked(path)
    assert (folder / "a.txt").read_text() == "one" and folder.is_relative_to(cache)
    (folder / "a.txt").write_text("kept")
    assert (archive.unpacked(path) / "a.txt").read_text() == "kept"
    write("two", 10**18 + 10**9)
    assert (archive.unpacked(path) / "a.txt").read_text() == "two"


def zip_of(path, name, content=b"x", mode=0):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        item = zipfile.ZipInfo(name)
        item.external_attr = mode << 16
        file.writestr(item, content, zipfile.ZIP_DEFLATED)


def tar_of(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as file:
        item = tarfile.TarInfo(name)
        item.type, item.linkname = kind, link
        file.addfile(item, io.BytesIO())


NAMES = ["../out.txt", "/srv/out.txt", "a/../../out.txt", "C:\\out.txt", "..\\out.txt", "\\out.txt"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write, suffix", [(zip_of, ".zip"), (tar_of, ".tgz")], ids=["zip", "tar"])
def test_names_that_lead_out(tmp_path, cache, name, write, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=r"a\.\w+: its member .*out.txt' is refused: a"):
        open_folder(path)
    left = [p for p in tmp_path.rglob("*") if p not in before]
    assert all(p.is_relative_to(cache.parent) and p.is_dir() for p in left)
    assert not any(cache.iterdir())


def test_a_member_without_a_name(tmp_path):
    zip_of(tmp_path / "a.zip", "")
    with pytest.raises(DatasetError, match=r"a\.zip: has a member without a name: "):
        open_folder(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["SYMTYPE", "LNKTYPE", "FIFOTYPE", "CHRTYPE", "BLKTYPE"])
def test_links_pipes_and_devices_in_a_tar(tmp_path, kind):
    tar_of(tmp_path / "a.tar.gz", "inner/strange", getattr(tarfile, kind), "/etc/passwd")
    words = "a link" if "LNK" in kind or "SYM" in kind else "neither a file nor a folder"
    with pytest.raises(DatasetError, match=f"its member 'inner/strange' is refused: {words}"):
        open_folder(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
def test_links_pipes_and_devices_in_a_zip(tmp_path, kind):
    zip_of(tmp_path / "a.zip", "strange", b"/etc/passwd", kind | 0o777)
    with pytest.raises(DatasetError, match="its member 'strange' is refused: "):
        open_folder(tmp_path / "a.zip")


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "SMALL", 1 << 20)
    zip_of(tmp_path / "ratio.zip", "a", bytes(3 << 20))
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        item = tarfile.TarInfo("a")
        item.size = 3 << 20
        file.addfile(item, io.BytesIO(bytes(item.size)))
    (tmp_path / "ratio.tar.gz").write_bytes(gzip.compress(data.getvalue()))
    header = tarfile.TarInfo("a")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "header.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with zipfile.ZipFile(tmp_path / "count.zip", "w") as file:
        for n in range(3):
            file.writestr(str(n), "x")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as file, pytest.warns(UserWarning):
        file.writestr("a", "x")
        file.writestr("a", "y")
    for name, words in {
        "ratio.zip": "holds more than 1048576 bytes", "ratio.tar.gz": "holds more than 1048576",
        "header.tar": "has a header of more than 16 MB", "count.zip": "holds more than 2 files",
        "twice.zip": "its member 'a' is there twice",
    }.items():  # fmt: skip
        with pytest.raises(DatasetError, match=words) as caught:
            open_folder(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_damaged_archives_are_refused_in_one_line(shapes, tmp_path, cache, suffix):
    kind = {".tar.gz": "gztar", ".tar.xz": "xztar"}.get(suffix, suffix[1:])
    good = shutil.make_archive(str(tmp_path / "good"), kind, shapes / "Annotations")
    with open(good, "rb") as file:  # noqa: PTH123
        data = bytearray(file.read())
    rng, path, refused = np.random.default_rng(0), tmp_path / f"bad{suffix}", 0
    for n in range(30):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            changed[place] = rng.integers(256)
        path.write_bytes(changed[: rng.integers(len(data))] if n % 2 else changed)
        try:
            archive.unpacked(path)
        except YoloError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert refused > 10
    assert {folder.name.partition("-")[0] for folder in cache.iterdir()} <= {"bad"}


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_names_in_utf8_that_the_archive_does_not_say_are(tmp_path, encoding):
    class Silent(zipfile.ZipInfo):
        def _encodeFilenameFlags(self):
            return self.filename.encode(encoding), self.flag_bits & ~0x800

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as written:
        written.writestr(Silent("Größe/ü.txt"), "x")
    assert (archive.unpacked(tmp_path / "a.zip") / "Größe" / "ü.txt").is_file()


def test_what_another_process_unpacked_meanwhile_stays(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as written:
        written.writestr("a.txt", "x")
    unpack, inodes = archive._unpack, []

    def slowly(*arguments):
        unpack(*arguments)
        monkeypatch.setattr(archive, "_unpack", unpack)
        inodes.append((archive.unpacked(tmp_path / "a.zip") / "a.txt").stat().st_ino)

    monkeypatch.setattr(archive, "_unpack", slowly)
    folder = archive.unpacked(tmp_path / "a.zip")
    assert [(folder / "a.txt").stat().st_ino] == inodes
    assert sorted(path.name for path in folder.parent.parent.iterdir()) == [folder.parent.name]


@pytest.fixture
def labelled(voc_folder, tmp_path):
    """Return a function that packs a folder of labelled pictures, some in need of repair."""
    for stem, *box in (("a", 1, 1, 30, 30), ("b", 2, 2, 2, 2), ("c", 5, 5, 99, 30)):
        voc_folder.add(stem, ("dog", *box))
    for split in ("train", "val"):
        voc_folder.list(split, *"abc")
    voc_folder.picture("unlabelled")
    return lambda: shutil.make_archive(str(tmp_path / "mine"), "zip", voc_folder.root)


def test_messages_name_the_archive_and_the_member(labelled, caplog, cache):
    caplog.set_level(logging.DEBUG, "yolo")
    made = labelled()
    open_folder(made).read("train")
    said = [one.getMessage() for one in caplog.records if "unpacking into" not in one.msg]
    for words in (
        f"{made}, split train: degenerate boxes dropped: 1 ({made}: Annotations/b.xml:1: object",
        f"{made}, split train: boxes cut at the picture's edge: {made}: Annotations/c.xml:1: ",
    ):
        assert any(line.startswith(words) for line in said)
    assert not any(str(cache) in line for line in said)


@pytest.mark.parametrize("command", ["check", "convert", "shards"])
def test_faults_name_the_archive_and_the_member(
    labelled, voc_folder, tmp_path, cache, outcome, command
):
    """A check takes a process of its own for the pictures."""
    cut = voc_folder.root / "JPEGImages" / "a.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    if command != "check":
        voc_folder.annotation("b", ("dog", 30, 1, 2, 30))
    made, out = labelled(), tmp_path / "out"
    options = {"check": ["--out", out], "shards": ["--out", out], "convert": ["--to", "coco", out]}
    code, said, complaint = outcome(main, command, "--data", made, *options[command])
    fault = f"{made}: Annotations/b.xml:1: object 1 ('dog'): xmin 30 > xmax 2"
    fault = f"{made}: JPEGImages/a.jpg: " if command == "check" else fault
    assert code == 3 and fault in said + complaint
    where = [line for line in (said + complaint).splitlines() if str(cache) in line]
    assert len(where) == 1 and where[0].startswith(f"{made}: unpacking into ")
    assert not any(str(cache) in path.read_text() for path in out.glob("check.*"))
