"""The tutorial's line format."""

import unicodedata
from pathlib import Path

import pytest

from tests.faults.audit import listening, opened
from yolo.data.folder import open_folder
from yolo.data.formats.tutorial_lists import open_lists
from yolo.errors import DatasetError


def read_lines(path, classes):
    return open_lists({"train": path}, classes).read("train")


@pytest.fixture
def write(voc_folder):
    def write(*lines):
        path = voc_folder.root / "2007_train.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_an_empty_list(write):
    assert read_lines(write("", " "), classes=["dog"]) == []


def test_boxes_blanks_and_negatives(voc_folder, write):
    voc_folder.picture("a b 1,2")
    absolute = voc_folder.picture("图片")
    path = write(
        "JPEGImages/a b 1,2.jpg 1,2,30,40,1  5,6,7.5,8,0 ",
        f"{absolute}",
        f"{absolute} 0,0,80,60,0\r",
    )
    first, second, third = read_lines(path, classes=["cat", "dog"])
    assert first.path == voc_folder.root / "JPEGImages" / "a b 1,2.jpg"
    assert first.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5, 6, 7.5, 8]]
    assert first.class_ids.tolist() == [1, 0]
    assert first.size == (60, 80) and first.image_id == "a b 1,2"
    assert second.path == absolute and second.boxes_xyxy.shape == (0, 4)
    assert third.boxes_xyxy.tolist() == [[0, 0, 80, 60]]
    assert not third.difficult.any() and not third.truncated.any()


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ("1,2,30,40,2", "box 1: class 2; expected 0 to 1"),
        ("1,2,3,4,0 1,2,30,40,0.5", "box 2: class 0.5; expected 0 to 1"),
        ("30,2,1,40,0", "box 1: xmin 30 > xmax 1"),
        ("1,nan,3,4,0", "box 1: [1, nan, 3, 4]; expected four finite numbers"),
        ("1,2,30,40", "'1,2,30,40'; expected x1,y1,x2,y2,class"),
        ("1,2,x,40,0", "'1,2,x,40,0'; expected x1,y1,x2,y2,class"),
        ("90,2,95,40,0", "lies outside the picture of 80x60"),
        (".jpg", "cannot be opened"),
        ("b" * 3000 + ".jpg", "cannot be opened"),
        ("/" + "b" * 300 + "/a.jpg", "cannot be opened"),
    ],
)
def test_faults_name_the_list_and_the_line(voc_folder, write, boxes, words):
    voc_folder.picture("a")
    path = write("JPEGImages/a.jpg", f"JPEGImages/a.jpg {boxes}")
    with pytest.raises(DatasetError) as caught:
        read_lines(path, classes=["cat", "dog"])
    message = str(caught.value)
    assert f"{path}:2" in message and words in message and len(message) < 900


def test_a_list_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(DatasetError, match="cannot be opened"):
        read_lines(tmp_path / "absent.txt", classes=["dog"])
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="no readable list in UTF-8"):
        read_lines(tmp_path / "a.txt", classes=["dog"])


def test_a_list_in_a_sibling_folder_and_one_that_leads_out(voc_folder, write, monkeypatch):
    """Named by a relative path, with or without a folder, a list leads no further."""
    voc_folder.picture("a")
    write("JPEGImages/a.jpg 1,2,30,40,0", "./JPEGImages/../JPEGImages/a.jpg 1,2,30,40,0")
    beside = voc_folder.root.parent / "beside"
    beside.mkdir()
    monkeypatch.chdir(beside)
    samples = read_lines(Path("../VOC2007/2007_train.txt"), classes=["dog"])
    assert [sample.path.resolve().name for sample in samples] == ["a.jpg", "a.jpg"]
    write("../../../../../../../../../../../etc/passwd 1,2,30,40,0", "../beside/b.jpg 1,2,30,40,0")
    (beside / "b.jpg").write_bytes(b"")
    monkeypatch.chdir(voc_folder.root)
    for name in ("2007_train.txt", "./2007_train.txt", "../VOC2007/2007_train.txt"):
        with listening() as heard, pytest.raises(DatasetError) as caught:
            read_lines(Path(name), classes=["dog"])
        assert str(caught.value).count("leads out of") == 2
        assert not [path for path in opened(heard) if path.name in ("passwd", "b.jpg")]
    assert len(
        open_lists({"train": Path("2007_train.txt")}, ["dog"], "..").listed("train").pictures
    )


@pytest.mark.parametrize(
    "line",
    [
        "JPEGImages/a%20b%20(1).jpg 1,2,30,40,0", "JPEGImages\\a b (1).jpg 1,2,30,40,0",
        "D:\\data\\VOC2007\\JPEGImages\\a b (1).jpg 1,2,30,40,0",
        "D:/data/JPEGImages/a b (1).jpg 1,2,30,40,0",
        "/data/me/VOC2007/JPEGImages/a b (1).jpg 1,2,30,40,0",
        "JPEGImages/a b (1).jpg 1, 2, 30, 40, 0", "JPEGImages/a b (1).jpg\t1,2,30,40,0",
        "JPEGImages/A B (1).JPG 1,2,30,40,0", '"JPEGImages/a b (1).jpg" 1,2,30,40,0',
        "file:///data/me/VOC2007/JPEGImages/a%20b%20(1).jpg 1,2,30,40,0",
    ],
)  # fmt: skip
def test_lines_of_other_systems(voc_folder, write, line):
    picture = voc_folder.picture("a b (1)")
    (sample,) = read_lines(write(line), classes=["dog"])
    assert sample.path == picture and sample.boxes_xyxy.tolist() == [[1, 2, 30, 40]]


def test_a_name_that_is_nearly_right_is_asked_for(voc_folder, write):
    voc_folder.picture("IMG_0001")
    with pytest.raises(DatasetError, match=r"no such file; did you mean 'IMG_0001.jpg'\?"):
        read_lines(write("JPEGImages/IMG_001.jpg 1,2,30,40,0"), classes=["dog"])


def test_names_of_another_unicode_form(voc_folder, write):
    picture = voc_folder.picture(unicodedata.normalize("NFD", "ü é"))
    line = "JPEGImages/" + unicodedata.normalize("NFC", picture.name)
    (sample,) = read_lines(write(f"{line} 1,2,30,40,0"), classes=["dog"])
    assert sample.path == picture


def test_lists_as_a_data_set(voc_folder, write):
    voc_folder.picture("a")
    path = write("JPEGImages/a.jpg 1,2,30,40,1 4,4,9,9,0")
    (voc_folder.root / "Annotations").rmdir()
    for place in (path, voc_folder.root):
        opened_set = open_folder(place, classes=["cat", "dog"])
        assert opened_set.names == ("train",) and len(opened_set.read("train")[0].class_ids) == 2
    with pytest.raises(DatasetError, match="no class names .* give --classes FILE"):
        open_folder(path)
    (voc_folder.root / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    assert open_folder(path).classes == ("cat", "dog")
