"""Lines that are kept while work goes on, and the work that is not done twice."""

import pytest

from yolo.errors import YoloError
from yolo.system.kept import kept_lines


def work(done):
    asked.append(done)
    return (b"%d\n" % n for n in range(done, 5))


asked = []


@pytest.mark.parametrize("cut", [b"", b"3"])
def test_work_goes_on_after_its_last_whole_line(tmp_path, cut):
    asked.clear()
    place = tmp_path / "new" / "kept"
    lines = kept_lines(place, "of", work)
    assert [next(lines) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    lines.close()
    with place.open("ab") as file:
        file.write(cut)
    for _ in range(2):
        assert list(kept_lines(place, "of", work)) == [b"%d\n" % n for n in range(5)]
    assert asked == [0, 3, 5]


@pytest.mark.parametrize("left", [b"", b"\n", b"of\n0\n", b"\xff" * 100])
def test_what_other_work_left_is_forgotten(tmp_path, left):
    asked.clear()
    place = tmp_path / "kept"
    place.write_bytes(left)
    list(kept_lines(place, "of", work))
    list(kept_lines(place, "of other work", work))
    assert asked == [0, 0] and len(list(kept_lines(place, "of other work", work))) == 5


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(YoloError, match="file/kept: cannot be written"):
        next(kept_lines(tmp_path / "file" / "kept", "of", work))
