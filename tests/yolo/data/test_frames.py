"""Boxes lie on their objects whichever form of a turned picture they were drawn on."""

import json

import numpy as np
import pytest

from tests.faults.full.pictures import jpeg_with_exif
from yolo.data.folder import open_folder
from yolo.data.frames import are_shares, turned
from yolo.errors import DatasetError
from yolo.pictures.files import encode_image, read_image, upright

STORED = (96, 128)  # height, width
BOX = (16, 36, 76, 76)  # fits both forms
RIGHT = (90, 20, 124, 60)  # fits the stored one only
LOW = (20, 90, 60, 124)  # fits the one shown alone, where that is upright


def drawn(orientation, box, on):
    """Return a JPEG whose one bright object is where `box` says, on the picture stored or shown."""
    way_back = {6: 8, 8: 6}.get(orientation, orientation)
    shown = on == "shown"
    size = STORED[::-1] if shown and orientation >= 5 else STORED
    image = np.full((*size, 3), 40, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 250
    image = upright(image, way_back) if shown else image
    return jpeg_with_exif(encode_image(image, ".jpg"), orientation)


class Voc:
    """Writes a folder in VOC format; boxes count from 0."""

    def __init__(self, root):
        self.root = root
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (root / name).mkdir(parents=True)
        self.names = []

    def add(self, picture, box, size):
        name = f"{len(self.names)}"
        self.names.append(name)
        (self.root / "JPEGImages" / f"{name}.jpg").write_bytes(picture)
        x1, y1, x2, y2 = box
        sides = zip(("height", "width"), size or (), strict=size is not None)
        lines = "".join(f"<{side}>{length}</{side}>" for side, length in sides)
        lines = f"<size>{lines}</size>" if lines else ""
        (self.root / "Annotations" / f"{name}.xml").write_text(
            f"<annotation>{lines}<object><name>cat</name><bndbox><xmin>{x1 + 1}</xmin>"
            f"<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            "</annotation>",
            encoding="utf-8",
        )

    def open(self):
        (self.root / "ImageSets/Main/train.txt").write_text("\n".join(self.names), encoding="utf-8")
        return open_folder(self.root)


class Coco:
    """Writes a folder in COCO's layout."""

    def __init__(self, root):
        self.root, self.images, self.boxes = root, [], []
        for name in ("annotations", "train"):
            (root / name).mkdir(parents=True)

    def add(self, picture, box, size):
        number = len(self.images) + 1
        (self.root / "train" / f"{number}.jpg").write_bytes(picture)
        sides = {} if size is None else {"height": size[0], "width": size[1]}
        self.images.append({"id": number, "file_name": f"{number}.jpg", **sides})
        x1, y1, x2, y2 = box
        self.boxes.append({"id": number, "image_id": number, "category_id": 1,
                           "bbox": [x1, y1, x2 - x1, y2 - y1]})  # fmt: skip

    def open(self):
        data = {"images": self.images, "annotations": self.boxes,
                "categories": [{"id": 1, "name": "cat"}]}  # fmt: skip
        path = self.root / "annotations" / "instances_train.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return open_folder(self.root)


class Yolo:
    """Writes a folder with YOLO's text labels, whose boxes are shares of a size."""

    def __init__(self, root):
        self.root, self.count = root, 0
        for name in ("images/train", "labels/train"):
            (root / name).mkdir(parents=True)

    def add(self, picture, box, size):
        self.count += 1
        (self.root / f"images/train/{self.count}.jpg").write_bytes(picture)
        (x1, y1, x2, y2), (height, width) = box, size
        middle = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height)
        numbers = (*middle, (x2 - x1) / width, (y2 - y1) / height)
        text = f"0 {' '.join(map(str, numbers))}\n"
        (self.root / f"labels/train/{self.count}.txt").write_text(text, encoding="utf-8")

    def open(self):
        text = "path: .\ntrain: images/train\nval: images/train\nnames: [cat]\n"
        (self.root / "data.yaml").write_text(text, encoding="utf-8")
        return open_folder(self.root)


@pytest.fixture(params=[Voc, Coco])
def folder(request, tmp_path):
    return request.param(tmp_path / "set")


def lie_on_their_objects(samples):
    for sample in samples:
        image = read_image(sample.path)
        assert image.shape[:2] == sample.size
        bright = np.argwhere(image[..., 0] > 145)
        found = [*bright.min(0)[::-1], *(bright.max(0) + 1)[::-1]]
        assert np.abs(sample.boxes_xyxy[0] - found).max() <= 1, sample.path
    return True


def kinds(opened):
    (findings,) = opened.notes
    return [*findings.warnings]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_with_its_picture(orientation):
    image = np.zeros((5, 7, 1), np.uint8)
    image[1:3, 2:6] = 1
    there = np.argwhere(upright(image, orientation)[..., 0])
    expected = (*there.min(0)[::-1], *(there.max(0) + 1)[::-1])
    assert turned((2, 1, 6, 3), orientation, (5, 7)) == expected


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("on", ["stored", "shown"])
def test_the_size_of_the_annotation_tells(folder, orientation, on):
    """A picture turned by 180 degrees has one size; the others of its set tell for it."""
    size = STORED[::-1] if on == "shown" else STORED
    folder.add(drawn(6, BOX, on), BOX, size)
    size = size if orientation >= 5 else STORED
    folder.add(drawn(orientation, BOX, on), BOX, size)
    opened = folder.open()
    assert lie_on_their_objects(opened.read("train"))
    turn = ["boxes turned with their pictures as EXIF asks"]
    assert kinds(opened) == (turn if on == "stored" else [])


@pytest.mark.parametrize("size", [None, STORED, STORED[::-1]])
@pytest.mark.parametrize("on, telling", [("stored", RIGHT), ("shown", LOW)])
def test_boxes_tell_before_the_size(folder, size, on, telling):
    """A picture whose boxes fit both forms follows those of its set that fit one alone."""
    folder.add(drawn(6, telling, on), telling, size)
    folder.add(drawn(8, BOX, on), BOX, size)
    folder.add(drawn(3, BOX, on), BOX, None)
    assert lie_on_their_objects(folder.open().read("train"))


@pytest.mark.parametrize("orientation", [2, 3, 4, 6])
def test_where_nothing_tells_the_picture_as_shown_is_meant_and_that_is_said(folder, orientation):
    folder.add(drawn(orientation, BOX, "shown"), BOX, None)
    opened = folder.open()
    assert lie_on_their_objects(opened.read("train"))
    assert "boxes taken as drawn on the picture as EXIF turns it, which nothing tells" in kinds(
        opened
    )


@pytest.mark.parametrize("orientation", [3, 6])
def test_shares_lie_on_the_picture_as_shown(tmp_path, orientation):
    """A format of shares gives no size, and its boxes fit every form."""
    folder = Yolo(tmp_path / "set")
    size = STORED[::-1] if orientation >= 5 else STORED
    folder.add(drawn(orientation, BOX, "shown"), BOX, size)
    opened = folder.open()
    assert lie_on_their_objects(opened.read("train"))
    assert "boxes taken as drawn on the picture as EXIF turns it, which nothing tells" in kinds(
        opened
    )


def test_where_annotations_disagree_the_open_ones_are_refused(folder):
    folder.add(drawn(6, RIGHT, "stored"), RIGHT, None)
    folder.add(drawn(6, LOW, "shown"), LOW, None)
    folder.add(drawn(6, BOX, "shown"), BOX, None)
    with pytest.raises(DatasetError, match="1 fault: .*annotations disagree.*save the pictures"):
        folder.open().read("train")


def test_a_sloppy_box_is_no_evidence(folder):
    """A box two pixels beyond the right edge of an upright picture does not lay it down."""
    box = (60, 20, 98, 60)
    folder.add(drawn(6, (60, 20, 96, 60), "shown"), box, STORED[::-1])
    assert lie_on_their_objects(folder.open().read("train"))


def test_a_turned_size_without_an_orientation_is_refused_where_boxes_prove_it(folder):
    picture = encode_image(np.full((*STORED, 3), 40, np.uint8), ".jpg")
    folder.add(picture, LOW, STORED[::-1])
    with pytest.raises(DatasetError, match="drawn on the picture before its rotation: save"):
        folder.open().read("train")


# ------------------------------------------------------------------------------------- shares


SHARES = (16 / 128, 36 / 96, 76 / 128, 76 / 96)


def test_boxes_inside_0_to_1_are_shares(tmp_path):
    folder = Coco(tmp_path / "set")
    folder.add(drawn(1, BOX, "stored"), SHARES, STORED)
    folder.add(drawn(6, BOX, "stored"), SHARES, STORED)
    opened = folder.open()
    assert lie_on_their_objects(opened.read("train"))
    assert "boxes inside 0..1 read as shares of their pictures" in kinds(opened)


def test_shares_in_voc_say_nothing_of_the_first_pixel(voc_folder, caplog):
    for stem in ("a", "b"):
        voc_folder.add(stem, ("cat", 0.25, 0.5, 0.75, 1.0), ("dog", 0, 0, 1, 1))
    voc_folder.list("train", "a", "b")
    with caplog.at_level("INFO"):
        one, _ = open_folder(voc_folder.root).read("train")
    assert one.boxes_xyxy.tolist() == [[20, 30, 60, 60], [0, 0, 80, 60]]
    assert "counted from 0" not in caplog.text
    assert "read as shares of their pictures: 2" in caplog.text


def test_shares_among_pixels_are_refused(voc_folder):
    voc_folder.add("a", ("cat", 0.25, 0.5, 0.75, 1.0))
    voc_folder.add("b", ("cat", 10, 10, 40, 40))
    voc_folder.list("train", "a", "b")
    with pytest.raises(DatasetError, match="1 fault: .*a.xml: all boxes lie inside 0..1"):
        open_folder(voc_folder.root).read("train")


def test_whole_numbers_are_no_shares():
    assert not are_shares([(0, 0, 1, 1), (0, 0, 0, 1)])
