"""The picture of the rooms shows what the code says, and the page names every room.

That the file is current is one of the rules of the house: tests/test_house.py.
"""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "docs" / "architecture.py"))


def test_arrows_that_follow_from_others_are_left_out(script):
    needed = script["needed"]
    assert needed({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == [("a", "b"), ("b", "c")]
    assert needed({"a": {"b", "c"}, "b": set(), "c": set()}) == [("a", "b"), ("a", "c")]
    # A circle has no arrow to spare.
    assert needed({"a": {"b"}, "b": {"a"}}) == [("a", "b"), ("b", "a")]


def test_the_rooms_are_those_of_the_code(script):
    floors, labels, arrows = script["read_house"]()
    packages = {"yolo." + path.parent.name for path in (ROOT / "yolo").glob("*/__init__.py")}
    assert packages | {"keras_focal"} <= set(floors)
    modules = {path.stem for path in (ROOT / "yolo").glob("*.py")} - {"__init__"}
    assert modules <= {name for label in labels.values() for name in label.split(", ")}
    assert arrows["keras_focal"] == set()
    assert "yolo.data" in arrows["yolo.training"] and "yolo.training" not in arrows["yolo.data"]
    assert all(floors[there] <= floors[here] for here in arrows for there in arrows[here])


def test_the_picture_shows_rooms_and_arrows(script):
    tree = ElementTree.fromstring(script["draw"]())
    width = float(tree.get("width"))
    for box in tree.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x")) <= width - float(box.get("width"))
    arrows = [title.text for title in tree.iter(f"{SVG}title")][1:]
    assert "yolo.inference imports from yolo.export" in arrows and len(arrows) == len(set(arrows))


def test_the_page_names_every_package():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("## The rooms")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert {path.parent.name for path in (ROOT / "yolo").glob("*/__init__.py")} <= named
