"""What `detect` returns: a list that draws, shows, saves and hands over what was found."""

import base64
import re

import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.boxes.draw import draw_detections
from yolo.boxes.results import Results
from yolo.errors import YoloError
from yolo.pictures.files import cv2, read_image, write_image

CAT = Detections([[4, 5, 30, 28]], [0.9], [1], ("dog", "cat <3>"))
PICTURE = np.full((40, 50, 3), 90, np.uint8)


def results(folder) -> Results:
    for name in ("one/a.png", "two/a.png"):
        write_image(folder / name, PICTURE)
    empty = Detections.empty(CAT.class_names)
    return Results([CAT, empty, CAT], [folder / "one/a.png", str(folder / "two/a.png"), PICTURE])


def test_it_is_a_list_with_the_pictures_drawn(tmp_path):
    found = results(tmp_path)
    assert found == list(found) and found[0] is CAT and len(found) == 3
    assert repr(found) == "Results(1 cat <3>; nothing found; 1 cat <3>)"
    drawn, untouched, of_array = found.plot()
    np.testing.assert_array_equal(drawn, draw_detections(PICTURE, CAT))
    np.testing.assert_array_equal(of_array, drawn)
    np.testing.assert_array_equal(untouched, PICTURE)


def test_pictures_of_one_name_are_saved_apart(tmp_path):
    written = results(tmp_path).save(tmp_path / "out")
    assert [path.name for path in written] == ["a.jpg", "a_2.jpg", "picture_2.jpg"]
    near = np.abs(read_image(written[0]).astype(int) - draw_detections(PICTURE, CAT))
    assert near.mean() < 10
    assert np.abs(read_image(written[1]).astype(int) - PICTURE).max() < 5


def test_no_saved_picture_takes_the_place_of_another(tmp_path):
    names = ["x/a.png", "y/a_2.png", "z/a.png"]
    for name in names:
        write_image(tmp_path / name, PICTURE)
    written = Results([CAT] * 3, [tmp_path / name for name in names]).save(tmp_path / "out")
    assert [path.name for path in written] == ["a.jpg", "a_2.jpg", "a_3.jpg"]


def test_a_notebook_shows_them_small_with_their_names(tmp_path):
    wide = np.zeros((100, 2000, 3), np.uint8)
    page = Results([CAT] * 15, [wide] * 15)._repr_html_()
    assert page.count("<img") == 12 and page.endswith("<p>and 3 more</p>")
    assert "cat &lt;3&gt;" in page and "<3>" not in page
    content = base64.b64decode(re.search(r"base64,([^\"]*)", page)[1])
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape == (32, 640, 3)


def test_show_draws_each_with_matplotlib(tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.close("all")  # what others left open
    shown = []
    monkeypatch.setattr(
        pyplot, "show", lambda: shown.extend(map(pyplot.figure, pyplot.get_fignums()))
    )
    results(tmp_path).show()
    assert [figure.axes[0].images[0].get_array().shape for figure in shown] == [(40, 50, 3)] * 3
    assert shown[0].axes[0].get_title().endswith("a.png: 1 cat <3>")
    pyplot.close("all")


def test_tables_and_other_packages(tmp_path):
    found = results(tmp_path)
    try:
        import pandas  # noqa: F401
    except ImportError:
        with pytest.raises(YoloError, match="pip install pandas"):
            found.to_pandas()
    else:
        table = found.to_pandas()
        assert table.columns.tolist()[:3] == ["picture", "class", "class_id"]
        assert table["picture"].tolist() == [str(tmp_path / "one/a.png"), "picture_2"]
        assert table.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [4, 5, 30, 28]
        assert Results([], []).to_pandas().empty
