"""The pages' code runs from top to bottom and prints what the page says it prints."""

import contextlib
import io
import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from yolo.pictures.files import write_image
from yolo.training import start

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT = "# >"
# Whose reader has pictures, weights and a data set
FOR_USERS = ("../README.md", "first-detector.md", "predicting.md")
WITH_CODE = [
    page.name
    for page in sorted(DOCS.glob("*.md"))
    if BLOCK.search(page.read_text("utf-8")) and page.name not in FOR_USERS
]


def blocks(text):
    """Yield (line of the page, code, lines that it is said to print)."""
    for found in BLOCK.finditer(text):
        lines = found[1].splitlines()
        shown = [line.removeprefix(OUTPUT).strip() for line in lines if line.startswith(OUTPUT)]
        yield text[: found.start(1)].count("\n") + 1, found[1], shown


def run(page, names):
    """Execute a page's blocks; those of docs/ must print what they show."""
    for number, code, shown in blocks(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # Empty lines before it make a traceback name the page's own line.
            exec(compile("\n" * (number - 1) + code, str(page), "exec"), names)
        if page.name in WITH_CODE:
            lines = [line.rstrip() for line in printed.getvalue().splitlines()]
            assert lines == shown, f"{page.name}:{number}"


def test_pages_with_code_are_found():
    assert {"tutorial.md", "focal-loss.md", "data-formats.md"} <= set(WITH_CODE)


@pytest.mark.long
@pytest.mark.parametrize("page", WITH_CODE)
def test_every_block_prints_what_it_says(page):
    with warnings.catch_warnings():  # NumPy's, of the overflows that a page is about
        warnings.simplefilter("ignore", RuntimeWarning)
        run(DOCS / page, {})


def not_trained(settings):
    """Return what a training with these settings would, as far as the page looks."""
    config = start.settle(settings).config
    result = SimpleNamespace(map_all_point=0.5)
    return SimpleNamespace(folder=config.name, detector=None, figures=[], result=result)


@pytest.mark.parametrize("page", FOR_USERS)
def test_what_a_user_types_runs(page, shared, tmp_path, monkeypatch):
    """With the things that its reader has: a model, a picture, and Darknet's weights at hand."""
    import keras

    (weights,) = (shared / "weights" / "yolov4_tiny_coco").glob("*.weights")
    (tmp_path / weights.name).symlink_to(weights)
    monkeypatch.setenv("KERAS_FOCAL_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "street.jpg", np.full((64, 96, 3), 120, "uint8"))
    monkeypatch.setattr("yolo.training.job.train", lambda write, **settings: not_trained(settings))
    names = {"model": keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])}
    run((DOCS / page).resolve(), names)
    if "found" in names:
        assert names["found"][0].boxes_xyxy.shape[1] == 4
        assert [path.name for path in Path("drawn").iterdir()] == ["street.jpg"]
    else:
        assert names["run"].result.map_all_point == 0.5


def test_the_worked_cases_are_there():
    shown = "\n".join(
        line for _, _, lines in blocks(TUTORIAL.read_text(encoding="utf-8")) for line in lines
    )
    for p_t, weight in ((0.95, 0.25), (0.05, 0.25), (0.99, 0.25), (0.95, 0.75), (0.05, 0.75)):
        assert f"CE / FL {1 / (weight * (1 - p_t) ** 2):,.1f}" in shown


def test_pictures_of_the_pages_exist_and_are_small():
    counted = 0
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert 2_000 < (page.parent / name).stat().st_size < 300_000, name
            counted += 1
    assert counted > 4
