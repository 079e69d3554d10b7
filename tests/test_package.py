"""What is sent out: the wheel's contents, and the commands from an installed wheel."""

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from yolo.data import demo

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("keras_focal", "yolo")
VARIABLES_OF_A_CHECKOUT = ("PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL")


def python(*arguments, folder, path=None):
    """Run Python in a folder as a user has it, with one folder of packages before the others."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES_OF_A_CHECKOUT}
    environment |= {"PYTHONPATH": str(path)} if path else {}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=folder, env=environment, capture_output=True,
        encoding="utf-8", timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the source archive made from the files under version control, and its wheel."""
    pytest.importorskip("build", reason='the package is built with pip install -e ".[dev]"')
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("made")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in map(os.fsdecode, filter(None, listed.stdout.split(b"\0"))):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    python("-m", "build", "--no-isolation", "--outdir", made, copy, folder=copy)
    (source,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Return a folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    arguments = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder)
    python(*arguments, built[1], folder=folder)
    return folder


def test_the_wheel_holds_the_modules_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {
        path.relative_to(ROOT).as_posix() for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }  # fmt: skip
    assert names == modules | {f"{package}/py.typed" for package in PACKAGES}


def test_the_source_archive_holds_what_the_tests_need(built):
    with tarfile.open(built[0]) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    wanted = ("train.py", "model_data/voc_classes.txt", "tests/conftest.py", "Makefile", "LICENSE",
              "CHANGELOG.md", "CITATION.cff", "tests/yolo/conftest.py", "docs/tutorial.md",
              "examples/notebook.ipynb", "benchmarks/paper/plan.py")  # fmt: skip
    assert not set(wanted) - names
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_installed_package_has_its_tables_and_its_types(installed, tmp_path):
    program = (
        "import sys, keras; before = set(sys.modules)\n"  # Keras itself takes what it finds
        "import keras_focal\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))\n"
        "import yolo, pathlib\n"
        "home = pathlib.Path(yolo.__file__).parents[1]\n"
        "print(home == pathlib.Path(sys.argv[1]).resolve(), (home / 'yolo/py.typed').is_file())\n"
        "print(len(yolo.classes.COCO_CLASSES), len(yolo.models.yolov4.settings.YOLOV4_ANCHORS))\n"
    )
    said = python("-c", program, installed, folder=tmp_path, path=installed)
    assert said.split("\n")[:3] == ["keras_focal", "True True", "80 9"]


@pytest.mark.long
def test_the_installed_commands_work_in_an_empty_folder(installed, tmp_path):
    assert "yolov4-tiny" in python("-m", "yolo", "models", folder=tmp_path, path=installed)
    assert not list(tmp_path.iterdir())
    demo.write_shapes(tmp_path / "data", train=4, val=1, test=1)
    data = ("--data", "data/VOCdevkit/VOC2007", "--image-size", "64x64")
    assert "all 6 decoded" in python("-m", "yolo", "check", *data, folder=tmp_path, path=installed)
    assert (tmp_path / "check" / "check.html").is_file()


def test_what_the_container_copies_makes_the_same_wheel(built, tmp_path):
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} == {line for line in let_in if line.startswith("!")}
    for name in copied:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / "context" / name)
        else:
            (tmp_path / "context").mkdir(exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "context")
    python(
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        tmp_path,
        tmp_path / "context",
        folder=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as own, zipfile.ZipFile(built[1]) as usual:
        left_out = {name for name in usual.namelist() if name.endswith(".pyc")}
        names = {name for name in own.namelist() if not name.endswith(".pyc")}
        assert names == set(usual.namelist()) - left_out
    (extra,) = [line.partition("=")[2] for line in lines if line.startswith("ARG EXTRAS")]
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    assert extra in settings["options.extras_require"] and 'ENTRYPOINT ["keras-focal"]' in lines
    assert "keras-focal = " in settings["options.entry_points"]["console_scripts"]
