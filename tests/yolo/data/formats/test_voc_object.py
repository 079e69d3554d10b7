"""What labelling tools write into an <object>: nothing of it is lost without a word."""

import math
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from yolo.data.annotated import ROTATED, hull, rotated
from yolo.data.folder import open_folder
from yolo.data.formats.voc_object import DELETED, ODD_FLAG, POLYGON, objects_of

BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>50</xmax><ymax>40</ymax></bndbox>"
OTHER = BOX.replace(">10<", ">60<").replace(">50<", ">70<")


def read(inner, name="cat"):
    return list(objects_of(1, fromstring(f"<object><name>{name}</name>{inner}</object>"), 7))


def test_every_box_of_an_object_is_one():
    one, two = read(f"{BOX}<difficult>1</difficult>{OTHER}")
    assert (one.box, two.box) == ((10, 20, 50, 40), (60, 20, 70, 40))
    assert one.difficult and two.difficult and (one.name, two.line) == ("cat", 7)
    assert [one.label, two.label] == ["object 1 ('cat'), box 1", "object 1 ('cat'), box 2"]


def test_a_fault_of_one_box_is_its_own():
    one, two = read(BOX + OTHER.replace("60", "wide"))
    assert not one.fault and two.fault == "<xmin> holds 'wide'; expected a number: correct the file"


@pytest.mark.parametrize("tag", ["difficult", "truncated"])
@pytest.mark.parametrize(
    "text, expected",
    [("1", True), ("1.0", True), ("True", True), (" yes ", True), ("TRUE", True), ("0", False),
     ("0.0", False), ("false", False), ("No", False), ("", False), ("Unspecified", False)],
)  # fmt: skip
def test_flags(tag, text, expected):
    (one,) = read(f"{BOX}<{tag}>{text}</{tag}>")
    assert getattr(one, tag) is expected and not one.repair


def test_a_flag_that_nobody_understands_is_counted():
    (one,) = read(f"{BOX}<difficult>perhaps</difficult>")
    assert not one.difficult and one.repair == ODD_FLAG and not one.fault


def attribute(degrees):
    return (
        "<attributes><attribute><name>occluded</name><value>x</value></attribute><attribute>"
        f"<name>rotation</name><value>{degrees}</value></attribute></attributes>"
    )


def turned_corners(box, degrees):
    """Return the box around a box's corners, each turned about its middle."""
    x1, y1, x2, y2 = box
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]) - middle
    corners = corners @ np.array([[c, s], [-s, c]]) + middle
    return [*corners.min(0), *corners.max(0)]


@pytest.mark.parametrize("degrees", [30, 45.0, 90, 135, 200, 300.5, -20])
def test_cvats_rotation(degrees):
    (one,) = read(BOX + attribute(degrees))
    assert one.box == pytest.approx(turned_corners((10, 20, 50, 40), degrees), abs=1e-9)
    assert one.repair == ROTATED


@pytest.mark.parametrize("degrees", [0, "0.0", 360])
def test_no_rotation(degrees):
    (one,) = read(BOX + attribute(degrees))
    assert one.box == (10, 20, 50, 40) and not one.repair


def test_a_rotation_that_is_no_number_is_a_fault():
    (one,) = read(BOX + attribute("left"))
    assert one.box is None and "<value> holds 'left'" in one.fault


def test_a_box_around_its_middle():
    shape = "<robndbox><cx>30</cx><cy>30</cy><w>40</w><h>20</h><angle>0.5</angle></robndbox>"
    (one,) = read(shape)
    expected = turned_corners((10, 20, 50, 40), math.degrees(0.5))
    assert one.box == pytest.approx(expected, abs=1e-9) and one.repair == ROTATED


@pytest.mark.parametrize(
    "shape, repair",
    [
        ("<polygon><pt><x>3</x><y>9</y></pt><pt><x>5</x><y>4</y></pt><pt><x>8</x><y>7</y></pt>"
         "</polygon>", POLYGON),
        ("<polygon><x1>3</x1><y1>9</y1><x2>5</x2><y2>4</y2><x3>8</x3><y3>7</y3></polygon>",
         POLYGON),
        ("<robndbox><x_left_top>3</x_left_top><y_left_top>4</y_left_top><x_right_low>8"
         "</x_right_low><y_right_low>9</y_right_low></robndbox>", ROTATED),
    ],
)  # fmt: skip
def test_other_shapes_are_taken_as_the_box_around_them(shape, repair):
    (one,) = read(shape)
    assert one.box == (3, 4, 8, 9) and one.repair == repair


def test_a_box_stands_before_the_shape_that_it_is_around():
    (one,) = read("<polygon><pt><x>3</x><y>9</y></pt></polygon>" + BOX)
    assert one.box == (10, 20, 50, 40) and not one.repair


@pytest.mark.parametrize(
    "shape", ["", "<polygon/>", "<robndbox><cx>1</cx></robndbox>", "<circle/>"]
)
def test_no_shape_is_a_fault(shape):
    (one,) = read(shape)
    assert one.box is None and one.fault.endswith(": correct the file")


def test_no_name_is_a_fault_before_all_others():
    (one,) = read("", name="")
    assert one.fault == "no <name>: correct the file"


def test_what_was_done_is_counted(voc_folder, caplog):
    odd = f"<object><name>cat</name>{BOX}{attribute(90)}</object>"
    gone = f"<object><name>cat</name>{BOX}<deleted>1</deleted></object>"
    point = "<object><name>cat</name><point><x>5</x><y>6</y></point></object>"
    voc_folder.picture("a")
    voc_folder.annotation("a", odd, gone, point)
    voc_folder.list("train", "a")
    (sample,) = open_folder(voc_folder.root).read("train", first_pixel="0")
    assert sample.boxes_xyxy.tolist() == [[20, 10, 40, 50]]
    for kind in (ROTATED, DELETED, "degenerate boxes dropped"):
        assert f"{kind}: 1 (" in caplog.text


def test_rotated_boxes_that_leave_the_picture_are_no_sign_of_another_picture(voc_folder):
    """The rectangle around a turned one may; nor do they say where pixels are counted from."""
    edge = BOX.replace(">10<", ">1<").replace(">50<", ">41<")
    objects = [f"<object><name>c{n}</name>{edge}{attribute(80)}</object>" for n in range(30)]
    voc_folder.picture("a")
    voc_folder.annotation("a", *objects, *[OTHER.join(("<object><name>d</name>", "</object>"))])
    voc_folder.list("train", "a")
    opened = open_folder(voc_folder.root)
    (sample,) = opened.read("train")
    assert len(sample.class_ids) == 31
    assert sample.boxes_xyxy[-1].tolist() == [59, 19, 70, 40]


def test_hull_and_rotated():
    assert hull([3, 1, 2], [5, 9, 7]) == (1, 5, 3, 9)
    assert rotated((0, 0, 4, 2), math.pi) == pytest.approx((0, 0, 4, 2))
