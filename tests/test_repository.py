"""What the repository and the package hold: no model, no machine's path, true tables and names."""

import ast
import configparser
import os
import re
import subprocess
import sys

import pytest

from tests.test_house import ROOT, imports_of, sources
from yolo.classes import COCO_CLASSES, VOC_CLASSES, read_classes
from yolo.models.yolov4.settings import YOLOV4_ANCHORS, YOLOV4_TINY_ANCHORS
from yolo.settings.detector import read_anchors


@pytest.fixture(scope="module")
def repository_files():
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def test_the_repository_holds_no_model(repository_files):
    model = re.compile(
        r"\.(keras|h5|hdf5|weights|conv\.\d+|onnx|tflite|pb|pt|pth|ckpt|safetensors|npz|pkl)$"
    )
    found = [str(path.relative_to(ROOT)) for path in repository_files if model.search(path.name)]
    large = [
        str(path.relative_to(ROOT)) for path in repository_files if path.stat().st_size > 2**20
    ]
    assert not found and not large


def test_the_repository_names_no_path_of_a_machine(repository_files):
    folders = "|".join(("work", "root", "home", "Users", "tmp"))
    machine = re.compile(rf"(?<![\w.~>}}*-])/({folders})/[A-Za-z0-9_]")
    found = []
    for path in repository_files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture
        found += [
            f"{path.relative_to(ROOT).as_posix()}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(lines, 1)
            if machine.search(line)
        ]
    assert not found, "\n".join(found)


# ------------------------------------------------------------------------------- tables


def test_class_files_are_the_tables():
    assert read_classes(ROOT / "model_data" / "voc_classes.txt") == VOC_CLASSES
    assert read_classes(ROOT / "model_data" / "coco_classes.txt") == COCO_CLASSES


def test_anchor_files_are_the_tables():
    assert read_anchors(ROOT / "model_data" / "yolo_anchors.txt") == YOLOV4_ANCHORS
    assert read_anchors(ROOT / "model_data" / "yolo_tiny_anchors.txt") == YOLOV4_TINY_ANCHORS


# ------------------------------------------------------------------------------ package


@pytest.fixture(scope="module")
def package():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_version_is_read_without_importing_keras(package):
    """setuptools takes a literal from the source; anything else would import the package."""
    module, _, name = package["metadata"]["version"].removeprefix("attr: ").rpartition(".")
    tree = ast.parse((ROOT / module / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == name
    ]
    assert len(values) == 1 and re.fullmatch(r"\d+\.\d+\.\d+", values[0])


def test_files_that_the_package_names_exist(package):
    about = package["metadata"]["long_description"]
    for name in (about.removeprefix("file: "), package["metadata"]["license_files"]):
        assert (ROOT / name).read_text(encoding="utf-8").strip(), f"{name} is missing or empty"


def test_every_import_is_a_declared_dependency(package):
    distributions = {"cv2": "opencv-python-headless", "PIL": "pillow",
                     "faster_coco_eval": "faster-coco-eval", "yaml": "PyYAML", "grpc": "grpcio",
                     "ai_edge_litert": "ai-edge-litert"}  # fmt: skip
    declared = package["options"]["install_requires"] + "\n".join(
        package["options.extras_require"].values()
    )
    known = {re.split(r"[><=\[;~! ]", line.strip())[0] for line in declared.splitlines()}
    # Pillow is used where it happens to be installed, without being asked for.
    known |= {"keras_focal", "yolo", "pillow"}
    for path in sources("keras_focal", "yolo"):
        for line, module in imports_of(path):
            head = module.split(".")[0]
            if head not in sys.stdlib_module_names:
                assert distributions.get(head, head) in known, (
                    f"{path.relative_to(ROOT)}:{line}: {head} is not in setup.cfg"
                )
