"""What the values of options may be, and what is said of those that are none."""

import pytest

from yolo.cli import option_values


@pytest.mark.parametrize("text", ["0", "100", "416x", "a", "416x416x3", "-32", "31x32", ""])
def test_sizes_that_are_none(text):
    with pytest.raises(Exception, match="is not a size: 416 or 320x416"):
        option_values.image_size(text)


@pytest.mark.parametrize("text", ["-0.1", "1.01", "nan", "inf", "a", ""])
def test_shares_that_are_none(text):
    with pytest.raises(Exception, match="is not a number from 0 to 1"):
        option_values.share(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "a", ""])
def test_counts_that_are_none(text):
    with pytest.raises(Exception, match="is not a whole number from 1 on"):
        option_values.count(text)


@pytest.mark.parametrize("text", ["20", "640x", "0", "a", "1x2x3"])
def test_tiles_that_are_none(text):
    with pytest.raises(Exception, match="is not the size of a tile"):
        option_values.tile_size(text)


def test_what_can_be_saved_is_what_there_are_writers_for():
    from yolo.inference.writers import WRITERS

    assert option_values.SAVE_KINDS == tuple(WRITERS)
    assert option_values.kinds("csv, VOC,csv,") == ("csv", "voc")


@pytest.mark.parametrize(
    "text, words",
    [("cvs", "no 'cvs'; did you mean csv"), ("xlsx", "expected some of json,csv,coco-results,voc")],
)
def test_what_cannot_be_saved(text, words):
    with pytest.raises(Exception, match=words):
        option_values.kinds(text)
