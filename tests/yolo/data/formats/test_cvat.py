"""CVAT's own XML, read."""

import pytest

from tests.yolo.data.formats import layouts
from yolo.data.folder import open_folder
from yolo.errors import DatasetError


@pytest.fixture
def shapes(tmp_path):
    """Return a function that opens a data set of one picture, a.jpg, with these shapes."""

    def make(content, name="a.jpg"):
        layouts.DRAWN[0].draw(tmp_path / "images" / "a.jpg")
        image = f'<image id="0" name="{name}" width="80" height="60">\n{content}</image>'
        layouts.text(tmp_path / "annotations.xml", f"<annotations>\n{image}\n</annotations>")
        return open_folder(tmp_path)

    return make


def test_a_rotated_box_becomes_the_upright_one_around_it_and_other_shapes_are_counted(
    shapes, caplog
):
    box = '<box label="cat" xtl="10" ytl="20" xbr="30" ybr="30" rotation="90.0"/>'
    opened = shapes(f'{box}<polyline label="cat" points="1,2;3,4"/>')
    (sample,) = opened.read("default")
    assert sample.boxes_xyxy.round(3).tolist() == [[15, 15, 25, 35]]
    assert opened.kind == "CVAT XML" and opened.divided
    assert "shapes that are neither boxes nor polygons left out: 1" in caplog.text
    assert "rotated boxes taken as the upright boxes around them: 1" in caplog.text


@pytest.mark.parametrize(
    "content, name, words",
    [
        ('<box label="cat" xtl="1" ytl="x" xbr="9" ybr="9"/>', "a.jpg", "expected numbers"),
        ('<polygon label="cat" points="1,2;3"/>', "a.jpg", "expected numbers"),
        ('<box xtl="1" ytl="2" xbr="9" ybr="9"/>', "a.jpg", "no label"),
        ("", "b.jpg", "no picture 'b.jpg' below"),
        ("", "../a.jpg", "no picture '../a.jpg' below"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(shapes, content, name, words):
    with pytest.raises(DatasetError, match=r"annotations\.xml:2: ") as caught:
        shapes(content, name).read("default", classes=["cat"])
    assert words in str(caught.value)


def test_a_tag_is_no_class_and_the_file_may_have_another_name(shapes, tmp_path):
    shapes('<box label="cat" xtl="1" ytl="2" xbr="9" ybr="9"/><tag label="night"/>')
    (tmp_path / "annotations.xml").rename(tmp_path / "job_7.xml")
    opened = open_folder(tmp_path)
    assert opened.classes == ("cat",)
    assert len(opened.read("default", classes=opened.classes)[0].class_ids) == 1


def test_tracks_of_a_video_are_named(tmp_path):
    layouts.text(
        tmp_path / "annotations.xml", '<annotations><track id="0" label="a"/></annotations>'
    )
    with pytest.raises(DatasetError, match="annotations.xml: tracks of a video, .* export COCO"):
        open_folder(tmp_path)
