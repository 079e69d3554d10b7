"""What was found, as labels that a tool imports, are corrected there and train again."""

import json
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import pytest

from yolo.boxes.detections import Detections
from yolo.data.folder import open_folder
from yolo.errors import ConfigError
from yolo.inference.prelabels import WRITERS
from yolo.inference.results import Result

NAMES = ("dog", 'a<"&b', "cat")
SIZE = (60, 80)


@pytest.fixture
def results(tmp_path):
    """Return results of a picture with two objects, one of them over the edge, and of a frame."""
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    path = tmp_path / "in" / "ü 1.png"
    path.parent.mkdir()
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    found = Detections([[8, 15, 40.5, 45], [-3, 0, 20, 60]], [0.9, 0.5], [0, 1], NAMES)
    nothing = Detections.empty(NAMES)
    return [
        Result(str(path), "ü 1", image, found, path=path),
        Result("clip.mp4", "clip_frame_000007", image, nothing, frame=7),
    ]


@pytest.fixture
def written(results, tmp_path):
    """Return a function that writes a form and returns its folder."""

    def write(kind):
        writer = WRITERS[kind](tmp_path / "out", NAMES)
        for result in results:
            writer.add(result)
        writer.close()
        return writer.path

    return write


def test_coco_is_a_data_set(written):
    root = written("coco")
    opened = open_folder(root)
    assert opened.classes == NAMES and opened.divided
    samples = {one.path.name: one for one in opened.read("default")}
    assert set(samples) == {"ü 1.png", "clip_frame_000007.jpg"}
    one = samples["ü 1.png"]
    assert one.boxes_xyxy.tolist() == [[8, 15, 40.5, 45], [0, 0, 20, 60]]
    assert one.class_ids.tolist() == [0, 1] and one.size == SIZE
    entries = json.loads((root / "annotations" / "instances_default.json").read_text("utf-8"))
    assert [entry["score"] for entry in entries["annotations"]] == [0.9, 0.5]


def test_label_studio_takes_percent_of_the_sides(written):
    root = written("label-studio")
    first, second = json.loads((root / "tasks.json").read_text(encoding="utf-8"))
    address = "/data/local-files/?d=label-studio/images/%C3%BC%201.png"
    assert first["data"] == {"image": address} and (root / "images" / "ü 1.png").is_file()
    (prediction,) = first["predictions"]
    one, two = prediction["result"]
    assert one["value"] == {
        "x": 10, "y": 25, "width": 40.625, "height": 50, "rotation": 0, "rectanglelabels": ["dog"],
    }  # fmt: skip
    assert (one["original_width"], one["original_height"]) == (80, 60)
    assert (two["value"]["x"], two["value"]["width"], two["score"]) == (0, 25, 0.5)
    assert second["predictions"][0]["result"] == []
    view = ET.parse(root / "interface.xml").getroot()
    controls = {control.get("name"): control for control in view}
    assert controls[one["from_name"]].get("toName") == one["to_name"] == "image"
    assert [label.get("value") for label in controls["label"]] == list(NAMES)


def test_cvat_takes_its_own_xml(written):
    root = written("cvat")
    tree = ET.parse(root / "annotations.xml").getroot()
    assert tree.findtext("version") == "1.1"
    assert [label.findtext("name") for label in tree.iter("label")] == list(NAMES)
    first, second = tree.findall("image")
    assert first.attrib == {"id": "0", "name": "ü 1.png", "width": "80", "height": "60"}
    assert (root / "images" / "ü 1.png").is_file() and not len(second)
    one, two = first
    assert one.get("label") == "dog" and two.get("label") == NAMES[1]
    corners = [float(one.get(corner)) for corner in ("xtl", "ytl", "xbr", "ybr")]
    assert corners == [8, 15, 40.5, 45] and float(two.get("xtl")) == 0
    opened = open_folder(root)
    assert opened.classes == NAMES
    found = {one.path.name: one.boxes_xyxy.tolist() for one in opened.read("default")}
    assert found["ü 1.png"] == [[8, 15, 40.5, 45], [0, 0, 20, 60]]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_what_may_have_been_corrected_is_never_written_over(written, kind):
    written(kind)
    with pytest.raises(ConfigError, match="corrected by hand; move that folder away"):
        written(kind)
